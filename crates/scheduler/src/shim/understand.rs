//! From what a caller sends to what the core takes: jobs are read once for all their tasks.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::end::NotStarted;
use crate::processor::{Call, Follow};

use super::core::{Parsed, ParsedFollow, ParsedRun};
use super::wire::{ToShim, WireError};
use super::work::Work;

/// Jobs that are remembered. A node seldom runs more than some at a time; one that is not
/// remembered is read again.
const REMEMBERED: usize = 16;

/// A job, or why it cannot be run.
type Understood = Result<Arc<Work>, NotStarted>;

/// The jobs that were read last.
#[derive(Debug, Default)]
pub struct Understanding {
    jobs: VecDeque<(Arc<str>, Understood)>,
}

impl Understanding {
    /// What a call means.
    ///
    /// # Errors
    /// If it cannot mean anything.
    pub fn of(&mut self, call: ToShim) -> Result<Parsed, WireError> {
        Ok(match call {
            ToShim::Runs { jobs, runs } => {
                let works: Vec<_> = jobs.iter().map(|json| self.job(json)).collect();
                let run = |it: super::wire::WireRun| {
                    let work = works.get(it.job as usize).ok_or(WireError::NoJob)?.clone();
                    Ok(ParsedRun { attempt: it.attempt, shim: it.shim, work, gpus: it.gpus.into() })
                };
                Parsed::Run(runs.into_iter().map(run).collect::<Result<_, WireError>>()?)
            }
            ToShim::Call(Call::Run(runs)) => Parsed::Run(
                runs.into_iter()
                    .map(|it| ParsedRun {
                        attempt: it.attempt,
                        shim: it.shim,
                        work: self.job(&it.spec),
                        gpus: it.gpus.into(),
                    })
                    .collect(),
            ),
            ToShim::Call(Call::Follow(Follow { job, wide, shim, since, spec, attempts })) => {
                let work = self.job(&spec);
                Parsed::Follow(ParsedFollow { job, wide, shim, since, work, attempts })
            }
            ToShim::Call(Call::Return(ids)) => Parsed::Return(ids),
            ToShim::Call(Call::Hello) => Parsed::Hello,
            ToShim::Call(Call::Kill(kills)) => Parsed::Kill(kills),
            ToShim::Call(Call::Status(ids)) => Parsed::Status(ids),
            ToShim::Call(Call::List) => Parsed::List,
            ToShim::Call(Call::Log(read)) => Parsed::Log(read),
            ToShim::Call(Call::Forget(ids)) => Parsed::Forget(ids),
            ToShim::Call(Call::DropLogs(ids)) => Parsed::DropLogs(ids),
            ToShim::Call(Call::Renew { clock, lease, term }) => {
                Parsed::Renew { clock, lease, term }
            }
            ToShim::Call(Call::Abandon { shim }) => Parsed::Abandon { shim },
            ToShim::Call(Call::Stop) => Parsed::Stop,
        })
    }

    fn job(&mut self, json: &Arc<str>) -> Understood {
        if let Some((_, work)) = self.jobs.iter().find(|(known, _)| known == json) {
            return work.clone();
        }
        let work = Work::parse(json).map(Arc::new);
        if self.jobs.len() == REMEMBERED {
            self.jobs.pop_front();
        }
        self.jobs.push_back((Arc::clone(json), work.clone()));
        work
    }
}
