//! What waits to be sent to a page that does not read as fast as we write.
use std::collections::VecDeque;

use actix_web::web::Bytes;
use actix_ws::Message;

/// Most frames that may wait: a call in all its states has a dozen.
const MAX_FRAMES: usize = 256;
/// Most bytes that may wait; an SDP has 2 to 8 KB.
const MAX_BYTES: usize = 1024 * 1024;

/// Frames in order, bounded.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Message>,
    bytes: usize,
}

impl Outbox {
    /// Queues a text. False: the page does not keep up; its socket must close with 1013.
    #[must_use]
    pub(super) fn text(&mut self, text: String) -> bool {
        self.push(text.len(), Message::Text(text.into()))
    }

    /// Queues the answer to a control ping.
    #[must_use]
    pub(super) fn pong(&mut self, payload: Bytes) -> bool {
        self.push(payload.len(), Message::Pong(payload))
    }

    /// The next frame.
    pub(super) fn pop(&mut self) -> Option<Message> {
        let frame = self.frames.pop_front()?;
        self.bytes -= size(&frame);
        Some(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn push(&mut self, size: usize, frame: Message) -> bool {
        let fits = self.frames.len() < MAX_FRAMES && self.bytes + size <= MAX_BYTES;
        if fits {
            self.bytes += size;
            self.frames.push_back(frame);
        }
        fits
    }
}

fn size(frame: &Message) -> usize {
    match frame {
        Message::Text(text) => text.len(),
        Message::Pong(payload) => payload.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_in_order_and_make_room() {
        let mut outbox = Outbox::default();
        assert!((0..MAX_FRAMES).all(|n| outbox.text(n.to_string())));
        assert!(!outbox.text("one too many".into()));
        assert_eq!(outbox.pop(), Some(Message::Text("0".into())));
        assert!(outbox.pong(Bytes::from_static(b"p")));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut outbox = Outbox::default();
        assert!(outbox.text("x".repeat(MAX_BYTES)));
        assert!(!outbox.text("x".into()));
        outbox.pop();
        assert!(outbox.is_empty() && outbox.text("x".into()));
    }
}
