//! Benches, and the front end that all of them share.
//!
//! A bench measures and reports [`report::Figure`]s to an [`output::Output`], which prints the
//! table, writes the JSON, draws the plot and shows progress. The JSON is stable:
//!
//! - The first line is `{"header": {...}}`: versions, cores, load, kernel settings, options.
//! - Every other line is one figure: `bench`, `scenario`, `params` (an object), `metric`, `unit`
//!   and `value`, which is `null` where there were too few samples; `floor` and `ratio` where the
//!   least that does the same work was measured in the same run.
//! - What there is no number of has `skipped` (this machine cannot) or `failed` (it went wrong), a
//!   text, instead of metric, unit and value.

pub mod agents;
pub mod child;
pub mod course;
pub mod cpu;
pub mod effort;
pub mod end;
pub mod floor;
pub mod header;
pub mod human;
pub mod json;
pub mod laboratory;
pub mod latency;
pub mod mesh;
pub mod output;
pub mod pace;
pub mod payload;
pub mod plot;
pub mod progress;
pub mod report;
pub mod ring;
pub mod scenario;
pub mod scheduler;
pub mod sim;
pub mod subject;
pub mod table;
pub mod transport;
