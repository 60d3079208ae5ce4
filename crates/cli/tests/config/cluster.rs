//! What a file says is what the cluster is.

use std::time::Duration;

use dx::config::file::Role;
use dx_agents::{MailboxBounds, Placement, Restart, WhenFull};
use dx_transport::id::NodeId;

use super::{cluster, file, messages, read};

const FULL: &str = r#"
[cluster]
name = "full"
transport = "quic"
insecure = true
timing = { ping_interval = "2s", silence = "9s" }
dialing.concurrent = 3
bounds.pooled_bytes = "1MiB"

[node.n2]
id = 2
address = "tcp://example.org:7001"
listen = "0.0.0.0:7001"
roles = ["runner", "controller"]
labels = { zone = "a" }

[node.n1]
id = 1
address = "[::1]:7001"

[agent.10]
kind = "echo"
node = "n2"
placement = "thread"
pin = 3
shared = 2
full = "drop-newest"
mailbox = { messages = 5, bytes = "1KiB", full = "drop-oldest" }
restart = { on_failure = { max = 5, within = "1h" } }

[agent.9]
kind = "echo"
node = "n1"
restart = "always"
"#;

#[test]
fn every_key_arrives_and_what_is_not_said_is_the_default() {
    let cluster = cluster(FULL);
    assert_eq!((cluster.name.as_str(), &*cluster.transport), ("full", "quic"));
    assert_eq!(cluster.timing.silence, Duration::from_secs(9));
    assert_eq!(cluster.timing.session_ttl, dx_transport::session::Timing::default().session_ttl);
    assert_eq!(cluster.dialing.concurrent, 3);
    assert_eq!(cluster.bounds.pooled_bytes, 1 << 20);
    let [one, two] = &cluster.nodes[..] else { panic!("{:?}", cluster.nodes) };
    assert_eq!((one.id, one.address.to_string()), (NodeId(1), "quic://[::1]:7001".to_owned()));
    assert_eq!(one.listen, one.address);
    assert_eq!(two.address.to_string(), "tcp://example.org:7001");
    assert_eq!(two.listen.to_string(), "quic://0.0.0.0:7001");
    assert_eq!(two.roles, [Role::Runner, Role::Controller]);
    assert_eq!(two.labels["zone"], "a");
}

#[test]
fn agents_are_in_the_order_of_their_ids_with_their_options() {
    let cluster = cluster(FULL);
    let [nine, ten] = &cluster.agents[..] else { panic!("{:?}", cluster.agents) };
    assert_eq!((nine.id.0, nine.node, ten.id.0, ten.node), (9, NodeId(1), 10, NodeId(2)));
    assert_eq!(nine.options.placement, Placement::Pool);
    assert!(matches!(nine.options.restart, Restart::Always { .. }));
    assert_eq!(ten.options.placement, Placement::Thread { pin: Some(3) });
    assert_eq!((ten.options.shared, ten.options.full), (2, WhenFull::DropNewest));
    let mailbox = MailboxBounds { messages: 5, bytes: 1024, full: WhenFull::DropOldest };
    assert_eq!(ten.options.mailbox, mailbox);
    let Restart::OnFailure { max: 5, within, .. } = ten.options.restart else {
        panic!("{:?}", ten.options.restart)
    };
    assert_eq!(within, Duration::from_hours(1));
}

#[test]
fn a_cluster_without_a_name_has_that_of_its_first_file() {
    let named = |name: &str| read(vec![file(name, "")]).unwrap().cluster.name.as_str().to_owned();
    assert_eq!(named("some/folder/lab-3.toml"), "lab-3");
    assert_eq!(read(vec![]).unwrap().cluster.name.as_str(), "local");
}

#[test]
fn plain_tcp_stays_at_home_unless_it_is_told_otherwise() {
    let node = "[node.a]\nid = 1\naddress = \"tcp://10.0.0.1:7001\"\n";
    let found = messages(vec![file("a.toml", node)]);
    assert_eq!(found, ["plain tcp to `10.0.0.1:7001` leaves this machine"]);
    assert!(cluster(&format!("{node}[cluster]\ninsecure = true\n")).insecure);
    cluster("[node.a]\nid = 1\naddress = \"tcp://localhost:7001\"\n");
}

#[test]
fn a_file_may_say_nothing() {
    let cluster = cluster("");
    assert!(cluster.nodes.is_empty() && cluster.agents.is_empty());
}
