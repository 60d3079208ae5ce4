//! Whatever is written, it is read or refused, and the refusal can be shown.

use std::fs;
use std::path::Path;

use dx::config::show::{settings, text};
use dx::config::{Layer, Source};
use proptest::prelude::*;

use super::{file, read, set};

fn shipped(name: &str) -> String {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    fs::read_to_string(configs.join(name)).unwrap()
}

/// An edit: where, how many characters go, and what comes instead.
fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
    let words = prop::sample::select(vec![
        "",
        "\n",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "=",
        ",",
        ".",
        "#",
        ":",
        "-1",
        "0",
        "1e999",
        "null",
        "true",
        "ü",
        "\u{1b}[2J",
        "\u{200f}",
        "\t",
        "\r\n",
        "nan",
        "\"\"\"",
        "agent",
        "node",
        "[node.n1]",
        "attr",
        "{}",
        "\u{feff}",
        "99999999999999999999999999999999999999999",
        "2026-11-20",
    ]);
    let edit = (any::<prop::sample::Index>(), 0..6usize, words.prop_map(str::to_owned));
    prop::collection::vec(edit, 1..6)
}

fn apply(text: &str, edits: &[(prop::sample::Index, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (index, removed, inserted) in edits {
        let at = index.index(chars.len() + 1);
        let end = (at + removed).min(chars.len());
        chars.splice(at..end, inserted.chars());
    }
    chars.into_iter().collect()
}

fn is_answered(sources: Vec<Source>) {
    match read(sources) {
        Ok(loaded) => {
            let shown = text(&settings(&loaded));
            let again = read(vec![file("shown.toml", &shown)]);
            let again = again.unwrap_or_else(|report| panic!("{report}\n{shown}"));
            assert_eq!(again.cluster.agents, loaded.cluster.agents, "{shown}");
            assert_eq!(again.cluster.nodes, loaded.cluster.nodes, "{shown}");
        }
        Err(report) => {
            assert!(!report.problems.is_empty());
            let is_command = |c: char| c.is_control() && c != '\n';
            assert!(!report.to_string().contains(is_command), "{report:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_damaged_file_is_read_or_refused(
        name in prop::sample::select(vec!["local.toml", "wan.toml", "ping.json"]),
        edits in edits(),
    ) {
        is_answered(vec![file(name, &apply(&shipped(name), &edits))]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), is_json in any::<bool>()) {
        is_answered(vec![file(if is_json { "a.json" } else { "a.toml" }, &text)]);
    }

    #[test]
    fn any_assignment_is_read_or_refused(
        path in "[a-z.A-Z0-9_]{0,30}|(cluster|node|agent)(\\.[a-z0-9]{1,8}){0,3}",
        value in any::<String>(),
        equals in prop::sample::select(vec!["=", "", "=="]),
    ) {
        is_answered(vec![file("local.toml", &shipped("local.toml")), set(&format!("{path}{equals}{value}"))]);
        let name = format!("DX_{}", path.to_uppercase().replace('.', "__"));
        is_answered(vec![Source::new(Layer::Environment, &name, format!("{name}={value}"))]);
    }
}
