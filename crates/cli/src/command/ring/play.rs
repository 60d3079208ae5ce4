//! A run, from its start to its outcome on the terminal.

use std::cell::Cell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::cluster::up::{self, Event, News, Up, UpError};
use crate::command::signals;
use crate::command::up::screen::Screen;
use crate::exit::{self, Usage};
use crate::home::Home;
use crate::kinds::ring_member::Model;
use crate::ring::{Folder, Outcome, Run, Trouble, Verdict, Watch};

/// A run that is to begin, or to go on.
pub struct Play<'a> {
    pub home: &'a Home,
    pub run: Run,
    pub trouble: Trouble,
    pub folder: Folder,
    /// Whether its folder is removed when it has ended well.
    pub is_temporary: bool,
    pub json: bool,
}

impl Play<'_> {
    /// Starts the members, or takes them over, and waits for their results.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { home, run, trouble, folder, is_temporary, json } = self;
        let name = run.cluster.name.clone();
        let model = run.attr().unwrap_or_default().model;
        let prepared = Up::prepare(run.cluster.clone(), home, &run.elsewhere).await;
        let up = prepared.map_err(|error| match error {
            UpError::Running { .. } | UpError::Differs { .. } | UpError::NoneHere(_) => {
                Usage(error.to_string()).into()
            }
            error => anyhow::Error::from(error),
        })?;
        let up = if run.restarts { up } else { up.without_restarts() };
        note(&format!(
            "run {name}: `dx ring run --cluster {name}` goes on with it if this ends early"
        ));
        let watch = Watch::new(home, &run);
        let mut screen = Screen::new(&run.cluster, false);
        let (interrupted, accidents) = (Cell::new(None), up.accidents());
        let (known, told) = (Notify::new(), Cell::new(None));
        let until = async {
            tokio::select! {
                biased;
                by_ctrl_c = signals::told_to_stop() => interrupted.set(Some(by_ctrl_c)),
                late = watch.results(trouble, accidents) => {
                    for kill in late {
                        note(&format!("--kill {kill} was not carried out: the run was over before"));
                    }
                    told.set(Some(tell(&watch.outcome(), model, json)));
                }
            }
            watch.release().await;
            if interrupted.get().is_none() {
                known.notify_one();
            }
        };
        // With the results there, nothing is worth the time that a node gives to one that is gone.
        let kill = async {
            tokio::select! {
                () = signals::interrupted() => {}
                () = async { known.notified().await; sleep(PARTING).await } => {}
            }
        };
        let ended = up
            .run(false, until, kill, |event| {
                watch.note(&event);
                show(&mut screen, &event);
            })
            .await?;
        let outcome = watch.outcome();
        told.take().unwrap_or_else(|| tell(&outcome, model, json))?;
        let is_over = ended == up::Outcome::Stopped && outcome.verdict() != Verdict::Gone;
        if is_temporary && is_over {
            folder.remove()?;
        } else {
            note(&format!("its logs are in {}", folder.path().display()));
        }
        Ok(code(ended, &outcome, interrupted.get()))
    }
}

/// How long nodes may take to stop when the results are there.
const PARTING: Duration = Duration::from_secs(2);

/// What nodes print goes to standard error, with their names; the results have standard output.
fn show(screen: &mut Screen, event: &Event<'_>) {
    match event {
        Event::Node(node, News::Line(line)) => {
            drop(writeln!(io::stderr(), "{} | {line}", node.name));
        }
        event => screen.show(event),
    }
}

fn tell(outcome: &Outcome, model: Model, json: bool) -> io::Result<()> {
    let verdict = outcome.verdict();
    if json {
        writeln!(io::stdout(), "{}", outcome.to_json())?;
    } else if outcome.0.iter().any(|fate| *fate != crate::ring::Fate::Unknown) {
        io::stdout().write_all(outcome.lines().as_bytes())?;
    }
    note(verdict.words());
    if !model.guarantees_agreement() {
        note(&format!("the model {} does not guarantee that members agree", model.name()));
    }
    Ok(())
}

fn code(ended: up::Outcome, outcome: &Outcome, interrupted: Option<bool>) -> ExitCode {
    match (ended, interrupted) {
        (up::Outcome::CannotStart, _) => exit::usage(),
        (_, Some(true)) => exit::interrupted(),
        _ if outcome.verdict() == Verdict::Agree => exit::OK,
        _ => exit::FAILED,
    }
}

/// A line for people.
pub fn note(text: &str) {
    drop(writeln!(io::stderr(), "dx: {text}"));
}
