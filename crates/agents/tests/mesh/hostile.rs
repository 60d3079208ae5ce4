//! Nodes that break the rules: a bare mesh that speaks the agents' protocol.

use std::num::NonZeroU64;

use dx_agents::mesh::Node;
use dx_agents::mesh::wire::{Amount, Content, Frame, Head};
use dx_agents::message::tag;
use dx_agents::runtime::Heard;
use dx_agents::{AgentId, AskId, Message, NodeId, ReplyTo};
use dx_transport::id::Incarnation;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, Peer};

use crate::kinds::{Gate, Say, number, registry_with};
use crate::nodes::{HANG, bare, config, heard, soon, spec, start};

/// A node, and another one that says what the test wants.
struct Hostile {
    node: Node,
    mesh: Mesh,
    peer: Peer,
    _io: tokio::runtime::Runtime,
}

impl Hostile {
    fn meet(specs: &[dx_agents::AgentSpec], gate: &Gate) -> Self {
        let mut config = config("memory", 1, 1, specs);
        config.peers = vec![(NodeId(2), Vec::new())];
        let node = Node::start(config, &registry_with(gate)).unwrap();
        let io = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (mesh, peer) = io.block_on(async {
            let mesh = Mesh::start(bare(2)).await.unwrap();
            let peer = mesh.add_peer(NodeId(1), node.endpoints().to_vec()).unwrap();
            (mesh, peer)
        });
        soon(node.ready());
        Self { node, mesh, peer, _io: io }
    }

    fn say(&self, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        self.peer.try_send(Lane(1), &bytes).unwrap();
    }

    fn tell(&self, to: AgentId, from: AgentId) {
        let value = dx_transport::codec::encode(&number(1), 100).unwrap();
        let content = Content { tag: tag(Say::NAME), value: &value, body: b"" };
        self.say(&Frame::Content(Head::Tell { to, from }, content));
    }

    /// Waits until the node has dealt with all that was said.
    fn sync(&self) {
        self.say(&Frame::Watch(AgentId(u64::from(u32::MAX))));
        soon(async {
            loop {
                let batch = self.mesh.recv_any().await;
                for message in &batch {
                    if let Ok(Frame::Down(AgentId(0xffff_ffff), _)) = Frame::read(&message) {
                        return;
                    }
                }
            }
        });
    }

    fn dead_letters(&self, reason: &str) -> u64 {
        self.node.status().agents.dead_letters.get(reason).copied().unwrap_or(0)
    }

    fn violations(&self) -> u64 {
        self.node.status().links[0].violations
    }
}

const SINK: AgentId = AgentId(10);
const OWN: AgentId = AgentId(20);

#[test]
fn a_node_speaks_for_its_own_agents_only() {
    let gate = Gate::default();
    gate.open();
    let hostile = Hostile::meet(&[spec(10, "gate"), spec(20, "echo"), spec(30, "echo")], &gate);
    for forged in [AgentId(10), AgentId(30), AgentId(31), AgentId::dynamic(NodeId(3), 1)] {
        hostile.tell(SINK, forged);
    }
    hostile.tell(SINK, OWN);
    hostile.tell(SINK, AgentId::dynamic(NodeId(2), 9));
    gate.wait_for(2);
    hostile.sync();
    assert_eq!(hostile.dead_letters("forged"), 4);
    assert_eq!((hostile.violations(), gate.passed()), (4, 2));
}

#[test]
fn a_node_that_sends_more_than_its_share_is_refused_the_excess() {
    let gate = Gate::default();
    let mut sink = spec(10, "gate");
    sink.options.placement = dx_agents::Placement::Thread { pin: None };
    sink.options.mailbox.messages = 100;
    let hostile = Hostile::meet(&[sink, spec(20, "echo")], &gate);
    for _ in 0..1000 {
        hostile.tell(SINK, OWN);
    }
    hostile.sync();
    assert_eq!(hostile.dead_letters("refused"), 900);
    assert_eq!(hostile.violations(), 900);
    gate.open();
    gate.wait_for(100);
}

