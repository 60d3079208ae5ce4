use std::path::Path;

use serde_json::Value;

use super::world::World;

/// Where the document is checked in. `UPDATE=1` renews it.
fn kept() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

#[test]
fn the_document_that_is_checked_in_is_that_of_the_code() {
    let document = dx_scheduler::api::document();
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(kept(), &text).unwrap();
    }
    let kept = std::fs::read_to_string(kept()).unwrap();
    assert!(
        kept == text,
        "docs/openapi.json is of earlier code: renew it by `UPDATE=1 cargo test`"
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let world = World::new(|request| panic!("{request:?}"));
    let answer = world.get("/v1/openapi.json").await;
    assert_eq!(answer.json(), dx_scheduler::api::document());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[test]
fn whatever_the_document_refers_to_is_in_it() {
    let document = dx_scheduler::api::document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn no_two_schemas_have_one_name() {
    // The second would get a number, and those who refer to it by its name the first.
    let document = dx_scheduler::api::document();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name}");
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                into.push(reference.clone());
            }
            object.values().for_each(|value| collect(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}
