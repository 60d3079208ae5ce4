//! Where a value comes from: a place in a source.

use std::fmt;
use std::ops::Range;

/// What a source is. The order is the order of the layers: later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// What is built in.
    Default,
    /// The machine's file.
    System,
    /// The user's file.
    User,
    /// A file named on the command line.
    File,
    /// A variable of the environment.
    Environment,
    /// `--set`.
    Set,
    /// Another option of the command line.
    Flag,
}

impl Layer {
    /// Whether the source is a file, and not one assignment.
    #[must_use]
    pub fn is_file(self) -> bool {
        matches!(self, Self::System | Self::User | Self::File)
    }
}

/// A text that sets values: a file, or one assignment such as `--set cluster.name=a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which layer it is of.
    pub layer: Layer,
    /// What people know it by: a path, the name of a variable, `--set`.
    pub name: String,
    /// What it says. An assignment is `key=value`.
    pub text: String,
}

impl Source {
    /// A source.
    pub fn new(layer: Layer, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { layer, name: name.into(), text: text.into() }
    }

    /// The line and column of a byte, from 1; columns count characters.
    #[must_use]
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// What `config show` says of a value at `byte`.
    #[must_use]
    pub fn describe(&self, byte: usize) -> String {
        match self.layer {
            Layer::System | Layer::User | Layer::File => {
                format!("{}:{}", self.name, self.line_and_column(byte).0)
            }
            Layer::Default | Layer::Environment | Layer::Set | Layer::Flag => self.name.clone(),
        }
    }
}

/// The place of a value or a key: bytes of the `source`th source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which source, in the order of the layers.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Place {
    /// The source of what nobody wrote: the first.
    pub const DEFAULTS: usize = 0;

    /// The place of all that nobody wrote.
    #[must_use]
    pub fn of_defaults() -> Self {
        Self::new(Self::DEFAULTS, 0..0)
    }

    /// The place of `span` in the `source`th source.
    #[must_use]
    pub fn new(source: usize, span: Range<usize>) -> Self {
        Self { source, start: span.start, end: span.end }
    }
}

/// The path of a key, as in `cluster.timing.silence`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath(pub Vec<String>);

impl KeyPath {
    /// The path of `keys`.
    #[must_use]
    pub fn new<const N: usize>(keys: [&str; N]) -> Self {
        Self(keys.map(str::to_owned).to_vec())
    }

    /// The path of `key` below this one.
    #[must_use]
    pub fn join(&self, key: &str) -> Self {
        Self(self.0.iter().map(String::as_str).chain([key]).map(str::to_owned).collect())
    }

    /// The keys as one can match on them.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
