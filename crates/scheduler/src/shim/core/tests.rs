//! The core without processes: what it decides, event by event.

use std::collections::BTreeMap;
use std::sync::Arc;

use dx_agents::NodeId;

use super::*;
use crate::end::Fault;
use crate::id::{JobId, Term};
use crate::processor::KillRun;
use crate::shim::work::Work;

const MS: u64 = 1_000_000;
const LEASE: u64 = 30_000 * MS;
const OK: Exit = Exit::Code(0);

struct Driven {
    core: Core,
    now: u64,
}

fn id(index: u32) -> AttemptId {
    JobId(1).task(index).attempt(1)
}

fn life(incarnation: u64) -> ShimId {
    ShimId { node: NodeId(1), incarnation }
}

fn driven(most: usize) -> Driven {
    Driven { core: Core::new(life(5), BTreeMap::new(), most), now: 1000 * MS }
}

impl Driven {
    fn leased(most: usize) -> Self {
        let mut this = driven(most);
        this.renew();
        this
    }

    fn renew(&mut self) {
        let renew = Parsed::Renew { clock: self.now, lease: LEASE, term: Term(1) };
        self.core.call(self.now, 1, renew);
    }

    fn run(&mut self, index: u32, json: &str) {
        let work = Work::parse(json).map(Arc::new);
        let run = ParsedRun { attempt: id(index), shim: 5, work, gpus: Arc::default() };
        self.core.call(self.now, 1, Parsed::Run(vec![run]));
    }

    /// These follow, where fewer than `wide` are under way.
    fn follow(&mut self, wide: u32, indices: std::ops::Range<u32>) {
        let work = Work::parse(PLAIN).map(Arc::new);
        let attempts = indices.map(id).collect();
        let since = self.core.hellos();
        let follow = ParsedFollow { job: JobId(1), wide, shim: 5, since, work, attempts };
        self.core.call(self.now, 1, Parsed::Follow(follow));
    }

    /// Runs one, up to its process.
    fn started(&mut self, index: u32, json: &str) {
        self.run(index, json);
        assert_eq!(self.starts(), [(index, 0)]);
        self.core.started(self.now, id(index), Ok((self.now, 77)));
    }

    fn after(&mut self, ms: u64) {
        self.now += ms * MS;
        self.core.tick(self.now);
    }

    /// What is to be started: tasks and commands. Other effects are dropped.
    fn starts(&mut self) -> Vec<(u32, u32)> {
        let start = |it| match it {
            Effect::Start(start) => Some((start.attempt.task.index, start.command)),
            _ => None,
        };
        self.core.effects().into_iter().filter_map(start).collect()
    }

    fn strikes(&mut self) -> Vec<Effect> {
        let is_strike = |it: &Effect| matches!(it, Effect::Signal(..) | Effect::Clear(_));
        self.core.effects().into_iter().filter(is_strike).collect()
    }

    /// The command ends and leaves nothing.
    fn ends(&mut self, index: u32, exit: Exit) {
        self.core.exited(self.now, id(index), exit, false);
        self.core.cleared(self.now, id(index), Measured::default());
    }

    fn finish(&mut self, index: u32) -> Finish {
        self.core.closed(id(index), 0, 0);
        let told = |it| match it {
            Effect::Tell(Told::Ended { attempt, finish }) if attempt == id(index) => Some(finish),
            _ => None,
        };
        self.core.effects().into_iter().find_map(told).expect("it has ended")
    }
}

const PLAIN: &str = r#"{"commands": [{"exec": ["x"]}]}"#;
const TWO: &str = r#"{"commands": [{"exec": ["x"]}, {"exec": ["y"]}]}"#;
const LIMITED: &str =
    r#"{"commands": [{"exec": ["x"]}], "timeout": "1s", "kill": {"grace": "100ms"}}"#;

#[test]
fn nothing_starts_before_a_lease_and_all_of_it_with_one() {
    let mut it = driven(10);
    it.run(0, PLAIN);
    it.run(1, PLAIN);
    assert_eq!(it.starts(), []);
    it.renew();
    assert_eq!(it.starts(), [(0, 0), (1, 0)]);
}

