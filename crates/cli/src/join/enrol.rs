//! The side of the cluster: it gives a waiting node its place.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dx_transport::id::NodeId;
use dx_transport::identity::PublicKey;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::message::{Answer, Greeting, Place, Refusal};
use super::proof::{self, EXPORTER, EXPORTER_LABEL, Side};
use super::tls;
use super::token::Token;
use super::wire::{self, MAX_ANSWER, MAX_PLACE, ReadError};
use crate::hex;
use crate::home::{ClusterError, FolderError, Node, NodeError};

/// Time to find the waiting node and to be believed by it. It listens to ten callers a second.
const MEET: Duration = Duration::from_secs(10);

/// Time until it has stored what it was sent.
const STORE: Duration = Duration::from_secs(30);

/// The place of a node in a cluster whose authority's key is on this machine.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The node, by its cluster and its name. It needs no folder here.
    pub node: Node,
    /// Its number.
    pub id: NodeId,
    /// What it is to run. It reaches the node as it is.
    pub configuration: Value,
}

/// Why a node was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Nobody answers at the token's address.
    #[error(
        "failed to reach {address}: {reason}: check that `dx node --listen` still waits there, and that no firewall is between; a used or expired token waits no more"
    )]
    Unreachable {
        /// The address.
        address: String,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// Who answers has another key than the token says. Nothing was sent.
    #[error(
        "who answers at {0} is not the node that printed the token: copy the token again; if it is right, somebody is in between"
    )]
    OtherKey(String),
    /// Who answers is no node that waits. Nothing was sent.
    #[error(
        "what answers at {address} waits for no token ({reason}): it was used or has expired, or something else listens there; `dx node --listen` prints a new one"
    )]
    NotWaiting {
        /// The address.
        address: String,
        /// What is known.
        reason: String,
    },
    /// Who answers holds the node's key, but not the token's secret. Nothing was sent.
    #[error("who answers at {0} cannot prove that it printed the token: copy the token again")]
    NoProof(String),
    /// The waiting node refused.
    #[error("{0}")]
    Refused(Refusal),
    /// It took too long, and nothing was sent.
    #[error("{address} did not answer within {} s: is the machine there overloaded, or the network between?", MEET.as_secs())]
    Slow {
        /// The address.
        address: String,
    },
    /// What there was to store was sent, and no answer came: it may have been stored.
    #[error(
        "{address} broke off when it was to store its place ({reason}): look there whether `dx node` runs as part of the cluster"
    )]
    Unknown {
        /// The address.
        address: String,
        /// What is known.
        reason: String,
    },
    /// The configuration is larger than a node accepts. Nothing was sent.
    #[error("the configuration makes {0} bytes, and a node accepts {MAX_PLACE}: make it smaller")]
    TooLarge(usize),
    /// The cluster's folder cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No certificate could be made.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The cluster's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The cryptography cannot be set up.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Gives the node that waits with `token` its place in the cluster. When this returns well, the
/// node has it on its disk.
///
/// # Errors
/// If the node cannot be reached, is another one, or refuses; or the authority's key is not here.
pub async fn enrol(token: &Token, enrolment: Enrolment) -> Result<(), EnrolError> {
    let met = timeout(MEET, meet(token)).await;
    let mut stream = met.map_err(|_| EnrolError::Slow { address: token.address.clone() })??;
    let place = wire::frame(&place(&stream, token, enrolment)?);
    let length = place.len() - size_of::<u32>();
    if length > MAX_PLACE {
        return Err(EnrolError::TooLarge(length));
    }
    let unknown = |reason: String| EnrolError::Unknown { address: token.address.clone(), reason };
    match timeout(STORE, hand_over(&mut stream, &place)).await {
        Ok(Ok(Answer::Enrolled)) => Ok(()),
        Ok(Ok(Answer::Refused(refusal))) => Err(EnrolError::Refused(refusal.shown())),
        Ok(Ok(Answer::Welcome(_))) => Err(unknown("it answered out of turn".to_owned())),
        Ok(Err(error)) => Err(unknown(error.to_string())),
        Err(_) => Err(unknown(format!("no answer within {} s", STORE.as_secs()))),
    }
}

/// Dials the node, and has both sides prove to the other that they hold the token.
async fn meet(token: &Token) -> Result<TlsStream<TcpStream>, EnrolError> {
    let address = || token.address.clone();
    let not_waiting = |reason: String| EnrolError::NotWaiting { address: address(), reason };
    let stream = TcpStream::connect(&token.address)
        .await
        .map_err(|reason| EnrolError::Unreachable { address: address(), reason })?;
    let connector = TlsConnector::from(Arc::new(tls::calling(token.fingerprint)?));
    let name = ServerName::try_from(tls::SERVER_NAME).expect("it is a DNS name");
    let connected = connector.connect(name, stream).await;
    let mut stream = connected.map_err(|error| match tls_error(&error) {
        Some(error) if tls::is_other_key(error) => EnrolError::OtherKey(address()),
        _ => not_waiting(error.to_string()),
    })?;
    let exporter =
        stream.get_ref().1.export_keying_material([0; EXPORTER], EXPORTER_LABEL, None)?;
    let greeting = Greeting { proof: proof::prove(Side::Caller, &token.secret, &exporter) };
    let broken = |error: &dyn std::error::Error| not_waiting(error.to_string());
    wire::write(&mut stream, &greeting).await.map_err(|error| broken(&error))?;
    match wire::read(&mut stream, MAX_ANSWER).await {
        Ok(Answer::Welcome(answer)) => {
            let is_proven =
                proof::is_proven(Side::Waiting, &token.secret, &exporter, &answer.proof);
            if is_proven { Ok(stream) } else { Err(EnrolError::NoProof(address())) }
        }
        Ok(Answer::Refused(refusal)) => Err(EnrolError::Refused(refusal.shown())),
        Ok(Answer::Enrolled) => Err(not_waiting("it answered out of turn".to_owned())),
        Err(error) => Err(broken(&error)),
    }
}

/// What the node is to store: its key, of which the handshake has proven that it holds the other
/// half, is certified.
fn place(
    stream: &TlsStream<TcpStream>,
    token: &Token,
    enrolment: Enrolment,
) -> Result<Place, EnrolError> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let key = shown.and_then(|shown| PublicKey::from_spki(shown));
    let key = key.ok_or_else(|| EnrolError::OtherKey(token.address.clone()))?;
    let Enrolment { node, id, configuration } = enrolment;
    let certificate = node.certify_remote(id, &key, SystemTime::now())?;
    let cluster = node.cluster();
    Ok(Place {
        cluster: cluster.name().clone(),
        node: node.name().clone(),
        id,
        certificate,
        authority: cluster.authority()?.certificate().to_owned(),
        secret: hex::encode(cluster.secret()?.expose()),
        configuration,
    })
}

async fn hand_over(stream: &mut TlsStream<TcpStream>, place: &[u8]) -> Result<Answer, ReadError> {
    stream.write_all(place).await?;
    stream.flush().await?;
    wire::read(stream, MAX_ANSWER).await
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
