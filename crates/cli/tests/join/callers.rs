use std::sync::Arc;
use std::time::Duration;

use dx::join::{Bounds, EnrolError, Refusal, WaitError, enrol};
use dx_transport::identity::NodeKey;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Machines, altered, files};

#[tokio::test]
async fn a_wrong_secret_opens_nothing_and_the_right_one_still_does() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    let wrong = altered(&token, 3, &"0".repeat(32));
    let error = enrol(&wrong, machines.enrolment("n2", 2)).await.unwrap_err();
    assert!(matches!(error, EnrolError::Refused(Refusal::WrongSecret)), "{error}");
    assert_eq!(files(machines.joiner.path()), 0);
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_with_another_key_is_told_nothing() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    let wrong = altered(&token, 2, &"0".repeat(64));
    let error = enrol(&wrong, machines.enrolment("n2", 2)).await.unwrap_err();
    assert!(matches!(error, EnrolError::OtherKey(_)), "{error}");
    waiting.abort();
}

#[tokio::test]
async fn a_token_counts_once() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
    let error = enrol(&token, machines.enrolment("n3", 3)).await.unwrap_err();
    assert!(matches!(error, EnrolError::Unreachable { .. }), "{error}");
    assert_eq!(files(&machines.joiner.path().join("dx/local")), 3, "ca.pem, secret, n2");
}

#[tokio::test]
async fn of_many_who_hold_the_token_one_enrols_the_node() {
    let machines = Machines::new();
    let (token, waiting) =
        machines.wait(Bounds { pace: Duration::from_millis(1), ..Bounds::default() }).await;
    let callers: Vec<_> = (2..10)
        .map(|id| {
            let (token, enrolment) = (token.clone(), machines.enrolment(&format!("n{id}"), id));
            tokio::spawn(async move { enrol(&token, enrolment).await })
        })
        .collect();
    let joined = waiting.await.unwrap().unwrap();
    let mut winners = 0;
    for (caller, id) in callers.into_iter().zip(2..) {
        match caller.await.unwrap() {
            Ok(()) => {
                winners += 1;
                assert_eq!(joined.id.0, id);
            }
            Err(EnrolError::Unknown { .. }) => panic!("caller {id} does not know its outcome"),
            Err(_) => {}
        }
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let machines = Machines::new();
    let (token, waiting) =
        machines.wait(Bounds { lifetime: Duration::ZERO, ..Bounds::default() }).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, WaitError::Expired(_)), "{error}");
    let error = enrol(&token, machines.enrolment("n2", 2)).await.unwrap_err();
    assert!(matches!(error, EnrolError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn something_else_at_the_address_is_recognised() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    waiting.abort();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let token = altered(&token, 4, &listener.local_addr().unwrap().to_string());
    // It says something of its own, or nothing, and goes.
    for words in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(words).await.unwrap();
        };
        let (error, ()) = tokio::join!(enrol(&token, machines.enrolment("n2", 2)), answer);
        let error = error.unwrap_err();
        assert!(matches!(error, EnrolError::NotWaiting { .. }), "{error}");
    }
}

#[tokio::test]
async fn who_holds_the_key_and_not_the_secret_is_sent_nothing() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    waiting.abort();
    let key = NodeKey::generate().unwrap();
    let acceptor = showing(&key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fingerprint = key.public().fingerprint().map(|byte| format!("{byte:02x}")).concat();
    let token = altered(&token, 2, &fingerprint);
    let token = altered(&token, 4, &listener.local_addr().unwrap().to_string());
    let pretend = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let length = stream.read_u32().await.unwrap();
        let mut greeting = vec![0; length as usize];
        stream.read_exact(&mut greeting).await.unwrap();
        // The caller's own proof, sent back.
        let answer = format!("{{\"welcome\":{}}}", String::from_utf8(greeting).unwrap());
        stream.write_u32(answer.len() as u32).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest
    };
    let (error, rest) = tokio::join!(enrol(&token, machines.enrolment("n2", 2)), pretend);
    let error = error.unwrap_err();
    assert!(matches!(error, EnrolError::NoProof(_)), "{error}");
    assert_eq!(rest, b"");
}

/// A TLS server that shows this bare key.
fn showing(key: &NodeKey) -> TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let private = PrivatePkcs8KeyDer::from(key.der()).into();
    let signing = provider.key_provider.load_private_key(private).unwrap();
    let shown = CertifiedKey::new(vec![CertificateDer::from(key.public().spki())], signing);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(shown))));
    config.alpn_protocols = vec![b"dx-join/1".to_vec()];
    Arc::new(config).into()
}
