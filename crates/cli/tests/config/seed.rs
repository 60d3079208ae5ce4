//! The older form of a cluster file.

use std::time::Duration;

use dx_agents::AgentId;
use dx_transport::id::NodeId;

use super::{file, messages, read, set};

const SEED: &str = r#"{"1":{"kind":"echo","ip_addr":"127.0.0.1","port":5001,"attrs":{}},"2":{"kind":"ping","ip_addr":"127.0.0.1","port":5002,"attrs":{"target":"1","interval":"2000"}},"3":{"kind":"ping","ip_addr":"127.0.0.1","port":5003,"attrs":{"target":"1","interval":"2000"}}}"#;

#[test]
fn the_map_of_agents_is_a_cluster_file_as_it_is() {
    let cluster = read(vec![file("simple_config.json", SEED)]).unwrap().cluster;
    assert_eq!(cluster.name.as_str(), "simple_config");
    let nodes: Vec<_> =
        cluster.nodes.iter().map(|node| (node.id.0, node.address.to_string())).collect();
    assert_eq!(
        nodes,
        [
            (1, "tls://127.0.0.1:5001".to_owned()),
            (2, "tls://127.0.0.1:5002".to_owned()),
            (3, "tls://127.0.0.1:5003".to_owned()),
        ]
    );
    let kinds: Vec<_> = cluster.agents.iter().map(|a| (a.id.0, &*a.kind, a.node.0)).collect();
    assert_eq!(kinds, [(1, "echo", 1), (2, "ping", 2), (3, "ping", 3)]);
    let ping: dx::kinds::ping::Attr = cluster.agents[1].attr().unwrap();
    assert_eq!((ping.target, ping.interval), (1, Duration::from_secs(2)));
}

#[test]
fn both_spellings_and_bare_numbers_mean_the_same() {
    let other = SEED
        .replace("ip_addr", "ip")
        .replace("attrs", "attr")
        .replace("\"2000\"", "2000")
        .replace("\"target\":\"1\"", "\"target\":1");
    let read = |text: &str| read(vec![file("a.json", text)]).unwrap().cluster;
    assert_eq!(read(SEED), read(&other));
}

#[test]
fn agents_at_one_address_share_the_node_of_the_lowest() {
    let text = SEED.replace("5003", "5002").replace("\"2\":", "\"20\":");
    let cluster = read(vec![file("a.json", &text)]).unwrap().cluster;
    let ids: Vec<u32> = cluster.nodes.iter().map(|node| node.id.0).collect();
    assert_eq!(ids, [1, 3]);
    let on: Vec<AgentId> = cluster.agents_on(NodeId(3)).map(|agent| agent.id).collect();
    assert_eq!(on, [AgentId(3), AgentId(20)]);
}

#[test]
fn a_map_of_agents_goes_together_with_other_files() {
    let toml =
        "[cluster]\ntransport = \"tcp\"\n[node.first]\nid = 7\naddress = \"127.0.0.1:5001\"\n";
    let sources = vec![file("a.json", SEED), file("b.toml", toml), set("agent.3.attr.interval=9s")];
    let cluster = read(sources).unwrap().cluster;
    assert_eq!(cluster.agents[0].node, NodeId(7), "the node with a table is the one at 5001");
    assert_eq!(cluster.nodes[0].address.to_string(), "tcp://127.0.0.1:5002");
    assert_eq!(cluster.agents[2].attr["interval"], "9s");
}

#[test]
fn elsewhere_a_number_is_no_duration_and_a_text_no_id() {
    let text = format!("{{\"agent\":{SEED}}}").replace("ip_addr", "ip").replace("attrs", "attr");
    let found = messages(vec![file("a.json", &text)]);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().all(|message| message.contains(".attr.")), "{found:?}");
}

#[test]
fn an_agent_does_not_take_the_number_of_another_node() {
    let toml = "[node.other]\nid = 2\naddress = \"127.0.0.1:9\"\n";
    let found = messages(vec![file("a.json", SEED), file("b.toml", toml)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`other` of id 2"), "{found:?}");
}
