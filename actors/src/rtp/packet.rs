//! One RTP packet (RFC 3550 §5.1); the only file that imports rtc-rtp.
//!
//! The payload shares the datagram's memory: forwarding writes a new header before it and copies it once, into the
//! outgoing datagram. CSRC lists and header extensions are read past and never sent on.

use bytes::{BufMut, Bytes, BytesMut};
use rtc_rtp::Header;
use rtc_rtp::header::{CSRC_LENGTH, CSRC_OFFSET, HEADER_LENGTH};
use rtc_shared::marshal::{Marshal, MarshalSize, Unmarshal};

/// What we keep of an RTP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPacket {
    /// First packet of a talkspurt, or last of a picture.
    pub marker: bool,
    /// 0–127, as SDP maps it.
    pub payload_type: u8,
    /// Counts packets, wraps.
    pub sequence: u16,
    /// In the codec's RTP clock, wraps.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
    /// Without padding.
    pub payload: Bytes,
}

/// Why a datagram is no RTP packet. Such a datagram is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Fewer bytes than its header says.
    #[error("rtp: {0} bytes are too short for the header")]
    Short(usize),
    /// Longer than we take.
    #[error("rtp: {0} bytes are too long")]
    Long(usize),
    /// Another version than 2: not RTP.
    #[error("rtp: version {0}")]
    Version(u8),
    /// The padding is longer than the payload, or zero.
    #[error("rtp: bad padding")]
    Padding,
    /// The header extension does not parse.
    #[error("rtp: bad header extension")]
    Extension,
}

impl RtpPacket {
    /// Bytes of the header that we write.
    pub const HEADER: usize = CSRC_OFFSET;

    /// Reads a datagram. Checks every length before it reads.
    pub fn parse(datagram: &Bytes) -> Result<Self, RtpError> {
        let start = payload_start(datagram)?;
        // The library reads extension 15 as the end of the header and gives what follows as payload: we take the
        // fields from it and the place of the payload from the lengths.
        let header = Header::unmarshal(&mut datagram.clone()).map_err(|_| RtpError::Extension)?;
        let padding = if header.padding { datagram.last().copied().map_or(0, usize::from) } else { 0 };
        if header.padding && padding == 0 {
            return Err(RtpError::Padding);
        }
        let end = datagram.len().checked_sub(padding).filter(|end| *end >= start).ok_or(RtpError::Padding)?;
        Ok(Self {
            marker: header.marker,
            payload_type: header.payload_type,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            payload: datagram.slice(start..end),
        })
    }

    /// Appends header and payload to `out`.
    pub fn write(&self, out: &mut BytesMut) {
        let header = Header {
            version: 2,
            marker: self.marker,
            payload_type: self.payload_type & 0x7f,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        let start = out.len();
        out.reserve(Self::HEADER + self.payload.len());
        out.put_bytes(0, Self::HEADER);
        header.marshal_to(&mut out[start..]).expect("a header without CSRC and extension takes 12 bytes");
        out.extend_from_slice(&self.payload);
    }
}

/// True for RTCP on a port that carries both (RFC 5761 §4): packet types 192–223 where RTP has marker and payload type.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|second| (192..=223).contains(second))
}

/// What [`clear_header`] gives.
pub type ClearHeader = Header;

/// The header of a packet whose payload is still encrypted, as the SRTP library wants it. It finds the payload by what it has read of the
/// header, so one that it read past is refused.
pub fn clear_header(datagram: &Bytes) -> Result<ClearHeader, RtpError> {
    let start = payload_start(datagram)?;
    let header = Header::unmarshal(&mut datagram.clone()).map_err(|_| RtpError::Extension)?;
    if header.marshal_size() == start { Ok(header) } else { Err(RtpError::Extension) }
}

/// Where the payload starts, by the lengths in the header (RFC 3550 §5.1, §5.3.1).
fn payload_start(datagram: &[u8]) -> Result<usize, RtpError> {
    let short = RtpError::Short(datagram.len());
    if datagram.len() > MAX_DATAGRAM {
        return Err(RtpError::Long(datagram.len()));
    }
    let first = *datagram.first().ok_or(short)?;
    if first >> 6 != 2 {
        return Err(RtpError::Version(first >> 6));
    }
    let mut start = CSRC_OFFSET + usize::from(first & 0x0f) * CSRC_LENGTH;
    if first & 0x10 != 0 {
        let words = datagram.get(start + 2..start + HEADER_LENGTH).ok_or(short)?;
        start += HEADER_LENGTH + usize::from(u16::from_be_bytes([words[0], words[1]])) * 4;
    }
    if start > datagram.len() { Err(short) } else { Ok(start) }
}

