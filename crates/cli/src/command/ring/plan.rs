//! From arguments to what a run is to be.

use dx_transport::address::Address;
use dx_transport::id::ClusterId;

use crate::cli::RingRun;
use crate::exit::Usage;
use crate::kinds::ring_member::Attr;
use crate::ring::{Run, Trouble, Wanted, ports};

/// Members unless said otherwise: as many as in the seed of this program.
const MEMBERS: u16 = 4;

/// The run that `arguments` ask for, at ports that are free.
pub fn new(arguments: &RingRun, name: &ClusterId) -> anyhow::Result<Run> {
    let members = arguments.members.unwrap_or(MEMBERS);
    check_members(arguments, members)?;
    let attr = applied(arguments, Attr::default());
    if attr.drop > 0.0 && !attr.model.allows_losses() {
        let model = attr.model.name();
        return Err(Usage(format!(
            "--drop: the model {model} counts on its links, and sends nothing again: leave it out"
        ))
        .into());
    }
    let transport = arguments.transport.clone().unwrap_or_else(|| "tls".to_owned());
    let ports = ports::free(usize::from(members))?;
    let address = |port| Address::new(&transport, &format!("127.0.0.1:{port}"));
    let addresses = ports.into_iter().map(address).collect::<Result<_, _>>()?;
    let restarts = !arguments.no_restart;
    let wanted = Wanted { name: name.clone(), transport: transport.clone(), attr, restarts };
    Ok(Run { cluster: wanted.cluster(addresses), restarts, elsewhere: Vec::new() })
}

/// Refuses arguments that ask for another run than the one that goes on.
pub fn check_same(arguments: &RingRun, run: &Run) -> Result<(), Usage> {
    let other = |what: &str| {
        Err(Usage(format!(
            "run {0} goes on already, and with other {what}: leave out the options to wait for \
             its results, or stop it with `dx down --cluster {0}`",
            run.cluster.name
        )))
    };
    let attr = run.attr().unwrap_or_default();
    let members = run.cluster.nodes.len();
    if arguments.members.is_some_and(|wanted| usize::from(wanted) != members) {
        return other("members");
    }
    if arguments.transport.as_ref().is_some_and(|it| *it != run.cluster.transport) {
        return other("links");
    }
    if applied(arguments, attr.clone()) != attr || arguments.no_restart && run.restarts {
        return other("options");
    }
    Ok(())
}

/// What is to go wrong, after all.
pub fn trouble(arguments: &RingRun, run: &Run) -> Result<Trouble, Usage> {
    let members = run.cluster.nodes.len();
    if let Some(kill) = arguments.kill.iter().find(|kill| run.cluster.node(kill.node).is_none()) {
        return Err(Usage(format!(
            "--kill: there is no member {}, only 1 to {members}",
            kill.node.0
        )));
    }
    let cuts = arguments.cut.iter().map(|cut| cut.at + cut.lasting);
    Ok(Trouble { kills: arguments.kill.clone(), cut_until: cuts.max().unwrap_or_default() })
}

/// What is said on the command line in place of `attr`'s.
fn applied(arguments: &RingRun, attr: Attr) -> Attr {
    Attr {
        model: arguments.model.unwrap_or(attr.model),
        seed: arguments.seed.unwrap_or(attr.seed),
        send_for: arguments.send_for.unwrap_or(attr.send_for),
        grace_for: arguments.grace_for.unwrap_or(attr.grace_for),
        messages: arguments.messages.or(attr.messages),
        size: arguments.size.unwrap_or(attr.size),
        senders: arguments.senders.map(usize::from).or(attr.senders),
        drop: arguments.drop.unwrap_or(attr.drop),
        cuts: if arguments.cut.is_empty() { attr.cuts } else { arguments.cut.clone() },
        tell_own: arguments.tell_own || attr.tell_own,
    }
}

fn check_members(arguments: &RingRun, members: u16) -> Result<(), Usage> {
    let wrong = |what: &str, id: u64| {
        Err(Usage(format!("{what}: there is no member {id}, only 1 to {members}")))
    };
    let is_there = |id: u64| (1..=u64::from(members)).contains(&id);
    if let Some(kill) = arguments.kill.iter().find(|kill| !is_there(kill.node.0.into())) {
        return wrong("--kill", kill.node.0.into());
    }
    let ids = arguments.cut.iter().flat_map(|cut| [cut.one, cut.other]);
    if let Some(id) = ids.into_iter().find(|id| !is_there(*id)) {
        return wrong("--cut", id);
    }
    match arguments.senders {
        Some(senders) if senders > members => {
            Err(Usage(format!("--senders: {senders} of {members} members cannot send")))
        }
        _ => Ok(()),
    }
}
