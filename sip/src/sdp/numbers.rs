//! The payload types that this side has given within one dialog.

use super::Format;

/// Remembers which number stands for which codec: a number must not change its meaning while a session lasts
/// (RFC 3264 §8.3.2), also when the far side chose it first. Bounded by the codecs of our own list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Numbers(Vec<Format>);

impl Numbers {
    /// The format with the number to use for it in an offer: the one given before, else its own, else a free dynamic one.
    pub(super) fn assign(&self, format: &Format, also_taken: &[Format]) -> Format {
        if let Some(known) = self.0.iter().rev().find(|known| known.same_codec(format)) {
            return format.clone().numbered(known.payload_type);
        }
        let free = |number: &u8| !self.0.iter().chain(also_taken).any(|known| known.payload_type == *number);
        let number = std::iter::once(format.payload_type).chain(96..=127).find(free);
        format.clone().numbered(number.unwrap_or(format.payload_type))
    }

    /// Notes that we announced this format under this number.
    pub(super) fn give(&mut self, format: &Format) {
        self.0.retain(|known| known.payload_type != format.payload_type && !known.same_codec(format));
        self.0.push(format.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opus(number: u8) -> Format {
        Format::new(number, "opus", 48000, 2)
    }

    #[test]
    fn a_number_keeps_its_meaning() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.assign(&opus(111), &[]).payload_type, 111, "nothing given: the wish");
        numbers.give(&opus(96));
        assert_eq!(numbers.assign(&opus(111), &[]).payload_type, 96, "given before");
        let speex = Format::new(96, "speex", 8000, 1);
        assert_eq!(numbers.assign(&speex, &[]).payload_type, 97, "96 is opus for good");
        let taken = [Format::new(97, "x", 8000, 1)];
        assert_eq!(numbers.assign(&speex, &taken).payload_type, 98, "97 is taken in this offer");
    }

    #[test]
    fn the_newest_number_wins() {
        let mut numbers = Numbers::default();
        for number in 96..=120 {
            numbers.give(&opus(number));
        }
        assert_eq!(numbers.assign(&opus(111), &[]).payload_type, 120);
        assert_eq!(numbers.0.len(), 1);
    }
}
