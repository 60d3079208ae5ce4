//! How diagrams look.

use std::time::Duration;

use dx_agents::NodeId;
use dx_sim::{CrashPoint, Explanation};

use crate::golden::assert_stored;
use crate::keeper::{fail, keep, run, world};

/// A little of everything.
fn eventful() -> Explanation {
    let mut sim = world();
    sim.keep_story();
    let port = sim.port();
    keep(&mut sim, port, 5);
    run(&mut sim, 10);
    sim.partition(&[&[NodeId(1)], &[NodeId(2)]]);
    keep(&mut sim, port, 6);
    run(&mut sim, 600);
    sim.mend_all();
    run(&mut sim, 10);
    sim.lose_session(NodeId(1), NodeId(2));
    sim.pause_node(NodeId(2), Duration::from_millis(20));
    run(&mut sim, 30);
    sim.crash_node_at(NodeId(1), CrashPoint::BeforeSync);
    keep(&mut sim, port, 7);
    run(&mut sim, 5);
    sim.restart_node(NodeId(1), Duration::from_millis(5));
    run(&mut sim, 10);
    let failure = fail(&mut sim);
    sim.explain(&failure).unwrap()
}

#[test]
fn a_diagram_is_drawn_as_text_and_as_a_picture() {
    let explanation = eventful();
    assert_stored("tests/explain/eventful.txt", &explanation.to_string());
    assert_stored("tests/explain/eventful.ascii.txt", &explanation.ascii().to_string());
    assert_stored("tests/explain/eventful.svg", &explanation.svg());
}

#[test]
fn lines_are_no_longer_than_a_hundred_characters_and_ascii_is_ascii() {
    let explanation = eventful();
    let text = explanation.to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(explanation.ascii().to_string().is_ascii());
    assert_eq!(explanation.ascii().to_string().lines().count(), text.lines().count());
}

#[test]
fn a_picture_needs_nothing_else_and_has_no_script() {
    let mut explanation = eventful();
    explanation.what = "<script>alert(\"&\")</script>\u{7}".to_owned();
    let svg = explanation.svg();
    assert!(!svg.contains("<script") && !svg.contains("href") && !svg.contains("url("));
    assert!(svg.contains("&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;\u{fffd}"));
    assert!(svg.contains("prefers-color-scheme:dark"));
}
