//! Requests of the operator that wait for a function, as they wait in a load balancer.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::oneshot;

/// The response to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status. 0 if the request was never answered.
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the request was carried out or refused. After any other answer it is repeated.
    pub fn is_definite(&self) -> bool {
        (200..500).contains(&self.status)
    }

    /// The number at a JSON pointer of the body.
    pub fn number<T: TryFrom<i64>>(&self, pointer: &str) -> Option<T> {
        let number = self.body.pointer(pointer)?.as_i64()?;
        T::try_from(number).ok()
    }
}

/// A request and the way back to its sender.
#[derive(Debug)]
pub struct Waiting {
    /// The event of the load balancer.
    pub event: Value,
    reply: oneshot::Sender<Option<Answer>>,
}

impl Waiting {
    /// Ends the request. `None` if its sender gets no answer.
    pub fn answer(self, answer: Option<Answer>) {
        // The sender may wait no longer.
        let _ = self.reply.send(answer);
    }
}

/// Requests that no function has taken yet.
#[derive(Debug, Default)]
pub struct Desk(Mutex<VecDeque<Waiting>>);

impl Desk {
    /// Sends a request. Returns `None` if it is not answered.
    pub async fn send(&self, event: Value) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { event, reply };
        self.lock().push_back(waiting);
        answer.await.ok().flatten()
    }

    /// Takes the next request. `None` if none is waiting.
    pub fn next(&self) -> Option<Waiting> {
        self.lock().pop_front()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
