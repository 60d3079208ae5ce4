use std::sync::Arc;
use std::time::Duration;

use dx::join::{Bounds, Token, WaitError, enrol};
use hmac::{Hmac, KeyInit, Mac};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Machines, files, hasty};

/// Believes every key, as no caller of ours does.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Speaks TLS to the waiting node, as anybody can who finds its port.
async fn tls(token: &Token) -> TlsStream<TcpStream> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"dx-join/1".to_vec()];
    let stream = TcpStream::connect(&token.address).await.unwrap();
    let name = ServerName::try_from("anything").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// All that comes until the node ends the connection, however it does.
async fn rest(mut stream: impl AsyncReadExt + Unpin) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn garbage_is_refused_and_harms_nobody() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds { proof: Duration::from_secs(5), ..hasty() }).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"\x16\x03\x01\x40\x00\x01"] {
        let mut stream = TcpStream::connect(&token.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        rest(stream).await;
    }
    for (garbage, expected) in [
        (&b"\xff\xff\xff\xff"[..], "malformed"),
        (b"\0\0\x10\x01", "malformed"),
        (b"\0\0\0\x02{}", "malformed"),
        (b"\0\0\0\x0b{\"proof\":\"\"}", "malformed"),
        (b"\0\0\0\x0c{\"proof\":\"\"}", "wrong_secret"),
        (b"\0\0\0\x10{\"proof\":\"zzzz\"}", "wrong_secret"),
    ] {
        let mut stream = tls(&token).await;
        stream.write_all(garbage).await.unwrap();
        stream.flush().await.unwrap();
        let answer = rest(stream).await;
        assert!(answer.contains(expected), "{garbage:?}: {answer}");
    }
    assert_eq!(files(machines.joiner.path()), 0);
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_proves_too_late_is_told_so() {
    let machines = Machines::new();
    let bounds = Bounds {
        lifetime: Duration::from_millis(300),
        pace: Duration::from_millis(1),
        ..Bounds::default()
    };
    let (token, waiting) = machines.wait(bounds).await;
    let mut stream = tls(&token).await;
    // Once nobody else is let in, the token has expired.
    while TcpStream::connect(&token.address).await.is_ok() {}
    stream.write_all(&greeting(&token, &stream)).await.unwrap();
    stream.flush().await.unwrap();
    assert!(rest(stream).await.contains("expired"));
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, WaitError::Expired(_)), "{error}");
}

#[tokio::test]
async fn who_says_nothing_or_dribbles_is_sent_away() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(hasty()).await;
    let silent = TcpStream::connect(&token.address).await.unwrap();
    assert_eq!(rest(silent).await, "");
    let silent = tls(&token).await;
    assert_eq!(rest(silent).await, "");
    let (mut reading, mut writing) = tokio::io::split(tls(&token).await);
    // A byte now and then wins no time.
    let dribble = async {
        while writing.write_all(&[0]).await.is_ok() && writing.flush().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = dribble => {}
        _ = rest(&mut reading) => {}
    }
    waiting.abort();
}

#[tokio::test]
async fn a_crowd_of_silent_strangers_does_not_keep_the_right_caller_out() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(hasty()).await;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(&token.address).await.unwrap());
    }
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_proof_overheard_on_one_connection_counts_on_no_other() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    // Somebody who has the token, and so can make proofs, makes one for a connection of their own.
    let mut first = tls(&token).await;
    let frame = greeting(&token, &first);
    let mut second = tls(&token).await;
    second.write_all(&frame).await.unwrap();
    second.flush().await.unwrap();
    assert!(rest(second).await.contains("wrong_secret"));
    first.write_all(&frame).await.unwrap();
    first.flush().await.unwrap();
    let mut answer = vec![0; 16];
    first.read_exact(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("welcome"), "{answer:?}");
    // It goes without a word, and so the token is still there for the right caller.
    drop(first);
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_place_that_is_too_large_or_makes_no_sense_is_refused() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    for (sent, expected) in [
        (&b"\0\x10\0\x01"[..], "malformed"),
        (b"\0\0\0\x02[]", "malformed"),
        (br#"....{"cluster":"local","node":"../../x","id":1,"certificate":"","authority":"","secret":"","configuration":{}}"#, "malformed"),
        (br#"....{"cluster":"local","node":"n1","id":1,"certificate":"","authority":"","secret":"00","configuration":{}}"#, "malformed"),
        (br#"....{"cluster":"..","node":"n1","id":1,"certificate":"","authority":"","secret":"00000000000000000000000000000000","configuration":{}}"#, "not_stored"),
    ] {
        let mut stream = tls(&token).await;
        let mut words = greeting(&token, &stream);
        let mut sent = sent.to_vec();
        if sent.starts_with(b"....") {
            let length = (sent.len() as u32 - 4).to_be_bytes();
            sent[..4].copy_from_slice(&length);
        }
        words.extend(sent);
        stream.write_all(&words).await.unwrap();
        stream.flush().await.unwrap();
        let answer = rest(stream).await;
        assert!(answer.contains(expected), "{answer}");
    }
    assert_eq!(files(machines.joiner.path()), 0);
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

/// The caller's first words on this connection, made here from what the design says and not by
/// the code under test.
fn greeting(token: &Token, stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let text = token.to_string();
    let digits = text.split(':').nth(3).unwrap();
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    let secret: Vec<u8> = (0..16).map(byte).collect();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap();
    mac.update(b"dx join caller\0");
    let tls = stream.get_ref().1;
    mac.update(&tls.export_keying_material([0; 32], b"EXPORTER-dx-join-1", None).unwrap());
    let proof: Vec<String> =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let body = format!("{{\"proof\":\"{}\"}}", proof.concat());
    [&(body.len() as u32).to_be_bytes()[..], body.as_bytes()].concat()
}
