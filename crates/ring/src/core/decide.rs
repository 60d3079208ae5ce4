//! What a coordinator makes of what members report. Pure: reports in, verdict out.
//!
//! The safety argument is in `docs/design/0006-ring.md`; the names here are those there.

use std::collections::BTreeMap;

use dx_agents::AgentId;

use crate::batch::{BatchId, Entry};
use crate::marks;
use crate::message::{NewView, Report};
use crate::model::RingModel;
use crate::view::{Seat, Standing, View, ViewId};

/// What follows from the reports that there are.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More of them are needed.
    Wait,
    /// The next view.
    Change(NewView),
    /// Never again can a majority remember.
    Lost,
}

/// Reports by member.
pub type Reports = BTreeMap<AgentId, Report>;

/// Decides for `id`.
pub fn decide(
    id: ViewId,
    configured: &[AgentId],
    reports: &Reports,
    model: &dyn RingModel,
) -> Verdict {
    let installed = reports.values().filter_map(|report| report.installed.as_ref());
    let Some(highest) = installed.max_by_key(|view| view.id) else {
        return without_majority(id, configured, reports);
    };
    let admits = marks::admits(highest, &|member| has_installed(highest, member, reports));
    let counts = |seat: &Seat| {
        let is_same = reports.get(&seat.id).is_some_and(|report| report.life == seat.life);
        is_same && (seat.standing == Standing::Voter || admits)
    };
    if highest.roll.iter().filter(|seat| counts(seat)).count() < highest.quorum() {
        return without_majority(id, configured, reports);
    }
    let roll = highest.roll.iter().map(|seat| next_seat(*seat, admits, reports)).collect();
    let view = View { id, is_founding: false, roll };
    Verdict::Change(carry_over(view, highest, reports, model))
}

/// Whether a member is known to have installed the highest view.
fn has_installed(highest: &View, member: AgentId, reports: &Reports) -> bool {
    let knows = |report: &Report| report.installed.as_ref().is_some_and(|it| it.id == highest.id);
    reports
        .iter()
        .any(|(id, report)| knows(report) && (*id == member || report.installers.contains(&member)))
}

/// What the next view says of a member.
fn next_seat(seat: Seat, admits: bool, reports: &Reports) -> Seat {
    let standing = if admits { Standing::Voter } else { seat.standing };
    match reports.get(&seat.id) {
        Some(report) if report.life > seat.life => {
            Seat { life: report.life, standing: Standing::New, is_in: true, ..seat }
        }
        Some(report) => Seat { standing, is_in: report.life == seat.life, ..seat },
        None => Seat { standing, is_in: false, ..seat },
    }
}

/// Too few of those who answered remember. If nothing ever counted, the ring is founded (again).
fn without_majority(id: ViewId, configured: &[AgentId], reports: &Reports) -> Verdict {
    if reports.len() < configured.len() {
        return Verdict::Wait;
    }
    if reports.values().any(|report| report.is_marked) {
        return Verdict::Lost;
    }
    Verdict::Change(found(id, reports))
}

fn found(id: ViewId, reports: &Reports) -> NewView {
    let seat = |(id, report): (&AgentId, &Report)| Seat {
        id: *id,
        life: report.life,
        standing: Standing::Voter,
        is_in: true,
    };
    let view = View { id, is_founding: true, roll: reports.iter().map(seat).collect() };
    let entries = vec![Entry::View(view.clone())];
    let (holders, source) = (vec![view.first()], view.first());
    NewView { view, first: 1, entries, holders, source, needy: Vec::new() }
}

/// What those who installed the highest view hold goes into the next one: all that can have been
/// delivered, and what follows it without a gap.
fn carry_over(view: View, highest: &View, reports: &Reports, model: &dyn RingModel) -> NewView {
    let is_of_highest = |id: &AgentId, report: &Report| {
        let is_member = highest.seat(*id).is_some_and(|seat| seat.life == report.life);
        is_member && report.installed.as_ref().is_some_and(|it| it.id == highest.id)
    };
    let sources: Vec<(&AgentId, &Report)> =
        reports.iter().filter(|(id, report)| is_of_highest(id, report)).collect();
    let least = sources.iter().map(|(_, report)| report.delivered).min().unwrap_or(0);
    let most = sources.iter().map(|(_, report)| report.delivered).max().unwrap_or(0);
    let known = union(&sources);
    let mut cut = Cut::new(&view, reports);
    let mut next = least + 1;
    while let Some(entry) = known.get(&next) {
        if !cut.take(entry, next <= most) {
            break;
        }
        next += 1;
    }
    if !known.contains_key(&next) {
        let has_place = |id: BatchId| known.values().any(|entry| *entry == Entry::Batch(id));
        let pending = sources.iter().flat_map(|(_, report)| report.pending.clone());
        let pending = pending.filter(|pending| !has_place(pending.id)).collect();
        for id in model.order(highest, pending) {
            if !cut.take(&Entry::Batch(id), false) {
                break;
            }
        }
    }
    let Cut { mut entries, mut holders, .. } = cut;
    let of_most = sources.iter().find(|(_, report)| report.delivered == most);
    let source = of_most.map_or(view.first(), |(id, _)| **id);
    entries.push(Entry::View(view.clone()));
    holders.push(source);
    let needy = reports.iter().filter(|(id, report)| view.has(**id) && report.delivered < least);
    let needy = needy.map(|(id, _)| *id).collect();
    NewView { view, first: least + 1, entries, holders, source, needy }
}

/// The order as far as any of them knows it. They agree where several know a place: its model
/// gives each once, or the same everywhere.
fn union(sources: &[(&AgentId, &Report)]) -> BTreeMap<u64, Entry> {
    let mut known = BTreeMap::new();
    for (_, report) in sources {
        for (seq, entry) in (report.first..).zip(&report.entries) {
            known.entry(seq).or_insert_with(|| entry.clone());
        }
    }
    known
}

/// What is carried over, as it grows.
struct Cut {
    /// Stands for a holder where nobody has to ask one.
    nobody: AgentId,
    payload: BTreeMap<BatchId, AgentId>,
    entries: Vec<Entry>,
    holders: Vec<AgentId>,
}

impl Cut {
    fn new(view: &View, reports: &Reports) -> Self {
        let members = reports.iter().filter(|(id, _)| view.has(**id));
        let payload = members.flat_map(|(id, report)| report.payload.iter().map(|it| (*it, *id)));
        Self {
            nobody: view.first(),
            payload: payload.collect(),
            entries: Vec::new(),
            holders: Vec::new(),
        }
    }

    /// Takes one more; false if nobody has its payload. What somebody delivered is taken in any
    /// case: whoever has not delivered it holds it.
    fn take(&mut self, entry: &Entry, was_delivered: bool) -> bool {
        let holder = match entry {
            Entry::View(_) => Some(self.nobody),
            Entry::Batch(id) => self.payload.get(id).copied(),
        };
        let Some(holder) = holder.or(was_delivered.then_some(self.nobody)) else { return false };
        self.entries.push(entry.clone());
        self.holders.push(holder);
        true
    }
}

#[cfg(test)]
mod tests;
