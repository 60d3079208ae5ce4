//! Cables that are cut under running tasks: each node is on a host of its own.
//!
//! A shim's tasks are its node's, whatever is cut: what is judged is that they go on within their
//! lease, are dead before others begin past it, and that each task comes to one end.

use std::collections::BTreeMap;

use dx_lab::{Host, Lab, or_skip};
use serde_json::json;

use super::place::{Death, NODES, Place};
use super::witness::Witness;

/// Nothing is cut for so long in these tests.
const LONG: &str = "1h";

/// The shortest that there is: these tests wait for its end.
const SHORT: &str = "5s";

/// What a shim notes at the end of its lease.
const OVER: &str = "the lease is over";

/// Tasks that run together on all nodes.
const TASKS: u64 = 6;

/// Nodes, and the cables between them.
struct Site {
    // Gone first: what it runs is on the lab's hosts.
    place: Place,
    hosts: Vec<Host>,
    lab: Lab,
}

/// What of a node's cables is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// What it says to the controller.
    There,
    /// What the controller says to it.
    Back,
    /// All, to everybody, both ways.
    All,
}

impl Site {
    /// `None` if this machine has no laboratory.
    fn start(lease: &str) -> Option<Self> {
        let lab = or_skip(Lab::new("jobs"))?;
        let hosts: Vec<Host> = NODES.iter().map(|name| lab.host(name).unwrap()).collect();
        let place = Place::start_on(hosts.clone(), lease);
        Some(Self { place, hosts, lab })
    }

    /// Cuts off the last node.
    fn cut(&self, cut: Cut) {
        let [controller, _, node] = &self.hosts[..] else { panic!("there are three") };
        match cut {
            Cut::There => self.lab.cut_one_way(node, controller).unwrap(),
            Cut::Back => self.lab.cut_one_way(controller, node).unwrap(),
            Cut::All => node.isolate().unwrap(),
        }
    }

    fn heal(&self) {
        self.lab.heal_all().unwrap();
    }

    /// Waits until the controller's node gives up hearing another; any one, if it has no name.
    fn wait_for_silence(&mut self, name: &str) {
        self.place.wait_for_line("n1", &format!("{name} cannot be reached"));
    }
}

#[test]
fn a_node_that_is_cut_off_with_nothing_to_do_gets_nothing_and_is_used_again_when_it_is_back() {
    let Some(mut site) = Site::start(LONG) else { return };
    for cut in [Cut::All, Cut::There, Cut::Back] {
        site.cut(cut);
        site.wait_for_silence("n3");
        let witness = Witness::submit(&site.place, 20);
        assert_eq!(site.place.wait(witness.job)["state"], "succeeded", "{cut:?}: without it");
        assert_eq!(witness.on(&site.place, 3), 0, "{cut:?}: it cannot be told of work");
        site.heal();
        site.place.wait_for_work_on("n3");
        witness.judge(&site.place, &[], &BTreeMap::new());
    }
}

#[test]
fn what_runs_on_a_node_that_is_cut_off_within_its_lease_goes_on_and_its_end_is_heard_of_later() {
    let Some(mut site) = Site::start(LONG) else { return };
    for cut in [Cut::All, Cut::There, Cut::Back] {
        let mut witness = Witness::held(&site.place, TASKS);
        let there = witness.on(&site.place, 3);
        assert!(there > 0, "tasks are spread");
        site.cut(cut);
        site.wait_for_silence("n3");
        witness.let_go();
        // They end, and nobody but their shim knows.
        witness.wait_for_ends(TASKS);
        witness.wait_for_exits();
        assert_eq!(witness.left(), [0_u32; 0], "{cut:?}");
        let known = site.place.get_from("n1", &format!("/v1/jobs/{}", witness.job)).json();
        assert!(known["ended"].is_null(), "{cut:?}: {known}");
        site.heal();
        witness.judge(&site.place, &[], &BTreeMap::new());
    }
}

