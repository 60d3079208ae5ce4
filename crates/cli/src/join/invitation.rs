//! The side that has nothing: it waits to be told of which cluster it is.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use dx_transport::id::NodeId;
use dx_transport::identity::{AuthorityError, NodeKey};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::gate::Gate;
use super::message::{Answer, Greeting, Place, Refusal};
use super::proof::{self, EXPORTER, EXPORTER_LABEL, Side};
use super::tls;
use super::token::{self, Token};
use super::wire::{self, MAX_ANSWER, MAX_PLACE, ReadError};
use crate::home::{Home, Node};

/// What callers may make a waiting node do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long the token counts. Default: 10 minutes.
    pub lifetime: Duration,
    /// The least time between two callers that are listened to; others wait in the kernel's
    /// queue. With `proof` it bounds how many are listened to at a time. Default: 100 ms.
    pub pace: Duration,
    /// Time to prove that one holds the token, TLS included. Default: 5 s.
    pub proof: Duration,
    /// Time for the rest, for the one who has proven it. Default: 20 s.
    pub rest: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_mins(10),
            pace: Duration::from_millis(100),
            proof: Duration::from_secs(5),
            rest: Duration::from_secs(20),
        }
    }
}

/// Callers that are listened to at a time, at most, whatever the [`Bounds`] are: with the default
/// ones there are never more than 51.
const MAX_CALLERS: usize = 64;

/// A node that waits to be enrolled.
#[derive(Debug)]
pub struct Invitation {
    listener: TcpListener,
    token: Token,
    waiting: Arc<Waiting>,
    bounds: Bounds,
    expires: Instant,
}

/// What all conversations share.
struct Waiting {
    key: NodeKey,
    secret: [u8; 16],
    acceptor: TlsAcceptor,
    gate: Mutex<Gate>,
    home: Home,
    bounds: Bounds,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting(..)")
    }
}

/// A node that was enrolled. Its folder is ready: [`Node::start`] comes next.
#[derive(Debug)]
pub struct Joined {
    /// Its folder, and by it its name and its cluster.
    pub node: Node,
    /// Its number.
    pub id: NodeId,
    /// What it is to run, as the caller put it.
    pub configuration: Value,
}

/// Why a node cannot wait.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// The operating system does not let it listen there.
    #[error("failed to listen at {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// It listens at all addresses of this machine, and the token must name one.
    #[error(
        "at {0} this node can be reached by any address of this machine, and the token must name one: listen at that one, or say by which it is reached"
    )]
    Unspecified(SocketAddr),
    /// Nobody could dial what the token is to name.
    #[error("`{0}` is no address at which others could reach this node: write `host:port`")]
    NoAddress(String),
    /// No key, or no secret, could be made.
    #[error("failed to make a key: {0}")]
    Key(#[from] AuthorityError),
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
    /// The cryptography cannot be set up.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a node was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Nobody used the token in time.
    #[error("nobody used the join token within {} minutes: start again for a new one", .0.as_secs() / 60)]
    Expired(Duration),
}

/// Why one caller did not enrol this node. It goes on waiting.
#[derive(Debug, thiserror::Error)]
enum Attempt {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("it was told: {0}")]
    Refused(Refusal),
    #[error("it was too slow")]
    Slow,
}

impl Invitation {
    /// Listens at `listen` (`host:port`; port 0 is any free one) to be enrolled into a cluster in
    /// `home`. Others reach it at `advertise`, or else at the same address.
    ///
    /// # Errors
    /// If it cannot listen there, or no key can be made.
    pub async fn open(
        listen: &str,
        advertise: Option<&str>,
        home: &Home,
        bounds: Bounds,
    ) -> Result<Self, InviteError> {
        let failed = |reason| InviteError::Listen { address: listen.to_owned(), reason };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let address = match advertise {
            Some(address) if token::is_address(address) => address.to_owned(),
            Some(address) => return Err(InviteError::NoAddress(address.to_owned())),
            None if local.ip().is_unspecified() => return Err(InviteError::Unspecified(local)),
            None => local.to_string(),
        };
        let key = NodeKey::generate()?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| InviteError::Random(error.to_string()))?;
        let token = Token { address, fingerprint: key.public().fingerprint(), secret };
        let expires = Instant::now() + bounds.lifetime;
        let waiting = Arc::new(Waiting {
            acceptor: Arc::new(tls::waiting(&key)?).into(),
            key,
            secret,
            gate: Mutex::new(Gate::new(expires)),
            home: home.clone(),
            bounds: bounds.clone(),
        });
        Ok(Self { listener, token, waiting, bounds, expires })
    }

    /// What to print, and nowhere else: whoever reads it decides which cluster this node joins.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Waits for somebody who holds the token, and stores what they send.
    ///
    /// # Errors
    /// If nobody comes in time.
    pub async fn wait(self) -> Result<Joined, WaitError> {
        let mut pace = interval(self.bounds.pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut callers = JoinSet::new();
        let expiry = sleep_until(self.expires.into());
        tokio::pin!(expiry);
        loop {
            let accept = async {
                pace.tick().await;
                self.listener.accept().await
            };
            tokio::select! {
                () = &mut expiry => break,
                Some(ended) = callers.join_next() => {
                    if let Some(joined) = ended.expect("a conversation neither panics nor is cancelled") {
                        return Ok(joined);
                    }
                }
                accepted = accept, if callers.len() < MAX_CALLERS => match accepted {
                    Ok((stream, from)) => {
                        callers.spawn(self.waiting.clone().converse(stream, from));
                    }
                    // It is tried again, at the usual pace.
                    Err(error) => tracing::warn!("failed to accept a caller: {error}"),
                },
            }
        }
        // Who came in time may finish; the others are told that they are late.
        drop(self.listener);
        while let Some(ended) = callers.join_next().await {
            if let Ok(Some(joined)) = ended {
                return Ok(joined);
            }
        }
        Err(WaitError::Expired(self.bounds.lifetime))
    }
}

