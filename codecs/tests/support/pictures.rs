//! Coded pictures from files (made by x264 and libvpx), and the packets of a stream of them.

use codecs::payload::Part;

/// x264, baseline, one slice a picture: 8 pictures of 320x240, IDR pictures of some 2 KB at 0 and 4.
pub const BASELINE: &[u8] = include_bytes!("../streams/baseline.h264");
/// The same in slices of at most 900 bytes.
pub const SLICES: &[u8] = include_bytes!("../streams/slices.h264");
/// x264, high, with B pictures: 6 pictures of 200x120, an IDR picture at 0.
pub const HIGH: &[u8] = include_bytes!("../streams/high.h264");
/// libvpx: 8 frames of 320x240, key frames of 4 to 7 KB at 0 and 4.
pub const FRAMES: &[u8] = include_bytes!("../streams/frames.ivf");

/// The NAL units of an Annex B stream.
pub fn units(stream: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, bytes)| bytes == &[0, 0, 1]).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let mut unit = stream[start + 3..end].to_vec();
        while unit.last() == Some(&0) {
            unit.pop();
        }
        unit
    };
    starts.iter().zip(ends).map(unit).collect()
}

/// The pictures of an Annex B stream, each with four bytes of start code before each NAL unit.
pub fn annex_b(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut pictures: Vec<Vec<u8>> = vec![vec![]];
    let mut has_slice = false;
    for unit in units(stream) {
        let is_slice = matches!(unit[0] & 0x1f, 1..=5);
        // A slice that begins with macroblock 0 has a 1 for its first bit.
        if has_slice && (!is_slice || unit[1] & 0x80 != 0) {
            pictures.push(vec![]);
            has_slice = false;
        }
        has_slice |= is_slice;
        let picture = pictures.last_mut().unwrap();
        picture.extend_from_slice(&[0, 0, 0, 1]);
        picture.extend_from_slice(&unit);
    }
    pictures
}

/// The frames of an IVF file.
pub fn ivf(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut rest) = (vec![], &file[32..]);
    while let Some((head, behind)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        frames.push(behind[..length].to_vec());
        rest = &behind[length..];
    }
    frames
}

/// An RTP packet of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub payload: Vec<u8>,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
}

impl Packet {
    pub fn part(&self) -> Part<'_> {
        let Self { payload, sequence, timestamp, marker } = self;
        Part { payload, sequence: *sequence, timestamp: *timestamp, marker: *marker }
    }
}

impl From<Part<'_>> for Packet {
    fn from(part: Part<'_>) -> Self {
        let Part { payload, sequence, timestamp, marker } = part;
        Self { payload: payload.to_vec(), sequence, timestamp, marker }
    }
}

/// Sequence numbers pass 65535 and timestamps 2³² - 1 early in a stream.
pub const FIRST_SEQUENCE: u16 = 65_533;
pub const FIRST_TIMESTAMP: u32 = u32::MAX - 6_000;
/// Ticks from picture to picture.
pub const STEP: u32 = 6_000;

/// Packets of pictures by a packetiser.
pub fn packets(
    pictures: &[Vec<u8>],
    mut packetise: impl FnMut(&[u8], &mut dyn FnMut(&[u8], bool)),
) -> Vec<Packet> {
    let mut packets: Vec<Packet> = vec![];
    let mut timestamp = FIRST_TIMESTAMP;
    for picture in pictures {
        packetise(picture, &mut |payload, marker| {
            let sequence = FIRST_SEQUENCE.wrapping_add(u16::try_from(packets.len()).unwrap());
            packets.push(Packet { payload: payload.to_vec(), sequence, timestamp, marker });
        });
        timestamp = timestamp.wrapping_add(STEP);
    }
    packets
}