/// Longest datagram that we read: an Ethernet frame, with room for tunnels that join fragments.
const MAX_DATAGRAM: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: [u8; 14] = [0x80, 0x80, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 1, 2];

    fn parse(bytes: &[u8]) -> Result<RtpPacket, RtpError> {
        RtpPacket::parse(&Bytes::copy_from_slice(bytes))
    }

    /// The plain packet with another first byte and `middle` between header and payload.
    fn with(first: u8, middle: &[u8]) -> Vec<u8> {
        [&[first], &PLAIN[1..12], middle, &PLAIN[12..]].concat()
    }

    #[test]
    fn a_packet_reads_as_it_was_written() {
        let packet = parse(&PLAIN).unwrap();
        assert!(packet.marker);
        assert_eq!((packet.payload_type, packet.sequence, packet.timestamp), (0, 0x1234, 160));
        assert_eq!(packet.ssrc, 0xdead_beef);
        assert_eq!(packet.payload, &[1, 2][..]);
        let mut out = BytesMut::from(&b"before"[..]);
        packet.write(&mut out);
        assert_eq!(out[6..], PLAIN);
    }

    #[test]
    fn the_payload_shares_the_datagrams_memory() {
        let datagram = Bytes::copy_from_slice(&PLAIN);
        let packet = RtpPacket::parse(&datagram).unwrap();
        assert_eq!(packet.payload.as_ptr(), datagram[12..].as_ptr());
    }

    #[test]
    fn csrc_extension_and_padding_are_not_payload() {
        let check = |bytes: &[u8]| assert_eq!(parse(bytes).unwrap().payload, &[1, 2][..], "{bytes:02x?}");
        check(&with(0x82, &[9; 8])); // two CSRC
        check(&with(0x90, &[0xbe, 0xde, 0, 1, 0x10, 0x42, 0, 0])); // one-byte extension
        check(&with(0x90, &[0xbe, 0xde, 0, 0])); // empty extension, as str0m sends
        check(&with(0x90, &[0xbe, 0xde, 0, 2, 0xf0, 1, 2, 3, 4, 5, 6, 7])); // id 15 ends the list, not the header
        check(&with(0x90, &[0x12, 0x34, 0, 1, 1, 2, 3, 4])); // unknown profile
        let mut padded = with(0xa0, &[]);
        padded.extend([0, 0, 0, 4]);
        check(&padded);
    }

    #[test]
    fn what_is_no_rtp_is_refused_with_its_reason() {
        let check = |bytes: &[u8], expected| assert_eq!(parse(bytes), Err(expected), "{bytes:02x?}");
        check(&[], RtpError::Short(0));
        check(&PLAIN[..11], RtpError::Short(11));
        check(&with(0x00, &[]), RtpError::Version(0));
        check(&with(0x8f, &[]), RtpError::Short(14)); // 15 CSRC promised
        check(&with(0x90, &[0xbe, 0xde, 0xff, 0xff]), RtpError::Short(18)); // extension longer than the packet
        check(&[&with(0xa0, &[])[..], &[0]].concat(), RtpError::Padding);
        check(&[&with(0xa0, &[])[..], &[4]].concat(), RtpError::Padding); // more than the payload
        check(&[0x80; 3000], RtpError::Long(3000));
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_second_byte() {
        assert!(is_rtcp(&[0x80, 200]));
        assert!(is_rtcp(&[0x81, 206]));
        assert!(!is_rtcp(&[0x80, 0x80]));
        assert!(!is_rtcp(&[0x80, 0x80 | 111]));
        assert!(!is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn any_bytes_read_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80), first in 0x80u8..) {
            let _ = parse(&bytes);
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() { *byte = first; }
            if let Ok(packet) = parse(&bytes) {
                let mut out = BytesMut::new();
                packet.write(&mut out);
                prop_assert_eq!(parse(&out).unwrap(), packet);
            }
        }
    }
}
