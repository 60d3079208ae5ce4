//! Tapes: recorded, replayed, written and read.

use dx_sim::choices::Choices;
use dx_sim::tape::{Choice, Ending, Event, Point, Tape, TapeError, TapeFile};
use proptest::prelude::*;

/// What a run asks: a choice, a switch, or an event with some choices of its own.
#[derive(Clone, Debug)]
pub enum Ask {
    Choose(usize, u64),
    Switch(usize, u64),
    Event(usize, f64, Vec<(usize, u64)>),
}

const LABELS: [&str; 3] = ["delay", "order", "node"];

fn ask() -> impl Strategy<Value = Ask> {
    let choice = || (0..LABELS.len(), 1_u64..50);
    prop_oneof![
        choice().prop_map(|(label, bound)| Ask::Choose(label, bound)),
        choice().prop_map(|(label, bound)| Ask::Switch(label, bound)),
        (0..LABELS.len(), 0.0..1.0, prop::collection::vec(choice(), 0..4))
            .prop_map(|(label, probability, details)| Ask::Event(label, probability, details)),
    ]
}

/// All answers, in their order.
fn play(choices: &mut Choices, asks: &[Ask]) -> Vec<u64> {
    let mut answers = Vec::new();
    for ask in asks {
        match ask {
            Ask::Choose(label, bound) => answers.push(choices.choose(LABELS[*label], *bound)),
            Ask::Switch(label, bound) => answers.push(choices.switch(LABELS[*label], *bound)),
            Ask::Event(label, probability, details) => {
                let how = choices.event(LABELS[*label], *probability, |how| -> Vec<u64> {
                    details
                        .iter()
                        .map(|(label, bound)| how.choose(LABELS[*label], *bound))
                        .collect()
                });
                answers.push(u64::from(how.is_some()));
                answers.extend(how.into_iter().flatten());
            }
        }
    }
    answers
}

pub fn point(label: &'static str, at: u32) -> Point {
    Point { label: label.into(), at }
}

proptest! {
    #[test]
    fn a_replayed_tape_gives_the_same_answers_and_the_same_tape(seed in any::<u64>(), asks in prop::collection::vec(ask(), 0..40)) {
        let mut random = Choices::seeded(seed).recording();
        let answers = play(&mut random, &asks);
        let tape = random.tape().unwrap();
        let mut replay = Choices::replayed(&tape);
        prop_assert_eq!(play(&mut replay, &asks), answers);
        prop_assert_eq!(replay.misfits(), 0);
        prop_assert_eq!(replay.tape().unwrap(), tape);
    }

    #[test]
    fn more_questions_of_another_label_change_no_answer(seed in any::<u64>(), asks in prop::collection::vec(ask(), 0..20), more in prop::collection::vec(any::<bool>(), 20)) {
        let mut random = Choices::seeded(seed).recording();
        let answers = play(&mut random, &asks);
        let mut replay = Choices::replayed(&random.tape().unwrap());
        let mut again = Vec::new();
        for (ask, is_more) in asks.iter().zip(more) {
            if is_more {
                prop_assert_eq!(replay.choose("new", 9), 0);
            }
            again.extend(play(&mut replay, std::slice::from_ref(ask)));
        }
        prop_assert_eq!(again, answers);
    }

    #[test]
    fn what_is_written_is_what_is_read(seed in any::<u64>(), config in any::<u64>(), scenario in "([a-z]{1,4}( [a-z]{1,3}){0,2})?", has_ending in any::<bool>(), asks in prop::collection::vec(ask(), 0..40)) {
        let mut random = Choices::seeded(seed).recording();
        play(&mut random, &asks);
        let ending = has_ending.then(|| Ending { what: "a rule".to_owned(), text: scenario.clone(), trace: config, events: seed });
        let commit = "0a1b2c3".to_owned();
        let file = TapeFile { seed, commit, config, scenario, ending, tape: random.tape().unwrap() };
        let text = file.to_string();
        prop_assert_eq!(&text.parse::<TapeFile>().unwrap(), &file);
        let json = serde_json::to_string(&file.tape).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Tape>(&json).unwrap(), &file.tape);
        for (cut, _) in text.match_indices('\n').filter(|(cut, _)| cut + 1 < text.len()) {
            let read = text[..=cut].parse::<TapeFile>();
            prop_assert!(matches!(read, Err(TapeError::CutOff { .. })), "{read:?}");
        }
    }

    #[test]
    fn no_text_is_read_wrongly_or_panics(lines in prop::collection::vec("(  )?(choice|event|end|seed|x) ?(a|b|\u{0})? ?-?[0-9]{0,25} ?[0-9]{0,2}/?[0-9]{0,2}", 0..6)) {
        let text = format!("dx-tape 1\nseed 1\ncommit c\nconfig 0\n{}\nend\n", lines.join("\n"));
        if let Ok(file) = text.parse::<TapeFile>() {
            prop_assert_eq!(file.to_string().parse::<TapeFile>(), Ok(file));
        }
    }
}

