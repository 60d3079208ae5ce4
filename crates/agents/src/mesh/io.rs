//! The I/O thread: the mesh, and the light agents of the node, in one place.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use dx_transport::mesh::{Io, Mesh, MeshConfig, StartError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant as Tokio, Sleep, sleep_until};

use crate::mesh::intake::Intake;
use crate::mesh::peers::Peers;
use crate::runtime::worker::{Progress, Worker};

/// Steps of agents between two looks at the links, beside those that hear at once what has arrived.
const STRETCH: usize = 256;

/// The I/O thread. Dropped, it ends at once.
pub struct IoThread {
    pub mesh: Arc<Mesh>,
    pub handle: Handle,
    /// Dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// All that runs on the I/O thread beside the mesh.
pub struct Loop {
    pub mesh: Arc<Mesh>,
    pub worker: Worker,
    pub intake: Intake,
    pub peers: Peers,
    /// Dropped when the worker's agents have ended.
    pub ended: Option<oneshot::Sender<()>>,
}

impl IoThread {
    /// Starts the thread, and the mesh on it.
    pub fn start(config: MeshConfig) -> Result<Self, StartError> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)?;
        let handle = runtime.handle().clone();
        let (started, is_started) = mpsc::channel();
        let (stop, is_stopped) = oneshot::channel::<()>();
        let run = move || {
            runtime.block_on(async {
                let mesh = Mesh::start(config.io(Io::Current)).await;
                // Whoever started this waits for it.
                let _ = started.send(mesh);
                // Ends when the sender is dropped: it never sends.
                let _ = is_stopped.await;
            });
        };
        let thread = thread::Builder::new().name("dx-io".to_owned()).spawn(run);
        let thread = Some(thread.map_err(StartError::Runtime)?);
        let mesh = is_started.recv().expect("the thread says how it went before anything else")?;
        Ok(Self { mesh: Arc::new(mesh), handle, stop: Some(stop), thread })
    }

    /// Begins to receive, and to run agents.
    pub fn run(&self, work: Loop) {
        self.handle.spawn(work.run());
    }

    /// Runs `work` there, and waits for its result.
    pub fn wait_for<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        self.handle.spawn(async move {
            // The receiver is waiting.
            let _ = done.send(work.await);
        });
        result.recv().expect("the thread runs until it is stopped")
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the I/O thread panicked");
        }
    }
}

impl Loop {
    async fn run(self) {
        let Self { mesh, mut worker, mut intake, peers, mut ended } = self;
        let handle = Arc::clone(worker.handle());
        let mut batch = pin!(mesh.recv_any());
        let mut event = pin!(mesh.event());
        let mut alarm = pin!(sleep_until(Tokio::now()));
        let mut armed = None;
        std::future::poll_fn(|cx| {
            // Before the last look, so that nothing is left unseen.
            handle.wake_with(cx.waker());
            while let Poll::Ready(happened) = event.as_mut().poll(cx) {
                event.set(mesh.event());
                peers.hear(happened, &mesh);
            }
            let received = batch.as_mut().poll(cx);
            if let Poll::Ready(received) = &received {
                batch.set(mesh.recv_any());
                intake.take(received, &mut worker);
            }
            let progress = match &ended {
                Some(_) => worker.run(STRETCH),
                None => Progress::Ended,
            };
            if progress == Progress::Ended {
                ended = None;
            }
            if received.is_ready() || progress == Progress::Again {
                cx.waker().wake_by_ref();
            } else if let Progress::Idle(Some(at)) = progress {
                if armed != Some(at) {
                    armed = Some(at);
                    alarm.as_mut().reset(Tokio::now() + at.since(worker.clock()));
                }
                poll_alarm(alarm.as_mut(), cx, &mut armed);
            }
            Poll::<()>::Pending
        })
        .await;
    }
}

/// Waits for the alarm; one that is due already brings another turn.
fn poll_alarm(
    alarm: std::pin::Pin<&mut Sleep>,
    cx: &mut Context<'_>,
    armed: &mut Option<dx_transport::time::Instant>,
) {
    if alarm.poll(cx).is_ready() {
        *armed = None;
        cx.waker().wake_by_ref();
    }
}
