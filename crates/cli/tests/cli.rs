//! The built program from outside: usage errors, the shape of its output, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn dx(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dx"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    dx(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A run that would take minutes, with its figures on standard output.
fn long_run() -> Child {
    dx(&["bench", "--transport", "tcp", "--scenario", "throughput", "--duration", "0.3"])
        .args(["--json", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one_and_code_2() {
    for (option, wrong, nearest) in
        [("--transport", "tlss", "'tls'"), ("--scenario", "contol", "'control'")]
    {
        let output = run(&["bench", option, wrong]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("similar value exists: {nearest}")), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_written_is_known_at_once() {
    let output = run(&["bench", "--json", "/no/such/folder/figures.json"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("failed to create /no/such/folder/figures.json"), "{stderr}");
}

#[test]
fn json_is_a_header_and_then_one_object_per_figure() {
    let output = run(&[
        "bench",
        "--transport",
        "tcp,memory",
        "--scenario",
        "throughput,round-trip,all-to-all,shaped",
        "--quick",
        "--floor",
        "--json",
        "-",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (header, figures) = lines.split_first().unwrap();
    for field in
        ["dx", "libraries", "cores", "load_average", "congestion_control", "socket_buffers"]
    {
        assert!(!header["header"][field].is_null(), "no {field} in {header}");
    }
    assert!(figures.len() > 50, "{} figures", figures.len());
    for figure in figures {
        assert_eq!(figure["bench"], "transport");
        assert!(figure["scenario"].is_string() && figure["params"].is_object(), "{figure}");
        if figure["scenario"] == "shaped" {
            assert!(figure["skipped"].as_str().unwrap().contains("laboratory"), "{figure}");
            continue;
        }
        assert!(figure["metric"].is_string() && figure["unit"].is_string(), "{figure}");
        let value = figure.get("value").unwrap();
        assert!(value.is_null() || value.as_f64().is_some_and(|v| v >= 0.0), "{figure}");
        assert_eq!(
            figure.get("floor").is_some() && !value.is_null(),
            figure.get("ratio").is_some()
        );
    }
    let has_floor = |transport: &str| {
        figures.iter().any(|f| f["params"]["transport"] == transport && f.get("ratio").is_some())
    };
    assert!(has_floor("tcp") && !has_floor("memory"));
}

#[test]
fn resets_under_load_lose_double_and_reorder_nothing() {
    for transport in ["tcp", "tls", "quic", "memory"] {
        let output = run(&[
            "bench",
            "--transport",
            transport,
            "--scenario",
            "resume",
            "--quick",
            "--json",
            "-",
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let value = |metric: &str| {
            let figure = text(&output.stdout)
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap())
                .find(|figure| figure["metric"] == metric);
            figure.unwrap()["value"].as_f64().unwrap()
        };
        assert!(value("resets") >= 1.0, "{transport} was never reset");
        for fault in ["lost", "duplicated", "reordered"] {
            assert_eq!(value(fault).to_bits(), 0, "{transport}: {fault}");
        }
    }
}

#[test]
fn ctrl_c_keeps_what_was_measured_and_says_so() {
    let mut child = long_run();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (mut header, mut figure) = (String::new(), String::new());
    stdout.read_line(&mut header).unwrap();
    stdout.read_line(&mut figure).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
    for line in [figure.as_str()].into_iter().chain(rest.lines()) {
        assert!(serde_json::from_str::<Value>(line).unwrap()["scenario"].is_string(), "{line}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_a_word() {
    let mut child = long_run();
    let mut header = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut header).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn the_manual_names_the_options_and_completions_ask_the_program_itself() {
    for (arguments, expected) in [
        (&["completions", "bash"][..], "COMPLETE=\"bash\""),
        (&["completions", "zsh"], "#compdef dx"),
        (&["completions", "fish"], "complete --"),
        (&["completions", "elvish"], "edit:completion"),
        (&["completions", "powershell"], "Register-ArgumentCompleter"),
        (&["man"], "bench"),
    ] {
        let output = run(arguments);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains(expected), "{arguments:?}: {}", text(&output.stdout));
    }
}

#[test]
fn the_version_is_the_packages() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), concat!("dx ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_agents_bench_measures_every_scenario_and_loses_nothing() {
    let output = run(&["bench", "agents", "--quick", "--floor", "--agents", "2000", "--json", "-"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
    let figures: Vec<Value> = lines.skip(1).collect();
    let value = |scenario: &str, metric: &str| {
        let is_it = |f: &&Value| f["scenario"] == scenario && f["metric"] == metric;
        let values = figures.iter().filter(is_it).map(|figure| figure["value"].as_f64().unwrap());
        values.collect::<Vec<f64>>()
    };
    // A message that is lost, doubled or out of order makes a `failed` of the figure.
    for (scenario, metric, count) in [
        ("tell", "messages", 2),
        ("fan-in", "messages", 1),
        ("token", "hops", 1),
        ("ask", "round trip", 2),
        ("spawn", "spawn", 1),
        ("spawn", "idle agent", 1),
        ("spawn", "after a message", 1),
        ("offload", "jobs", 2),
        ("offload", "speed-up", 1),
        ("journal", "records", 2),
        ("remote-tell", "messages", 4),
        ("remote-ask", "p50", 8),
        ("remote-ask", "answers", 4),
    ] {
        let values = value(scenario, metric);
        assert_eq!(values.len(), count, "{scenario}: {metric}");
        assert!(values.iter().all(|value| *value > 0.0), "{scenario}: {metric}: {values:?}");
    }
    let has_floor = |f: &&Value| f.get("ratio").is_some();
    // Those of remote-ask are left out: on a busy machine they may have too few samples.
    let floors = figures.iter().filter(has_floor).filter(|f| f["scenario"] != "remote-ask");
    assert_eq!(floors.count(), 13);
}

#[test]
fn the_sim_bench_measures_every_scenario() {
    let output = run(&["bench", "sim", "--quick", "--json", "-"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
    let figures: Vec<Value> = lines.skip(1).collect();
    for (scenario, count) in [("rally", 2), ("crowd", 3), ("cost", 3)] {
        let of_it: Vec<&Value> = figures.iter().filter(|f| f["scenario"] == scenario).collect();
        assert_eq!(of_it.len(), count, "{scenario}");
        assert!(of_it.iter().all(|f| f["value"].as_f64().unwrap() > 0.0), "{of_it:?}");
        assert_eq!(of_it.iter().all(|f| f.get("ratio").is_some()), scenario == "cost");
    }
}

#[test]
fn the_scheduler_bench_measures_every_scenario() {
    let output = run(&["bench", "scheduler", "--quick", "--tasks", "200", "--json", "-"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines[0]["header"]["bench"], "scheduler");
    // A task that fails, is lost, runs twice or prints something else makes a `failed` of the
    // figure. Of other tools, those that are not installed are skipped.
    let is_own = |figure: &&Value| match figure["params"]["by"].as_str() {
        Some(by) => by == "dx",
        None => true,
    };
    let figures: Vec<&Value> = lines[1..].iter().filter(is_own).collect();
    for (scenario, count, has_floor) in [
        ("graphs", 2, true),
        ("follow", 3, true),
        ("spawn", 1, true),
        ("output", 1, true),
        ("sleep", 1, true),
        ("run", 2, true),
        ("submit", 2, false),
        ("no-exec", 2, false),
        ("restart", 1, true),
    ] {
        let of_it: Vec<&&Value> = figures.iter().filter(|f| f["scenario"] == scenario).collect();
        assert_eq!(of_it.len(), count, "{scenario}");
        assert!(of_it.iter().all(|f| f["value"].as_f64().unwrap() > 0.0), "{of_it:?}");
        assert!(of_it.iter().all(|f| f.get("ratio").is_some() == has_floor), "{of_it:?}");
    }
    // So few tasks take no memory that could be told from what a process takes anyway.
    let million: Vec<&&Value> = figures.iter().filter(|f| f["scenario"] == "million").collect();
    assert!(million.iter().all(|figure| figure["value"].is_number()), "{million:?}");
    assert_eq!(million.len(), 6);
    // So few tasks need no memory that could be told from what a process takes now and then.
    let million: Vec<&&Value> = figures.iter().filter(|f| f["scenario"] == "million").collect();
    assert!(million.iter().all(|figure| figure["value"].is_number()), "{million:?}");
    assert_eq!(million.len(), 6);
}
