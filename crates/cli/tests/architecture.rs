//! The workspace is as ARCHITECTURE.md and CONTRIBUTING.md say.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// What a crate may import: normally, and in addition for its tests.
#[derive(Debug)]
struct Allowed {
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

/// The table of ARCHITECTURE.md, by crate.
fn table() -> BTreeMap<String, Option<Allowed>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `dx"));
    let table: BTreeMap<_, _> = rows.map(parse_row).collect();
    assert!(table.len() >= 10, "the table was not found: {table:?}");
    table
}

fn parse_row(row: &str) -> (String, Option<Allowed>) {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let name = cells[1].trim_matches('`').to_owned();
    if cells[4] == "all" {
        return (name, None);
    }
    let (normal, dev) = cells[4].split_once("; dev:").unwrap_or((cells[4], ""));
    let names = |list: &str| {
        let names = list.split(',').map(str::trim);
        names
            .filter(|name| !name.is_empty() && *name != "-")
            .map(|name| format!("dx-{name}"))
            .collect()
    };
    (name, Some(Allowed { normal: names(normal), dev: names(dev) }))
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let table = table();
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let row = table.get(name).unwrap_or_else(|| panic!("{name} has no row in ARCHITECTURE.md"));
        let Some(allowed) = row else { continue };
        for dependency in package["dependencies"].as_array().unwrap() {
            let import = dependency["name"].as_str().unwrap();
            let is_dev = dependency["kind"] == "dev";
            let may = allowed.normal.contains(import) || is_dev && allowed.dev.contains(import);
            assert!(!import.starts_with("dx-") || may, "{name} must not import {import}");
        }
    }
}

#[test]
fn the_session_alone_brings_no_runtime() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "dx-transport",
            "-e",
            "normal",
            "--no-default-features",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("bytes v"), "{tree}");
    for heavy in ["tokio v", "rustls v", "quinn v", "clap v", "config v", "axum v"] {
        assert!(!tree.contains(heavy), "{heavy} is in the tree:\n{tree}");
    }
}

#[test]
fn the_ring_alone_brings_no_runtime() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "dx-ring", "-e", "normal", "--prefix", "none", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("dx-agents v"), "{tree}");
    assert!(!tree.contains("tokio v"), "tokio is in the tree:\n{tree}");
}

fn sources() -> Vec<PathBuf> {
    let output =
        Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()).output().unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let files: Vec<PathBuf> = names.lines().map(|name| root().join(name)).collect();
    files.into_iter().filter(|file| file.exists()).collect()
}

#[test]
fn files_are_named_for_ideas_and_stay_small() {
    for file in sources() {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let is_vague =
            ["mod", "util", "utils", "helper", "helpers", "common", "misc"].contains(&stem);
        assert!(!is_vague, "{} names no idea", file.display());
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines: split it by idea", file.display());
    }
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 120, "README.md has {lines} lines");
}