#[test]
fn recording_changes_no_answer() {
    let draw = |mut choices: Choices| -> Vec<(u64, bool)> {
        (0..200).map(|bound| (choices.choose("x", bound + 1), choices.chance("y", 0.3))).collect()
    };
    assert_eq!(draw(Choices::seeded(7)), draw(Choices::seeded(7).recording()));
    assert_ne!(draw(Choices::seeded(7)), draw(Choices::seeded(8)));
    assert_eq!(Choices::seeded(7).tape(), None);
}

#[test]
fn what_cannot_be_otherwise_is_not_asked() {
    let mut choices = Choices::seeded(7).recording();
    assert_eq!(choices.choose("x", 1), 0);
    assert_eq!(choices.pick("x", &['a']), Some(&'a'));
    assert_eq!(choices.pick::<char>("x", &[]), None);
    assert!(!choices.chance("y", 0.0) && !choices.chance("y", f64::NAN));
    assert_eq!((choices.made(), choices.tape()), (0, Some(Tape::new())));
}

#[test]
fn probabilities_are_kept() {
    let mut choices = Choices::seeded(7);
    let hits = (0..10_000).filter(|_| choices.chance("y", 0.3)).count();
    assert!((2800..3200).contains(&hits), "{hits}");
    assert!((0..100).all(|_| choices.chance("y", 1.0)));
    assert!((0..1000).all(|_| (0.0..1.0).contains(&choices.unit("z"))));
}

#[test]
fn the_empty_tape_is_the_plainest_run() {
    let mut choices = Choices::replayed(&Tape::new());
    assert_eq!(choices.choose("delay", 10), 0);
    assert_eq!(choices.event("crash", 1.0, |_| ()), None);
    assert_eq!(choices.tape().unwrap(), Tape::new());
}

#[test]
fn answers_that_do_not_fit_are_counted() {
    let mut tape = Tape::new();
    tape.choose(point("delay", 0), Choice { bound: 10, value: 9 });
    tape.choose(point("delay", 1), Choice { bound: 10, value: 9 });
    tape.happen(point("crash", 5), Event::default());
    let mut crash = Event::default();
    crash.choose(point("node", 0), Choice { bound: 5, value: 4 });
    crash.choose(point("tear", 0), Choice { bound: 2, value: 1 });
    tape.happen(point("crash", 0), crash);
    let mut choices = Choices::replayed(&tape);
    assert_eq!(choices.choose("delay", 4), 3, "cut to the largest");
    assert_eq!(choices.event("crash", 0.1, |how| how.choose("node", 5)), Some(4));
    assert_eq!(choices.misfits(), 4, "the first delay, the second, the crash at 5, the tear");
}

#[test]
fn a_file_says_what_is_wrong_with_it() {
    let head = "dx-tape 1\nseed 1\ncommit c\nconfig 0\n";
    let table = [
        ("", "line 1: not a tape: it does not begin with `dx-tape 1`"),
        ("{\"seed\": 1}", "line 1: not a tape: it does not begin with `dx-tape 1`"),
        (
            "dx-tape 2\nseed 1",
            "line 1: a tape of version 2; this program reads version 1: use the program that wrote it",
        ),
        ("dx-tape 1\nseed x", "line 2: expected `seed NUMBER`, found `seed x`"),
        ("dx-tape 1\n# mine\n\nseed -1", "line 4: expected `seed NUMBER`, found `seed -1`"),
        ("dx-tape 1\nseed 1\nconfig 0", "line 3: expected `commit WORD`, found `config 0`"),
    ];
    let bodies = [
        (
            "choice a 0 5/5",
            "5: expected `choice LABEL N VALUE/BOUND`, `event LABEL N` or `end`, found `choice a 0 5/5`",
        ),
        ("choice a 0 1/5\nchoice a 0 2/5", "6: a second answer for a 0"),
        ("event a 0\n  choice b 3 1/5\n  choice b 3 1/5", "7: a second answer for b 3"),
        ("event a 0\nevent b 0\nevent a 0", "7: a second answer for a 0"),
        ("event a 0\nevent a 0", "6: a second answer for a 0"),
    ];
    let bodies = bodies.map(|(body, why)| (format!("{head}{body}\nend"), format!("line {why}")));
    let heads = table.map(|(text, why)| (text.to_owned(), why.to_owned()));
    for (text, why) in heads.into_iter().chain(bodies) {
        let error = text.parse::<TapeFile>().unwrap_err();
        assert_eq!(error.to_string(), why, "{text}");
    }
}
