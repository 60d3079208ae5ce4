//! What members print, and what they should have printed: reckoned anew from what senders say.

use std::collections::BTreeMap;

use dx_agents::AgentId;
use dx_ring::run::{Command, Tally};

/// The lines of standard output, by member; what is no line of a member fails the test.
pub fn results(stdout: &str) -> BTreeMap<u64, String> {
    let lines = stdout.lines().map(|line| {
        let (id, rest) = line.strip_prefix("member ").unwrap().split_once("  ").unwrap();
        (id.parse().unwrap(), rest.to_owned())
    });
    lines.collect()
}

/// The lines of standard output, out of all that was printed.
pub fn stdout(lines: &[String]) -> String {
    let lines: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| line.starts_with("member ")).collect();
    lines.join("\n")
}

/// The one result of all members that have one.
pub fn agreed(results: &BTreeMap<u64, String>) -> &str {
    let mut all = results.values().filter(|it| it.starts_with('('));
    let first = all.next().expect("somebody has a result");
    assert!(all.all(|other| other == first), "{results:#?}");
    first
}

pub fn shown(tally: &Tally) -> String {
    let Tally { count, sum, hash } = tally;
    format!("({count}, {sum})  {:016x}  {hash:016x}", sum.to_bits())
}

/// The result, from what senders said of their own: `member 2: sent 17 3fe...`. What one that was
/// killed, or too slow and left out for a while, could not say, it sent: numbers follow from the seed.
pub fn recomputed(lines: &[String], count: u64, size: usize, killed: Option<u64>) -> Tally {
    let places = said(lines);
    let silent = killed.or_else(|| lines.iter().find_map(|line| left_out(line)));
    let (mut tally, mut numbers) = (Tally::default(), BTreeMap::<u64, u64>::new());
    for place in 1..=count {
        let said = places.get(&place).copied();
        let origin = said.map(|(origin, _)| origin).or(silent).expect("somebody sent it");
        let number = numbers.entry(origin).or_default();
        *number += 1;
        let data = Command::data(0, AgentId(origin), *number);
        let Command::Data(value) = data else { unreachable!("it is a number") };
        if let Some((_, bits)) = said {
            assert_eq!(bits, value.to_bits(), "message {number} of {origin}, at {place}");
        }
        tally.add(AgentId(origin), value, &data.encode(size));
    }
    tally
}

/// That each sender's numbers are in its order at the places that it said. Who was left out for a
/// while said only some of them: of several of those nobody knows who sent what was not said.
pub fn in_order_of_their_senders(lines: &[String]) {
    let (places, mut last) = (said(lines), BTreeMap::<u64, u64>::new());
    let most = places.len() as u64;
    for (place, (origin, bits)) in places {
        let number = last.entry(origin).or_default();
        let value = |number| match Command::data(0, AgentId(origin), number) {
            Command::Data(value) => value.to_bits(),
            other => unreachable!("{other:?} is no number"),
        };
        let found = (*number + 1..=most).find(|next| value(*next) == bits);
        *number = found.unwrap_or_else(|| panic!("{origin} sent nothing that is at {place}"));
    }
}

/// Who sent what at which place, as senders said it.
fn said(lines: &[String]) -> BTreeMap<u64, (u64, u64)> {
    let mut places = BTreeMap::new();
    for line in lines {
        if let Some((place, sent)) = sent(line) {
            let before = places.insert(place, sent);
            assert!(before.is_none_or(|before| before == sent), "two messages at {place}");
        }
    }
    places
}

/// Who got the state from others, and so did not see itself what it had sent before.
fn left_out(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("| member ")?;
    rest.split_once(": has caught up")?.0.parse().ok()
}

/// The place, the sender and the number's bits.
pub fn sent(line: &str) -> Option<(u64, (u64, u64))> {
    let (_, rest) = line.split_once("| member ")?;
    let (origin, rest) = rest.split_once(": sent ")?;
    let (place, bits) = rest.split_once(' ')?;
    Some((place.parse().ok()?, (origin.parse().ok()?, u64::from_str_radix(bits, 16).ok()?)))
}

/// The count of a result.
pub fn count(result: &str) -> u64 {
    result.trim_start_matches('(').split_once(',').unwrap().0.parse().unwrap()
}
