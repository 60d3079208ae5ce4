//! What a node prints. One thread writes, so that a terminal that stands still holds up nothing
//! but itself.

use std::io::{self, BufWriter, Write};
use std::pin::pin;

use dx_agents::runtime::{Heard, Port};
use tokio::sync::{mpsc, oneshot};

use super::log::Log;
use crate::console::Line;

/// Where lines go that are to be printed.
#[derive(Clone, Debug)]
pub struct Output(mpsc::Sender<Printed>);

/// A line, and for whom it is.
#[derive(Debug)]
enum Printed {
    /// For standard output: what agents say.
    Said(String),
    /// For standard error: what happens to the node.
    Told(String),
}

/// Lines between those who print and the thread that writes. Others wait in the console's mailbox.
const WAITING: usize = 64;

impl Output {
    /// Starts the thread. What is returned beside it is ready when all has been written.
    pub fn start(log: Log) -> (Self, oneshot::Receiver<()>) {
        let (lines, to_print) = mpsc::channel(WAITING);
        let (done, is_done) = oneshot::channel();
        std::thread::spawn(move || {
            write(to_print, &log);
            // Nobody waits if the node was killed.
            let _ = done.send(());
        });
        (Self(lines), is_done)
    }

    /// Prints what an agent said.
    async fn say(&self, line: String) {
        // The thread ends after all senders.
        let _ = self.0.send(Printed::Said(line)).await;
    }

    /// Prints what happened.
    pub async fn tell(&self, line: String) {
        let _ = self.0.send(Printed::Told(line)).await;
    }
}

/// Prints what comes to the console until `done`, and then what has come by then.
pub async fn print(console: Port, output: Output, done: oneshot::Receiver<()>) {
    let mut done = pin!(done);
    loop {
        let heard = tokio::select! {
            biased;
            heard = console.recv() => heard,
            _ = &mut done => return,
        };
        if let Heard::Message(received) = heard {
            match received.open::<Line>() {
                Ok(Line(line)) => output.say(line).await,
                Err(error) => output.tell(format!("a message to the console: {error}")).await,
            }
        }
    }
}

fn write(mut lines: mpsc::Receiver<Printed>, log: &Log) {
    let mut stdout = Sink::new(BufWriter::new(io::stdout()));
    let mut stderr = Sink::new(io::stderr());
    // As if the log had not been looked at for long.
    let mut written = LOOK;
    while let Some(line) = lines.blocking_recv() {
        let (Printed::Said(text) | Printed::Told(text)) = &line;
        written += text.len();
        match line {
            Printed::Said(line) => stdout.line(&line),
            Printed::Told(line) => {
                stdout.flush();
                stderr.line(&format!("dx: {line}"));
            }
        }
        if lines.is_empty() {
            stdout.flush();
        }
        if written >= LOOK {
            written = 0;
            stdout.flush();
            if let Err(error) = log.turn_over() {
                stderr.line(&format!("dx: failed to begin a new log: {error}"));
            }
        }
    }
}

/// Bytes between two looks at the size of the log.
const LOOK: usize = 1024 * 1024;

/// A stream that may be gone, or full: then lines are lost and counted, and the node runs on.
struct Sink<W: Write> {
    to: W,
    lost: u64,
}

impl<W: Write> Sink<W> {
    fn new(to: W) -> Self {
        Self { to, lost: 0 }
    }

    fn line(&mut self, line: &str) {
        if self.lost > 0
            && writeln!(self.to, "dx: {} lines could not be written", self.lost).is_ok()
        {
            self.lost = 0;
        }
        if writeln!(self.to, "{line}").is_err() {
            self.lost += 1;
        }
    }

    fn flush(&mut self) {
        // What is not written now stays in the buffer, until a line does not fit and is counted.
        let _ = self.to.flush();
    }
}
