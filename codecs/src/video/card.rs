//! A still picture with a few words ("Anna, audio only") for who sends no pictures: drawn and encoded once, sent again and again.

use super::codec::{Coded, VideoSettings};
use super::font;
use super::format::{VIDEO_CLOCK, VideoCodec, VideoFormat};
use super::picture::{Picture, plane_size};
use crate::error::CodecError;

/// A still picture, coded: a round of pictures that shows the same at every time. Sent at up to [`MAX_FPS`] it takes at most [`MAX_BITRATE`].
///
/// Each round starts with a key frame; who asks for one in between gets the next round's at once. The pictures between them say "no change" in a
/// few bytes. Two rounds are kept, for successive key frames of H.264 bear different numbers (`idr_pic_id`), and what comes after the last
/// picture is the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillPicture {
    codec: VideoCodec,
    pictures: Vec<Vec<u8>>,
}

impl StillPicture {
    /// The words, a line each, the first one larger, on [`SIZE`].
    pub fn new(codec: VideoCodec, lines: &[&str]) -> Result<Self, CodecError> {
        Self::of_size(codec, SIZE, lines)
    }

    /// The same on another size; a smaller one takes less.
    pub fn of_size(codec: VideoCodec, size: (usize, usize), lines: &[&str]) -> Result<Self, CodecError> {
        let picture = draw(size, lines)?;
        // The finest that is small enough.
        for bitrate in [400_000, 200_000, 100_000, 50_000, 25_000] {
            let still = Self::encode(codec, &picture, bitrate)?;
            if still.bitrate() <= MAX_BITRATE {
                return Ok(still);
            }
        }
        Err(CodecError::Library { codec: codec.name(), reason: "no still picture is small enough" })
    }

    fn encode(codec: VideoCodec, picture: &Picture, bitrate: u32) -> Result<Self, CodecError> {
        let settings = VideoSettings { bitrate, max_fps: MAX_FPS, ..VideoSettings::default() };
        let mut encoder = codec.encoder(&settings)?;
        let mut pictures = vec![];
        let mut tries = 0;
        while pictures.len() < 2 * ROUND && tries < 20 * ROUND {
            tries += 1;
            let (mut coded, at) = (vec![], tries as u64 * u64::from(VIDEO_CLOCK / MAX_FPS));
            match encoder.encode(picture.view(), pictures.len().is_multiple_of(ROUND), at, &mut coded)? {
                Coded::Nothing => {} // left out for the bitrate; time goes on
                Coded::Key if !pictures.len().is_multiple_of(ROUND) => {
                    return Err(CodecError::Library {
                        codec: codec.name(),
                        reason: "a key frame unasked for",
                    });
                }
                Coded::Key | Coded::Delta => pictures.push(coded),
            }
        }
        Ok(Self { codec, pictures })
    }

    /// What it is coded in.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// Picture `number` of the endless stream, and whether it is a key frame. The first is number 0.
    pub fn picture(&self, number: usize) -> (&[u8], bool) {
        let place = number % self.pictures.len();
        (&self.pictures[place], place.is_multiple_of(ROUND))
    }

    /// The number to go on with instead of `number` when a key frame is asked for.
    pub fn next_key(number: usize) -> usize {
        number.next_multiple_of(ROUND)
    }

    /// Bit/s at [`MAX_FPS`], with the headers of the packets.
    pub fn bitrate(&self) -> u32 {
        let size = |coded: &Vec<u8>| coded.len() + coded.len().div_ceil(PACKET) * HEADERS;
        let bytes: usize = self.pictures.iter().map(size).sum();
        (bytes * 8 * MAX_FPS as usize / self.pictures.len()) as u32
    }
}

/// Draws the words on a dark picture, the first line twice as large as the rest, all in the middle.
pub fn draw(size: (usize, usize), lines: &[&str]) -> Result<Picture, CodecError> {
    let mut picture = Picture::new(size.0, size.1)?;
    for (plane, value) in BACKGROUND.into_iter().enumerate() {
        picture.plane_mut(plane).fill(value);
    }
    let (columns, rows) = plane_size(picture.width(), picture.height(), 0);
    let lines = &lines[..lines.len().min(MAX_LINES)];
    let blocks: Vec<Line> =
        lines.iter().enumerate().map(|(at, text)| Line::new(text, columns, at == 0)).collect();
    let height: usize = blocks.iter().map(Line::height).sum();
    let mut top = rows.saturating_sub(height) / 2;
    for line in &blocks {
        line.draw(picture.plane_mut(0), columns, top);
        top += line.height();
    }
    Ok(picture)
}

