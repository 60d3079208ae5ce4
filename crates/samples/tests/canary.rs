//! What must fail, does: if these pass no more, the simulator sees nothing any more.

use std::process::Command;

use dx_samples::{Search, counter};

#[test]
#[should_panic(expected = "nothing is counted that nobody asked for")]
fn a_campaign_over_a_planted_bug_fails() {
    Search::Swarm.look(&counter::SAMPLE, Some("no-dedup"), 0..50, 2).expect_none();
}

#[test]
fn the_command_says_what_a_planted_bug_breaks_and_fails() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dx-samples")).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(&["run", "rpc", "--bug", "rpc/retries-anew", "--seeds", "9"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no call is carried out twice"), "{text}");
    let (code, text) = run(&["run", "rpc", "--seeds", "9"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(&["run", "lock", "--bug", "rpc/any-answer"]);
    assert_eq!((code, text.as_str()), (Some(2), ""), "a bug of another sample is a mistake");
    // What takes more than one seed to be found, is not found in one.
    let (code, text) = run(&["bugs", "--bug", "register/no-write-back", "--seeds", "1"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("NOT FOUND"), "{text}");
}
