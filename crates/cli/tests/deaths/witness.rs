//! What tasks do, written down by themselves: each appends a line when it starts and another when
//! it ends, and holds a lock between them that any process of it keeps.
//!
//! *Invariant:* only what tasks wrote counts as done; what the scheduler says is compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::place::{Death, Place, follow};
use super::processes;
use super::terminal::Program;

/// Attempts by index and number.
type Keys = BTreeSet<(u64, u64)>;

/// One append for each line, so that none is torn. The lock is inherited by all that a task starts.
/// It goes on for as long as the third file is there.
const SCRIPT: &str = r#"
exec 9>> "$2/$DX_TASK_INDEX"
flock --nonblock 9 || echo "$DX_TASK_INDEX $DX_ATTEMPT overlap" >> "$1"
echo "$DX_TASK_INDEX $DX_ATTEMPT start" >> "$1"
sleep 0.03
while [ -e "$3" ]; do sleep 0.1; done
echo "$DX_TASK_INDEX $DX_ATTEMPT end" >> "$1"
"#;

/// An array job, and what its tasks wrote.
pub struct Witness {
    pub job: u64,
    tasks: u64,
    marks: PathBuf,
    hold: PathBuf,
    /// In the environment of all that the tasks start.
    mark: String,
    tail: Program,
    ends: u64,
}

/// The file that tasks write.
pub struct Marks(PathBuf);

impl Marks {
    /// How many of them have ended.
    pub fn ends(&self) -> u64 {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter(|line| line.ends_with(" end")).count() as u64
    }
}

impl Witness {
    /// Submits a job of so many tasks, each of which takes a moment.
    pub fn submit(place: &Place, tasks: u64) -> Self {
        Self::begin(place, tasks, false)
    }

    /// Submits a job of so many tasks, none of which ends before it is let go. They all run.
    pub fn held(place: &Place, tasks: u64) -> Self {
        let mut witness = Self::begin(place, tasks, true);
        witness.wait_for_starts(tasks);
        witness
    }

    fn begin(place: &Place, tasks: u64, is_held: bool) -> Self {
        let marks = place.user.file("marks", "");
        let locks = marks.with_file_name("locks");
        // Of an earlier job no lock is held any more.
        std::fs::create_dir_all(&locks).unwrap();
        let hold = marks.with_file_name("hold");
        if is_held {
            std::fs::write(&hold, "").unwrap();
        }
        let mark = marks.with_file_name("task").to_str().unwrap().to_owned();
        let exec = json!(["sh", "-c", SCRIPT, "task", marks, locks, hold]);
        let job = place.submit(&json!({
            "commands": [{ "exec": exec }], "array": format!("0-{}", tasks - 1),
            "environment": { "MARK": mark },
        }));
        let tail = follow("--lines=+1", &marks);
        Self { job, tasks, marks, hold, mark, tail, ends: 0 }
    }

    /// Waits until `more` tasks have ended since the last time; false if all have.
    pub fn wait_for_ends(&mut self, more: u64) -> bool {
        let until = self.tasks.min(self.ends + more);
        while self.ends < until {
            self.tail.wait_for(" end");
            self.ends += 1;
        }
        self.ends < self.tasks
    }

    /// Passes over the ends that are written by now, so that the next one is a later one.
    pub fn catch_up(&mut self) {
        self.wait_for_ends(self.marks().ends() - self.ends);
    }

    /// What tasks have written by now, for another thread.
    pub fn marks(&self) -> Marks {
        Marks(self.marks.clone())
    }

    /// Waits until so many more attempts have started.
    pub fn wait_for_starts(&mut self, more: u64) {
        for _ in 0..more {
            self.tail.wait_for(" start");
        }
    }

    /// Lets all tasks end.
    pub fn let_go(&self) {
        std::fs::remove_file(&self.hold).unwrap();
    }

    /// Waits until what is left of its tasks has ended: what has written that it ends has yet to.
    pub fn wait_for_exits(&self) {
        self.left().into_iter().for_each(processes::wait_for);
    }

    /// The processes of its tasks.
    pub fn left(&self) -> Vec<u32> {
        processes::having(&self.mark)
    }

    /// How many processes of its tasks are on a node.
    pub fn left_on(&self, node: u64) -> usize {
        let on_it = processes::having(&format!("DX_NODE={node}\0"));
        self.left().iter().filter(|pid| on_it.contains(pid)).count()
    }

    /// How many of its tasks are on a node.
    pub fn on(&self, place: &Place, node: u64) -> u64 {
        let tasks = place.tasks(self.job);
        tasks.iter().filter(|task| task["attempts"][0]["node"] == node).count() as u64
    }

    /// The ends that are recorded, by task, of up to a page of tasks from `first` on.
    pub fn recorded(&self, place: &Place, first: u64) -> BTreeMap<u64, Value> {
        let (tasks, _) = place.some_tasks(self.job, &json!(first));
        let ended = tasks.into_iter().filter(|task| task["state"] == "succeeded");
        ended.map(|mut task| (number(&task["index"]), task["attempts"].take())).collect()
    }

    /// Waits for the job's end, and compares what is said of its tasks with what they did. `deaths`
    /// are those of shims, `recorded` the ends that had been said before something was killed.
    pub fn judge(&self, place: &Place, deaths: &[Death], recorded: &BTreeMap<u64, Value>) {
        let view = place.wait(self.job);
        assert_eq!(view["counts"], json!({ "succeeded": self.tasks }), "{view}");
        assert_eq!(self.left(), [0_u32; 0], "of an ended job something is left");
        let (started, ended) = self.read();
        let tasks = place.tasks(self.job);
        assert_eq!(tasks.len() as u64, self.tasks);
        let mut numbered = BTreeSet::new();
        for task in &tasks {
            let index = number(&task["index"]);
            let attempts = task["attempts"].as_array().unwrap();
            let (last, before) = attempts.split_last().unwrap();
            let key = |attempt: &Value| (index, number(&attempt["number"]));
            assert_eq!(last["end"], "succeeded", "{task}");
            assert!(started.contains(&key(last)) && ended.contains(&key(last)), "{task}");
            for attempt in before {
                let is_excused = deaths.iter().any(|death| death.excuses(attempt));
                assert!(attempt["end"] == "lost" && is_excused, "{task}: {deaths:?}");
            }
            if let Some(attempts) = recorded.get(&index) {
                assert_eq!(attempts, &task["attempts"], "what had ended changed");
            }
            numbered.extend(attempts.iter().map(key));
        }
        let unknown: Vec<_> = started.difference(&numbered).collect();
        assert!(unknown.is_empty(), "they ran, and nobody knows of them: {unknown:?}");
    }

    /// The attempts that started and those that came to their end, each no more than once.
    fn read(&self) -> (Keys, Keys) {
        let (mut started, mut ended) = (BTreeSet::new(), BTreeSet::new());
        for line in std::fs::read_to_string(&self.marks).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [index, attempt, what] = words[..] else { panic!("torn: {line:?}") };
            let key = (index.parse().unwrap(), attempt.parse().unwrap());
            let is_new = match what {
                "start" => started.insert(key),
                "end" => started.contains(&key) && ended.insert(key),
                _ => panic!("two attempts of a task ran at a time: {line}"),
            };
            assert!(is_new, "it ran twice under one number: {line}");
        }
        (started, ended)
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}
