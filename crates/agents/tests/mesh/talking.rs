//! Messages, questions and monitors across nodes.

use bytes::Bytes;
use dx_agents::mesh::Node;
use dx_agents::runtime::{Heard, Runtime};
use dx_agents::{Agent, AgentId, AskError, Context, Down, NodeId, RefusedBecause, Registry};

use crate::kinds::{Say, number};
use crate::nodes::{ALL, HANG, config, heard, pair, said, spec};

const ECHO: AgentId = AgentId(20);

#[test]
fn a_message_reaches_an_agent_of_another_node_over_every_transport() {
    for transport in ALL {
        let (one, _two) = pair(transport, &[spec(20, "echo")]);
        let port = one.runtime().port();
        let body = Bytes::from_static(b"beside");
        port.send(ECHO, Say::Number(7, body.clone())).unwrap();
        assert_eq!(said(&port), (ECHO, Say::Number(7, body)), "{transport}");
    }
}

#[test]
fn a_question_is_answered_across_nodes_over_every_transport() {
    for transport in ALL {
        let (one, _two) = pair(transport, &[spec(20, "echo")]);
        let port = one.runtime().port();
        for n in 0..10 {
            let answer = port.ask_blocking(ECHO, number(n), HANG).unwrap();
            assert_eq!(answer.from, ECHO);
            assert_eq!(answer.open::<Say>().unwrap(), number(n), "{transport}");
        }
        assert_eq!(one.status().open_asks, 0);
    }
}

#[test]
fn a_question_to_nobody_fails_at_once() {
    let (one, two) = pair("memory", &[spec(20, "echo"), spec(21, "echo")]);
    let port = one.runtime().port();
    port.send(AgentId(21), Say::Stop).unwrap();
    port.monitor(AgentId(21));
    assert!(matches!(heard(&port), Heard::Down(AgentId(21), Down::Stopped | Down::Unknown)));
    let error = port.ask_blocking(AgentId(21), number(1), HANG).unwrap_err();
    assert_eq!(error, AskError::Refused(RefusedBecause::Unknown));
    assert_eq!(two.status().agents.dead_letters["no-such-agent"], 1);
}

#[test]
fn a_megabyte_of_awkward_bytes_arrives_as_it_was() {
    for transport in ALL {
        let (one, _two) = pair(transport, &[spec(20, "echo")]);
        let port = one.runtime().port();
        let bytes: Vec<u8> = b"$\n\0'\"\\\xff".iter().copied().cycle().take(1 << 20).collect();
        let said = Say::Number(1, bytes.into());
        let answer = port.ask_blocking(ECHO, said.clone(), HANG).unwrap();
        assert!(answer.open::<Say>().unwrap() == said, "{transport}");
    }
}

/// Says something in its first step.
struct Herald(AgentId);

impl Agent for Herald {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        cx.send(self.0, number(7));
    }

    fn message(&mut self, _from: AgentId, _message: Say, _cx: &mut Context) {}
}

#[test]
fn a_port_that_is_there_before_the_agents_hears_their_first_words() {
    let listener = AgentId::dynamic(NodeId(1), 9);
    let kinds = Registry::new().kind("herald", move |_, _| Ok(Herald(listener)));
    let config = config("memory", 1, 1, &[spec(10, "herald")]);
    let listen = |runtime: &Runtime| runtime.port_as(listener).unwrap();
    let (_node, port) = Node::start_with(config, &kinds, listen).unwrap();
    assert_eq!(said(&port), (AgentId(10), number(7)));
}
