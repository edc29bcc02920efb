//! Fragments into messages (RFC 6455 §5.4). Our own, because it must not keep one allocation per fragment: a page
//! could send four million fragments of one byte.
use actix_ws::Item;

use super::MAX_READ;

/// The message that is being received in fragments.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    bytes: Vec<u8>,
    text: bool,
}

/// Why a fragmented message cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadMessage {
    /// Above [`MAX_READ`].
    TooLarge,
    /// Not UTF-8.
    NotText,
}

impl Assembler {
    /// Adds a fragment; the text when it was the last one. A binary message yields nothing: no client sends one.
    pub(super) fn add(&mut self, item: Item) -> Result<Option<String>, BadMessage> {
        let (bytes, last) = match item {
            Item::FirstText(bytes) => {
                *self = Self { bytes: Vec::new(), text: true };
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                *self = Self::default();
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if self.bytes.len() + bytes.len() > MAX_READ {
            return Err(BadMessage::TooLarge);
        }
        self.bytes.extend_from_slice(&bytes);
        if !last {
            return Ok(None);
        }
        let Self { bytes, text } = std::mem::take(self);
        if text { String::from_utf8(bytes).map(Some).map_err(|_| BadMessage::NotText) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_become_one_text() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.add(Item::FirstText("a\u{e4}".as_bytes()[..2].to_vec().into())), Ok(None));
        assert_eq!(assembler.add(Item::Continue("\u{e4}".as_bytes()[1..].to_vec().into())), Ok(None));
        assert_eq!(assembler.add(Item::Last("b".into())), Ok(Some("a\u{e4}b".into())));
    }

    #[test]
    fn what_is_no_text_or_too_large_is_refused_and_binary_is_nothing() {
        let mut assembler = Assembler::default();
        assembler.add(Item::FirstText(vec![0xff].into())).unwrap();
        assert_eq!(assembler.add(Item::Last("b".into())), Err(BadMessage::NotText));
        assembler.add(Item::FirstBinary("x".into())).unwrap();
        assert_eq!(assembler.add(Item::Last("b".into())), Ok(None));
        assembler.add(Item::FirstText(vec![b'x'; MAX_READ].into())).unwrap();
        assert_eq!(assembler.add(Item::Continue("x".into())), Err(BadMessage::TooLarge));
    }
}