#[test]
fn a_controller_that_is_cut_off_within_the_lease_loses_and_repeats_nothing() {
    let Some(mut site) = Site::start(LONG) else { return };
    let mut witness = Witness::held(&site.place, TASKS);
    let controller = &site.hosts[0];
    controller.isolate().unwrap();
    for _ in ["n2", "n3"] {
        site.wait_for_silence("");
    }
    witness.let_go();
    witness.wait_for_ends(TASKS);
    site.heal();
    witness.judge(&site.place, &[], &BTreeMap::new());
    site.place.wait_for_work_on("n3");
}

/// Cuts the last node off for longer than a lease while it is busy.
fn cut_past_the_lease(cut: Cut) {
    let Some(site) = Site::start(SHORT) else { return };
    let mut witness = Witness::held(&site.place, TASKS);
    let there = witness.on(&site.place, 3);
    assert!(there > 0, "tasks are spread");
    let (mut notes, deaths) = (site.place.notes("n3"), [Death::now("n3")]);
    site.cut(cut);
    notes.wait_for(OVER);
    assert_eq!(witness.left_on(3), 0, "a shim that notes this has killed all");
    witness.wait_for_starts(there);
    witness.let_go();
    let view = site.place.wait(witness.job);
    assert_eq!(view["counts"], json!({ "succeeded": TASKS }), "without it");
    let tasks = site.place.tasks(witness.job);
    let swallowed = match cut {
        Cut::There => site.lab.dropped(&site.hosts[2], &site.hosts[0]).unwrap(),
        Cut::Back => site.lab.dropped(&site.hosts[0], &site.hosts[2]).unwrap(),
        Cut::All => 1,
    };
    assert!(swallowed > 0, "{cut:?}");
    site.heal();
    // It comes back with the ends of what it killed, of which the controller knows better.
    site.place.wait_for_work_on("n3");
    witness.judge(&site.place, &deaths, &BTreeMap::new());
    assert_eq!(site.place.tasks(witness.job), tasks, "what is heard late changes nothing");
    for task in &tasks {
        let attempts = task["attempts"].as_array().unwrap();
        let nodes: Vec<u64> = attempts.iter().map(|it| it["node"].as_u64().unwrap()).collect();
        let is_right = matches!(nodes[..], [1 | 2] | [3, 1 | 2]);
        assert!(is_right, "two attempts at most, the second elsewhere: {task}");
    }
}

#[test]
fn what_ran_on_a_node_that_is_cut_off_past_its_lease_is_dead_before_it_runs_elsewhere() {
    cut_past_the_lease(Cut::All);
}

#[test]
fn what_ran_on_a_node_that_is_not_heard_past_its_lease_is_dead_before_it_runs_elsewhere() {
    cut_past_the_lease(Cut::There);
}

#[test]
fn what_ran_on_a_node_that_hears_nothing_past_its_lease_is_dead_before_it_runs_elsewhere() {
    cut_past_the_lease(Cut::Back);
}

#[test]
fn a_controller_that_is_cut_off_past_the_lease_runs_what_others_had_and_each_task_ends_once() {
    let Some(site) = Site::start(SHORT) else { return };
    let mut witness = Witness::held(&site.place, TASKS);
    let others = witness.on(&site.place, 2) + witness.on(&site.place, 3);
    let mut notes = ["n2", "n3"].map(|name| site.place.notes(name));
    let deaths = ["n2", "n3"].map(Death::now);
    site.hosts[0].isolate().unwrap();
    for notes in &mut notes {
        notes.wait_for(OVER);
    }
    assert_eq!(
        (witness.left_on(2), witness.left_on(3)),
        (0, 0),
        "shims that note this have killed all"
    );
    // The controller's own node has room for some of them.
    witness.wait_for_starts(1);
    site.heal();
    witness.wait_for_starts(others - 1);
    witness.let_go();
    witness.judge(&site.place, &deaths, &BTreeMap::new());
    site.place.wait_for_work_on("n3");
}