#[test]
fn what_has_no_room_waits_and_starts_in_order() {
    let mut it = Driven::leased(1);
    it.started(0, PLAIN);
    it.run(1, PLAIN);
    it.run(2, PLAIN);
    assert_eq!(it.starts(), []);
    it.ends(0, OK);
    assert_eq!(it.starts(), [(1, 0)]);
    let why = NotStarted { fault: Fault::Job, errno: 2, reason: String::new() };
    it.core.started(it.now, id(1), Err(why));
    it.core.tick(it.now);
    assert_eq!(it.starts(), [(2, 0)]);
}

#[test]
fn the_next_command_comes_before_other_attempts() {
    let mut it = Driven::leased(1);
    it.started(0, TWO);
    it.run(1, PLAIN);
    it.ends(0, OK);
    assert_eq!(it.starts(), [(0, 1)]);
}

#[test]
fn a_timeout_asks_and_then_kills() {
    let mut it = Driven::leased(1);
    it.started(0, LIMITED);
    it.after(999);
    assert_eq!(it.strikes(), []);
    it.after(1);
    assert_eq!(it.strikes(), [Effect::Signal(id(0), 15)]);
    it.after(99);
    assert_eq!(it.strikes(), []);
    it.after(1);
    assert_eq!(it.strikes(), [Effect::Clear(id(0))]);
    it.core.exited(it.now, id(0), Exit::Signal(9), false);
    it.core.cleared(it.now, id(0), Measured::default());
    let finish = it.finish(0);
    assert_eq!((finish.end, finish.yielded, finish.ran), (End::TimedOut, false, 1100 * MS));
}

#[test]
fn an_exit_before_anybody_asked_stands_whatever_is_asked_later() {
    let mut it = Driven::leased(1);
    it.started(0, PLAIN);
    it.core.exited(it.now, id(0), OK, false);
    it.core.call(it.now, 1, Parsed::Kill(vec![KillRun { attempt: id(0), now: true }]));
    it.core.cleared(it.now, id(0), Measured::default());
    assert_eq!(it.finish(0).end, End::Succeeded);
}

#[test]
fn an_exit_after_somebody_asked_is_what_was_asked_for() {
    let mut it = Driven::leased(1);
    it.started(0, PLAIN);
    it.core.call(it.now, 1, Parsed::Kill(vec![KillRun { attempt: id(0), now: false }]));
    it.ends(0, OK);
    let finish = it.finish(0);
    assert_eq!((finish.end, finish.yielded, finish.exit), (End::Cancelled, true, Some(OK)));
}

#[test]
fn a_kill_between_two_commands_cancels() {
    let mut it = Driven::leased(1);
    it.started(0, TWO);
    it.core.exited(it.now, id(0), OK, false);
    it.core.call(it.now, 1, Parsed::Kill(vec![KillRun { attempt: id(0), now: false }]));
    it.core.cleared(it.now, id(0), Measured::default());
    assert_eq!(it.starts(), []);
    assert_eq!(it.finish(0).end, End::Cancelled);
}

#[test]
fn a_kill_while_it_starts_strikes_when_it_has() {
    let mut it = Driven::leased(1);
    it.run(0, LIMITED);
    it.core.call(it.now, 1, Parsed::Kill(vec![KillRun { attempt: id(0), now: false }]));
    assert_eq!(it.strikes(), []);
    it.core.started(it.now, id(0), Ok((it.now, 1)));
    assert_eq!(it.strikes(), [Effect::Signal(id(0), 15)]);
    it.after(100);
    assert_eq!(it.strikes(), [Effect::Clear(id(0))]);
}

#[test]
fn what_outlives_its_command_may_print_but_not_be_silent() {
    let mut it = Driven::leased(1);
    it.started(0, PLAIN);
    it.core.exited(it.now, id(0), OK, true);
    for _ in 0..10 {
        it.after(150);
        it.core.printed(it.now, id(0), false);
    }
    assert_eq!(it.strikes(), []);
    it.core.held(it.now, id(0), true);
    it.after(5000);
    assert_eq!(it.strikes(), []);
    it.core.held(it.now, id(0), false);
    it.after(199);
    assert_eq!(it.strikes(), []);
    it.after(1);
    assert_eq!(it.strikes(), [Effect::Clear(id(0))]);
    it.core.cleared(it.now, id(0), Measured::default());
    let finish = it.finish(0);
    assert_eq!((finish.end, finish.detached), (End::Succeeded, true));
}

