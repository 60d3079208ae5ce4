//! Members that a cluster file names, without `dx ring`.

use std::collections::BTreeMap;

use super::results::{agreed, count, results};
use super::terminal::{Program, User};

/// A file with a member at each of the user's ports.
fn file(user: &User, attr: &str) -> String {
    let members = (1..).zip(&user.ports).map(|(id, port)| {
        format!(
            r#""{id}": {{"kind": "ring-member", "ip": "127.0.0.1", "port": {port},
                "mailbox": {{"messages": 16384, "bytes": "48MiB"}}, "attr": {attr}}}"#
        )
    });
    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    user.file("ring.json", &text).to_str().unwrap().to_owned()
}

/// What each of so many members prints in the end.
fn told(up: &mut Program, members: usize) -> BTreeMap<u64, String> {
    let mut told = BTreeMap::new();
    while told.len() < members {
        let line = up.find("a result", |line| {
            let (_, line) = line.split_once("member ")?;
            line.contains("  (").then(|| format!("member {line}"))
        });
        told.extend(results(&line));
    }
    told
}

#[test]
fn members_of_a_cluster_file_agree_and_print_what_came_of_it() {
    for model in ["flow", "lcr", "confirmed", "naive"] {
        let user = User::new();
        let attr = format!(r#"{{"model": "{model}", "messages": 50, "grace_for": "1s"}}"#);
        let mut up = user.start(&["up", &file(&user, &attr)]);
        let results = told(&mut up, 3);
        assert_eq!(count(agreed(&results)), 150, "{model}");
        let (code, lines) = up.interrupt();
        assert_eq!(code, Some(130), "{lines:#?}");
    }
}

#[test]
fn a_file_that_loses_messages_of_a_model_that_sends_nothing_again_is_refused() {
    let user = User::new();
    let file = file(&user, r#"{"model": "lcr", "drop": 0.1}"#);
    let (code, _, stderr) = user.run(&["up", &file]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("the model lcr counts on its links"), "{stderr}");
}
