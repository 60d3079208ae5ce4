//! What is wrong with a configuration, and how it is shown.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::place::{Place, Source};

/// Something wrong at a place. The fault of whoever wrote it; nothing was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` if no source says anything about it.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What is wrong with what stands at the place, in a few words.
    pub label: String,
    /// Other places that belong to it.
    pub others: Vec<(Place, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem at `place`.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place: Some(place),
            message: printable(&message.into()),
            label: String::new(),
            others: Vec::new(),
            help: None,
        }
    }

    /// Says more at the place itself.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Shows another place.
    #[must_use]
    pub fn other(mut self, place: Place, label: impl Into<String>) -> Self {
        self.others.push((place, label.into()));
        self
    }
}

/// `text` without control characters: a key may be any text, and must not write on a terminal.
fn printable(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Every problem of a configuration, in the order in which they stand in its sources.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was read. Secrets are masked.
    pub sources: Vec<Source>,
    /// What is wrong with it; never empty.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Report {
    /// A report of `problems`, sorted and each told once.
    #[must_use]
    pub fn new(sources: Vec<Source>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems.dedup();
        Self { sources, problems }
    }

    /// The report for people: each problem with its line and a caret below what is wrong.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let shown = self.problems.iter().take(MAX_SHOWN);
        let mut texts: Vec<String> = shown.map(|one| self.render_one(one, &renderer)).collect();
        if self.problems.len() > MAX_SHOWN {
            texts.push(format!("... and {} more", self.problems.len() - MAX_SHOWN));
        }
        texts.join("\n\n")
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(&problem.message));
        let mut places: Vec<(&Place, &str, AnnotationKind)> = Vec::new();
        places.extend(problem.place.iter().map(|p| (p, &*problem.label, AnnotationKind::Primary)));
        let others = problem.others.iter();
        places.extend(others.map(|(p, label)| (p, &**label, AnnotationKind::Context)));
        // One snippet per source: the primary one first, and all of its places in it.
        let mut order: Vec<usize> = Vec::new();
        for (place, ..) in &places {
            if !order.contains(&place.source) {
                order.push(place.source);
            }
        }
        for index in order {
            let source = &self.sources[index];
            let here = places.iter().filter(|(place, ..)| place.source == index);
            let annotations = here.map(|(place, label, kind)| {
                let label = if label.is_empty() { None } else { Some(*label) };
                kind.span(span_within(place, &source.text)).label(label)
            });
            let snippet = Snippet::source(&source.text).path(&source.name).annotations(annotations);
            group = group.element(snippet);
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }
}

/// Problems that are shown to people: whoever has more made one mistake many times.
pub const MAX_SHOWN: usize = 50;

/// The bytes to underline: at least one, and no more than the first line of them.
fn span_within(place: &Place, text: &str) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(place.start);
    let end = text.ceil_char_boundary(place.end.max(start));
    let first_line = text[start..end].find('\n').map_or(end, |newline| start + newline);
    start..first_line.max(start)
}
