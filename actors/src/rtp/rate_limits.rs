//! Temporary limits of a stream's bit rate: TMMBR asks, TMMBN notes (RFC 5104 §4.2.1, §4.2.2). Built and read here, for the library knows
//! neither.

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Of a request, the stream that is limited; of a notification, who limits it.
    pub ssrc: u32,
    /// Bits per second, headers counted in.
    pub bits: u32,
    /// Bytes of headers that the one who limits sees on each packet.
    pub overhead: u16,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// TMMBR: send no more than this.
    Request = 3,
    /// TMMBN: these limits are known.
    Notification = 4,
}

/// IPv4, UDP and RTP.
const HEADERS: u16 = 20 + 8 + 12;

impl RateLimit {
    /// A limit of ours.
    pub fn new(ssrc: u32, bits: u32) -> Self {
        Self { ssrc, bits, overhead: HEADERS }
    }

    /// The packet with this one limit.
    pub fn packet(&self, kind: Kind, sender: u32) -> [u8; 20] {
        // Never more than what is meant: the bits that do not fit the mantissa are cut off.
        let exponent = (u32::BITS - self.bits.leading_zeros()).saturating_sub(MANTISSA_BITS);
        let mantissa = self.bits >> exponent;
        let rate = (exponent << 26) | (mantissa << 9) | u32::from(self.overhead & OVERHEAD);
        let words = [0x8000_0000 | ((kind as u32) << 24) | (205 << 16) | 4, sender, 0, self.ssrc, rate];
        let mut packet = [0; 20];
        for (place, word) in packet.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        packet
    }

    /// Reads the limits behind the head of a packet, whose format says of which kind they are; those beyond [`MOST`] are left out.
    pub fn read(packet: &[u8]) -> Vec<Self> {
        let entries = packet.get(HEAD..).unwrap_or_default().chunks_exact(8).take(MOST);
        let read = |entry: &[u8]| {
            let word =
                |at| entry.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            let (ssrc, rate) = (word(0)?, word(4)?);
            let (exponent, mantissa) = (rate >> 26, u64::from((rate >> 9) & ((1 << MANTISSA_BITS) - 1)));
            let bits = mantissa.checked_shl(exponent).filter(|bits| bits >> exponent == mantissa);
            let bits = bits.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(u32::MAX);
            Some(Self { ssrc, bits, overhead: (rate & u32::from(OVERHEAD)) as u16 })
        };
        entries.filter_map(read).collect()
    }
}

/// Header of RTCP, sender, and a media source that is always 0.
const HEAD: usize = 12;
const MANTISSA_BITS: u32 = 17;
const OVERHEAD: u16 = 0x1ff;
/// A far end has one stream of ours to limit.
const MOST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_reads_as_it_was_built_or_a_little_lower() {
        for bits in [0, 1, 64_000, 131_071, 131_072, 512_000, 1_500_001, 8_000_000, u32::MAX] {
            let limit = RateLimit::new(7, bits);
            let packet = limit.packet(Kind::Request, 1);
            assert_eq!(packet[..12], [0x83, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0]);
            let read = RateLimit::read(&packet);
            assert_eq!((read.len(), read[0].ssrc, read[0].overhead), (1, 7, 40));
            assert!(read[0].bits <= bits && bits - read[0].bits <= bits >> 16, "{bits}: {}", read[0].bits);
        }
        assert_eq!(RateLimit::new(7, 0).packet(Kind::Notification, 1)[0], 0x84);
    }

    #[test]
    fn what_makes_no_sense_is_no_limit_and_what_is_beyond_counting_the_highest() {
        assert_eq!(RateLimit::read(&[]), []);
        assert_eq!(RateLimit::read(&[0; 19]), []);
        let huge = [&[0; 12][..], &[0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff]].concat();
        assert_eq!(RateLimit::read(&huge), [RateLimit { ssrc: 7, bits: u32::MAX, overhead: 0x1ff }]);
        assert_eq!(RateLimit::read(&[0; 12 + 8 * 9]).len(), MOST);
        // 2 to the 63rd of nothing is nothing.
        let nothing = [&[0; 12][..], &[0, 0, 0, 7, 0xfc, 0, 0, 0]].concat();
        assert_eq!(RateLimit::read(&nothing)[0].bits, 0);
    }
}
