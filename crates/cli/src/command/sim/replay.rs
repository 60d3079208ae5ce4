//! `dx sim replay`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use dx_agents::AgentId;
use dx_sim::campaign::Scenario;
use dx_sim::trace::What;
use dx_sim::{Choices, Failure, OUT_OF_EVENTS, Sim};
use serde_json::json;

use super::campaign::program_word;
use super::report::seconds;
use crate::cli::SimReplay;
use crate::config::{Kinds, nearest};
use crate::exit::{self, Usage};
use crate::program::Program;
use crate::simulate::console::Transcript;
use crate::simulate::{Kept, World};

/// How the run went, compared with the one that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Event by event the same.
    Same,
    /// The same rule is broken, in another run.
    SameRule,
    /// Another rule is broken.
    OtherRule,
    /// None is.
    Fine,
}

/// Runs a failing seed again.
pub fn run(arguments: &SimReplay, program: &Program) -> anyhow::Result<ExitCode> {
    let kept = Kept::read(&arguments.file).map_err(|error| Usage(error.to_string()))?;
    known(&kept, program.kinds())?;
    let kept = if arguments.shrink { shrunk(&arguments.file, &kept, program)? } else { kept };
    let transcript = Transcript::default();
    let world = World::new(kept.setup.clone(), program);
    let world = world.map_err(|error| Usage(error.to_string()))?.transcribed(transcript.clone());
    let scenario = Scenario {
        make: |seed, choices: Choices| {
            let mut sim = world.make(seed, choices);
            sim.keep_story();
            if arguments.trace {
                sim.keep_trace();
            }
            sim
        },
        play: |sim: &mut Sim| {
            sim.limit_events(world.setup().events);
            world.play(sim)
        },
    };
    let tape = kept.failure.tape.as_deref().cloned().unwrap_or_default();
    let (sim, failure) = scenario.run(kept.failure.seed, Choices::replayed(&tape));
    if arguments.trace {
        io::stdout().write_all(told(&sim, &transcript).as_bytes())?;
    }
    let seen = seen(&kept.failure, failure.as_ref());
    let drawing = failure.as_ref().and_then(|failure| sim.explain(failure));
    let text = if arguments.json {
        let value = json!({
            "seed": kept.failure.seed,
            "before": words(&kept.failure),
            "now": failure.as_ref().map(words),
            "same": seen == Seen::Same,
            "misfits": sim.choices().misfits(),
            "edited": kept.is_edited,
            "kept_by": kept.program,
            "program": program_word(),
        });
        format!("{value}\n")
    } else {
        let drawing = drawing.as_ref().filter(|_| !arguments.trace);
        let drawing = drawing.map(|drawing| format!("\n{drawing}\n")).unwrap_or_default();
        verdict(&kept, seen, failure.as_ref(), sim.choices().misfits()) + &drawing
    };
    io::stdout().write_all(text.as_bytes())?;
    if let Some(path) = &arguments.svg {
        let drawing = drawing.as_ref().context("there is nothing to draw: it does not fail")?;
        let written = std::fs::write(path, drawing.svg());
        written.with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(if seen == Seen::Fine { exit::OK } else { exit::FAILED })
}

/// The failure made small, which is kept beside the file.
fn shrunk(file: &Path, kept: &Kept, program: &Program) -> anyhow::Result<Kept> {
    let world = World::new(kept.setup.clone(), program);
    let world = world.map_err(|error| Usage(error.to_string()))?;
    if kept.failure.what == OUT_OF_EVENTS {
        let why = "it took more events than `--events` allows: there is no shorter run of that";
        return Err(Usage(why.to_owned()).into());
    }
    let before = (kept.failure.events, size(&kept.failure));
    let smaller = world.smaller(kept, |_| {}).context("failed to make it small")?;
    let path = file.with_extension("").to_string_lossy().into_owned() + "-small.tape";
    let written = smaller.kept.write_to(Path::new(&path));
    written.with_context(|| format!("failed to write {path}"))?;
    let after = (smaller.kept.failure.events, size(&smaller.kept.failure));
    drop(writeln!(
        io::stderr(),
        "dx: {} events and {} deviations became {} and {} in {} runs: {path}",
        before.0,
        before.1,
        after.0,
        after.1,
        smaller.runs
    ));
    Ok(smaller.kept)
}

/// Where the run deviates from the plainest.
fn size(failure: &Failure) -> usize {
    failure.tape.as_ref().map_or(0, |tape| tape.size().events + tape.size().choices)
}

/// This program must know the kinds of agents: else it is one that was built without them.
fn known(kept: &Kept, kinds: &Kinds) -> anyhow::Result<()> {
    for agent in &kept.setup.cluster.agents {
        if !kinds.names().any(|name| name == agent.kind) {
            let kind = agent.kind.escape_debug();
            let known = nearest::any_of(kinds.names());
            return Err(anyhow!(Usage(format!(
                "this program knows no agents of kind `{kind}`, but {known}: replay with the program that kept the file"
            ))));
        }
    }
    Ok(())
}

fn seen(before: &Failure, now: Option<&Failure>) -> Seen {
    match now {
        None => Seen::Fine,
        Some(now) if now.what != before.what => Seen::OtherRule,
        Some(now) if (now.trace, now.events) == (before.trace, before.events) => Seen::Same,
        Some(_) => Seen::SameRule,
    }
}

fn words(failure: &Failure) -> serde_json::Value {
    let Failure { what, text, at, events, .. } = failure;
    json!({ "what": what, "text": text, "at_seconds": at.as_secs_f64(), "event": events })
}

fn verdict(kept: &Kept, seen: Seen, now: Option<&Failure>, misfits: u64) -> String {
    let mut text = String::new();
    if let Some(Failure { what, text: how, seed, at, events, .. }) = now {
        let at = seconds(*at);
        let _ =
            writeln!(text, "seed {seed}: `{what}` does not hold at {at}, event {events}: {how}");
    }
    text.push_str(match seen {
        Seen::Same => "it fails as it did: the same run, event by event\n",
        Seen::SameRule => "it fails by the same rule, but it is not the same run\n",
        Seen::OtherRule => "it fails in another way than it did:\n",
        Seen::Fine => "it does not fail any more:\n",
    });
    if matches!(seen, Seen::OtherRule | Seen::Fine) {
        let Failure { what, text: how, .. } = &kept.failure;
        let _ = writeln!(text, "  it was `{what}` that did not hold: {how}");
    }
    if kept.is_edited {
        text.push_str("  the file was changed by hand: its cluster is not the one that failed\n");
    }
    let here = program_word();
    if here != kept.program && seen != Seen::Same {
        let _ = writeln!(text, "  it was kept by dx {}, and this is dx {here}", kept.program);
    }
    if misfits > 0 && seen != Seen::Same {
        let _ = writeln!(
            text,
            "  {misfits} of its choices do not fit any more: the agents have changed since, and it is another run"
        );
    }
    text
}

/// All that happened, and beside each message to a console the line that it was.
fn told(sim: &Sim, transcript: &Transcript) -> String {
    let mut text = String::new();
    let is_console =
        |id: AgentId| id.spawned_by().is_some_and(|node| crate::console::console(node) == id);
    for happened in sim.trace().kept() {
        let _ = write!(text, "{happened}");
        if happened.what == What::Message
            && is_console(happened.to)
            && let Some(line) = transcript.take(happened.to)
        {
            let _ = write!(text, ": {line}");
        }
        text.push('\n');
    }
    text
}
