//! dx itself as a subject.
use crate::bench::subject::Subject;
use crate::bench::transport::TransportName;

/// Two connected nodes over `transport`.
pub async fn subject(transport: TransportName) -> anyhow::Result<Box<dyn Subject>> {
    let floor = crate::bench::floor::of(transport)?;
    floor.ok_or_else(|| anyhow::anyhow!("no mesh yet"))
}
