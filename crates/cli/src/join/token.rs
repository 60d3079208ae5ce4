//! The token that people carry from the machine that joins to one of the cluster.

use std::fmt;
use std::str::FromStr;

use crate::hex;

/// What a token begins with.
const SCHEME: &str = "dx-join";

/// The one version of tokens that there is.
const VERSION: &str = "1";

/// Longest token that is read, in bytes: a DNS name has at most 253, the rest has 115.
pub(super) const MAX_TOKEN: usize = 512;

/// Where a node waits, by which key it is recognised, and the secret by which it recognises its
/// caller. Whoever holds it decides which cluster the node joins: it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Where the node waits: `host:port`.
    pub address: String,
    /// The SHA-256 of the node's public key.
    pub(super) fingerprint: [u8; 32],
    /// 128 random bits, for one use.
    pub(super) secret: [u8; 16],
}

/// Why a text is no token. It is not quoted: most of it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It begins otherwise.
    #[error("this is no join token: one begins with `{SCHEME}:`, as `dx node --listen` prints it")]
    Scheme,
    /// Another version of dx made it.
    #[error(
        "this join token has version {0}, and this dx knows version {VERSION}: use the same dx on both machines"
    )]
    Version(String),
    /// A part of it is missing or damaged.
    #[error("this join token's {0} is damaged: copy the whole line")]
    Damaged(&'static str),
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        // A terminal may have broken the line; a token itself has no spaces.
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let mut parts = text.splitn(5, ':');
        if parts.next() != Some(SCHEME) {
            return Err(InvalidToken::Scheme);
        }
        match parts.next() {
            Some(VERSION) => {}
            Some(other) => {
                return Err(InvalidToken::Version(other.escape_debug().take(8).collect()));
            }
            None => return Err(InvalidToken::Scheme),
        }
        let mut part = |what| parts.next().ok_or(InvalidToken::Damaged(what));
        let fingerprint = hex::decode_array(part("fingerprint")?);
        let secret = hex::decode_array(part("secret")?);
        let address = part("address")?.to_owned();
        Ok(Self {
            address: Some(address)
                .filter(|address| is_address(address))
                .ok_or(InvalidToken::Damaged("address"))?,
            fingerprint: fingerprint.ok_or(InvalidToken::Damaged("fingerprint"))?,
            secret: secret.ok_or(InvalidToken::Damaged("secret"))?,
        })
    }
}

pub(super) fn is_address(text: &str) -> bool {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    text.len() < MAX_TOKEN
        && !text.contains(char::is_control)
        && port.is_some_and(|(_, port)| port.parse().is_ok_and(|port: u16| port > 0))
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fingerprint, secret) = (hex::encode(&self.fingerprint), hex::encode(&self.secret));
        write!(f, "{SCHEME}:{VERSION}:{fingerprint}:{secret}:{}", self.address)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(address: &str) -> Token {
        Token { address: address.to_owned(), fingerprint: [0xab; 32], secret: [7; 16] }
    }

    #[test]
    fn a_token_survives_being_printed_and_wrapped() {
        for address in ["127.0.0.1:7001", "[::1]:7001", "host.example:1"] {
            let text = token(address).to_string();
            assert_eq!(text.parse(), Ok(token(address)));
            let wrapped = format!("  {}\n{}\r\n", &text[..80], &text[80..]);
            assert_eq!(wrapped.parse(), Ok(token(address)));
        }
    }

    #[test]
    fn every_cut_and_every_flipped_character_is_noticed_or_changes_the_token() {
        let whole = token("127.0.0.1:7001");
        let text = whole.to_string();
        for end in 0..text.len() - 3 {
            assert!(text[..end].parse::<Token>().is_err(), "{}", &text[..end]);
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = b'!';
            let flipped = String::from_utf8(bytes).unwrap().parse::<Token>();
            assert_ne!(flipped.as_ref(), Ok(&whole));
        }
    }

    #[test]
    fn what_is_wrong_with_a_token_is_said_without_quoting_it() {
        let text = token("127.0.0.1:7001").to_string();
        let error = |text: &str| text.parse::<Token>().unwrap_err();
        assert_eq!(error("hello"), InvalidToken::Scheme);
        assert_eq!(error(""), InvalidToken::Scheme);
        assert_eq!(error(&text.replace(":1:", ":2:")), InvalidToken::Version("2".to_owned()));
        assert_eq!(error(&text[..40]), InvalidToken::Damaged("secret"));
        assert_eq!(error(&text.replace("abab", "xyz")), InvalidToken::Damaged("fingerprint"));
        assert_eq!(error(&text.replace("0707", "")), InvalidToken::Damaged("secret"));
        for address in ["", "host", ":7001", "host:0", "host:x", "host:65536", "a\x1b[2J:1"] {
            assert_eq!(error(&token(address).to_string()), InvalidToken::Damaged("address"));
        }
        assert!(!format!("{:?}", token("a:1")).contains("07"));
    }
}
