//! What echo and ping say to each other.

use bytes::Bytes;
use dx_agents::Message;
use serde::{Deserialize, Serialize};

/// Any bytes: text for people, or a payload that is to arrive as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    #[serde(skip)]
    body: Bytes,
}

impl Text {
    /// A text of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { body: bytes.into() }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }
}

impl Message for Text {
    const NAME: &'static str = "dx.text";

    fn body(&self) -> Bytes {
        self.body.clone()
    }

    fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }
}
