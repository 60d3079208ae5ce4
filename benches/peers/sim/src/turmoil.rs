//! Two hosts and a TCP connection, over which the ball is eight bytes. Turmoil moves time on in
//! ticks of a millisecond, its default, in each of which all hosts are polled: so what a pass costs
//! is about what a tick costs.

use std::time::Duration;

use anyhow::anyhow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 9000;

pub fn play(passes: u64) -> anyhow::Result<()> {
    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(1 << 30))
        .min_message_latency(Duration::from_micros(50))
        .max_message_latency(Duration::from_micros(200))
        .build();
    sim.host("one", || async {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        let (mut stream, _) = listener.accept().await?;
        while let Ok(ball) = stream.read_u64().await {
            stream.write_u64(ball + 1).await?;
        }
        Ok(())
    });
    sim.client("two", async move {
        let mut stream = TcpStream::connect(("one", PORT)).await?;
        let mut ball = 1;
        while ball < passes {
            stream.write_u64(ball).await?;
            let back = stream.read_u64().await?;
            assert_eq!(back, ball + 1, "another ball came back");
            ball = back + 1;
        }
        Ok(())
    });
    sim.run().map_err(|error| anyhow!("{error}"))
}
