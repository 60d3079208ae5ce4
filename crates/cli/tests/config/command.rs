//! `dx config` from outside.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn dx(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dx"));
    command.arg("config").args(arguments).current_dir(folder).env("XDG_CONFIG_HOME", folder);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    dx(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("good.toml", "[node.n1]\nid = 1\naddress = \"127.0.0.1:7001\"\n");
    write("bad.toml", "[cluster]\nnmae = \"a\"\n");
    std::fs::create_dir(folder.path().join("dx")).unwrap();
    write("dx/dx.toml", "[cluster]\ntransport = \"quic\"\n");
    folder
}

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let folder = folder();
    let output = dx(folder.path(), &["show", "good.toml", "--set", "cluster.bounds.peers=9"])
        .env("DX_CLUSTER__INSECURE", "true")
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (key, from) in [
        ("cluster.bounds.peers = 9", "# --set"),
        ("cluster.insecure = true", "# DX_CLUSTER__INSECURE"),
        ("cluster.transport = \"quic\"", "dx/dx.toml:2"),
        ("node.n1.id = 1", "# good.toml:2"),
        ("cluster.name = \"good\"", "# the name of good.toml"),
        ("cluster.timing.silence = \"3s\"", "# default"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(key));
        assert!(line.is_some_and(|line| line.ends_with(from)), "{key}, {from}:\n{shown}");
    }
}

#[test]
fn what_is_shown_is_a_configuration_that_shows_the_same() {
    let folder = folder();
    let first = run(folder.path(), &["show", "good.toml"]).stdout;
    std::fs::write(folder.path().join("shown.toml"), &first).unwrap();
    let second = run(folder.path(), &["show", "shown.toml"]).stdout;
    let values = |shown: &[u8]| -> Vec<String> {
        text(shown)
            .lines()
            .map(|line| line.split("  #").next().unwrap().trim().to_owned())
            .collect()
    };
    assert_eq!(values(&first), values(&second));
}

#[test]
fn json_is_for_programs() {
    let folder = folder();
    let shown = run(folder.path(), &["show", "good.toml", "--json", "--transport", "tls"]);
    let settings: Vec<Value> = serde_json::from_slice(&shown.stdout).unwrap();
    let transport = settings.iter().find(|one| one["key"] == "cluster.transport").unwrap();
    assert_eq!((&transport["value"], &transport["from"]), (&"tls".into(), &"--transport".into()));
    let checked = run(folder.path(), &["check", "good.toml", "--json"]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&checked["nodes"], &checked["problems"]), (&1.into(), &Value::Array(vec![])));
    let output = run(folder.path(), &["check", "bad.toml", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(checked["problems"][0]["at"]["line"], 2);
    assert_eq!(checked["problems"][0]["at"]["source"], "bad.toml");
    let output = run(folder.path(), &["check", "none.toml", "--json"]);
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(checked["problems"][0]["message"].as_str().unwrap().contains("none.toml"), "{checked}");
}

#[test]
fn a_wrong_configuration_ends_every_command_with_code_2_and_nothing_on_standard_output() {
    let folder = folder();
    for command in ["show", "check"] {
        let output = run(folder.path(), &[command, "good.toml", "bad.toml"]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(output.stdout.is_empty());
        assert!(
            stderr.contains("bad.toml:2:1") && stderr.contains("did you mean `name`"),
            "{stderr}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_answered_with_the_nearest_that_is() {
    let folder = folder();
    let output = run(folder.path(), &["check", "god.toml"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("did you mean good.toml?"), "{stderr}");
}

#[test]
fn check_wants_a_file() {
    let output = run(folder().path(), &["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("<FILE>"), "{}", text(&output.stderr));
}

#[test]
fn the_schema_and_the_defaults_are_printed_whatever_is_wrong_elsewhere() {
    let folder = folder();
    std::fs::write(folder.path().join("dx/dx.toml"), "nonsense = 1").unwrap();
    let schema: Value = serde_json::from_slice(&run(folder.path(), &["schema"]).stdout).unwrap();
    assert!(schema["properties"]["agent"].is_object());
    assert!(text(&run(folder.path(), &["default"]).stdout).contains("[cluster.timing]"));
}