impl Waiting {
    /// One caller, from its first byte to its last.
    async fn converse(self: Arc<Self>, stream: TcpStream, from: SocketAddr) -> Option<Joined> {
        match self.listen_to(stream).await {
            Ok(joined) => Some(joined),
            Err(attempt) => {
                tracing::warn!("{from} did not enrol this node: {attempt}");
                None
            }
        }
    }

    async fn listen_to(&self, stream: TcpStream) -> Result<Joined, Attempt> {
        let recognised = timeout(self.bounds.proof, self.recognise(stream));
        let mut stream = recognised.await.map_err(|_| Attempt::Slow)??;
        let taken = self.gate().take(Instant::now());
        if let Err(refusal) = taken {
            return Err(self.refuse(&mut stream, refusal).await);
        }
        let turn = Turn(self);
        let rest = timeout(self.bounds.rest, self.receive(&mut stream));
        let joined = rest.await.map_err(|_| Attempt::Slow)??;
        self.gate().close();
        drop(turn);
        // It is enrolled, whether or not its caller lives to hear it.
        let farewell = async {
            wire::write(&mut stream, &Answer::Enrolled).await?;
            stream.shutdown().await
        };
        let _ = timeout(self.bounds.proof, farewell).await;
        Ok(joined)
    }

    /// TLS, and then the caller's proof that it holds the token.
    async fn recognise(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Attempt> {
        let mut stream = self.acceptor.accept(stream).await?;
        let greeting = match wire::read::<Greeting>(&mut stream, MAX_ANSWER).await {
            Err(ReadError::Io(error)) => return Err(error.into()),
            Err(_) => return Err(self.refuse(&mut stream, Refusal::Malformed).await),
            Ok(greeting) => greeting,
        };
        if proof::is_proven(Side::Caller, &self.secret, &exporter(&stream)?, &greeting.proof) {
            Ok(stream)
        } else {
            Err(self.refuse(&mut stream, Refusal::WrongSecret).await)
        }
    }

    /// Our own proof, and then what there is to store.
    async fn receive(&self, stream: &mut TlsStream<TcpStream>) -> Result<Joined, Attempt> {
        let proof = proof::prove(Side::Waiting, &self.secret, &exporter(stream)?);
        wire::write(stream, &Answer::Welcome(Greeting { proof })).await?;
        let place = match wire::read::<Place>(stream, MAX_PLACE).await {
            Err(ReadError::Io(error)) => return Err(error.into()),
            Err(_) => return Err(self.refuse(stream, Refusal::Malformed).await),
            Ok(place) => place,
        };
        match place.store(&self.key, &self.home, SystemTime::now()) {
            Ok(joined) => Ok(joined),
            Err(refusal) => Err(self.refuse(stream, refusal).await),
        }
    }

    /// Tells the caller why not. Within the time that it has anyway.
    async fn refuse(&self, stream: &mut TlsStream<TcpStream>, refusal: Refusal) -> Attempt {
        let told = async {
            wire::write(stream, &Answer::Refused(refusal.clone())).await?;
            stream.shutdown().await
        };
        match timeout(self.bounds.proof, told).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) | Err(_) => Attempt::Refused(refusal),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().expect("nothing panics while it holds the gate")
    }
}

/// Held by the caller whose turn it is; given back when it fails in whatever way.
struct Turn<'a>(&'a Waiting);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.gate().give_back();
    }
}

fn exporter(stream: &TlsStream<TcpStream>) -> Result<[u8; EXPORTER], io::Error> {
    let exported = stream.get_ref().1.export_keying_material([0; EXPORTER], EXPORTER_LABEL, None);
    exported.map_err(io::Error::other)
}
