//! Who may link with whom, for the transports that prove it by certificates.

use std::future::poll_fn;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dx_transport::credentials::Credentials;
use dx_transport::id::NodeId;
use dx_transport::identity::{Authority, IdentityFiles, NodeIdentity};
use dx_transport::session::SendQueue;
use dx_transport::transport::{self, CreateError, DialError, PeerProof};

use crate::fixture::{ACCEPTOR, Attempt, DIALER, End, Fixture};

const HOUR: Duration = Duration::from_hours(1);

macro_rules! for_certified_transports {
    ($($rule:ident)*) => {
        #[cfg(feature = "tls")]
        for_certified_transports! { @ tls "tls" [$($rule)*] }
        #[cfg(feature = "quic")]
        for_certified_transports! { @ quic "quic" [$($rule)*] }
    };
    (@ $transport:ident $name:literal [$($rule:ident)*]) => {
        mod $transport {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule($name).await;
            })*
        }
    };
}

for_certified_transports! {
    a_link_proves_which_node_the_peer_is
    a_node_of_another_cluster_is_refused
    a_stranger_is_refused_although_it_knows_our_authority
    another_node_than_the_one_expected_is_refused
    an_expired_certificate_of_the_acceptor_is_refused
    an_expired_certificate_of_the_dialer_is_refused
    without_a_certificate_there_is_no_transport
}

async fn a_link_proves_which_node_the_peer_is(name: &'static str) {
    let (dialer, acceptor) = Fixture::new(name).pair().await;
    let is = |end: &End, node| match end.link.peer() {
        PeerProof::Certificate(is) => is(node),
        PeerProof::None => panic!("nothing was proven"),
    };
    assert!(is(&acceptor, DIALER) && !is(&acceptor, ACCEPTOR) && !is(&acceptor, NodeId(22)));
    assert!(is(&dialer, ACCEPTOR) && !is(&dialer, DIALER));
}

async fn a_node_of_another_cluster_is_refused(name: &'static str) {
    let ours = Authority::create().unwrap().issue(ACCEPTOR, HOUR).unwrap();
    let theirs = Authority::create().unwrap().issue(DIALER, HOUR).unwrap();
    let (dialer, acceptor) = attempt(name, ours, theirs).await;
    assert_says(&refused(dialer), "not signed by this cluster's authority");
    assert_says(&refused(acceptor), "the peer does not know the authority that signed this node's");
}

async fn a_stranger_is_refused_although_it_knows_our_authority(name: &'static str) {
    let authority = Authority::create().unwrap();
    let ours = authority.issue(ACCEPTOR, HOUR).unwrap();
    let stranger = Authority::create().unwrap().issue(DIALER, HOUR).unwrap();
    let (dialer, acceptor) = attempt(name, ours.clone(), trusting(&stranger, &ours)).await;
    assert_says(&refused(acceptor), "not signed by this cluster's authority");
    let told = told_on_writing(dialer).await;
    assert_says(&told, "the peer does not know the authority that signed this node's");
}

async fn another_node_than_the_one_expected_is_refused(name: &'static str) {
    let authority = Authority::create().unwrap();
    let [other, dialer] = [NodeId(9), DIALER].map(|node| authority.issue(node, HOUR).unwrap());
    let (dialer, acceptor) = attempt(name, other, dialer).await;
    let error = refused(dialer);
    assert_says(&error, "not that of the node which is expected there");
    assert_says(&error, "node-9.dx.internal");
    assert_says(&refused(acceptor), "the peer expects another node here");
}

async fn an_expired_certificate_of_the_acceptor_is_refused(name: &'static str) {
    let authority = Authority::create().unwrap();
    let now = SystemTime::now();
    let expired = authority.issue_for(ACCEPTOR, now - 2 * HOUR..now - HOUR).unwrap();
    let (dialer, acceptor) = attempt(name, expired, authority.issue(DIALER, HOUR).unwrap()).await;
    assert_says(&refused(dialer), "has expired or is not valid yet: issue a new one");
    assert_says(&refused(acceptor), "the peer finds this node's expired");
}

async fn an_expired_certificate_of_the_dialer_is_refused(name: &'static str) {
    let authority = Authority::create().unwrap();
    let now = SystemTime::now();
    let expired = authority.issue_for(DIALER, now - 2 * HOUR..now - HOUR).unwrap();
    let (dialer, acceptor) = attempt(name, authority.issue(ACCEPTOR, HOUR).unwrap(), expired).await;
    assert_says(&refused(acceptor), "has expired or is not valid yet: issue a new one");
    assert_says(&told_on_reading(dialer).await, "the peer finds this node's expired");
}

