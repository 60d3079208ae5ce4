//! A graph of jobs as a tree of text: each job once, and where it comes again, a word that it is above.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use dx_scheduler::client::{GraphView, TiedJob};
use dx_scheduler::id::JobId;

use super::super::{Style, paint};
use super::{Tie, standing, ties, title};

/// The most jobs that stand below one in a tree; of more, how many there are.
const MAX_BELOW: usize = 100;

/// The most characters before a job: some 50 steps. What is deeper nobody can read.
const MAX_INDENT: usize = 150;

/// The tree below a job, or above it if `is_up`.
#[must_use]
pub fn tree(graph: &GraphView, root: JobId, is_up: bool, styled: bool) -> String {
    let jobs: BTreeMap<JobId, &TiedJob> = graph.jobs.iter().map(|job| (job.id, job)).collect();
    let mut below: BTreeMap<JobId, Vec<(JobId, Tie)>> = BTreeMap::new();
    for job in jobs.values() {
        for (before, tie) in ties(job).filter(|(before, _)| jobs.contains_key(before)) {
            let (from, to) = if is_up { (job.id, before) } else { (before, job.id) };
            below.entry(from).or_default().push((to, tie));
        }
    }
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    // What is left to be written: a job with what stands before it, the last first. No recursion:
    // chains may be long.
    let mut left = vec![Line { indent: String::new(), branch: "", item: Item::Job(root, None) }];
    while let Some(Line { indent, branch, item }) = left.pop() {
        let (id, tie) = match item {
            Item::Job(id, tie) => (id, tie),
            Item::More(count) => {
                writeln!(text, "{indent}{branch}{count} more").expect("a text has room");
                continue;
            }
        };
        let Some(job) = jobs.get(&id) else { continue };
        write!(text, "{indent}{branch}{}", title(job)).expect("a text has room");
        if indent.chars().count() > MAX_INDENT {
            writeln!(text, "  (deeper: `dx job tree {id}`)").expect("a text has room");
            continue;
        }
        if !seen.insert(id) {
            text.push_str("  (above)\n");
            continue;
        }
        let standing = paint(&standing(job), Style::from(job.state), styled);
        let tie = tie.map_or(String::new(), |tie: Tie| format!("  {}", tie.word()));
        writeln!(text, "  {standing}{tie}").expect("a text has room");
        let next = below.remove(&id).unwrap_or_default();
        let indent = match branch {
            "" => indent,
            "└─ " => indent + "   ",
            _ => indent + "│  ",
        };
        let more = next.len().saturating_sub(MAX_BELOW);
        let items = next.into_iter().take(MAX_BELOW).map(|(id, tie)| Item::Job(id, Some(tie)));
        let items: Vec<Item> = items.chain((more > 0).then_some(Item::More(more))).collect();
        let last = items.len();
        let lines = items.into_iter().enumerate().map(|(at, item)| {
            let branch = if at + 1 == last { "└─ " } else { "├─ " };
            Line { indent: indent.clone(), branch, item }
        });
        left.extend(lines.rev());
    }
    text
}

struct Line {
    indent: String,
    branch: &'static str,
    item: Item,
}

enum Item {
    Job(JobId, Option<Tie>),
    More(usize),
}