#[test]
fn an_answer_that_nobody_asked_for_reaches_nobody() {
    let gate = Gate::default();
    let hostile = Hostile::meet(&[spec(20, "echo")], &gate);
    let port = hostile.node.runtime().port();
    let ask = AskId(NonZeroU64::new(1).unwrap());
    let to = ReplyTo { agent: port.id(), ask };
    let content = Content { tag: tag(Say::NAME), value: &[1], body: b"" };
    for _ in 0..3 {
        hostile.say(&Frame::Content(Head::Reply { to, from: OWN }, content));
    }
    hostile.sync();
    assert_eq!(hostile.dead_letters("late-answer"), 3);
}

#[test]
fn what_is_no_frame_is_counted_and_harms_nobody() {
    let gate = Gate::default();
    gate.open();
    let hostile = Hostile::meet(&[spec(10, "gate"), spec(20, "echo")], &gate);
    for garbage in [&b""[..], b"\x00", b"\xff\xff", b"\x20", b"\x2f\x01", b"\x14\x01"] {
        hostile.peer.try_send(Lane(1), garbage).unwrap();
    }
    // A grant for what was never sent, and an answer to a question of no session.
    let much = Amount { messages: u64::MAX, bytes: u64::MAX };
    let life = Incarnation(1);
    hostile.say(&Frame::Grant { life, to: OWN, freed: much, share: much });
    hostile.say(&Frame::Held { life, to: OWN, round: 9, held: much });
    // A message that does not decode, one of another type, one for nobody.
    let content = Content { tag: tag(Say::NAME), value: &[0xff; 4], body: b"" };
    hostile.say(&Frame::Content(Head::Tell { to: SINK, from: OWN }, content));
    let content = Content { tag: 7, value: &[0xff; 4], body: b"" };
    hostile.say(&Frame::Content(Head::Tell { to: SINK, from: OWN }, content));
    hostile.tell(AgentId(11), OWN);
    hostile.tell(SINK, OWN);
    gate.wait_for(1);
    hostile.sync();
    assert_eq!(hostile.violations(), 6);
    let counts =
        ["malformed", "wrong-type", "no-such-agent"].map(|reason| hostile.dead_letters(reason));
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn an_honest_pair_hears_of_the_end_of_what_it_monitors_once() {
    let specs = [spec(10, "echo"), spec(20, "echo")];
    let mut one = config("memory", 1, 1, &specs);
    one.peers = vec![(NodeId(2), Vec::new())];
    let one = start(one);
    let port = one.runtime().port();
    // The node is not up yet: the monitor is pending.
    port.monitor(AgentId(20));
    let mut two = config("memory", 2, 1, &specs);
    two.peers = vec![(NodeId(1), one.endpoints().to_vec())];
    let two = start(two);
    soon(two.ready());
    port.send(AgentId(20), Say::Panic).unwrap();
    assert!(matches!(heard(&port), Heard::Down(AgentId(20), dx_agents::Down::Panicked)));
    port.ask_blocking(AgentId(20), number(1), HANG).unwrap_err();
    assert!(port.try_recv().is_none());
}

#[test]
fn what_was_freed_or_held_of_another_life_is_not_booked_in_this_one() {
    let hostile = Hostile::meet(&[spec(20, "echo")], &Gate::default());
    let (port, life) = (hostile.node.runtime().port(), hostile.node.incarnation());
    let opening = 64;
    for n in 0..=opening {
        port.send(OWN, number(n)).unwrap();
    }
    let stands = || {
        let links = hostile.node.status().links;
        let outbox = links[0].outboxes.iter().find(|outbox| outbox.agent == OWN).unwrap();
        (outbox.out, outbox.waiting)
    };
    assert_eq!(stands(), (opening, 1));
    let all = Amount { messages: opening, bytes: 1 << 10 };
    // What the node before it was to be told, and what waited for a way to it until this one came.
    let before = Incarnation(life.0.wrapping_sub(1));
    hostile.say(&Frame::Grant { life: before, to: OWN, freed: all, share: all });
    hostile.say(&Frame::Held { life: before, to: OWN, round: 1, held: Amount::default() });
    hostile.sync();
    assert_eq!(stands(), (opening, 1));
    hostile.say(&Frame::Grant { life, to: OWN, freed: all, share: all });
    hostile.sync();
    assert_eq!(stands(), (1, 0));
}
