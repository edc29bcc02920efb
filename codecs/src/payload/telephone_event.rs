//! The telephone-event payload (RFC 4733 §2.3): four bytes that say which key is down, and for how long.

use crate::error::CodecError;

/// One telephone-event payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Event code; 0–15 are the DTMF digits (RFC 4733 §3.2), see [`digit`].
    pub event: u8,
    /// The E bit: the key was let go.
    pub end: bool,
    /// Level of the tone in -dBm0, 0–63.
    pub volume: u8,
    /// How long the event has lasted so far, in RTP clock ticks.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Bytes on the wire.
    pub const LENGTH: usize = 4;

    /// Reads the first event of a payload; some senders put more bytes behind it, and they are not ours to judge.
    pub fn decode(payload: &[u8]) -> Result<Self, CodecError> {
        let most = crate::MAX_PAYLOAD;
        match *payload {
            [event, flags, high, low, ..] if payload.len() <= most => Ok(Self {
                event,
                end: flags & END != 0,
                volume: flags & VOLUME,
                duration: u16::from_be_bytes([high, low]),
            }),
            _ => Err(CodecError::PayloadLength { length: payload.len(), least: Self::LENGTH, most }),
        }
    }

    /// The payload; the reserved bit is zero.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let [high, low] = self.duration.to_be_bytes();
        let end = if self.end { END } else { 0 };
        [self.event, end | (self.volume & VOLUME), high, low]
    }
}

/// The digit of an event code: `0`–`9`, `*`, `#`, `A`–`D`. Other events (flash, tones) are no digits.
pub fn digit(event: u8) -> Option<char> {
    DIGITS.get(usize::from(event)).map(|digit| char::from(*digit))
}

/// The event code of a digit; `a`–`d` count as capitals.
pub fn event(digit: char) -> Option<u8> {
    let capital = digit.to_ascii_uppercase();
    let place = DIGITS.iter().position(|known| char::from(*known) == capital)?;
    u8::try_from(place).ok()
}

/// In the order of RFC 4733 §3.2.
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
const END: u8 = 0x80;
const VOLUME: u8 = 0x3f;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_event_reads_as_the_rfc_draws_it() {
        let check = |bytes: [u8; 4], event, end, volume, duration| {
            let expected = TelephoneEvent { event, end, volume, duration };
            assert_eq!(TelephoneEvent::decode(&bytes), Ok(expected));
            assert_eq!(expected.encode(), bytes);
        };
        check([9, 0x07, 0x06, 0x40], 9, false, 7, 1600); // RFC 4733 §2.6, the example's first digit
        check([1, 0x8a, 0x05, 0x00], 1, true, 10, 1280);
        check([11, 0x3f, 0xff, 0xff], 11, false, 63, 65_535);
    }

    #[test]
    fn the_reserved_bit_is_ignored_and_not_sent() {
        let event = TelephoneEvent::decode(&[5, 0x40, 0, 160]).unwrap();
        assert_eq!(event.encode(), [5, 0, 0, 160]);
    }

    #[test]
    fn a_short_payload_is_refused_and_a_long_one_read_to_its_fourth_byte() {
        assert!(TelephoneEvent::decode(&[]).is_err());
        assert!(TelephoneEvent::decode(&[1, 2, 3]).is_err());
        assert_eq!(TelephoneEvent::decode(&[1, 0, 0, 160, 99, 99]).unwrap().event, 1);
    }

    #[test]
    fn digits_and_codes_are_each_others_mirror() {
        for (code, expected) in "0123456789*#ABCD".chars().enumerate() {
            let code = u8::try_from(code).unwrap();
            assert_eq!(digit(code), Some(expected));
            assert_eq!(event(expected), Some(code));
        }
        assert_eq!(event('d'), Some(15));
        assert_eq!(event('x'), None);
        assert_eq!(digit(16), None); // flash
    }

    proptest! {
        #[test]
        fn any_bytes_read_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(TelephoneEvent::decode(&bytes).is_ok(), bytes.len() >= 4);
        }
    }
}
