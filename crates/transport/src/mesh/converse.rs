//! Whole packets over a link that has no session yet, or none any more.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::handshake::{Handshake, RejectCode, Step, reject_packet};
use crate::mesh::event::LinkError;
use crate::session::SendQueue;
use crate::transport::Link;

/// Time for the last words on a link that is being closed.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Writes all of `packet` to channel 0.
async fn send(link: &mut dyn Link, packet: Bytes) -> io::Result<()> {
    let mut queue = SendQueue::default();
    queue.push(packet);
    send_queue(link, queue).await
}

/// Reads exactly `count` bytes from channel 0. The caller bounds `count`.
async fn receive(link: &mut dyn Link, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        let rest = &mut bytes[filled..];
        match poll_fn(|cx| link.poll_read(cx, 0, &mut [IoSliceMut::new(rest)])).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(bytes)
}

/// Carries a handshake on until its next step. One that fails still tells the peer why.
pub(crate) async fn step(
    link: &mut dyn Link,
    handshake: &mut Handshake,
) -> Result<(Step, Vec<u8>), LinkError> {
    if let Some(packet) = handshake.output() {
        send(link, packet).await?;
    }
    let bytes = receive(link, handshake.want()).await?;
    match handshake.input(&bytes) {
        Ok(step) => Ok((step, bytes)),
        Err(error) => {
            say_last(link, handshake).await;
            Err(error.into())
        }
    }
}

/// Writes the handshake's last words, if it has any, and closes the link.
pub(crate) async fn say_last(link: &mut dyn Link, handshake: &mut Handshake) {
    let mut remains = SendQueue::default();
    if let Some(packet) = handshake.output() {
        remains.push(packet);
    }
    say_goodbye(link, remains).await;
}

/// Writes what is left for channel 0 and closes the link, within [`LAST_WORDS`].
pub(crate) async fn leave(mut link: Box<dyn Link>, remains: SendQueue) {
    say_goodbye(&mut *link, remains).await;
}

async fn say_goodbye(link: &mut dyn Link, remains: SendQueue) {
    let goodbye = async {
        send_queue(link, remains).await?;
        poll_fn(|cx| link.poll_close(cx)).await
    };
    // Whether the peer hears it or not: the link is dropped.
    let _ = timeout(LAST_WORDS, goodbye).await;
}

/// Refuses a link whose handshake is otherwise done, and closes it.
pub(crate) async fn reject(link: Box<dyn Link>, code: RejectCode) {
    let mut queue = SendQueue::default();
    queue.push(reject_packet(code, ""));
    leave(link, queue).await;
}

async fn send_queue(link: &mut dyn Link, mut queue: SendQueue) -> io::Result<()> {
    while !queue.is_empty() {
        poll_fn(|cx| link.poll_write(cx, 0, &mut queue)).await?;
    }
    poll_fn(|cx| link.poll_flush(cx, 0)).await
}
