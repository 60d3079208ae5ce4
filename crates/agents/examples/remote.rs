//! What agents cost over the mesh: messages and questions between two nodes of one process, beside
//! the same over the bare transport.
//!
//! ```text
//! cargo run --release -p dx-agents --example remote [transport] [rounds] [mailbox]
//! ```

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dx_agents::mesh::{Node, NodeConfig};
use dx_agents::runtime::RuntimeConfig;
use dx_agents::{
    Agent, AgentId, AgentSpec, Answer, AskError, AskId, Context, Directory, Incarnation,
    MailboxBounds, Message, NodeId, Options, Placement, Refusal, Registry,
};
use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::identity::Authority;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, MeshConfig};
use dx_transport::secret::ClusterSecret;
use serde::{Deserialize, Serialize};

type Anyhow<T> = Result<T, Box<dyn Error>>;

const TELLS: u64 = 2_000_000;
const ASKS: u64 = 20_000;
/// Bytes of the bare transport's messages: as long as the agents' on the wire.
const BARE: usize = 70;

#[derive(Serialize, Deserialize)]
enum Load {
    Item(u64, u64, #[serde(skip)] Bytes),
    GoOn,
}

impl Message for Load {
    const NAME: &'static str = "remote.load";

    fn body(&self) -> Bytes {
        match self {
            Self::Item(_, _, body) => body.clone(),
            Self::GoOn => Bytes::new(),
        }
    }

    fn set_body(&mut self, new: Bytes) {
        if let Self::Item(_, _, body) = self {
            *body = new;
        }
    }
}

/// Tells as fast as its receiver takes.
struct Teller {
    to: AgentId,
    left: u64,
    is_waiting: bool,
}

impl Agent for Teller {
    type Message = Load;

    fn start(&mut self, cx: &mut Context) {
        let me = cx.me();
        cx.send(me, Load::GoOn);
    }

    fn message(&mut self, _: AgentId, _: Load, cx: &mut Context) {
        if self.is_waiting {
            return;
        }
        for _ in 0..self.left.min(64) {
            self.left -= 1;
            cx.send(self.to, Load::Item(self.left, 1 << 40, Bytes::from_static(&[7; 48])));
        }
        if self.left > 0 {
            let me = cx.me();
            cx.send(me, Load::GoOn);
        }
    }

    fn refused(&mut self, refusal: Refusal, _: &mut Context) {
        self.left += refusal.count;
        self.is_waiting = true;
    }

    fn writable(&mut self, _: AgentId, cx: &mut Context) {
        self.is_waiting = false;
        let me = cx.me();
        cx.send(me, Load::GoOn);
    }
}

/// Asks one question after the other.
struct Asker {
    to: AgentId,
    left: u64,
    done: mpsc::Sender<()>,
}

impl Asker {
    fn ask(&self, cx: &mut Context) {
        let item = Load::Item(self.left, 1 << 40, Bytes::from_static(&[7; 48]));
        cx.ask(self.to, item, Duration::from_secs(5));
    }
}

impl Agent for Asker {
    type Message = Load;

    fn start(&mut self, cx: &mut Context) {
        self.ask(cx);
    }

    fn message(&mut self, _: AgentId, _: Load, _: &mut Context) {}

    fn reply(&mut self, _: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        answer.expect("the other node answers");
        self.left -= 1;
        if self.left > 0 {
            self.ask(cx);
        } else {
            // The receiver waits for it.
            let _ = self.done.send(());
        }
    }
}

/// Answers questions, and counts what it is told.
struct Receiver {
    seen: u64,
    done: mpsc::Sender<()>,
}

impl Agent for Receiver {
    type Message = Load;

    fn message(&mut self, _: AgentId, message: Load, cx: &mut Context) {
        if let Some(to) = cx.asked() {
            cx.reply(to, message);
            return;
        }
        self.seen += 1;
        if self.seen == TELLS {
            // The receiver waits for it.
            let _ = self.done.send(());
        }
    }
}

struct Cluster {
    transport: String,
    authority: Authority,
    secret: ClusterSecret,
    lives: AtomicU64,
    /// Messages that a mailbox may hold.
    mailbox: usize,
}

impl Cluster {
    fn mesh(&self, node: u32) -> Anyhow<MeshConfig> {
        let identity = self.authority.issue(NodeId(node), Duration::from_hours(1))?;
        let credentials =
            Credentials { identity: Some(identity), secret: Some(self.secret.clone()) };
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let endpoint = match &*self.transport {
            "memory" => format!("remote-{life}"),
            _ => "127.0.0.1:0".to_owned(),
        };
        let address = Address::new(&self.transport, &endpoint)?;
        let config =
            MeshConfig::new("remote".parse()?, NodeId(node), Incarnation(life), credentials);
        Ok(config.listen(address))
    }

    fn node(
        &self,
        node: u32,
        peer: (u32, Vec<Address>),
        placement: Placement,
        registry: &Registry,
    ) -> Anyhow<Node> {
        let spec = |id, kind: &str, node| AgentSpec {
            id: AgentId(id),
            kind: kind.to_owned(),
            node: NodeId(node),
            attr: serde_json::Value::Null,
            options: Options {
                placement,
                mailbox: MailboxBounds { messages: self.mailbox, ..MailboxBounds::DEFAULT },
                ..Options::default()
            },
        };
        let directory = Directory::new([spec(1, "sender", 1), spec(2, "receiver", 2)]);
        let config = NodeConfig {
            mesh: self.mesh(node)?,
            runtime: RuntimeConfig {
                directory: Arc::new(directory),
                pool: 1,
                crew: 1,
                ..RuntimeConfig::default()
            },
            peers: vec![(NodeId(peer.0), peer.1)],
        };
        Ok(Node::start(config, registry)?)
    }