#[test]
fn what_outlives_its_command_ends_with_a_full_log_or_the_grace() {
    let mut it = Driven::leased(2);
    it.started(0, PLAIN);
    it.core.exited(it.now, id(0), OK, true);
    it.core.printed(it.now, id(0), true);
    assert_eq!(it.strikes(), [Effect::Clear(id(0))]);
    it.started(1, PLAIN);
    it.core.exited(it.now, id(1), OK, true);
    for _ in 0..99 {
        it.after(100);
        it.core.printed(it.now, id(1), false);
    }
    assert_eq!(it.strikes(), []);
    it.after(100);
    assert_eq!(it.strikes(), [Effect::Clear(id(1))]);
}

#[test]
fn the_end_of_the_lease_kills_in_time_and_nothing_else_starts() {
    let mut it = Driven::leased(1);
    it.started(0, PLAIN);
    it.run(1, PLAIN);
    it.after(28_499);
    assert_eq!(it.strikes(), []);
    it.after(1);
    assert_eq!(it.strikes(), [Effect::Signal(id(0), 15)]);
    // Too late: it is being killed.
    it.renew();
    it.after(750);
    assert_eq!(it.strikes(), [Effect::Clear(id(0))]);
    it.ends(0, Exit::Signal(9));
    assert_eq!(it.starts(), []);
    assert_eq!(it.finish(0).end, End::Lost);
    it.core.closed(id(1), 0, 0);
    assert!(it.core.effects().contains(&Effect::NewLife));
    assert_eq!(it.core.overran().count(), 0);
    it.core.begin(life(6));
    it.run(2, PLAIN);
    assert!(it.core.effects().contains(&Effect::Answer(1, Told::Unknown(id(2)))));
}

#[test]
fn what_runs_when_the_lease_is_over_has_overrun() {
    let mut it = Driven::leased(1);
    it.started(0, PLAIN);
    it.after(40_000);
    let effects = it.core.effects();
    let killed = effects.iter().position(|it| *it == Effect::Clear(id(0)));
    let beat = effects.iter().position(|it| matches!(it, Effect::Tell(Told::Beat { .. })));
    assert!(killed.is_some() && killed < beat, "{effects:?}");
    it.ends(0, Exit::Signal(9));
    it.core.closed(id(0), 0, 0);
    assert_eq!(it.core.overran().collect::<Vec<_>>(), [id(0)]);
}

