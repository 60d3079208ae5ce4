//! Where nothing goes wrong.

use dx_agents::AgentId;
use dx_ring::run::{Command, Tally};

use super::results::{agreed, count, in_order_of_their_senders, recomputed, results, shown};
use super::terminal::User;

#[test]
fn one_sender_and_one_seed_give_the_same_over_every_transport() {
    let mut expected = Tally::default();
    for number in 1..=500 {
        let data = Command::data(7, AgentId(1), number);
        let Command::Data(value) = data else { unreachable!("it is a number") };
        expected.add(AgentId(1), value, &data.encode(100));
    }
    for transport in ["tcp", "tls", "quic"] {
        for members in ["1", "2", "3"] {
            let arguments = ["ring", "run", "--transport", transport, "--members", members];
            let rest = ["--messages", "500", "--senders", "1", "--seed", "7", "--size", "100"];
            let (code, stdout, stderr) = User::new().run(&[&arguments[..], &rest].concat());
            assert_eq!(code, 0, "{transport}, {members}: {stderr}");
            let results = results(&stdout);
            assert_eq!(results.len().to_string(), members);
            assert_eq!(agreed(&results), shown(&expected), "{transport}, {members}");
        }
    }
}

#[test]
fn all_senders_deliver_all_that_all_sent_in_one_order() {
    for members in [1, 2, 3, 16, 32] {
        let (lines, result) = all_deliver_all(members);
        assert_eq!(result, shown(&recomputed(&lines, count(&result), 64, None)));
    }
}

#[test]
#[ignore = "64 processes, the most there may be, take two cores longer than a test should"]
fn the_most_members_that_there_may_be_agree_too() {
    // On few cores many of them are left out for a while.
    let (lines, _) = all_deliver_all(64);
    in_order_of_their_senders(&lines);
}

/// What was said, and the result that all have.
fn all_deliver_all(members: usize) -> (Vec<String>, String) {
    let number = members.to_string();
    let arguments = ["ring", "run", "--members", &number, "--messages", "40", "--tell-own"];
    let (code, stdout, stderr) = User::new().run(&arguments);
    assert_eq!(code, 0, "{stderr}");
    let results = results(&stdout);
    assert_eq!(results.len(), members);
    let result = agreed(&results);
    assert_eq!(count(result), 40 * members as u64);
    (stderr.lines().map(str::to_owned).collect(), result.to_owned())
}

#[test]
fn a_run_for_a_time_leaves_nothing_behind() {
    let user = User::new();
    let times = ["--send-for", "300ms", "--grace-for", "100ms"];
    let arguments = [&["ring", "run", "--members", "3", "--json"][..], &times].concat();
    let (code, stdout, stderr) = user.run(&arguments);
    assert_eq!(code, 0, "{stderr}");
    let outcome: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(outcome["verdict"], "agree");
    let members = outcome["members"].as_array().unwrap();
    assert!(members.iter().all(|it| it["hash"] == members[0]["hash"] && it["count"] != 0));
    let left: Vec<_> = std::fs::read_dir(user.home()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
