//! `dx cert`: from arguments to exit code.

mod report;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::bail;
use dx_transport::id::NodeId;
use serde::Serialize;

use self::report::{NodeReport, Report};
use crate::cli::{Cert, CertAction};
use crate::exit;
use crate::home::{Certificate, Cluster, ClusterError, Home, Node, NodeName};

/// Does what was asked.
pub fn run(arguments: &Cert) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now();
    match &arguments.action {
        CertAction::Init => init(arguments, now),
        CertAction::Show => show(arguments, now),
        CertAction::Issue { node, id, replace } => issue(arguments, node, *id, *replace, now),
        CertAction::Renew { nodes } => renew(arguments, nodes, now),
        CertAction::Fingerprint { node } => fingerprint(arguments, node.as_ref()),
    }
}

fn init(arguments: &Cert, now: SystemTime) -> anyhow::Result<ExitCode> {
    let home = Home::of_this_user()?;
    if !home.create(&arguments.cluster)? {
        note(&format!("cluster {} is here already; nothing was changed", arguments.cluster));
    }
    print_report(arguments, &home.open(&arguments.cluster)?, now)
}

fn show(arguments: &Cert, now: SystemTime) -> anyhow::Result<ExitCode> {
    print_report(arguments, &cluster(arguments)?, now)
}

fn issue(
    arguments: &Cert,
    name: &NodeName,
    id: Option<NodeId>,
    replace: bool,
    now: SystemTime,
) -> anyhow::Result<ExitCode> {
    let node = cluster(arguments)?.node(name);
    let present = node.certificate().ok().as_ref().and_then(Certificate::node);
    let Some(id) = id.or(present).or_else(|| name.number()) else {
        bail!("which number has node {name}? add `--id N` with the id from the cluster file");
    };
    node.issue(id, now, replace)?;
    print_node(arguments, &node, now)
}

fn renew(arguments: &Cert, names: &[NodeName], now: SystemTime) -> anyhow::Result<ExitCode> {
    let cluster = cluster(arguments)?;
    let (mut renewed, mut failed) = (Vec::new(), false);
    for node in chosen(&cluster, names, now)? {
        match node.renew(now) {
            Ok(()) => renewed.push(NodeReport::of(&node, now)),
            Err(error) => {
                note(&error.to_string());
                failed = true;
            }
        }
    }
    if arguments.json {
        print_json(&renewed)?;
    } else {
        io::stdout().write_all(report::table(&renewed).as_bytes())?;
    }
    match renewed.len() {
        0 if !failed => note("no certificate is due; name nodes to renew theirs all the same"),
        0 => {}
        _ => note("a node that runs takes its new certificate at its next start"),
    }
    Ok(if failed { exit::FAILED } else { exit::OK })
}

/// The nodes that were named, or those whose certificates are due or damaged.
fn chosen(cluster: &Cluster, names: &[NodeName], now: SystemTime) -> anyhow::Result<Vec<Node>> {
    if !names.is_empty() {
        return Ok(names.iter().map(|name| cluster.node(name)).collect());
    }
    let mut nodes = cluster.nodes()?;
    nodes.retain(|node| node.certificate().map_or(true, |certificate| certificate.is_due(now)));
    Ok(nodes)
}

fn fingerprint(arguments: &Cert, node: Option<&NodeName>) -> anyhow::Result<ExitCode> {
    let cluster = cluster(arguments)?;
    let certificate = match node {
        Some(node) => cluster.node(node).certificate()?,
        None => cluster.authority_certificate()?,
    };
    let fingerprint = certificate.fingerprint().to_string();
    if arguments.json {
        print_json(&serde_json::json!({ "fingerprint": fingerprint }))?;
    } else {
        writeln!(io::stdout(), "{fingerprint}")?;
    }
    Ok(exit::OK)
}

fn cluster(arguments: &Cert) -> anyhow::Result<Cluster> {
    let name = &arguments.cluster;
    let home = Home::of_this_user()?;
    match home.open(name) {
        Err(error @ ClusterError::Unknown { .. }) => {
            let known: Vec<_> = home.clusters()?.iter().map(ToString::to_string).collect();
            let choose = if known.is_empty() {
                String::new()
            } else {
                format!(", and `--cluster` chooses one that is here ({})", known.join(", "))
            };
            bail!("{error}: `dx cert init --cluster {name}` makes one{choose}")
        }
        opened => Ok(opened?),
    }
}

fn print_report(arguments: &Cert, cluster: &Cluster, now: SystemTime) -> anyhow::Result<ExitCode> {
    let report = Report::of(cluster, now)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        io::stdout().write_all(report.human().as_bytes())?;
    }
    Ok(if report.is_well() { exit::OK } else { exit::FAILED })
}

fn print_node(arguments: &Cert, node: &Node, now: SystemTime) -> anyhow::Result<ExitCode> {
    let report = NodeReport::of(node, now);
    if arguments.json {
        print_json(&report)?;
    } else {
        io::stdout().write_all(report::table(&[report]).as_bytes())?;
    }
    Ok(exit::OK)
}

fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(io::stdout().write_all(&text)?)
}

/// Says something to people. If nobody listens, the exit code still tells.
fn note(text: &str) {
    drop(writeln!(io::stderr(), "dx: {text}"));
}
