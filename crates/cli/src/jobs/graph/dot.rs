//! A graph of jobs for Graphviz.

use std::collections::BTreeSet;
use std::fmt::Write;

use dx_scheduler::client::GraphView;
use dx_scheduler::id::JobId;

use super::{Tie, standing, svg, ties, title};

/// The graph in the language of `dot`.
#[must_use]
pub fn dot(graph: &GraphView) -> String {
    let there: BTreeSet<JobId> = graph.jobs.iter().map(|job| job.id).collect();
    let mut text = String::from(
        "digraph jobs {\n  rankdir=LR;\n  node [shape=box, style=filled, fontname=sans];\n",
    );
    for job in &graph.jobs {
        let label = format!("{}\n{}", title(job), standing(job));
        let (label, colour) = (quoted(&label), svg::fill(job.state));
        writeln!(text, "  {} [label={label}, fillcolor=\"{colour}\"];", job.id)
            .expect("a text has room");
    }
    for job in &graph.jobs {
        for (before, tie) in ties(job).filter(|(before, _)| there.contains(before)) {
            let style = if tie == Tie::Called { ", style=dashed" } else { "" };
            let label = quoted(&tie.word());
            writeln!(text, "  {before} -> {} [label={label}{style}];", job.id)
                .expect("a text has room");
        }
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", text.replace(|c: char| c.is_control(), " "))
}