/// Words in a row, as large as fits.
struct Line {
    letters: Vec<[u8; font::HEIGHT]>,
    /// Pixels of the picture to one of the font.
    scale: usize,
}

impl Line {
    fn new(text: &str, columns: usize, large: bool) -> Self {
        let most = (columns / ADVANCE).saturating_sub(2).max(3); // the dots at least
        let mut letters: Vec<_> = font::letters(text).take(most + 1).collect();
        if letters.len() > most {
            letters.truncate(most - 3);
            letters.extend(font::letters("..."));
        }
        let fits = columns / (ADVANCE * (letters.len() + 2));
        Self { letters, scale: fits.clamp(1, if large { 4 } else { 2 }) }
    }

    fn height(&self) -> usize {
        self.scale * (font::HEIGHT + 4)
    }

    /// Its left end is where it stands in the middle; what would lie outside is left out.
    fn draw(&self, plane: &mut [u8], columns: usize, top: usize) {
        let left = columns.saturating_sub(self.letters.len() * ADVANCE * self.scale) / 2;
        for (number, letter) in self.letters.iter().enumerate() {
            for y in 0..font::HEIGHT * self.scale {
                let bits = letter[y / self.scale];
                for x in 0..font::WIDTH * self.scale {
                    let column = left + number * ADVANCE * self.scale + x;
                    let lit = bits >> (font::WIDTH - 1 - x / self.scale) & 1 == 1 && column < columns;
                    if let (true, Some(pixel)) = (lit, plane.get_mut((top + y) * columns + column)) {
                        *pixel = INK;
                    }
                }
            }
        }
    }
}

/// The size for a decoder of this format: [`SIZE`], or less if its level of H.264 does not bear that.
pub fn size_for(format: &VideoFormat) -> (usize, usize) {
    let VideoFormat::H264(format) = format else { return SIZE };
    let (long, short) = VideoSettings::default().within(format.profile_level.level()).max_size;
    if long as usize >= SIZE.0 && short as usize >= SIZE.1 { SIZE } else { SMALL_SIZE }
}

/// A size that every phone shows.
pub const SIZE: (usize, usize) = (320, 240);
/// What the lowest levels bear (QCIF).
pub const SMALL_SIZE: (usize, usize) = (176, 144);
/// Most pictures a second at which it is meant to be sent; the least that makes sense is one.
pub const MAX_FPS: u32 = 5;
/// Bit/s that a still picture may take on the wire.
pub const MAX_BITRATE: u32 = 30_000;
/// Pictures from key frame to key frame: a phone that cannot ask for one waits 3 s at five a second.
const ROUND: usize = 15;
/// Longest payload that it is meant to be sent in,
pub const PACKET: usize = 1_150;
/// and what stands before each: IP, UDP, RTP.
const HEADERS: usize = 48;

