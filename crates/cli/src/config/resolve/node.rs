//! Nodes, and addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dx_transport::address::Address;
use dx_transport::id::NodeId;

use super::{Resolver, read};
use crate::config::cluster::NodeSpec;
use crate::config::file::{NodeTable, TRANSPORTS};
use crate::config::nearest::{any_of, nearest};
use crate::config::place::KeyPath;
use crate::config::rules::Broken;
use crate::config::settings::OfferTable;
use crate::home::NodeName;

impl Resolver<'_> {
    /// The nodes that have a table of their own.
    pub(super) fn nodes(&mut self, transport: &str) -> Vec<NodeSpec> {
        let mut nodes = Vec::new();
        for (name, entry) in self.section("node") {
            let node = read(&entry).and_then(|table| self.node(&name, table, transport));
            match node {
                Some(node) => nodes.push(node),
                None => drop(self.unreadable.insert(name)),
            }
        }
        nodes
    }

    fn node(&mut self, name: &str, table: NodeTable, transport: &str) -> Option<NodeSpec> {
        let mut parse = |key: &str, text: &str| {
            let address = address(text, transport);
            address
                .map_err(|broken| self.broken.push(broken(KeyPath::new(["node", name, key]))))
                .ok()
        };
        let address = parse("address", &table.address);
        let listen = table.listen.as_deref().map(|listen| parse("listen", listen));
        let node_name = name.parse::<NodeName>().map_err(|error| {
            self.broken.push(Broken::new(KeyPath::new(["node", name]), error.to_string()));
        });
        let (node_name, address) = (node_name.ok()?, address?);
        let listen = listen.unwrap_or_else(|| Some(address.clone()))?;
        Some(NodeSpec {
            id: NodeId(table.id),
            name: node_name,
            address,
            listen,
            roles: table.roles,
            labels: table.labels,
            offer: table.offer,
        })
    }

    /// The node at `ip` and `port`: one that has a table, or else one of its own, whose id is that
    /// of the first agent on it.
    pub(super) fn node_at(
        &mut self,
        (ip, port): (IpAddr, u16),
        agent: u32,
        transport: &str,
        nodes: &mut Vec<NodeSpec>,
    ) -> Option<NodeId> {
        let endpoint = std::net::SocketAddr::new(ip, port).to_string();
        if let Some(node) = nodes.iter().find(|node| node.address.endpoint() == endpoint) {
            return Some(node.id);
        }
        let name = format!("n{agent}");
        let path = KeyPath::new(["agent", &agent.to_string(), "port"]);
        let by_id: BTreeMap<u32, &NodeSpec> = nodes.iter().map(|node| (node.id.0, node)).collect();
        if agent == 0 {
            let message = "agent 0 would make a node 0, and nodes are numbered from 1";
            self.broken.push(Broken::new(path, message).help("give the node a table of its own"));
            return None;
        }
        let taken =
            by_id.get(&agent).copied().or_else(|| nodes.iter().find(|n| n.name.as_str() == name));
        if let Some(taken) = taken {
            let message = format!(
                "agent {agent} makes a node `{name}` of id {agent} at {endpoint}, and there is `{}` of id {} already",
                taken.name, taken.id.0
            );
            self.broken.push(
                Broken::new(path, message)
                    .other(KeyPath::new(["node", taken.name.as_str(), "id"]), "it is here")
                    .help(format!("give the node at {endpoint} a table of its own")),
            );
            return None;
        }
        let address =
            Address::new(transport, &endpoint).expect("a socket's address is an endpoint");
        nodes.push(NodeSpec {
            id: NodeId(agent),
            name: name.parse().expect("a letter and digits are a name"),
            listen: address.clone(),
            address,
            roles: Vec::new(),
            labels: BTreeMap::new(),
            offer: OfferTable::default(),
        });
        Some(NodeId(agent))
    }
}

/// What is wrong with an address, once it is known whose it is.
type Wrong = Box<dyn Fn(KeyPath) -> Broken>;

/// The address that `text` is, over `transport` unless it names one.
fn address(text: &str, transport: &str) -> Result<Address, Wrong> {
    let wrong = |message: String, help: String| -> Wrong {
        Box::new(move |path| Broken::new(path, message.clone()).help(help.clone()))
    };
    let (transport, endpoint) = text.split_once("://").unwrap_or((transport, text));
    if !TRANSPORTS.contains(&transport) {
        let help = match nearest(transport, TRANSPORTS) {
            Some(meant) => format!("did you mean `{meant}://{endpoint}`?"),
            None => format!("write {}", any_of(TRANSPORTS)),
        };
        return Err(wrong(format!("there is no transport `{}`", transport.escape_debug()), help));
    }
    let example = || "write `host:port`, as in `127.0.0.1:7001`, `[::1]:7001` or `a.example:7001`";
    let address = Address::new(transport, endpoint)
        .map_err(|error| wrong(error.to_string(), example().to_owned()))?;
    match why_no_endpoint(endpoint) {
        None => Ok(address),
        Some(reason) => {
            let shown = endpoint.escape_debug();
            Err(wrong(format!("`{shown}` is no address: {reason}"), example().to_owned()))
        }
    }
}

/// Why `endpoint` is not a host and a port.
fn why_no_endpoint(endpoint: &str) -> Option<String> {
    let Some((host, port)) = endpoint.rsplit_once(':') else {
        return Some("the port is missing".to_owned());
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit())
        || !port.parse().is_ok_and(|port: u16| port > 0)
    {
        return Some(format!(
            "a port is a number from 1 to 65535, and not `{}`",
            port.escape_debug()
        ));
    }
    let is_v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(host) = is_v6 {
        let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
        return (!is_address).then(|| format!("`{host}` is no IPv6 address"));
    }
    if host.contains(':') {
        return Some("an IPv6 address stands in brackets".to_owned());
    }
    let is_numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Some(format!("`{host}` is no IPv4 address"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let is_host = host.strip_suffix('.').unwrap_or(host).split('.').all(is_label);
    (!is_host).then(|| format!("`{}` is no name of a host", host.escape_debug()))
}
