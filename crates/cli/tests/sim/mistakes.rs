//! What is said to those who ask for what cannot be.

use std::fs;

use tempfile::TempDir;

use crate::command::{LOCAL, dx, kept, run, text};

#[test]
fn what_cannot_begin_has_code_2_and_says_what_would() {
    let home = TempDir::new().unwrap();
    let empty = home.path().join("empty.toml");
    fs::write(&empty, "[node.n1]\nid = 1\naddress = \"127.0.0.1:7001\"\n").unwrap();
    let empty = empty.to_str().unwrap();
    for (arguments, told) in [
        (&["run", LOCAL, "--faults", "crush"][..], "did you mean `crash`?"),
        (&["run", LOCAL, "--faults", "crash,earthquake"], "there are `all`, `none`, `network`"),
        (&["run", LOCAL, "--faults", "crash,none"], "`none` stands alone"),
        (&["run", LOCAL, "--seeds", "0"], "0 is not in 1.."),
        (&["run", LOCAL, "--seeds", "1", "--from", "18446744073709551615"], "a smaller one"),
        (&["run", LOCAL, "--for", "30"], "a unit is missing"),
        (&["run", LOCAL, "--for", "0s"], "more than nothing"),
        (&["run", LOCAL, "--seed", "3"], "--seeds"),
        (&["run", "no-such.toml"], "failed to read no-such.toml"),
        (&["run"], "which cluster?"),
        (&["run", empty], "has no agents: there is nothing to simulate"),
        (&["replay", "no-such.tape"], "failed to read no-such.tape"),
        (&["replay", LOCAL], "not a tape"),
        (&["replai", LOCAL], "'replay'"),
    ] {
        let output = run(home.path(), &[&["sim"], arguments].concat());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_variable_that_chooses_a_seed_for_tests_chooses_none_in_silence() {
    let home = TempDir::new().unwrap();
    let output = dx(home.path(), &["sim", "run", LOCAL]).env("DX_SIM_SEED", "17").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`--from SEED --seeds 1`"), "{}", text(&output.stderr));
}

#[test]
fn a_file_that_was_cut_off_or_is_of_another_program_is_no_run() {
    let home = TempDir::new().unwrap();
    let file = kept(home.path());
    let whole = fs::read_to_string(&file).unwrap();
    let line = whole[..whole.len() / 4].rfind('\n').unwrap();
    let tape = whole.split("\nsetup ").next().unwrap();
    let other = whole.replace(r#""kind":"echo""#, r#""kind":"lock""#);
    for (content, told) in [
        (&whole[..line], "the tape was cut off"),
        (tape, "there is no line `setup ...` after `end`"),
        (&other, "this program knows no agents of kind `lock`"),
    ] {
        fs::write(&file, content).unwrap();
        let output = run(home.path(), &["sim", "replay", &file]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
}

#[test]
fn what_failed_is_told_even_if_it_cannot_be_kept() {
    let home = TempDir::new().unwrap();
    let folder = format!("{LOCAL}/folder");
    let arguments = ["sim", "run", LOCAL, "--seeds", "1", "--events", "150", "--keep", &folder];
    let output = run(home.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("seed 0: `the run ends within its events`"));
    assert!(text(&output.stderr).contains("failed to keep what failed in"));
}

#[test]
fn of_a_file_that_cannot_be_kept_nothing_stays_behind() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("kept");
    // In the place of the file there is something that no file can take.
    fs::create_dir_all(folder.join("local-seed-0.tape/in-the-way")).unwrap();
    let keep = folder.to_str().unwrap();
    let output =
        run(home.path(), &["sim", "run", LOCAL, "--seeds", "1", "--events", "150", "--keep", keep]);
    assert!(text(&output.stderr).contains("failed to keep what failed in"));
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["local-seed-0.tape"]);
}
