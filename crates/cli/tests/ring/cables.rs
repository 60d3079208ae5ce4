//! Cables that are cut under a ring: each member is a process on a host of its own.

use std::collections::BTreeMap;

use dx::control::Client;
use dx::home::Home;
use dx::kinds::ring_member::{Report, State};
use dx_lab::{Host, Lab, or_skip};

use super::results::{agreed, count, recomputed, results, shown};
use super::terminal::{Program, User};

const SIZE: usize = 32 * 1024;

/// What each sends, unless it is cut off. Over these links it takes seconds, on any machine.
const MESSAGES: u64 = 1500;

/// What a link carries, in bits per second.
const RATE: u64 = 100_000_000;

/// Hosts with a member each. What all of them print comes to one place.
struct Ring {
    lab: Lab,
    hosts: Vec<Host>,
    nodes: Vec<Program>,
    user: User,
}

impl Ring {
    /// So many members that send. `None` if this machine has no laboratory.
    fn start(members: usize) -> Option<Self> {
        let lab = or_skip(Lab::new("ring"))?;
        let hosts: Vec<Host> =
            (1..=members).map(|number| lab.host(&format!("h{number}")).unwrap()).collect();
        let user = User::new();
        let file = file(&user, &hosts);
        // What is made for the cluster as a whole is made before its nodes look for it.
        let (code, _, stderr) = user.run(&["cert", "init", "--cluster", "ring"]);
        assert_eq!(code, 0, "{stderr}");
        let node = |(id, host): (usize, &Host)| {
            host.set_rate(RATE).unwrap();
            let command = user.command(&["node", &file, "--id", &id.to_string()]);
            host.enter(|| Program::start(command))
        };
        let nodes = (1..).zip(&hosts).map(node).collect();
        let mut ring = Self { lab, hosts, nodes, user };
        ring.wait(1, "SEND");
        Some(ring)
    }

    fn host(&self, member: usize) -> &Host {
        &self.hosts[member - 1]
    }

    /// Waits until a member says so.
    fn wait(&mut self, member: usize, what: &str) -> String {
        self.nodes[member - 1].wait_for(&format!("member {member}: {what}"))
    }

    /// Waits until a member is in a view of just these.
    fn wait_for_view(&mut self, member: usize, of: &[usize]) {
        let ids: Vec<String> = of.iter().map(ToString::to_string).collect();
        let end = format!(": members {}", ids.join(" "));
        self.nodes[member - 1]
            .find(&format!("view{end}"), |line| line.ends_with(&end).then_some(()));
    }

    /// The result of a member, once it is there.
    fn result(&mut self, member: usize) -> String {
        let said = self.nodes[member - 1].find("a result", |line| {
            let (_, said) = line.split_once(&format!("member {member}  "))?;
            said.starts_with('(').then(|| format!("member {member}  {said}"))
        });
        results(&said).remove(&(member as u64)).unwrap()
    }

    /// How a member stands now, as its node says.
    fn report(&self, member: usize) -> Report {
        let (home, name) = (Home::at(&self.user.home()), format!("n{member}").parse().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = Client::node(&home, &"ring".parse().unwrap(), &name).await.unwrap();
            client.get("/v1/ring/now").await.unwrap()
        })
    }

    /// The results of these, which must be the same.
    fn agreed(&mut self, members: &[usize]) -> String {
        let results = members.iter().map(|id| (*id as u64, self.result(*id)));
        agreed(&results.collect::<BTreeMap<_, _>>()).to_owned()
    }
}

/// A file with a member on each host.
fn file(user: &User, hosts: &[Host]) -> String {
    let attr = format!(r#"{{"messages": {MESSAGES}, "size": "{SIZE}B", "tell_own": true}}"#);
    let members = (1..).zip(hosts).map(|(id, host)| {
        let ip = host.address();
        format!(
            r#""{id}": {{"kind": "ring-member", "ip": "{ip}", "port": 7001,
                "mailbox": {{"messages": 16384, "bytes": "48MiB"}}, "attr": {attr}}}"#
        )
    });
    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    user.file("ring.json", &text).to_str().unwrap().to_owned()
}

/// The result that follows from what all members said of their own.
fn expected(ring: &Ring, result: &str, silent: usize) -> String {
    let said = ring.nodes.iter().flat_map(Program::seen);
    let lines: Vec<String> = said.map(|line| format!("| {line}")).collect();
    shown(&recomputed(&lines, count(result), SIZE, Some(silent as u64)))
}

/// A member is cut off from the two others for as long as it takes all to notice.
fn cut_off(victim: usize) {
    let Some(mut ring) = Ring::start(3) else { return };
    let others: Vec<usize> = (1..=3).filter(|id| *id != victim).collect();
    ring.wait(victim, "sent");
    ring.host(victim).isolate().unwrap();
    ring.wait(victim, "blocked");
    for other in &others {
        ring.wait_for_view(*other, &others);
    }
    ring.lab.heal_all().unwrap();
    ring.wait(victim, "reaches a majority again");
    let result = ring.agreed(&[1, 2, 3]);
    assert_eq!(result, expected(&ring, &result, victim));
    assert!(count(&result) >= 2 * MESSAGES, "{result}");
}

#[test]
fn others_go_on_without_the_member_that_numbers_and_it_catches_up_when_its_cable_is_back() {
    cut_off(3);
}

#[test]
fn others_go_on_without_the_member_that_sees_to_views_and_it_catches_up_too() {
    cut_off(1);
}

#[test]
fn a_minority_behind_a_cut_says_that_it_is_blocked_and_has_the_others_result_afterwards() {
    let Some(mut ring) = Ring::start(5) else { return };
    ring.wait(5, "sent");
    let hosts: Vec<&Host> = ring.hosts.iter().collect();
    ring.lab.partition(&hosts[..3], &hosts[3..]).unwrap();
    for member in [4, 5] {
        ring.wait(member, "blocked");
    }
    let result = ring.agreed(&[1, 2, 3]);
    for member in [4, 5] {
        let report = ring.report(member);
        assert_eq!((report.state, report.result), (State::Blocked, None));
    }
    ring.lab.heal_all().unwrap();
    for member in [4, 5] {
        assert_eq!(ring.result(member), result);
        ring.wait(member, "reaches a majority again");
    }
}

#[test]
fn a_cable_that_is_cut_one_way_costs_no_more_than_a_member() {
    let Some(mut ring) = Ring::start(3) else { return };
    // Payload of the last goes on with the first; what the first says still arrives.
    ring.wait(3, "sent");
    ring.lab.cut_one_way(ring.host(3), ring.host(1)).unwrap();
    // The one that reaches both others is in every majority.
    let result = ring.result(2);
    assert!(ring.lab.dropped(ring.host(3), ring.host(1)).unwrap() > 0);
    ring.lab.heal_all().unwrap();
    assert_eq!(ring.agreed(&[1, 3]), result);
    assert!(count(&result) >= 2 * MESSAGES, "{result}");
}
