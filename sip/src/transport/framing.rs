//! Messages out of a byte stream (RFC 3261 18.3, 7.5; keep-alives of RFC 5626 4.4.1).

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::message::{MAX_MESSAGE, declared_length};

/// Keeps a way open; a peer that knows RFC 5626 answers it with [`KEEP_ALIVE_PONG`] on a stream.
pub const KEEP_ALIVE_PING: &[u8] = b"\r\n\r\n";

/// What to send for [`Frame::Ping`].
pub const KEEP_ALIVE_PONG: &[u8] = b"\r\n";

/// How long a message may take from its first byte to its last. A peer that stalls longer (RFC 4475 3.1.2.2) or drips bytes to hold
/// the connection is cut off.
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What a stream said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, for [`parse`](crate::message::parse).
    Message(Bytes),
    /// A double CRLF between messages: answer [`KEEP_ALIVE_PONG`].
    Ping,
    /// Nobody can tell where the next message begins. The header section, for [`parse`](crate::message::parse) to make an answer of;
    /// send that, then close the connection. The framer takes no more bytes.
    Broken(Bytes),
}

/// Cuts one stream into frames. Looks at each byte once and holds at most one message and one read.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    state: State,
    /// When the message in the buffer began to arrive.
    since: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between messages.
    #[default]
    Between,
    /// In the header section; the first `seen` bytes hold no end of it.
    Head {
        seen: usize,
    },
    /// The message is so long.
    Body {
        length: usize,
    },
    Broken,
}

impl Framer {
    /// A framer for a fresh connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the stream. Call [`Framer::next_frame`] until it says `None` before the next read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::Broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next frame, if it is complete; if not, the clock of the message that has begun runs from `now`.
    pub fn next_frame(&mut self, now: Instant) -> Option<Frame> {
        let frame = self.cut();
        self.since = match self.state {
            State::Head { .. } | State::Body { .. } => self.since.or(Some(now)),
            State::Between | State::Broken => None,
        };
        frame
    }

    /// When the connection must be closed unless the message in the buffer is complete by then. `None` between messages: how long
    /// an idle connection may live is the caller's rule.
    pub fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + BODY_DEADLINE)
    }

    fn cut(&mut self) -> Option<Frame> {
        loop {
            match self.state {
                State::Broken => return None,
                State::Between => match *self.buffer {
                    [] => return None,
                    [b'\r', b'\n', b'\r', b'\n', ..] => {
                        let _ = self.buffer.split_to(4);
                        return Some(Frame::Ping);
                    }
                    [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
                    // A single CRLF: a pong, or the remains of a sloppy sender (7.5).
                    [b'\r', b'\n', ..] => drop(self.buffer.split_to(2)),
                    _ => self.state = State::Head { seen: 0 },
                },
                State::Head { seen } => match find_end(&self.buffer, seen) {
                    Some(end) if end > MAX_MESSAGE => return self.broken(MAX_MESSAGE),
                    Some(end) => match declared_length(&self.buffer[..end]) {
                        Ok(body) if body <= MAX_MESSAGE - end => {
                            self.state = State::Body { length: end + body }
                        }
                        _ => return self.broken(end),
                    },
                    None if self.buffer.len() > MAX_MESSAGE => return self.broken(MAX_MESSAGE),
                    None => {
                        self.state = State::Head { seen: self.buffer.len() };
                        return None;
                    }
                },
                State::Body { length } => {
                    if self.buffer.len() < length {
                        return None;
                    }
                    self.state = State::Between;
                    return Some(Frame::Message(self.buffer.split_to(length).freeze()));
                }
            }
        }
    }

    fn broken(&mut self, head: usize) -> Option<Frame> {
        let head = self.buffer.split_to(head).freeze();
        self.buffer = BytesMut::new();
        self.state = State::Broken;
        Some(Frame::Broken(head))
    }
}

/// The end of the header section, empty line included. The first `seen` bytes were searched before.
fn find_end(buffer: &[u8], seen: usize) -> Option<usize> {
    let start = seen.saturating_sub(3);
    buffer[start..].windows(4).position(|window| window == b"\r\n\r\n").map(|at| start + at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\nl: 5\r\n\r\nhello";
    const B: &[u8] = b"OPTIONS sip:b SIP/2.0\r\nContent-Length:\r\n 0\r\n\r\n";

    fn message(bytes: &[u8]) -> Frame {
        Frame::Message(Bytes::copy_from_slice(bytes))
    }

    fn frames(framer: &mut Framer, now: Instant, bytes: &[u8]) -> Vec<Frame> {
        framer.push(bytes);
        std::iter::from_fn(|| framer.next_frame(now)).collect()
    }

    #[test]
    fn however_the_stream_is_split_the_frames_are_the_same() {
        let now = Instant::now();
        let stream = [b"\r\n\r\n", A, b"\r\n", B, A, b"\r\n\r\n\r\n\r\n"].concat();
        let wanted = [Frame::Ping, message(A), message(B), message(A), Frame::Ping, Frame::Ping];
        for at in 0..=stream.len() {
            let mut framer = Framer::new();
            let mut got = frames(&mut framer, now, &stream[..at]);
            got.extend(frames(&mut framer, now, &stream[at..]));
            assert_eq!(got, wanted, "split at {at}");
        }
        let mut framer = Framer::new();
        let got: Vec<Frame> = stream.chunks(1).flat_map(|byte| frames(&mut framer, now, byte)).collect();
        assert_eq!(got, wanted);
    }

    #[test]
    fn a_length_that_cannot_be_trusted_breaks_the_stream() {
        let now = Instant::now();
        for length in [
            "l: -999",
            "l: 5\r\nContent-Length: 6",
            "l:",
            "l: 5, 5",
            "l: 65536",
            "l: 99999999999999999999999",
        ] {
            let head = format!("OPTIONS sip:a SIP/2.0\r\n{length}\r\n\r\n");
            let mut framer = Framer::new();
            let got = frames(&mut framer, now, format!("{head}hello").as_bytes());
            assert_eq!(got, [Frame::Broken(head.into())], "{length}");
            assert!(frames(&mut framer, now, A).is_empty(), "the framer takes no more");
            assert_eq!(framer.deadline(), None);
        }
    }

    #[test]
    fn a_header_section_without_end_breaks_the_stream() {
        let mut framer = Framer::new();
        let now = Instant::now();
        let line = b"X: 0123456789012345678901234567890123456789\r\n";
        let broken = (0..2_000).find_map(|_| frames(&mut framer, now, line).pop());
        assert!(matches!(broken, Some(Frame::Broken(head)) if head.len() == MAX_MESSAGE));
    }

    #[test]
    fn the_clock_runs_from_the_first_byte_of_a_message_to_its_last() {
        let start = Instant::now();
        let later = start + Duration::from_secs(20);
        let mut framer = Framer::new();
        assert!(frames(&mut framer, start, b"\r\n").is_empty());
        assert_eq!(framer.deadline(), None, "a pong is no message");
        frames(&mut framer, start, &A[..10]);
        frames(&mut framer, later, &A[10..A.len() - 1]);
        assert_eq!(framer.deadline(), Some(start + BODY_DEADLINE), "dripping does not prolong it");
        assert_eq!(frames(&mut framer, later, &[&A[A.len() - 1..], b"OPT"].concat()), [message(A)]);
        assert_eq!(framer.deadline(), Some(later + BODY_DEADLINE));
    }
}
