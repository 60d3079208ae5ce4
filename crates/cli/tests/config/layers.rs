//! Later layers win, key by key.

use dx::config::show::{Setting, settings};
use dx::config::{Layer, Source};
use proptest::prelude::*;

use super::{file, read, set, variable};

/// Keys of each type, with how their values look in a file.
const KEYS: [(&str, &str, [&str; 3]); 5] = [
    ("cluster", "transport", ["\"tcp\"", "\"tls\"", "\"quic\""]),
    ("cluster", "insecure", ["true", "false", "true"]),
    ("cluster.timing", "session_ttl", ["\"20s\"", "\"2m\"", "\"3h\""]),
    ("cluster.bounds", "peers", ["7", "8", "9"]),
    ("cluster.bounds", "pooled_bytes", ["\"1MiB\"", "\"2KiB\"", "\"3B\""]),
];

const LAYERS: usize = 7;

/// One assignment as each layer says it.
fn say(layer: usize, (section, key, values): (&str, &str, [&str; 3]), value: usize) -> Source {
    let value = values[value];
    let plain = value.trim_matches('"');
    let path = format!("{section}.{key}");
    let toml = format!("[{section}]\n{key} = {value}\n");
    match layer {
        0 => Source::new(Layer::System, "/etc/dx/dx.toml", toml),
        1 => Source::new(Layer::User, "/home/dx.toml", toml),
        2 => file("a.toml", &toml),
        3 => {
            let inner = format!("{{\"{key}\": {value}}}");
            let text =
                section.rsplit('.').fold(inner, |inner, name| format!("{{\"{name}\": {inner}}}"));
            file("b.json", &text)
        }
        4 => variable(&format!("DX_{}", path.to_uppercase().replace('.', "__")), plain),
        5 => set(&format!("{path}={plain}")),
        _ => Source::new(Layer::Flag, "--flag", format!("{path}={plain}")),
    }
}

fn setting(sources: Vec<Source>, key: &str) -> Setting {
    let loaded = read(sources).unwrap_or_else(|report| panic!("{report}"));
    settings(&loaded).into_iter().find(|setting| setting.key == key).unwrap()
}

proptest! {
    #[test]
    fn of_any_layers_the_last_one_to_say_something_is_right(
        said in prop::collection::vec(prop::option::of(0..3usize), LAYERS),
        key in 0..KEYS.len(),
        seed in any::<u64>(),
    ) {
        let (section, name, values) = KEYS[key];
        let mut sources: Vec<Source> = said
            .iter()
            .enumerate()
            .filter_map(|(layer, value)| Some(say(layer, KEYS[key], (*value)?)))
            .collect();
        // Only files keep the order in which they are given; each other layer has its rank.
        if seed % 2 == 0 {
            sources.sort_by_key(|source| !source.layer.is_file());
        }
        let shown = setting(sources.clone(), &format!("{section}.{name}"));
        let last = said.iter().enumerate().rev().find_map(|(layer, value)| Some((layer, (*value)?)));
        match last {
            None => prop_assert_eq!(shown.from, "default"),
            Some((layer, value)) => {
                prop_assert_eq!(shown.value.to_string(), values[value]);
                let source = say(layer, KEYS[key], value);
                let is_said_there = shown.from.starts_with(&source.name);
                prop_assert!(is_said_there, "{} came from {}", source.name, shown.from);
            }
        }
    }
}

#[test]
fn files_win_in_the_order_given() {
    let first = file("a.toml", "[cluster]\nname = \"a\"\n");
    let second = file("b.toml", "[cluster]\nname = \"b\"\n");
    let name = |sources| setting(sources, "cluster.name").value;
    assert_eq!(name(vec![first.clone(), second.clone()]), "b");
    assert_eq!(name(vec![second, first]), "a");
}

#[test]
fn a_file_may_change_one_key_of_what_another_defines() {
    let base = file(
        "base.toml",
        "[node.n1]\nid = 1\naddress = \"h:1\"\nlabels = { a = \"1\", b = \"2\" }\n\
         [agent.2]\nkind = \"ping\"\nnode = \"n1\"\nattr = { target = 2, interval = \"5s\" }\n",
    );
    let change = file(
        "change.json",
        r#"{"agent": {"2": {"attr": {"interval": "9s"}}}, "node": {"n1": {"labels": {"b": "3"}}}}"#,
    );
    let loaded = read(vec![base, change]).unwrap();
    let agent = &loaded.cluster.agents[0];
    assert_eq!((&agent.attr["target"], &agent.attr["interval"]), (&2.into(), &"9s".into()));
    let labels: Vec<_> = loaded.cluster.nodes[0].labels.iter().collect();
    assert_eq!(labels, [(&"a".into(), &"1".into()), (&"b".into(), &"3".into())]);
}

#[test]
fn a_rule_of_restart_is_replaced_as_a_whole() {
    use dx_agents::Restart;
    let base = file(
        "base.toml",
        "[node.n1]\nid = 1\naddress = \"h:1\"\n\
         [agent.1]\nkind = \"echo\"\nnode = \"n1\"\nrestart = { on_failure = { max = 9 } }\n",
    );
    let always = set("agent.1.restart={ always = { backoff = \"7s\" } }");
    let restart = |sources| read(sources).unwrap().cluster.agents[0].options.restart;
    let backoff = std::time::Duration::from_secs(7);
    assert_eq!(restart(vec![base.clone(), always]), Restart::Always { backoff });
    assert_eq!(restart(vec![base, set("agent.1.restart=never")]), Restart::Never);
}

#[test]
fn a_variable_finds_its_key_whatever_the_case_of_that() {
    let base = file("base.toml", "[node.Rack-1]\nid = 1\naddress = \"h:1\"\n");
    let sources = vec![
        base,
        variable("DX_NODE__RACK_1__ADDRESS", "h:2"),
        variable("DX_NODE__RACK_1__ROLES", "runner,controller"),
        variable("DX_CLUSTER__TIMING__PING_INTERVAL", "900ms"),
    ];
    let cluster = read(sources).unwrap().cluster;
    assert_eq!(cluster.nodes[0].address.to_string(), "tls://h:2");
    assert_eq!(cluster.nodes[0].roles.len(), 2);
    assert_eq!(cluster.timing.ping_interval.as_millis(), 900);
}

#[test]
fn a_node_can_be_made_of_assignments_alone() {
    let sources =
        vec![set("node.x.id=4"), set("node.x.address=127.0.0.1:1"), set("cluster.name=4")];
    let cluster = read(sources).unwrap().cluster;
    assert_eq!((cluster.name.as_str(), cluster.nodes[0].id.0), ("4", 4));
}
