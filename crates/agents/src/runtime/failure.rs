//! Something happened after which the node must stop.

use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Set at most once, and heard by all who wait for it.
#[derive(Default)]
pub struct Failure(Mutex<State>);

#[derive(Default)]
struct State {
    text: Option<String>,
    waiting: Vec<Waker>,
}

impl Failure {
    /// It has happened.
    pub fn fail(&self, text: String) {
        tracing::error!("{text}");
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.text.get_or_insert(text);
        for waker in state.waiting.drain(..) {
            waker.wake();
        }
    }

    /// What has happened, if anything.
    pub fn text(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// Waits until it happens.
    pub async fn happened(&self) -> String {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &state.text {
                Some(text) => Poll::Ready(text.clone()),
                None => {
                    state.waiting.retain(|waker| !waker.will_wake(cx.waker()));
                    state.waiting.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