/// From one letter to the next, in pixels of the font.
const ADVANCE: usize = font::WIDTH + 1;
const MAX_LINES: usize = 3;
/// A dark blue.
const BACKGROUND: [u8; 3] = [36, 140, 120];
const INK: u8 = 220;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::pattern::psnr;

    const BOTH: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::Vp8];
    const LINES: [&str; 2] = ["Anna Müller", "audio only"];

    /// Text in the picture, `#` for ink, a character for each pixel of the font.
    fn read(picture: &Picture, left: usize, top: usize, scale: usize, letters: usize) -> Vec<String> {
        let plane = picture.view().planes()[0];
        let pixel = |x: usize, y: usize| plane.bytes()[(top + y * scale) * plane.stride() + left + x * scale];
        let row = |y| (0..letters * ADVANCE).map(|x| if pixel(x, y) == INK { '#' } else { ' ' }).collect();
        (0..font::HEIGHT).map(row).collect()
    }

    #[test]
    fn words_stand_in_the_middle_and_the_right_way_up() {
        let picture = draw((120, 60), &["La"]).unwrap();
        let seen = read(&picture, (120 - 2 * ADVANCE * 4) / 2, (60 - 48) / 2, 4, 2);
        let expected = [
            "#           ",
            "#           ",
            "#      ###  ",
            "#         # ",
            "#      #### ",
            "#     #   # ",
            "#####  #### ",
            "            ",
        ];
        assert_eq!(seen, expected);
        let ink = picture.view().planes()[0].bytes().iter().filter(|pixel| **pixel == INK).count();
        assert_eq!(ink, 16 * expected.concat().matches('#').count(), "nothing else is drawn");
    }

    #[test]
    fn long_words_get_small_and_then_end_in_dots() {
        let scale = |text: &str| Line::new(text, 320, true).scale;
        assert_eq!((scale("Anna"), scale("Anna Müller-Lüdenscheidt"), scale(&"x".repeat(900))), (4, 2, 1));
        let long = Line::new(&"x".repeat(900), 320, false);
        assert!(long.letters.len() * ADVANCE <= 320);
        assert!(long.letters.ends_with(&font::letters("...").collect::<Vec<_>>()));
        // More than the picture holds does no harm.
        draw((16, 16), &["wide", "and", "tall", "and", "more"]).unwrap();
        draw((320, 240), &[]).unwrap();
        draw((320, 240), &["", "\n"]).unwrap();
    }

    #[test]
    fn a_still_picture_is_small_and_shows_the_words_at_every_time() {
        for codec in BOTH {
            let still = StillPicture::new(codec, &LINES).unwrap();
            let drawn = draw(SIZE, &LINES).unwrap();
            let mut decoder = codec.decoder().unwrap();
            let mut worst: f64 = 99.0;
            for number in 0..5 * ROUND {
                let (coded, key) = still.picture(number);
                assert_eq!(key, number.is_multiple_of(ROUND));
                assert_eq!(key, codec.is_key(coded), "{codec:?} {number}");
                worst = worst.min(psnr(decoder.decode(coded).unwrap().unwrap(), drawn.view()));
            }
            let (first, key_bytes) = (still.picture(0).0.len(), still.picture(ROUND).0.len());
            println!(
                "{codec:?}: {} bit/s, keys {first} and {key_bytes} bytes, worst {worst:.1} dB",
                still.bitrate()
            );
            assert!(still.bitrate() <= MAX_BITRATE);
            assert!(worst > 35.0, "{codec:?}: {worst:.1} dB");
        }
    }

    #[test]
    fn a_key_frame_that_is_asked_for_starts_the_next_round() {
        for codec in BOTH {
            let still = StillPicture::new(codec, &LINES).unwrap();
            let mut decoder = codec.decoder().unwrap();
            let number = StillPicture::next_key(3);
            let (coded, key) = still.picture(number);
            assert!(key && decoder.decode(coded).unwrap().is_some());
            assert_eq!(StillPicture::next_key(number), number);
            for number in number + 1..number + 25 {
                assert!(decoder.decode(still.picture(number).0).unwrap().is_some(), "{codec:?} {number}");
            }
            assert_ne!(still.picture(0), still.picture(1));
        }
    }

    #[test]
    fn a_decoder_of_a_low_level_gets_a_smaller_picture() {
        let size = |fmtp: &str| size_for(&VideoFormat::from_sdp("H264", VIDEO_CLOCK, Some(fmtp)).unwrap());
        assert_eq!(size("profile-level-id=42e01f"), SIZE);
        assert_eq!(size("profile-level-id=42e00c"), SIZE);
        assert_eq!((size("profile-level-id=42e00b"), size("")), (SMALL_SIZE, SMALL_SIZE));
        assert_eq!(size_for(&VideoFormat::Vp8), SIZE);
        let still = StillPicture::of_size(VideoCodec::H264, SMALL_SIZE, &LINES).unwrap();
        let mut decoder = VideoCodec::H264.decoder().unwrap();
        let shown = decoder.decode(still.picture(0).0).unwrap().unwrap();
        assert_eq!((shown.width(), shown.height()), SMALL_SIZE);
    }

    #[test]
    fn the_most_words_that_fit_are_still_small() {
        for codec in BOTH {
            let lines = ["@#%&WMB8 @#%&WMB8 @#%&WMB8 @#%&WMB8 @#%&WMB8 @#%&WMB8"; 4];
            let still = StillPicture::new(codec, &lines).unwrap();
            println!("{codec:?}: {} bit/s", still.bitrate());
            assert!(still.bitrate() <= MAX_BITRATE);
        }
    }
}
