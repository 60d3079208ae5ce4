//! The certificates of a cluster, for people and for programs. No secret is in it.

use std::fmt::Write;
use std::time::SystemTime;

use dx_transport::id::ClusterId;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::home::{Certificate, Cluster, ClusterError, Node, NodeName};

/// All certificates of a cluster on this machine.
#[derive(Serialize)]
pub struct Report {
    cluster: ClusterId,
    folder: String,
    /// Whether the authority's key is here.
    can_issue: bool,
    authority: CertificateReport,
    nodes: Vec<NodeReport>,
}

/// A node's certificate.
#[derive(Serialize)]
pub struct NodeReport {
    name: NodeName,
    id: Option<u32>,
    #[serde(flatten)]
    certificate: Option<CertificateReport>,
    /// Whether it is time to renew it.
    due: bool,
    /// Why peers would refuse it.
    problem: Option<String>,
}

#[derive(Serialize)]
struct CertificateReport {
    fingerprint: String,
    valid_from: String,
    valid_until: String,
    days_left: u64,
}

impl Report {
    /// Of `cluster`, as it is at `now`.
    pub fn of(cluster: &Cluster, now: SystemTime) -> Result<Self, ClusterError> {
        // Reading them is what finds out whether they can be used.
        cluster.secret()?;
        let can_issue = cluster.can_issue()?;
        if can_issue {
            cluster.authority()?;
        }
        Ok(Self {
            cluster: cluster.name().clone(),
            folder: cluster.path().display().to_string(),
            can_issue,
            authority: CertificateReport::of(&cluster.authority_certificate()?, now),
            nodes: cluster.nodes()?.iter().map(|node| NodeReport::of(node, now)).collect(),
        })
    }

    /// Whether all nodes would be believed.
    pub fn is_well(&self) -> bool {
        self.nodes.iter().all(|node| node.problem.is_none())
    }

    /// As a table, with a heading.
    pub fn human(&self) -> String {
        let whose = if self.can_issue { "its key is here" } else { "its key is elsewhere" };
        let mut text = format!(
            "cluster    {}\nfolder     {}\nauthority  {}, valid until {} ({whose})\n",
            self.cluster,
            self.folder,
            self.authority.fingerprint,
            day(&self.authority.valid_until),
        );
        if !self.nodes.is_empty() {
            text.push('\n');
            text.push_str(&table(&self.nodes));
        }
        text
    }
}

impl NodeReport {
    /// Of `node`, as it is at `now`.
    pub fn of(node: &Node, now: SystemTime) -> Self {
        let certificate = node.certificate().ok();
        let problem = node.identity(None, now).err().map(|error| error.to_string());
        Self {
            name: node.name().clone(),
            id: certificate.as_ref().and_then(Certificate::node).map(|id| id.0),
            due: certificate.as_ref().is_some_and(|certificate| certificate.is_due(now)),
            certificate: certificate.map(|certificate| CertificateReport::of(&certificate, now)),
            problem,
        }
    }

    fn state(&self) -> &str {
        match &self.problem {
            Some(problem) => problem,
            None if self.due => "due: `dx cert renew`",
            None => "ok",
        }
    }
}

impl CertificateReport {
    fn of(certificate: &Certificate, now: SystemTime) -> Self {
        Self {
            fingerprint: certificate.fingerprint().to_string(),
            valid_from: date(certificate.from),
            valid_until: date(certificate.until),
            days_left: certificate.left(now).as_secs() / (24 * 60 * 60),
        }
    }
}

/// One line per node.
pub fn table(nodes: &[NodeReport]) -> String {
    let width = nodes.iter().map(|node| node.name.as_str().len()).max().unwrap_or(0).max(4);
    let mut text = String::new();
    if !nodes.is_empty() {
        text = format!("{:width$}  {:>6}  {:10}  STATE\n", "NODE", "ID", "UNTIL");
    }
    for node in nodes {
        let id = node.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let until = node.certificate.as_ref().map_or("-", |c| day(&c.valid_until));
        let name = node.name.as_str();
        writeln!(text, "{name:width$}  {id:>6}  {until:10}  {}", node.state())
            .expect("a string takes any text");
    }
    text
}

/// In the form of RFC 3339, in UTC.
fn date(time: SystemTime) -> String {
    let formatted = OffsetDateTime::from(time).format(&Rfc3339);
    formatted.expect("the date of a certificate has a year of four digits")
}

/// The date without the time of day.
fn day(date: &str) -> &str {
    date.split('T').next().unwrap_or(date)
}
