//! What is wrong with a certificate, in words that say what to do.

use rustls::AlertDescription;

use super::DialError;

/// What `error`, met in a handshake or on a link, says about a certificate; the error itself if
/// it is not about one.
#[cfg(feature = "tls")]
pub(super) fn explain(transport: &'static str, error: &rustls::Error) -> DialError {
    use rustls::Error;

    match error {
        Error::InvalidCertificate(error) => {
            by_us(transport, AlertDescription::from(error.clone()), &error.to_string())
        }
        Error::NoCertificatesPresented => {
            by_us(transport, AlertDescription::CertificateRequired, "")
        }
        Error::AlertReceived(alert) => by_peer(transport, *alert),
        Error::NoApplicationProtocol => {
            by_us(transport, AlertDescription::NoApplicationProtocol, "")
        }
        error => DialError::Handshake { transport, reason: error.to_string() },
    }
}

/// Why we refuse the peer: the alert that tells it so, and the verifier's own words.
pub(super) fn by_us(transport: &'static str, alert: AlertDescription, detail: &str) -> DialError {
    let reason = match alert {
        AlertDescription::CertificateExpired => {
            "the peer's has expired or is not valid yet: issue a new one, and compare the clocks"
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "the peer's is not signed by this cluster's authority: it belongs to another cluster, or needs a certificate of this one"
        }
        AlertDescription::BadCertificate => {
            "the peer's is not that of the node which is expected there: compare the address with the node's, and its certificate"
        }
        AlertDescription::CertificateRequired => {
            "the peer showed none: every node needs one of the cluster's authority"
        }
        AlertDescription::NoApplicationProtocol => {
            return DialError::Handshake {
                transport,
                reason: "the peer is no dx node, or one of another version".to_owned(),
            };
        }
        _ => "the peer's is not a node's: issue a new one",
    };
    DialError::Certificate(if detail.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason} ({detail})")
    })
}

/// Why the peer refuses us, by the alert that it sent.
pub(super) fn by_peer(transport: &'static str, alert: AlertDescription) -> DialError {
    let reason = match alert {
        AlertDescription::CertificateExpired => {
            "the peer finds this node's expired or not valid yet: issue a new one, and compare the clocks"
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "the peer does not know the authority that signed this node's: one of the two belongs to another cluster"
        }
        AlertDescription::BadCertificate => {
            "the peer expects another node here: compare the address it dials with this node's, and its certificate"
        }
        AlertDescription::CertificateRequired => "the peer demands one, and this node showed none",
        AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::AccessDenied => "the peer does not accept this node's: issue a new one",
        AlertDescription::NoApplicationProtocol => {
            return DialError::Handshake {
                transport,
                reason: "the peer does not speak this version's protocol".to_owned(),
            };
        }
        alert => {
            let reason = format!("the peer ended it with the alert {alert:?}");
            return DialError::Handshake { transport, reason };
        }
    };
    DialError::Certificate(reason.to_owned())
}
