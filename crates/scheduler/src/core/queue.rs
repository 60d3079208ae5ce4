//! What waits for a node with room: jobs by class, and in each class by priority and number.
//!
//! Jobs whose tasks need the same are of one class: when one of it finds no room, none does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::amounts::Amounts;
use super::job::Job;
use crate::id::JobId;
use crate::job::{Constraint, JobSpec, Placement};

/// What tasks of a class need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    pub need: Amounts,
    pub constraints: Vec<Constraint>,
    pub is_packed: bool,
}

/// The order in which jobs go: higher priorities first, then in the order of their submission.
pub type Turn = (Reverse<i32>, JobId);

/// The jobs that have tasks to place, and may place them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queue {
    classes: BTreeMap<Class, BTreeSet<Turn>>,
    /// Where each job is.
    places: BTreeMap<JobId, Turn>,
}

impl Class {
    /// That of a job's tasks.
    pub fn of(spec: &JobSpec) -> Self {
        let mut constraints = spec.constraints.clone();
        constraints.sort_unstable();
        let is_packed = spec.placement == Placement::Pack;
        Self { need: (&spec.resources).into(), constraints, is_packed }
    }
}

/// Whose turn it is where.
pub fn turn(job: &Job) -> Turn {
    (Reverse(job.priority), job.id)
}

impl Queue {
    /// Puts a job where it belongs now.
    pub fn refresh(&mut self, job: &Job) {
        let wanted = (job.room() > 0).then(|| turn(job));
        let place = self.places.get(&job.id).copied();
        if place == wanted {
            return;
        }
        if place.is_some() {
            self.remove(job);
        }
        if let Some(turn) = wanted {
            self.places.insert(job.id, turn);
            self.classes.entry(Class::of(&job.spec)).or_default().insert(turn);
        }
    }

    /// Takes a job out.
    pub fn remove(&mut self, job: &Job) {
        let Some(turn) = self.places.remove(&job.id) else { return };
        let class = Class::of(&job.spec);
        let jobs = self.classes.get_mut(&class).expect("it has a place in it");
        jobs.remove(&turn);
        if jobs.is_empty() {
            self.classes.remove(&class);
        }
    }

    /// The classes, with their jobs in the order of their turns.
    pub fn classes(&self) -> impl Iterator<Item = (&Class, &BTreeSet<Turn>)> {
        self.classes.iter()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
