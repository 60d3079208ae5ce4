//! Two nodes that talk over tls, in a program that depends on dx-transport and nothing else. An
//! authority issues their certificates; real nodes load theirs from files
//! (`NodeIdentity::load`). The mesh does its I/O on a thread of its own ([`Io::Dedicated`]), so
//! any executor will do, this small one as well; programs that run tokio leave that line out.

mod block_on;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use dx_transport::credentials::Credentials;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::identity::Authority;
use dx_transport::lane::Lane;
use dx_transport::mesh::{Io, Mesh, MeshConfig};

use block_on::block_on;

fn main() -> ExitCode {
    match block_on(ask("are you there?")) {
        Ok(answer) => println!("{answer}"),
        Err(error) => {
            eprintln!("embed: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Node 1 asks, and node 2 answers.
async fn ask(question: &str) -> Result<String, Box<dyn Error>> {
    let authority = Authority::create()?;
    let (one, two) = (start(1, &authority).await?, start(2, &authority).await?);
    let to_two = one.add_peer(two.node(), two.endpoints().to_vec())?;
    let to_one = two.add_peer(one.node(), Vec::new())?;

    to_two.send(Lane::DATA, question.as_bytes()).await?;
    for asked in &two.recv(Lane::DATA).await {
        let answer = format!("{} asked: {}", to_one.node(), String::from_utf8_lossy(&asked));
        to_one.send(Lane::DATA, answer.as_bytes()).await?;
    }
    let answers = one.recv(Lane::DATA).await;
    one.drain(Duration::from_secs(1)).await;
    Ok(answers.iter().map(|answer| String::from_utf8_lossy(&answer).into_owned()).collect())
}

async fn start(node: u32, authority: &Authority) -> Result<Mesh, Box<dyn Error>> {
    let identity = Some(authority.issue(NodeId(node), Duration::from_hours(24))?);
    let credentials = Credentials { identity, ..Credentials::default() };
    let config = MeshConfig::new("embed".parse()?, NodeId(node), Incarnation(1), credentials)
        .io(Io::Dedicated)
        .listen("tls://127.0.0.1:0".parse()?);
    Ok(Mesh::start(config).await?)
}

#[test]
fn a_question_is_answered_over_tls() {
    let answer = block_on(ask("are you there?")).unwrap();
    assert_eq!(answer, "n1 asked: are you there?");
}
