//! Every mistake has a file in `wrong/` that makes it, and a snapshot of what is said about it.
//! `INSTA_UPDATE=always` writes the snapshots anew.

use std::fs;
use std::path::Path;

use super::{file, messages, read, set, variable};

#[test]
fn each_mistake_is_shown_where_it_stands_with_what_would_be_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/wrong");
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 15, "the files were not found: {names:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("wrong-shown");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            let text = fs::read_to_string(folder.join(&name)).unwrap();
            let report = read(vec![file(&name, &text)]).expect_err(&name);
            insta::assert_snapshot!(name.replace('.', "-"), report.to_string());
        }
    });
}

#[test]
fn files_and_overrides_are_wrong_together() {
    let report = read(vec![
        file("a.toml", "[cluster]\nnme = \"a\"\n[node.n1]\nid = 1\naddress = \"h:1\"\n"),
        file("b.json", "{\"cluster\": {\"transport\": \"tsl\"}}"),
        variable("DX_CLUSTER__BOUNDS__PEERS", "many"),
        variable("DX_CLUSTER_NAME", "a"),
        variable("DX_NOD__N1__ID", "2"),
        set("cluster.timing.silnce=3s"),
        set("node.n1.id"),
        set("=1"),
    ])
    .expect_err("all of them are wrong");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("wrong-shown");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("overrides", report.to_string()));
}

#[test]
fn an_agent_that_two_files_define_is_refused_and_one_that_they_share_is_not() {
    let first = "[node.n1]\nid = 1\naddress = \"h:1\"\n[agent.1]\nkind = \"echo\"\nnode = \"n1\"\n";
    let again = file("b.json", r#"{"agent": {"1": {"kind": "ping", "attr": {"target": 1}}}}"#);
    let found = messages(vec![file("a.toml", first), again]);
    assert_eq!(found, ["agent `1` is defined twice"]);
    let node = file("b.toml", "[node.n1]\nid = 2\n");
    assert_eq!(messages(vec![file("a.toml", first), node]), ["node `n1` is defined twice"]);
    let change =
        file("b.toml", "[agent.1]\nattr = { reply = false }\n[node.n1]\nlabels.a = \"b\"\n");
    assert!(read(vec![file("a.toml", first), change]).is_ok());
}

#[test]
fn one_mistake_is_told_once_and_not_again_by_what_follows_from_it() {
    let text = "[node.n1]\nid = 1\nadress = \"h:1\"\n[agent.1]\nkind = \"echo\"\nnode = \"n1\"\n";
    let found = messages(vec![file("a.toml", text)]);
    assert_eq!(found, ["there is no key `adress` in `node.n1`"]);
    let text = "[agent.1]\nkind = \"echo\"\nip = \"1.2.3\"\nport = 1\n";
    assert_eq!(messages(vec![file("a.toml", text)]), ["`agent.1.ip` is wrong"]);
}

#[test]
fn one_mistake_made_a_thousand_times_does_not_fill_the_screen() {
    let agents: Vec<String> =
        (0..1000).map(|id| format!("[agent.{id}]\nkind = \"pong\"\n")).collect();
    let text = agents.concat();
    let report = read(vec![file("a.toml", &text)]).unwrap_err();
    let shown = report.to_string();
    assert_eq!(shown.matches("error:").count(), dx::config::problem::MAX_SHOWN);
    let more = report.problems.len() - dx::config::problem::MAX_SHOWN;
    assert!(shown.ends_with(&format!("... and {more} more")), "{shown}");
}

#[test]
fn nothing_that_a_key_says_reaches_the_terminal_as_a_command() {
    let text = "[\"\\u001b[2J\"]\na = 1\n[agent.1]\nkind = \"\\u001b\"\nnode = \"\\u001b]0;\"\n";
    let shown = read(vec![file("a.toml", text)]).unwrap_err().to_string();
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
}
