//! A cluster as another node gets it.

use dx::config::Cluster;
use serde_json::{Value, json};

use super::cluster;

const TEXT: &str = r#"
[node.n1]
id = 1
address = "127.0.0.1:7001"
[agent.1]
kind = "ping"
node = "n1"
attr = { target = 1, interval = "5s" }
restart = { on_failure = { backoff = "1s" } }
placement = "thread"
"#;

fn receive(change: impl FnOnce(&mut Value)) -> Result<Cluster, String> {
    let mut json = serde_json::to_value(cluster(TEXT)).unwrap();
    change(&mut json);
    serde_json::from_str(&json.to_string()).map_err(|error| error.to_string())
}

#[test]
fn what_is_sent_is_what_arrives() {
    assert_eq!(receive(|_| {}).unwrap(), cluster(TEXT));
}

#[test]
fn what_no_file_could_say_is_refused() {
    let wrong: [(&str, Value, &str); 8] = [
        ("/nodes/0/id", json!(2), "a node that is not there"),
        ("/nodes/0/address", json!("tcp://1.2.3.4:5"), "leaves this machine"),
        ("/timing/silence", json!("1ms"), "it can be 2ms to 1h"),
        ("/timing/silence", json!("1s"), "is less than two"),
        ("/bounds/peers", json!(0), "it can be 1 to 65536"),
        ("/transport", json!("carrier-pigeon"), "it can be `tcp`"),
        ("/agents/0/options/mailbox/messages", json!(0), "room for a message"),
        ("/name", json!("no spaces"), "not a cluster name"),
    ];
    for (pointer, value, reason) in wrong {
        let error = receive(|json| *json.pointer_mut(pointer).unwrap() = value).unwrap_err();
        assert!(error.contains(reason), "{pointer}: {error}");
    }
    let unknown = receive(|json| json["more"] = json!(1)).unwrap_err();
    assert!(unknown.contains("unknown field"), "{unknown}");
}

#[test]
fn two_nodes_of_one_id_are_refused() {
    let error = receive(|json| {
        let twin = json["nodes"][0].clone();
        json["nodes"].as_array_mut().unwrap().push(twin);
    });
    assert!(error.unwrap_err().contains("both have the id 1"));
}
