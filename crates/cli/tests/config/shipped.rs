//! The files in `configs/`.

use std::fs;
use std::path::{Path, PathBuf};

use dx::config::documented::documented;
use dx::config::job_file;
use dx::config::schema::Schema;
use dx_transport::{mesh, session};
use serde_json::Value;

use super::{cluster, file, read};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn shipped(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

#[test]
fn every_shipped_file_is_right() {
    let mut count = 0;
    for entry in folder().read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let source = file(&name, &shipped(&name));
        if job_file::has_several(&source) {
            let jobs = job_file::read_several(vec![source]).unwrap_or_else(|why| panic!("{why}"));
            assert!(jobs.problems().is_none(), "{}", jobs.problems().unwrap());
        } else {
            let loaded = read(vec![source]);
            assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
        }
        count += 1;
    }
    assert!(count >= 5, "{count} files");
}

#[test]
fn the_shipped_defaults_are_the_built_in_ones() {
    let (shipped_text, written) = (shipped("default.toml"), documented());
    let lines = shipped_text.lines().zip(written.lines()).enumerate();
    for (number, (shipped, written)) in lines {
        let line = number + 1;
        assert_eq!(shipped, written, "line {line}: dx config default > configs/default.toml");
    }
    assert_eq!(shipped_text.len(), written.len(), "dx config default > configs/default.toml");
    assert_eq!(cluster(&shipped("default.toml")), cluster(""));
}

#[test]
fn the_shipped_defaults_are_those_of_the_crates_that_use_them() {
    let cluster = cluster(&shipped("default.toml"));
    assert_eq!(session::Timing::from(cluster.timing), session::Timing::default());
    assert_eq!(mesh::Dialing::from(cluster.dialing), mesh::Dialing::default());
    assert_eq!(mesh::Bounds::from(cluster.bounds), mesh::Bounds::default());
}

/// `default.toml` with the examples in it.
fn with_examples() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    shipped("default.toml").lines().map(line).collect()
}

#[test]
fn the_examples_in_the_defaults_are_right() {
    // An agent is at a node or at an address, and is bound to a processor or on the pool.
    let no = ["ip = ", "port = ", "pin = "];
    let text = with_examples();
    let lines = text.lines().filter(|line| !no.iter().any(|no| line.starts_with(no)));
    let cluster = cluster(&lines.collect::<Vec<_>>().join("\n"));
    assert_eq!((cluster.nodes.len(), cluster.agents.len()), (1, 1));
    assert_eq!(cluster.agents[0].options, dx_agents::Options::default());
}

/// All paths of keys of a schema, with `*` for a name that can be chosen.
fn paths(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let fixed = schema["properties"].as_object().into_iter().flatten();
    let free = schema.get("additionalProperties").filter(|below| below.is_object());
    let free = free.filter(|below| below.get("properties").is_some());
    for (key, below) in
        fixed.map(|(key, below)| (&**key, below)).chain(free.map(|below| ("*", below)))
    {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        found.push((path.clone(), below.clone()));
        paths(below, &path, found);
    }
}

#[test]
fn every_section_has_its_place_in_the_order() {
    let schema = Schema::new(&dx::kinds::kinds());
    let mut sections = dx::config::file::SECTIONS.to_vec();
    sections.sort_unstable();
    let known: Vec<&String> = schema.root()["properties"].as_object().unwrap().keys().collect();
    assert_eq!(known, sections);
}

#[test]
fn every_documented_key_is_in_the_schema_and_every_key_of_that_is_documented() {
    let mut known = Vec::new();
    paths(Schema::new(&dx::kinds::kinds()).root(), "", &mut known);
    for (path, schema) in &known {
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{path} has no documentation");
    }
    let known: Vec<&str> = known.iter().map(|(path, _)| path.as_str()).collect();
    let (mut section, mut seen) = (String::new(), Vec::new());
    for line in with_examples().lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').replace(".n1", ".*").replace(".1", ".*");
            seen.push(section.clone());
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            seen.push(format!("{section}.{key}"));
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
    for path in &seen {
        assert!(known.contains(&path.as_str()), "{path} is documented, and not in the schema");
    }
    for path in known.iter().filter(|path| !["node", "agent"].contains(path)) {
        assert!(seen.iter().any(|seen| seen == path), "{path} is not in default.toml");
    }
}
