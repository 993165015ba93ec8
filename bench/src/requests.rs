//! Counts the requests and invocations that AWS bills.

use std::ops::AddAssign;
use std::time::Duration;

/// Size of the messages in a request that SQS bills as one request.
const CHUNK_BYTES: usize = 64 << 10;
/// Number of messages that Lambda receives or deletes in a request.
const MESSAGES_PER_REQUEST: usize = 10;

/// Invocations of all functions together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Invocations {
    pub number: usize,
    /// Duration that AWS bills.
    pub milliseconds: u128,
}

impl Invocations {
    /// Adds an invocation. Lambda rounds its duration up to a millisecond.
    pub fn add(&mut self, duration: Duration) {
        self.number += 1;
        self.milliseconds += duration.as_nanos().div_ceil(1_000_000);
    }
}

impl AddAssign for Invocations {
    fn add_assign(&mut self, other: Self) {
        self.number += other.number;
        self.milliseconds += other.milliseconds;
    }
}

/// Requests that SQS bills for a queue. `sent` are the messages of each request that sends.
/// `received` are all messages, which Lambda receives and deletes.
pub fn sqs_requests<'m>(sent: impl Iterator<Item = &'m [String]>, received: &[String]) -> usize {
    let receive_and_delete = |messages: &[String]| chunks(messages) + 1;
    let received = received.chunks(MESSAGES_PER_REQUEST);
    let received: usize = received.map(receive_and_delete).sum();
    sent.map(chunks).sum::<usize>() + received
}

/// Number of requests that SQS bills for one request with these messages.
fn chunks(messages: &[String]) -> usize {
    let bytes: usize = messages.iter().map(String::len).sum();
    bytes.div_ceil(CHUNK_BYTES).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(number: usize, bytes: usize) -> Vec<String> {
        vec!["x".repeat(bytes); number]
    }

    #[test]
    fn a_request_is_billed_per_started_64_kib_of_its_messages() {
        let sizes = [0, 1, 64 << 10, (64 << 10) + 1];
        let billed = sizes.map(|bytes| chunks(&messages(1, bytes)));
        assert_eq!(billed, [1, 1, 1, 2]);
        assert_eq!(chunks(&messages(10, 32 << 10)), 5);
    }

    #[test]
    fn messages_are_received_and_deleted_by_tens() {
        let messages = messages(25, 100);
        assert_eq!(sqs_requests(messages.chunks(1), &messages), 25 + 3 + 3);
        assert_eq!(sqs_requests(messages.chunks(10), &messages), 3 + 3 + 3);
    }

    #[test]
    fn receiving_is_billed_by_size_and_deleting_is_not() {
        let messages = messages(10, 64 << 10);
        assert_eq!(sqs_requests(messages.chunks(5), &messages), 10 + 10 + 1);
    }

    #[test]
    fn an_invocation_is_billed_in_whole_milliseconds() {
        let mut invocations = Invocations::default();
        invocations.add(Duration::from_micros(1));
        invocations.add(Duration::from_millis(2));
        invocations.add(Duration::from_micros(2_001));
        assert_eq!((invocations.number, invocations.milliseconds), (3, 6));
    }
}
