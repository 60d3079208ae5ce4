//! A graph of jobs as a picture: columns by the longest way from the first, boxes in the order of
//! numbers.

use std::collections::BTreeMap;
use std::fmt::Write;

use dx_scheduler::client::{GraphView, JobState, TiedJob};
use dx_scheduler::id::JobId;

use super::{Tie, standing, ties, title};

/// The most jobs that are drawn: more, nobody can read.
const MAX_DRAWN: usize = 1_000;

/// The most characters of a line in a box.
const MAX_LINE: usize = 30;

/// A box, and the space beside and below it, in pixels.
const BOX: (usize, usize) = (240, 44);
const SPACE: (usize, usize) = (70, 16);
const MARGIN: usize = 20;

/// A graph that is not drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} jobs are more than can be read as a picture, at most {MAX_DRAWN}: ask for fewer `--steps`, or write `--dot`"
)]
pub struct TooLarge(usize);

/// The graph as SVG.
///
/// # Errors
/// If it has too many jobs.
pub fn svg(graph: &GraphView) -> Result<String, TooLarge> {
    if graph.jobs.len() > MAX_DRAWN {
        return Err(TooLarge(graph.jobs.len()));
    }
    let places = places(&graph.jobs);
    let most = |of: fn(&(usize, usize)) -> usize| places.values().map(of).max().unwrap_or(0) + 1;
    let (columns, rows) = (most(|it| it.0), most(|it| it.1));
    let width = 2 * MARGIN + columns * (BOX.0 + SPACE.0) - SPACE.0;
    let height = 2 * MARGIN + rows * (BOX.1 + SPACE.1) - SPACE.1;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <style>path{{fill:none;stroke:#888;stroke-width:1.5}}path.called{{stroke-dasharray:4}}\
         rect{{stroke:#444}}</style>\n"
    );
    for job in &graph.jobs {
        for (before, tie) in ties(job) {
            if let Some(from) = places.get(&before) {
                line(&mut text, corner(*from), corner(places[&job.id]), tie);
            }
        }
    }
    for job in &graph.jobs {
        draw(&mut text, job, corner(places[&job.id]));
    }
    text.push_str("</svg>\n");
    Ok(text)
}

/// Column and row of each job.
fn places(jobs: &[TiedJob]) -> BTreeMap<JobId, (usize, usize)> {
    let mut places: BTreeMap<JobId, (usize, usize)> = BTreeMap::new();
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    // What is before a job has a lower number, and is placed already.
    for job in jobs {
        let before = ties(job).filter_map(|(before, _)| places.get(&before));
        let column = before.map(|(column, _)| column + 1).max().unwrap_or(0);
        let row = rows.entry(column).or_default();
        places.insert(job.id, (column, *row));
        *row += 1;
    }
    places
}

fn corner((column, row): (usize, usize)) -> (usize, usize) {
    (MARGIN + column * (BOX.0 + SPACE.0), MARGIN + row * (BOX.1 + SPACE.1))
}

fn line(text: &mut String, from: (usize, usize), to: (usize, usize), tie: Tie) {
    let (x, y) = (from.0 + BOX.0, from.1 + BOX.1 / 2);
    let (u, v) = (to.0, to.1 + BOX.1 / 2);
    let (middle, class) =
        (usize::midpoint(x, u), if tie == Tie::Called { "called" } else { "after" });
    writeln!(
        text,
        "<path class=\"{class}\" d=\"M{x},{y} C{middle},{y} {middle},{v} {u},{v}\"><title>{}</title></path>",
        tie.word()
    )
    .expect("a text has room");
}

fn draw(text: &mut String, job: &TiedJob, (x, y): (usize, usize)) {
    let (width, height) = BOX;
    let (title, standing) = (title(job), standing(job));
    writeln!(
        text,
        "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{}\"/>\
         <text x=\"{tx}\" y=\"{}\" font-weight=\"bold\">{}</text><text x=\"{tx}\" y=\"{}\">{}</text></g>",
        escaped(&format!("{title}: {standing}")),
        fill(job.state),
        y + 18,
        escaped(&shortened(&title)),
        y + 36,
        escaped(&shortened(&standing)),
        tx = x + 10,
    )
    .expect("a text has room");
}

/// The colour of a state.
pub(super) fn fill(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "#eeeeee",
        JobState::Held => "#d9d2e9",
        JobState::Running => "#cfe2f3",
        JobState::Succeeded => "#d9ead3",
        JobState::Failed => "#f4cccc",
        JobState::Cancelled => "#fce5cd",
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_LINE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace(|c: char| c.is_control(), " ")
}
