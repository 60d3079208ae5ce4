//! The models beside `flow`.

use std::collections::BTreeSet;

use dx_agents::AgentId;
use dx_ring::run::{Command, Tally};

use super::results::{agreed, count, recomputed, results, shown};
use super::terminal::User;

const NO_GUARANTEE: &str = "the model naive does not guarantee that members agree";

/// What comes of a number of messages from each: where all agree, it is also what all sent.
fn agreed_of(model: &str, members: u64, each: u64, more: &[&str]) -> (String, String) {
    let (count_of_members, each_text) = (members.to_string(), each.to_string());
    let run = ["ring", "run", "--model", model, "--members", &count_of_members, "--tell-own"];
    let arguments = [&run[..], &["--messages", &each_text], more].concat();
    let (code, stdout, stderr) = User::new().run(&arguments);
    assert_eq!(code, 0, "{stderr}");
    let results = results(&stdout);
    assert_eq!(results.len() as u64, members);
    let result = agreed(&results).to_owned();
    assert_eq!(count(&result), members * each);
    let lines: Vec<String> = stderr.lines().map(str::to_owned).collect();
    if model == "naive" {
        assert_eq!(result, in_turn(members, each));
    }
    // A naive member alone begins as its node starts, when nothing of it is shown yet.
    if (model, members) != ("naive", 1) {
        assert_eq!(result, shown(&recomputed(&lines, members * each, 64, None)));
    }
    (result, stderr)
}

/// What comes of a run whose members were in one view from its start to its end. Where they start
/// slowly there may be two, and who sends what in which turn is another then.
fn in_one_view(model: &str, members: u64, each: u64, more: &[&str]) -> String {
    (0..10)
        .map(|_| agreed_of(model, members, each, more))
        .find(|(_, stderr)| !stderr.contains(": view 2 "))
        .expect("one of ten runs begins and ends in one view")
        .0
}

/// The result where members send one after the other.
fn in_turn(members: u64, each: u64) -> String {
    let mut tally = Tally::default();
    for (number, member) in (1..=each).flat_map(|n| (1..=members).map(move |m| (n, m))) {
        let data = Command::data(0, AgentId(member), number);
        let Command::Data(value) = data else { unreachable!("it is a number") };
        tally.add(AgentId(member), value, &data.encode(64));
    }
    shown(&tally)
}

#[test]
fn all_models_deliver_all_that_all_sent_in_one_order() {
    for model in ["flow", "lcr", "confirmed", "naive"] {
        for members in [1, 2, 5] {
            let (_, stderr) = agreed_of(model, members, 40, &[]);
            assert_eq!(stderr.contains(NO_GUARANTEE), model == "naive", "{stderr}");
        }
    }
}

#[test]
fn naive_members_send_one_after_the_other_so_a_seed_says_what_comes_of_it() {
    for transport in ["tcp", "tls", "quic"] {
        let (result, _) = agreed_of("naive", 3, 50, &["--transport", transport]);
        assert_eq!(result, in_turn(3, 50));
    }
}

#[test]
fn a_seed_says_what_comes_of_confirmed_members_too() {
    let all = ["tcp", "tls", "quic"];
    let of = |transport| in_one_view("confirmed", 3, 300, &["--transport", transport]);
    assert_eq!(BTreeSet::from(all.map(of)).len(), 1);
}

#[test]
fn confirmed_members_agree_although_messages_get_lost() {
    agreed_of("confirmed", 4, 100, &["--drop", "10%"]);
}

#[test]
fn naive_members_that_lose_messages_disagree_and_it_is_said_that_they_may() {
    let arguments = ["ring", "run", "--model", "naive", "--drop", "10%", "--send-for", "500ms"];
    let (code, stdout, stderr) =
        User::new().run(&[&arguments[..], &["--grace-for", "1s"]].concat());
    assert_eq!(code, 1, "{stderr}");
    let results = results(&stdout);
    assert!(results.values().all(|it| it.starts_with('(')), "{results:#?}");
    assert!(results.values().collect::<BTreeSet<_>>().len() > 1, "{results:#?}");
    assert!(stderr.contains("members disagree") && stderr.contains(NO_GUARANTEE), "{stderr}");
}
