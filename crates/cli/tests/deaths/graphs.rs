//! SIGKILL of everything in the middle of a large array, and of a deep graph: each goes on where it
//! was, by what tasks write down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use dx_agents::rng::Rng;
use serde_json::{Value, json};

use super::kills::{Victim, seed};
use super::place::{Death, Place};

/// Long enough for the nodes to be killed and come back within it.
const LEASE: &str = "30s";

/// How often everything is killed.
const KILLS: u64 = 3;

/// A task writes down who it is, at once: one append, so that no line is torn.
const SCRIPT: &str = r#"echo "$2 $DX_TASK_INDEX $DX_ATTEMPT" >> "$1""#;

/// A file that tasks write to, and the command that has them do so with a word of their own.
struct Notes(PathBuf);

impl Notes {
    fn of(place: &Place) -> Self {
        Self(place.user.file("notes", ""))
    }

    fn command(&self, word: &str) -> Value {
        json!([{ "exec": ["sh", "-c", SCRIPT, "task", self.0, word] }])
    }

    /// Word, index and attempt, in the order in which they were written.
    fn read(&self) -> Vec<(u64, u64, u64)> {
        let text = fs::read_to_string(&self.0).unwrap();
        let line = |line: &str| {
            let words: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            let [word, index, attempt] = words[..] else { panic!("torn: {line:?}") };
            (word, index, attempt)
        };
        text.lines().map(line).collect()
    }

    /// How many there are.
    fn len(&self) -> u64 {
        fs::read_to_string(&self.0).unwrap().lines().count() as u64
    }
}

/// Kills everything when about a quarter, a half and three quarters of `all` notes are there; then
/// waits for the end of `job`. Returns which shims died.
fn kill_on_the_way(place: &mut Place, notes: &Notes, all: u64, job: u64) -> Vec<Death> {
    let mut rng = Rng::new(seed());
    let (mut deaths, step) = (Vec::new(), all / (KILLS + 1));
    for kill in 1..=KILLS {
        let at = kill * step - rng.below(step / 2);
        // Each turn waits for a change of the job, or for half a minute.
        while notes.len() < at {
            let view = place.get(&format!("/v1/jobs/{job}"));
            let version = view["version"].as_u64().unwrap();
            if notes.len() < at {
                place.get(&format!("/v1/jobs/{job}?since={version}&wait=1s"));
            }
        }
        deaths.extend(Victim::All.kill(place));
        eprintln!("{at} of {all}: everything was killed, and is back");
    }
    let view = place.wait(job);
    assert_eq!(view["state"], "succeeded", "{view}");
    deaths
}

/// Whoever ran more than once was lost with a shim each time but the last.
fn judge_repeats(place: &Place, job: u64, index: u64, attempts: &BTreeSet<u64>, deaths: &[Death]) {
    let task = place.get(&format!("/v1/jobs/{job}/tasks/{index}"));
    let known = task["attempts"].as_array().unwrap();
    for attempt in known {
        let (number, end) = (attempt["number"].as_u64().unwrap(), &attempt["end"]);
        let is_last = attempt == known.last().unwrap();
        let is_excused = deaths.iter().any(|death| death.excuses(attempt));
        assert!(is_last == (end == "succeeded"), "{task}");
        assert!(is_last || (end == "lost" && is_excused), "{task}: {deaths:?}");
        assert!(!is_last || attempts.contains(&number), "it did what it is said to have: {task}");
    }
    let numbers: BTreeSet<u64> = known.iter().map(|it| it["number"].as_u64().unwrap()).collect();
    assert!(attempts.is_subset(&numbers), "what ran is known: {attempts:?}, {task}");
}

fn array(tasks: u64) {
    let mut place = Place::start(LEASE);
    let notes = Notes::of(&place);
    let job = place.submit(&json!({
        "commands": notes.command("0"), "array": format!("0-{}", tasks - 1),
    }));
    let deaths = kill_on_the_way(&mut place, &notes, tasks, job);
    let view = place.get(&format!("/v1/jobs/{job}"));
    assert_eq!(view["counts"], json!({ "succeeded": tasks }), "{view}");
    let mut ran: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for (_, index, attempt) in notes.read() {
        let is_new = ran.entry(index).or_default().insert(attempt);
        assert!(is_new, "task {index} ran twice as attempt {attempt}");
    }
    assert_eq!(ran.len() as u64, tasks, "all have run");
    // At most those that ran when a shim was killed.
    let unsure = |attempts: &BTreeSet<u64>| attempts.len() > 1 || !attempts.contains(&1);
    for (index, attempts) in ran.iter().filter(|(_, attempts)| unsure(attempts)) {
        judge_repeats(&place, job, *index, attempts, &deaths);
    }
}

#[test]
fn an_array_goes_on_where_it_was_when_everything_was_killed() {
    array(20_000);
}

#[test]
#[ignore = "takes long: a million tasks that each start a process"]
fn an_array_of_a_million_goes_on_where_it_was_when_everything_was_killed() {
    array(1_000_000);
}

#[test]
fn a_chain_goes_on_where_it_was_when_everything_was_killed() {
    const STEPS: u64 = 300;
    let mut place = Place::start(LEASE);
    let notes = Notes::of(&place);
    let name = |step: u64| format!("s{step}");
    let step = |number: u64| {
        let after: Vec<String> = number.checked_sub(1).map(name).into_iter().collect();
        let job = json!({ "commands": notes.command(&number.to_string()), "after_ok": after });
        (name(number), job)
    };
    let jobs: BTreeMap<String, Value> = (0..STEPS).map(step).collect();
    let got = place.post("/v1/graphs", &json!({ "job": jobs }));
    assert_eq!(got.status, 201, "{got:?}");
    let taken = got.json();
    let number = |step: u64| taken["jobs"][name(step)]["job"].as_u64().unwrap();
    let deaths = kill_on_the_way(&mut place, &notes, STEPS, number(STEPS - 1));
    let (mut at, mut ran) = (0, BTreeMap::<u64, BTreeSet<u64>>::new());
    for (step, _, attempt) in notes.read() {
        assert!(step == at || step == at + 1, "step {step} came after {at}");
        at = step;
        let is_new = ran.entry(step).or_default().insert(attempt);
        assert!(is_new, "step {step} ran twice as attempt {attempt}");
    }
    assert_eq!(ran.len() as u64, STEPS, "all have run");
    for (step, attempts) in &ran {
        judge_repeats(&place, number(*step), 0, attempts, &deaths);
    }
}
