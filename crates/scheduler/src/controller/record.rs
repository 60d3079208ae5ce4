//! Batches as records of the journal, and what a start makes of them.

use dx_agents::Recovered;
use dx_transport::codec;

use crate::core::{Batch, Core};

/// The version of records; their first byte.
const VERSION: u8 = 1;

/// A batch as a record.
pub fn encode(batch: &Batch) -> Vec<u8> {
    let mut record = vec![VERSION];
    codec::encode_into(batch, codec::MAX_ENCODED, &mut record)
        .expect("a step's events are fewer than fill a record");
    record
}

/// A batch again.
fn decode(record: &[u8]) -> Result<Batch, String> {
    match record.split_first() {
        Some((&VERSION, batch)) => codec::decode(batch).map_err(|error| error.to_string()),
        Some((version, _)) => Err(format!("it is of version {version}, not {VERSION}")),
        None => Err("it is empty".to_owned()),
    }
}

/// Brings a core to where the journal says it was.
///
/// # Panics
/// If a snapshot or record is of another version: it was written by a later program, and nobody knows what this
/// one would make of the rest.
pub fn recover(core: &mut Core, recovered: &Recovered) {
    if let Some(snapshot) = &recovered.snapshot
        && let Err(what) = core.restore(snapshot)
    {
        panic!("the controller's snapshot is not understood: {what}");
    }
    for (at, record) in recovered.records.iter().enumerate() {
        match decode(record) {
            Ok(batch) => core.replay(&batch),
            Err(what) => {
                panic!("record {at} of the controller's journal is not understood: {what}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use dx_agents::NodeId;

    use super::*;
    use crate::core::{Decision, Doom, EndOf, Event, How, Loss, Then};
    use crate::end::{End, Exit, Finish, TaskState};
    use crate::id::{AttemptId, JobId, ShimId, Term};
    use crate::message::Assigned;
    use crate::processor::Certainty;

    /// Every kind of event once.
    fn all() -> Batch {
        let (job, node) = (JobId(7), NodeId(2));
        let shim = ShimId { node, incarnation: 5 };
        let attempt = job.task(3).attempt(1);
        let runs = vec![Assigned { job, first: 3, count: 2, number: 1 }];
        let indices = vec![(0, 9)];
        let reason = Some("why".to_owned());
        let finish = Finish {
            end: End::Failed,
            command: 0,
            exit: Some(Exit::Code(3)),
            not_started: None,
            yielded: true,
            detached: false,
            ran: 1_000_000,
            cpu: 1_000,
            max_rss: 4_096,
            printed: 10,
            kept: 10,
        };
        let told = How::Told(Box::new(finish));
        let ends = vec![
            EndOf { attempt, how: told, then: Then::Again(1_700_000_000_500) },
            EndOf { attempt, how: How::Lost(Loss::Silence), then: Then::Over(TaskState::Lost) },
        ];
        let events = vec![
            Event::Began(Term(3)),
            Event::Submitted { job, spec: "{}".into(), by: "me".to_owned() },
            Event::Joined {
                shim,
                capacity: "{}".into(),
                kill: Certainty::BestEffort,
                memory: true,
            },
            Event::GaveUp(shim),
            Event::Assigned { shim, runs: runs.clone() },
            Event::Moved { is_running: true, runs: runs.clone() },
            Event::Ended(ends),
            Event::Returned { runs, then: TaskState::Queued },
            Event::Overran(vec![attempt]),
            Event::Doomed {
                job,
                indices: indices.clone(),
                now: true,
                why: Doom::Deadline,
                reason: reason.clone(),
            },
            Event::Set {
                job,
                indices: indices.clone(),
                state: TaskState::Held,
                reason: reason.clone(),
            },
            Event::HoldWanted { job, indices: indices.clone(), wanted: true },
            Event::Reopened { job, indices },
            Event::Prioritised { job, priority: -1 },
            Event::RemovalWanted(job),
            Event::Removed(job),
            Event::Drained { node, reason },
            Event::Undrained(node),
            Event::Quarantined { node, until: 9, reason: "bad".to_owned() },
            Event::Decided { job, indices: vec![(1, 2)], decision: Decision::Run },
            Event::Decided {
                job,
                indices: vec![(1, 2)],
                decision: Decision::Abort { via: JobId(5), root: JobId(3) },
            },
        ];
        let events = events.into_iter().chain(of_calls(job, attempt)).collect();
        Batch { at: 1_700_000_000_000, events }
    }

    fn of_calls(job: JobId, attempt: AttemptId) -> [Event; 4] {
        [
            Event::Called { job, by: attempt },
            Event::Revived { job, indices: vec![(1, 2)], via: JobId(5) },
            Event::Waits { attempt, on: vec![JobId(8), JobId(9)] },
            Event::Resumed(vec![attempt]),
        ]
    }

    /// What a released version wrote must be read by all that follow.
    #[test]
    fn a_record_is_the_golden_one() {
        let mut hex = String::new();
        for byte in encode(&all()) {
            write!(hex, "{byte:02x}").expect("a text has room");
        }
        assert_eq!(hex, include_str!("record/golden.hex").trim());
    }

    #[test]
    fn a_record_is_the_same_again_and_another_version_is_refused() {
        let mut record = encode(&all());
        assert_eq!(decode(&record), Ok(all()));
        record[0] += 1;
        assert_eq!(decode(&record), Err("it is of version 2, not 1".to_owned()));
        assert!(decode(&[]).is_err() && decode(&[VERSION, 1]).is_err());
    }
}