async fn without_a_certificate_there_is_no_transport(name: &'static str) {
    let error = transport::create(name, &Credentials::default()).err().unwrap();
    assert!(matches!(&error, CreateError::Credentials { .. }), "{error}");
    assert!(error.to_string().contains("this node has no certificate"), "{error}");
}

async fn attempt(
    name: &'static str,
    acceptor: NodeIdentity,
    dialer: NodeIdentity,
) -> (Attempt, Attempt) {
    let [acceptor, dialer] =
        [acceptor, dialer].map(|identity| Credentials { identity: Some(identity), secret: None });
    let fixture = Fixture::with(name, &acceptor, &dialer);
    let mut listener = fixture.listen().await;
    let endpoint = listener.endpoint();
    fixture.attempt(&endpoint, &mut listener).await
}

/// `identity`, but with the authority that `other` trusts.
fn trusting(identity: &NodeIdentity, other: &NodeIdentity) -> NodeIdentity {
    let folder = tempfile::tempdir().unwrap();
    let files = |name: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        IdentityFiles::in_folder(&folder.path().join(name))
    };
    let (ours, theirs) = (files("ours"), files("theirs"));
    identity.save(&ours).unwrap();
    other.save(&theirs).unwrap();
    NodeIdentity::load(&IdentityFiles { authority: theirs.authority, ..ours }).unwrap()
}

fn refused(attempt: Attempt) -> DialError {
    let error = attempt.err().expect("the link must not stand");
    assert!(matches!(error, DialError::Certificate(_)), "{error:?}");
    error
}

/// The refusal that a dialing node mostly learns of after its handshake has ended: here by its
/// first read,
async fn told_on_reading(attempt: Attempt) -> DialError {
    match attempt {
        Ok(link) => late_refusal(End { link }.read_some(0, 1).await.unwrap_err()),
        told_at_once => refused(told_at_once),
    }
}

/// and here by a write, if it never reads.
async fn told_on_writing(attempt: Attempt) -> DialError {
    let mut end = match attempt {
        Ok(link) => End { link },
        told_at_once => return refused(told_at_once),
    };
    loop {
        let mut queue = SendQueue::default();
        queue.push(Bytes::from(vec![0; 10_000]));
        if let Err(error) = poll_fn(|cx| end.link.poll_write(cx, 0, &mut queue)).await {
            return late_refusal(error);
        }
        if let Err(error) = poll_fn(|cx| end.link.poll_flush(cx, 0)).await {
            return late_refusal(error);
        }
    }
}

fn late_refusal(error: io::Error) -> DialError {
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    let error = DialError::from(error);
    assert!(matches!(error, DialError::Certificate(_)), "{error:?}");
    error
}

fn assert_says(error: &DialError, text: &str) {
    let message = error.to_string();
    assert!(message.contains(text), "`{message}` should say `{text}`");
    assert!(!message.contains('\n'), "{message}");
}

/// TLS without a certificate of its own, as a browser or a port scanner has.
#[cfg(feature = "tls")]
#[tokio::test]
async fn a_tls_client_without_a_certificate_is_refused() {
    let identity = Authority::create().unwrap().issue(ACCEPTOR, HOUR).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .dangerous()
    .with_custom_certificate_verifier(std::sync::Arc::new(anything::Goes))
    .with_no_client_auth();
    config.alpn_protocols = vec![b"dx/1".to_vec()];
    let credentials = Credentials { identity: Some(identity), secret: None };
    let fixture = Fixture::with("tls", &credentials, &credentials);
    let mut listener = fixture.listen().await;
    let socket = tokio::net::TcpStream::connect(listener.endpoint()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let name = "anybody".try_into().unwrap();
    let incoming = listener.accept(&|| false).await.unwrap();
    let (_client, accepted) = tokio::join!(connector.connect(name, socket), incoming.upgrade(1));
    assert_says(&refused(accepted), "the peer showed none");
}

/// What is no TLS at all.
#[cfg(feature = "tls")]
#[tokio::test]
async fn plain_bytes_are_no_handshake() {
    use tokio::io::AsyncWriteExt;

    let fixture = Fixture::new("tls");
    let mut listener = fixture.listen().await;
    let mut socket = tokio::net::TcpStream::connect(listener.endpoint()).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let incoming = listener.accept(&|| false).await.unwrap();
    let error = incoming.upgrade(1).await.err().unwrap();
    assert!(matches!(error, DialError::Handshake { transport: "tls", .. }), "{error:?}");
}

#[cfg(feature = "tls")]
mod anything {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    /// Accepts any server.
    #[derive(Debug)]
    pub struct Goes;

    impl ServerCertVerifier for Goes {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
        }
    }
}
