//! A crash at every point: nothing acknowledged is lost, nothing is invented, order is kept.

use proptest::prelude::*;

use super::history::History;
use super::model::{Dice, Model};

/// One life: opens, appends and syncs until the disk goes down or `steps` are done.
fn live(history: &mut History, disk: &Model, dice: &mut Dice, steps: usize) {
    disk.limit_room(None, false);
    let mut journal = match history.open(disk) {
        Ok(journal) => journal,
        Err(error) => {
            assert!(disk.is_down(), "{error}");
            return;
        }
    };
    for _ in 0..steps {
        // Now and then the disk is full for a while; what was accepted stays accepted.
        match dice.roll(12) {
            0 => disk.limit_room(Some(4000 + dice.roll(20_000)), dice.roll(2) == 0),
            1..4 => disk.limit_room(None, dice.roll(2) == 0),
            _ => {}
        }
        for _ in 0..dice.roll(6) {
            history.append(&mut journal, dice);
        }
        history.sync(&mut journal);
        if disk.is_down() {
            return;
        }
    }
}

/// The power goes, or only the process.
fn end(disk: &Model, fate: &mut Dice) {
    if fate.roll(3) == 0 { disk.kill() } else { disk.crash(fate) }
}

/// Crashes at call `point` of the first life, and somewhere in each of the next three.
fn crash_at(seed: u64, steps: usize, point: usize) -> bool {
    let (mut dice, mut fate) = (Dice(seed), Dice(seed ^ point as u64));
    let (mut history, disk) = (History::default(), Model::default());
    disk.crash_after(point);
    live(&mut history, &disk, &mut dice, steps);
    let was_down = disk.is_down();
    for _ in 0..3 {
        end(&disk, &mut fate);
        disk.crash_after(fate.roll(40));
        live(&mut history, &disk, &mut dice, 3);
    }
    end(&disk, &mut fate);
    live(&mut history, &disk, &mut dice, 1);
    was_down
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged() {
    let mut cases = 0;
    for seed in 0..20 {
        for point in 0.. {
            cases += 1;
            if !crash_at(seed, 20, point) {
                break;
            }
        }
    }
    assert!(cases > 2000, "only {cases} cases");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1200))]

    #[test]
    fn any_history_of_lives_and_crashes_keeps_what_was_acknowledged(
        seed: u64,
        lives in prop::collection::vec((0usize..120, 1usize..30), 1..8),
    ) {
        let (mut dice, mut history, disk) = (Dice(seed), History::default(), Model::default());
        for (calls, steps) in lives {
            disk.crash_after(calls);
            live(&mut history, &disk, &mut dice, steps);
            end(&disk, &mut dice);
        }
        live(&mut history, &disk, &mut dice, 1);
        prop_assert!(!disk.is_down());
    }
}