    /// The time from the start of the sender until the receiver, or the sender, is done.
    fn agents(&self, is_ask: bool, placement: Placement) -> Anyhow<Duration> {
        let (done, is_done) = mpsc::channel();
        let (told, asked) = (done.clone(), done);
        let registry = Registry::new()
            .kind("receiver", move |_, _| Ok(Receiver { seen: 0, done: told.clone() }));
        let registry = if is_ask {
            registry.kind("sender", move |_, _| {
                Ok(Asker { to: AgentId(2), left: ASKS, done: asked.clone() })
            })
        } else {
            registry.kind("sender", |_, _| {
                Ok(Teller { to: AgentId(2), left: TELLS, is_waiting: false })
            })
        };
        let two = self.node(2, (1, Vec::new()), placement, &registry)?;
        // The receiver's first turn is over long before the links are up.
        let start = Instant::now();
        let one = self.node(1, (2, two.endpoints().to_vec()), placement, &registry)?;
        wait(one.ready())?;
        let setup = start.elapsed();
        is_done.recv()?;
        let took = start.elapsed().saturating_sub(setup);
        if std::env::var_os("STATUS").is_some() {
            writeln!(std::io::stderr(), "{:#?}", one.status())?;
        }
        drop(one);
        drop(two);
        Ok(took)
    }

    fn bare(&self, is_ask: bool) -> Anyhow<Duration> {
        let (ready, is_ready) = mpsc::channel();
        let config = self.mesh(2)?;
        let receiver = std::thread::spawn(move || -> Result<(), String> {
            let run = async {
                let mesh = Mesh::start(config).await.map_err(|error| error.to_string())?;
                mesh.add_peer(NodeId(1), Vec::new()).map_err(|error| error.to_string())?;
                ready.send(mesh.endpoints().to_vec()).map_err(|error| error.to_string())?;
                let peer = mesh.peer(NodeId(1)).ok_or("it was added")?;
                let mut seen = 0;
                let all = if is_ask { ASKS } else { TELLS };
                while seen < all {
                    let batch = mesh.recv(Lane::DATA).await;
                    seen += batch.count();
                    if is_ask {
                        for message in &batch {
                            peer.send(Lane::DATA, &message).await.map_err(|e| e.to_string())?;
                        }
                    }
                }
                if !is_ask {
                    peer.send(Lane::DATA, b"done").await.map_err(|error| error.to_string())?;
                }
                mesh.drain(Duration::from_secs(5)).await;
                Ok(())
            };
            wait(run).map_err(|error| error.to_string())?
        });
        let endpoints = is_ready.recv()?;
        let config = self.mesh(1)?;
        let took = wait(async move {
            let mesh = Mesh::start(config).await?;
            let peer = mesh.add_peer(NodeId(2), endpoints)?;
            mesh.event().await;
            let start = Instant::now();
            let message = [7; BARE];
            if is_ask {
                for _ in 0..ASKS {
                    peer.send(Lane::DATA, &message).await?;
                    mesh.recv(Lane::DATA).await;
                }
            } else {
                for n in 0..TELLS {
                    peer.send(Lane::DATA, &message).await?;
                    if n % 1024 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                mesh.recv(Lane::DATA).await;
            }
            Ok::<_, Box<dyn Error>>(start.elapsed())
        })??;
        receiver.join().map_err(|_| "the receiver panicked")??;
        Ok(took)
    }
}

fn wait<T>(future: impl Future<Output = T>) -> Anyhow<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

fn main() -> Anyhow<()> {
    let mut args = std::env::args().skip(1);
    let transport = args.next().unwrap_or_else(|| "tcp".to_owned());
    let rounds: usize = args.next().map_or(Ok(3), |text| text.parse())?;
    let cluster = Cluster {
        transport,
        authority: Authority::create()?,
        secret: ClusterSecret::generate()?,
        lives: AtomicU64::new(1),
        mailbox: args.next().map_or(Ok(1024), |text| text.parse())?,
    };
    let own = Placement::Thread { pin: None };
    let million = |took: Duration| TELLS as f64 / took.as_secs_f64() / 1e6;
    let micros = |took: Duration| took.as_secs_f64() * 1e6 / ASKS as f64;
    let mut out = std::io::stdout();
    for _ in 0..rounds {
        let (bare, pool, thread) = (
            cluster.bare(false)?,
            cluster.agents(false, Placement::Pool)?,
            cluster.agents(false, own)?,
        );
        writeln!(
            out,
            "tell M/s: transport {:.2}, agents on the I/O thread {:.2} ({:.2}), own thread {:.2} ({:.2})",
            million(bare),
            million(pool),
            million(pool) / million(bare),
            million(thread),
            million(thread) / million(bare),
        )?;
        let (bare, pool, thread) = (
            cluster.bare(true)?,
            cluster.agents(true, Placement::Pool)?,
            cluster.agents(true, own)?,
        );
        writeln!(
            out,
            "ask us: transport {:.1}, agents on the I/O thread {:.1} ({:.2}), own thread {:.1} ({:.2})",
            micros(bare),
            micros(pool),
            micros(pool) / micros(bare),
            micros(thread),
            micros(thread) / micros(bare),
        )?;
    }
    Ok(())
}
