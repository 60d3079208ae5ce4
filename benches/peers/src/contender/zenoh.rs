//! zenoh: a publisher and a subscriber, each in a process of its own.
//!
//! Its runtimes belong to the process, so two sessions in one would share their threads.

pub mod end;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use dx::bench::subject::{BoxFuture, Flow, Window};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use self::end::Role;
use crate::contender::Contender;

/// What zenoh runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Link {
    /// TCP.
    Tcp,
    /// QUIC.
    Quic,
}

/// Starts two processes for each measurement.
pub struct Zenoh {
    link: Link,
    /// With the certificate that QUIC needs.
    certificates: TempDir,
}

/// A process with one end in it; killed when dropped.
struct Process {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Zenoh {
    /// Makes the certificate.
    pub fn new(link: Link) -> anyhow::Result<Self> {
        let certificates = tempfile::tempdir()?;
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(certificates.path().join(end::CERTIFICATE), signed.cert.pem())?;
        std::fs::write(certificates.path().join(end::KEY), signed.signing_key.serialize_pem())?;
        Ok(Self { link, certificates })
    }

    fn endpoint(&self) -> anyhow::Result<String> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        Ok(match self.link {
            Link::Tcp => format!("tcp/127.0.0.1:{}", TcpListener::bind(any)?.local_addr()?.port()),
            Link::Quic => format!("quic/localhost:{}", UdpSocket::bind(any)?.local_addr()?.port()),
        })
    }

    fn spawn(
        &self,
        role: Role,
        endpoint: &str,
        size: usize,
        window: Window,
    ) -> anyhow::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["zenoh-end", role.name(), endpoint])
            .arg(self.certificates.path())
            .args([size.to_string(), micros(window.warmup), micros(window.measure)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("output is piped")?).lines();
        let input = child.stdin.take().context("input is piped")?;
        Ok(Process { input, output, _child: child })
    }

    async fn flow(&self, size: usize, window: Window) -> anyhow::Result<Flow> {
        let endpoint = self.endpoint()?;
        let mut receiver = self.spawn(Role::Receive, &endpoint, size, window)?;
        receiver.line(end::READY).await?;
        let mut sender = self.spawn(Role::Send, &endpoint, size, window)?;
        let messages = receiver.number(end::MESSAGES).await?;
        let elapsed = receiver.number(end::MICROSECONDS).await?;
        sender.say_enough().await?;
        sender.line(end::DONE).await?;
        receiver.line(end::DONE).await?;
        Ok(Flow {
            messages,
            bytes: messages * size as u64,
            elapsed: Duration::from_micros(elapsed),
            cpu: Duration::ZERO,
        })
    }

    async fn latency(&self, window: Window) -> anyhow::Result<Option<f64>> {
        let endpoint = self.endpoint()?;
        let size = dx::bench::subject::PING_BYTES;
        let mut echo = self.spawn(Role::Echo, &endpoint, size, window)?;
        echo.line(end::READY).await?;
        let mut pinger = self.spawn(Role::Ping, &endpoint, size, window)?;
        let nanoseconds = pinger.number(end::MEDIAN).await?;
        Ok(Some(nanoseconds as f64 / 1e3))
    }
}

fn micros(duration: Duration) -> String {
    duration.as_micros().to_string()
}

impl Process {
    /// The number after `label` on the next line.
    async fn number(&mut self, label: &str) -> anyhow::Result<u64> {
        Ok(self.line(label).await?.trim().parse()?)
    }

    /// What stands after `label` on the next line.
    async fn line(&mut self, label: &str) -> anyhow::Result<String> {
        let line = self.output.next_line().await?.context("a zenoh process ended too early")?;
        let rest = line.strip_prefix(label);
        Ok(rest.with_context(|| format!("a zenoh process said `{line}`, not {label}"))?.to_owned())
    }

    /// Tells it that the window is over.
    async fn say_enough(&mut self) -> anyhow::Result<()> {
        Ok(self.input.write_all(b"enough\n").await?)
    }
}

impl Contender for Zenoh {
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>> {
        Box::pin(self.flow(size, window))
    }

    fn round_trip(&mut self, window: Window) -> BoxFuture<'_, anyhow::Result<Option<f64>>> {
        Box::pin(self.latency(window))
    }

    fn requests(&mut self, _: Window) -> Option<BoxFuture<'_, anyhow::Result<Flow>>> {
        None
    }
}