#[test]
fn what_does_not_fit_this_version_ends_as_the_nodes_fault() {
    let mut it = Driven::leased(1);
    it.run(0, r#"{"commands": [{"exec": ["x"]}], "later": 1}"#);
    let finish = it.finish(0);
    assert_eq!(finish.not_started.map(|it| it.fault), Some(Fault::Node));
}

#[test]
fn an_end_is_told_again_until_it_is_forgotten() {
    let mut it = Driven::leased(1);
    it.started(0, PLAIN);
    it.ends(0, OK);
    let finish = it.finish(0);
    it.core.call(it.now, 2, Parsed::Status(vec![id(0)]));
    let told = Told::Ended { attempt: id(0), finish };
    assert_eq!(it.core.effects(), [Effect::Answer(2, told)]);
    it.core.call(it.now, 2, Parsed::Forget(vec![id(0), id(9)]));
    it.core.call(it.now, 2, Parsed::Status(vec![id(0)]));
    let answer = Effect::Answer(2, Told::Unknown(id(0)));
    assert_eq!(it.core.effects(), [Effect::Forget(vec![id(0)]), answer]);
}

#[test]
fn stopping_kills_with_grace_and_ends_when_nothing_is_left() {
    let mut it = Driven::leased(1);
    it.started(0, LIMITED);
    it.core.call(it.now, 1, Parsed::Stop);
    assert_eq!(it.strikes(), [Effect::Signal(id(0), 15)]);
    it.after(100);
    it.ends(0, Exit::Signal(9));
    it.core.closed(id(0), 0, 0);
    assert!(it.core.effects().contains(&Effect::Exit));
}

#[test]
fn what_follows_begins_in_order_when_nothing_is_left_of_another_of_its_job() {
    let mut it = Driven::leased(10);
    it.started(0, PLAIN);
    it.started(1, PLAIN);
    it.follow(2, 2..5);
    assert_eq!(it.starts(), []);
    it.ends(1, OK);
    assert_eq!(it.starts(), [], "its log is not at its end");
    it.core.closed(id(1), 0, 0);
    let effects = it.core.effects();
    let place = |what: fn(&Effect) -> bool| effects.iter().position(what).unwrap();
    let told = place(|it| matches!(it, Effect::Tell(Told::Ended { .. })));
    let start = place(|it| matches!(it, Effect::Start(start) if start.attempt == id(2)));
    assert!(told < start, "who counts rooms hears first that there is one");
    it.follow(4, 0..0);
    assert_eq!(it.starts(), [(3, 0), (4, 0)], "there is more room");
}

#[test]
fn what_follows_begins_at_once_where_there_is_room() {
    let mut it = Driven::leased(10);
    it.started(0, PLAIN);
    it.ends(0, OK);
    it.finish(0);
    it.follow(1, 1..3);
    assert_eq!(it.starts(), [(1, 0)]);
    assert!(it.core.has_followers());
}

#[test]
fn what_has_not_begun_to_follow_is_given_back_and_what_has_is_not() {
    let mut it = Driven::leased(10);
    it.started(0, PLAIN);
    it.follow(2, 1..4);
    assert_eq!(it.starts(), [(1, 0)]);
    it.core.call(it.now, 1, Parsed::Return(vec![id(1), id(2), id(7)]));
    assert_eq!(it.core.effects(), [Effect::Answer(1, Told::Unknown(id(2)))]);
    it.ends(0, OK);
    it.finish(0);
    it.core.call(it.now, 1, Parsed::Return(vec![id(3)]));
    assert_eq!(it.core.effects(), [], "it took the room of the first");
}

#[test]
fn what_is_killed_before_it_follows_frees_no_room() {
    let mut it = Driven::leased(10);
    it.started(0, PLAIN);
    it.follow(1, 1..3);
    it.core.call(it.now, 1, Parsed::Kill(vec![KillRun { attempt: id(1), now: true }]));
    assert_eq!(it.finish(1).end, End::Cancelled);
    assert_eq!(it.starts(), []);
    it.ends(0, OK);
    it.core.closed(id(0), 0, 0);
    assert_eq!(it.starts(), [(2, 0)]);
}

#[test]
fn what_follows_is_given_back_by_who_is_asked_how_it_is_and_at_the_end_of_a_life() {
    for forget in [|it: &mut Driven| it.core.hello(1), |it: &mut Driven| it.after(LEASE / MS)] {
        let mut it = Driven::leased(10);
        it.started(0, PLAIN);
        it.follow(1, 1..3);
        forget(&mut it);
        assert!(!it.core.has_followers());
        assert!(it.core.knows(id(0)) && !it.core.knows(id(1)));
        let effects = it.core.effects();
        for index in 1..3 {
            assert!(effects.contains(&Effect::Tell(Told::Unknown(id(index)))));
        }
        assert!(effects.iter().all(|it| !matches!(it, Effect::Keep(..))));
    }
}

#[test]
fn what_crosses_a_hello_does_not_follow() {
    let mut it = Driven::leased(10);
    it.started(0, PLAIN);
    let since = it.core.hellos();
    it.core.hello(1);
    let work = Work::parse(PLAIN).map(Arc::new);
    let attempts = vec![id(1)];
    let follow = ParsedFollow { job: JobId(1), wide: 2, shim: 5, since, work, attempts };
    it.core.call(it.now, 1, Parsed::Follow(follow));
    assert_eq!(it.starts(), []);
    assert!(!it.core.knows(id(1)));
}

#[test]
fn what_is_told_of_a_job_can_wait_while_more_of_it_waits_and_half_of_that_has_not_begun() {
    let mut it = Driven::leased(10);
    let started = |attempt| Told::Started { attempt, pid: 1 };
    it.started(0, PLAIN);
    assert!(!it.core.can_wait(&started(id(0))));
    it.follow(1, 1..5);
    assert!(it.core.can_wait(&started(id(0))));
    assert!(!it.core.can_wait(&started(JobId(2).task(0).attempt(1))), "nothing of it waits");
    assert!(!it.core.can_wait(&Told::Unknown(id(1))));
    for (index, is_low) in [(0, false), (1, false), (2, true)] {
        it.ends(index, OK);
        it.core.closed(id(index), 0, 0);
        assert_eq!(it.starts(), [(index + 1, 0)]);
        assert_eq!(it.core.followers_run_low(), is_low, "{index}");
        it.core.started(it.now, id(index + 1), Ok((it.now, 1)));
    }
    it.core.told_all();
    assert!(!it.core.followers_run_low());
    it.ends(3, OK);
    it.core.closed(id(3), 0, 0);
    assert!(!it.core.can_wait(&started(id(3))), "the last has begun");
}
