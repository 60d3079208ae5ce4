use std::time::Duration;

use dx_sim::tape::TapeFile;
use dx_sim::{Again, Failure, Scenario, Sim};

use crate::dice::{Player, low, make};

const SECOND: Duration = Duration::from_secs(1);

fn play(sim: &mut Sim) -> Result<(), Failure> {
    low(sim);
    sim.torment(SECOND, 1).map(drop)
}

fn kept() -> TapeFile {
    let report = Scenario { make, play }.explore(0..60);
    let file = report.first().unwrap().file("dice in\ntwo lines", "0.1.0", 0xfeed).unwrap();
    let read = file.to_string().parse().unwrap();
    assert_eq!(file, read);
    assert_eq!(read.scenario, "dice in two lines");
    read
}

#[test]
fn a_file_brings_the_same_run_back() {
    let replayed = Scenario { make, play }.replay_file(&kept());
    assert_eq!((replayed.verdict, replayed.misfits), (Again::Same, 0));
    assert_eq!(replayed.to_string(), "the same run, event by event");
    assert!(replayed.failure.is_some());
}

#[test]
fn a_file_of_code_that_has_changed_says_so() {
    let file = kept();
    let longer = |sim: &mut Sim| {
        sim.run_for(SECOND / 100)?;
        play(sim)
    };
    let replayed = Scenario { make, play: longer }.replay_file(&file);
    assert_ne!(replayed.verdict, Again::Same);
    let calm = |sim: &mut Sim| sim.run_for(SECOND / 10);
    let replayed = Scenario { make, play: calm }.replay_file(&file);
    assert_eq!(replayed.verdict, Again::Passes);
    assert!(replayed.misfits > 0);
    let text = replayed.to_string();
    assert!(text.starts_with("nothing fails any more; ") && text.contains("do not fit"), "{text}");
    let stricter = |sim: &mut Sim| {
        sim.always("nobody hears anything", |sim| {
            let heard = sim.agents_of::<Player>().any(|(_, it)| it.heard > 0);
            if heard { Err("somebody does".to_owned()) } else { Ok(()) }
        });
        play(sim)
    };
    let replayed = Scenario { make, play: stricter }.replay_file(&file);
    assert_eq!(replayed.verdict, Again::OtherRule);
}
