//! On what and with what was measured: the first line of every report.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// The version of dx, as `dx --version` prints it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The machine, the kernel's settings, and the versions of what was measured.
///
/// What cannot be read on this system is left out.
#[derive(Clone, Debug, Serialize)]
pub struct Header {
    /// The bench that ran.
    pub bench: &'static str,
    /// The version of dx,
    pub dx: &'static str,
    /// and the commit that it was built from; `+` after it means with changes.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub commit: &'static str,
    /// Whether the compiler optimised.
    pub optimised: bool,
    /// Versions of the libraries underneath.
    pub libraries: BTreeMap<&'static str, &'static str>,
    /// Seconds since the Unix epoch at the start.
    pub started: u64,
    /// The operating system's kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The processor's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Load averages over 1, 5 and 15 minutes at the start. Above zero, something else competes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_average: Option<[f64; 3]>,
    /// TCP's congestion control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion_control: Option<String>,
    /// The kernel's limits for socket buffers, by the name of the setting.
    pub socket_buffers: BTreeMap<&'static str, String>,
    /// How it was measured: the options of the bench.
    pub options: BTreeMap<&'static str, String>,
}

/// The settings of the kernel that bound socket buffers.
const SOCKET_BUFFERS: [(&str, &str); 4] = [
    ("tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem"),
    ("tcp_wmem", "/proc/sys/net/ipv4/tcp_wmem"),
    ("rmem_max", "/proc/sys/net/core/rmem_max"),
    ("wmem_max", "/proc/sys/net/core/wmem_max"),
];

impl Header {
    /// Reads the machine's state now.
    #[must_use]
    pub fn new(bench: &'static str, options: BTreeMap<&'static str, String>) -> Self {
        Self {
            bench,
            dx: VERSION,
            commit: env!("DX_COMMIT"),
            optimised: !cfg!(debug_assertions),
            libraries: libraries(env!("DX_LIBRARIES")),
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            kernel: read("/proc/sys/kernel/osrelease"),
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: read("/proc/loadavg").and_then(|line| load_average(&line)),
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control"),
            socket_buffers: SOCKET_BUFFERS
                .iter()
                .filter_map(|(name, file)| Some((*name, read(file)?.replace('\t', " "))))
                .collect(),
            options,
        }
    }

    /// The header in one or two lines for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let commit = if self.commit.is_empty() { "unknown commit" } else { self.commit };
        let load = self.load_average.map_or(0.0, |[one, ..]| one);
        let mut text = format!(
            "dx {} ({commit}), {} cores, load average {load}, kernel {}, congestion control {}\n",
            self.dx,
            self.cores,
            self.kernel.as_deref().unwrap_or("unknown"),
            self.congestion_control.as_deref().unwrap_or("unknown"),
        );
        if !self.optimised {
            text.push_str("built without optimisation: only good for trying it out\n");
        }
        text
    }
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

fn libraries(list: &'static str) -> BTreeMap<&'static str, &'static str> {
    list.split(',').filter_map(|library| library.split_once(' ')).collect()
}

fn load_average(line: &str) -> Option<[f64; 3]> {
    let mut numbers = line.split_whitespace().map(str::parse::<f64>);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
}

fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_averages_are_the_first_three_numbers() {
        assert_eq!(load_average("0.25 0.53 0.31 1/200 4711"), Some([0.25, 0.53, 0.31]));
        assert_eq!(load_average("nonsense"), None);
    }

    #[test]
    fn the_build_names_its_libraries() {
        let versions = libraries(env!("DX_LIBRARIES"));
        assert!(versions.contains_key("tokio"), "{versions:?}");
    }
}
