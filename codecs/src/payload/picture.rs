//! Pictures and the RTP packets that carry them: what all video payload formats share.

use super::numbers::LATE;
use crate::error::CodecError;
use crate::video::codec::MAX_CODED;

/// One RTP packet of a stream of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// What stands behind the RTP header and before the padding.
    pub payload: &'a [u8],
    /// Sequence number.
    pub sequence: u16,
    /// In ticks of 90 kHz; all parts of a picture have the same.
    pub timestamp: u32,
    /// Set on the last part of a picture.
    pub marker: bool,
}

/// One coded picture: Annex B for H.264, the frame for VP8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodedPicture<'a> {
    /// The bytes for the decoder.
    pub data: &'a [u8],
    /// Of its packets.
    pub timestamp: u32,
    /// Whether it needs no picture before it.
    pub key: bool,
    /// Whether pictures before this one are missing: if it is no key picture, what a decoder makes of it is not what was
    /// sent, and a key picture should be asked for. True of the first.
    pub after_loss: bool,
}

/// What differs between payload formats when a picture is put together.
pub trait Assembly {
    /// Forgets what it knows of the picture at hand; another begins.
    fn begin(&mut self, timestamp: u32);

    /// Appends what the payload carries. After an error the picture is given up.
    fn add(&mut self, payload: &[u8], picture: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Whether what was added began at the picture's beginning: asked when packets before it are missing.
    fn begins_whole(&self) -> bool;

    /// Whether the picture is a key picture. None: there is no picture in it.
    fn finish(&mut self, picture: &[u8]) -> Result<Option<bool>, CodecError>;
}

/// Puts pictures together from the packets of one stream, in the order of their sequence numbers: a reordering buffer, if
/// there is one, stands before it. A picture with a hole is dropped, and so is one longer than [`MAX_CODED`]: more is never held.
#[derive(Debug, Default)]
pub struct Depacketiser<A> {
    assembly: A,
    picture: Vec<u8>,
    /// Timestamp of the picture at hand.
    timestamp: Option<u32>,
    /// Sequence number that should come next.
    next: Option<u16>,
    /// Packets are missing since the last part.
    hole: bool,
    /// Packets are missing before the picture at hand, and some may be its own.
    after_hole: bool,
    /// The picture at hand cannot become whole.
    broken: bool,
    /// No picture is missing before the one at hand.
    unbroken: bool,
    dropped: u64,
}

impl<A: Assembly> Depacketiser<A> {
    /// One that knows nothing of the stream yet.
    pub fn new(assembly: A) -> Self {
        let (picture, timestamp, next) = (Vec::new(), None, None);
        let (hole, after_hole, broken, unbroken) = (false, false, false, false);
        Self { assembly, picture, timestamp, next, hole, after_hole, broken, unbroken, dropped: 0 }
    }

    /// What the format knows of the stream.
    pub fn assembly(&self) -> &A {
        &self.assembly
    }

    /// Pictures that were dropped because a part was lost or made no sense.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a packet and gives the pictures that it completes: mostly one or none, two where a marker was missing. An error
    /// tells of a bad payload or picture; the stream goes on.
    pub fn push(&mut self, part: Part<'_>, out: &mut dyn FnMut(CodedPicture<'_>)) -> Result<(), CodecError> {
        match self.next.map(|next| part.sequence.wrapping_sub(next)) {
            Some(0) => {}
            Some(ahead) if ahead.wrapping_neg() <= LATE => return Ok(()),
            _ => self.hole = true,
        }
        self.next = Some(part.sequence.wrapping_add(1));
        if part.payload.is_empty() {
            return Ok(()); // only padding: browsers probe the bandwidth with it
        }
        let hole = std::mem::take(&mut self.hole);
        let mut result = Ok(());
        self.broken |= hole && self.timestamp.is_some(); // its middle or its end is missing, or may be
        if self.timestamp != Some(part.timestamp) {
            result = self.finish(out);
            self.timestamp = Some(part.timestamp);
            self.after_hole = hole;
            self.assembly.begin(part.timestamp);
        }
        if !self.broken {
            let added = self.add(part.payload);
            self.broken = added.is_err();
            // The first payload behind a hole may continue what we have not, and is not bad.
            let continues = self.after_hole && self.picture.is_empty();
            result = result.and(if continues { Ok(()) } else { added });
        }
        if part.marker {
            result = result.and(self.finish(out));
        }
        result
    }

    fn add(&mut self, payload: &[u8]) -> Result<(), CodecError> {
        let most = crate::MAX_PAYLOAD;
        if payload.len() > most {
            return Err(CodecError::PayloadLength { length: payload.len(), least: 1, most });
        }
        self.assembly.add(payload, &mut self.picture)?;
        let length = self.picture.len();
        let fits = length <= MAX_CODED;
        fits.then_some(()).ok_or(CodecError::PayloadLength { length, least: 1, most: MAX_CODED })
    }

    /// Gives the picture at hand if it is whole.
    fn finish(&mut self, out: &mut dyn FnMut(CodedPicture<'_>)) -> Result<(), CodecError> {
        let Some(timestamp) = self.timestamp.take() else { return Ok(()) };
        let missing = self.after_hole && !self.assembly.begins_whole();
        let broken = std::mem::take(&mut self.broken) || missing;
        let key = if broken { Ok(None) } else { self.assembly.finish(&self.picture) };
        self.unbroken &= !self.after_hole;
        if let Ok(Some(key)) = key {
            let after_loss = !std::mem::replace(&mut self.unbroken, true);
            out(CodedPicture { data: &self.picture, timestamp, key, after_loss });
        }
        if broken || key.is_err() {
            self.unbroken = false;
            self.dropped += 1;
        }
        self.picture.clear();
        key.map(drop)
    }
}
