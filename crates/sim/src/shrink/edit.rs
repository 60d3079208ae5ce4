//! Tapes with a part changed.

use crate::tape::{Choice, Label, Point, Tape};

/// A choice of a tape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// One that the run made by itself.
    Choice(Point),
    /// One that says how an event is.
    Detail { event: Point, detail: Point },
}

/// All occasions of one label: the places where the run could have gone another way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Choices(Label),
    Events(Label),
}

/// The occasions between two entries of a lane, at which nothing special happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) length: u32,
    /// Where the entry after it is.
    pub(super) end: u32,
}

/// All choices, in groups: first all that say how events are, then those of each label that has at
/// most `few`; labels with fewer choices come first.
pub(super) fn by_label(tape: &Tape, few: usize) -> Vec<Vec<Place>> {
    let mut groups: Vec<Vec<Place>> = Vec::new();
    let mut last = None;
    for point in tape.choices.keys() {
        if last.replace(&point.label) != Some(&point.label) {
            groups.push(Vec::new());
        }
        let group = groups.last_mut().expect("the first has begun one");
        group.push(Place::Choice(point.clone()));
    }
    groups.retain(|group| group.len() <= few);
    groups.sort_by_key(Vec::len);
    let details = tape.events.iter().flat_map(|(event, how)| {
        let details = how.details.keys().cloned();
        details.map(|detail| Place::Detail { event: event.clone(), detail })
    });
    groups.insert(0, details.collect());
    groups
}

/// The value of a choice, if it is not 0.
pub(super) fn value(tape: &Tape, place: &Place) -> Option<u64> {
    let choice = match place {
        Place::Choice(point) => tape.choices.get(point),
        Place::Detail { event, detail } => tape.events.get(event)?.details.get(detail),
    };
    choice.map(|choice| choice.value)
}

pub(super) fn without_events(tape: &Tape, events: &[Point]) -> Tape {
    let mut tape = tape.clone();
    for event in events {
        tape.events.remove(event);
    }
    tape
}

pub(super) fn without_choices(tape: &Tape, places: &[Place]) -> Tape {
    let mut tape = tape.clone();
    for place in places {
        match place {
            Place::Choice(point) => drop(tape.choices.remove(point)),
            Place::Detail { event, detail } => {
                if let Some(event) = tape.events.get_mut(event) {
                    event.details.remove(detail);
                }
            }
        }
    }
    tape
}

/// With another value, which must not be 0, for a choice that is on the tape.
pub(super) fn with_value(tape: &Tape, place: &Place, value: u64) -> Tape {
    let mut tape = tape.clone();
    let choice: Option<&mut Choice> = match place {
        Place::Choice(point) => tape.choices.get_mut(point),
        Place::Detail { event, detail } => {
            tape.events.get_mut(event).and_then(|event| event.details.get_mut(detail))
        }
    };
    choice.expect("only choices on the tape are lowered").value = value;
    tape
}

/// All labels with at most `few` entries.
pub(super) fn lanes(tape: &Tape, few: usize) -> Vec<Lane> {
    let events = tape.events.keys().map(|point| Lane::Events(point.label.clone()));
    let choices = tape.choices.keys().map(|point| Lane::Choices(point.label.clone()));
    let mut lanes: Vec<_> = events.chain(choices).collect();
    lanes.dedup();
    lanes.retain(|lane| entries(tape, lane).len() <= few);
    lanes
}

/// What is before the entry with this index in its lane; none if there is no such entry.
pub(super) fn gap(tape: &Tape, lane: &Lane, index: usize) -> Option<Gap> {
    let entries = entries(tape, lane);
    let end = *entries.get(index)?;
    let start = if index == 0 { 0 } else { entries[index - 1] + 1 };
    Some(Gap { length: end - start, end })
}

/// Without the `length` occasions before `end`, of which none is an entry: what comes later comes
/// sooner.
pub(super) fn without_block(tape: &Tape, lane: &Lane, end: u32, length: u32) -> Tape {
    shift(tape, lane, |at| if at >= end { Some(at - length) } else { Some(at) })
}

/// Without the entry and its occasion: what comes later comes sooner.
pub(super) fn without_entry(tape: &Tape, lane: &Lane, index: usize) -> Tape {
    let entry = entries(tape, lane)[index];
    shift(tape, lane, |at| match at.cmp(&entry) {
        std::cmp::Ordering::Less => Some(at),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(at - 1),
    })
}

/// With what comes from this choice on one occasion sooner, so that the choice itself is gone, or one
/// later.
pub(crate) fn shifted(tape: &Tape, from: &Point, is_sooner: bool) -> Tape {
    let lane = Lane::Choices(from.label.clone());
    shift(tape, &lane, |at| match at.cmp(&from.at) {
        std::cmp::Ordering::Less => Some(at),
        std::cmp::Ordering::Equal if is_sooner => None,
        _ if is_sooner => Some(at - 1),
        _ => at.checked_add(1),
    })
}

fn entries(tape: &Tape, lane: &Lane) -> Vec<u32> {
    let of = |points: &mut dyn Iterator<Item = &Point>, label: &Label| {
        points.filter(|point| point.label == *label).map(|point| point.at).collect()
    };
    match lane {
        Lane::Choices(label) => of(&mut tape.choices.keys(), label),
        Lane::Events(label) => of(&mut tape.events.keys(), label),
    }
}

fn shift(tape: &Tape, lane: &Lane, to: impl Fn(u32) -> Option<u32>) -> Tape {
    let moved = |point: &Point, label: &Label| {
        if point.label != *label {
            return Some(point.clone());
        }
        to(point.at).map(|at| Point { label: label.clone(), at })
    };
    let Tape { choices, events } = tape.clone();
    match lane {
        Lane::Choices(label) => {
            let moved =
                choices.into_iter().filter_map(|(at, what)| Some((moved(&at, label)?, what)));
            Tape { choices: moved.collect(), events }
        }
        Lane::Events(label) => {
            let moved =
                events.into_iter().filter_map(|(at, what)| Some((moved(&at, label)?, what)));
            Tape { choices, events: moved.collect() }
        }
    }
}
