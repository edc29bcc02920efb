//! What a page's pictures and our wishes have in common.
//!
//! Of each codec the page keeps one payload type, and it sends the first codec of the answer: the one that the other side speaks, if it is
//! known, else the one that we like best. Profiles that nobody wants are not answered.

use codecs::video::{H264Format, Passing};
use codecs::{VideoCodec, VideoFormat};

use super::{Description, Direction, Feedback, Format, Kind, OFFERED_VIDEO_MID, Section, Wanted};
use crate::vocabulary::{MediaFormat, VideoLine};

/// A video codec with the numbers it has in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedVideo {
    /// Its RTP payload type, the same both ways.
    pub payload_type: u8,
    /// That of its retransmissions (RFC 4588).
    pub rtx: Option<u8>,
    /// As the page describes it: what it takes.
    pub page: VideoFormat,
    /// As we describe it: what we take of the page.
    pub ours: VideoFormat,
    /// What both ends say by RTCP.
    pub feedback: Feedback,
}

/// What offer and answer settled for pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedVideo {
    /// Never empty, in the order of the answer. The page sends the first.
    pub formats: Vec<NumberedVideo>,
    /// Whether the page sends pictures.
    pub page_sends: bool,
    /// Whether the page gets any.
    pub page_receives: bool,
    /// Bits per second that the page takes at most (`b=AS`, `b=TIAS`).
    pub limit: Option<u32>,
    /// The same for what it sends: what the other side takes.
    pub page_limit: Option<u32>,
    pub(crate) mid: String,
}

impl AgreedVideo {
    /// The codec in use.
    pub fn first(&self) -> &NumberedVideo {
        &self.formats[0]
    }

    /// As a leg tells its call.
    pub fn line(&self) -> VideoLine {
        let NumberedVideo { page, ours, .. } = *self.first();
        let sends = match (page, ours) {
            (VideoFormat::H264(page), VideoFormat::H264(ours)) => VideoFormat::H264(page.sent_to(&ours)),
            _ => page,
        };
        let direction = Direction::new(self.page_receives, self.page_sends);
        VideoLine { takes: page, sends, direction, limit: self.limit }
    }
}

impl Format {
    fn video(&self) -> Option<VideoFormat> {
        VideoFormat::from_sdp(&self.name, self.clock_rate, Some(&self.fmtp))
    }
}

impl Section {
    /// The payload type of the retransmissions of another.
    fn rtx_of(&self, number: u8) -> Option<u8> {
        let is_rtx = |format: &&Format| {
            let apt = format.fmtp.split(';').find_map(|pair| pair.trim().strip_prefix("apt="));
            format.name.eq_ignore_ascii_case("rtx")
                && apt.and_then(|apt| apt.trim().parse().ok()) == Some(number)
        };
        self.payloads.iter().find(is_rtx).map(|format| format.number)
    }

    fn has_mid_like(&self, other: &Self) -> bool {
        let short =
            |section: &Self| section.mid.as_ref().map(|mid| mid[..mid.len().min(MID_BYTES)].to_owned());
        short(self) == short(other)
    }
}

/// What of a mid fits a header extension, and str0m keeps of it; mids are ASCII.
const MID_BYTES: usize = 16;

impl Description {
    /// Which m-line has the page's pictures: its first live one, if that travels with the sound. We have no other transport for it.
    pub(crate) fn video_index(&self) -> Option<usize> {
        let index =
            self.sections.iter().position(|section| section.kind == Kind::Video && !section.rejected)?;
        let (section, audio) = (&self.sections[index], self.audio_section());
        let bundled = self.is_bundled(section) && self.is_bundled(audio) && !section.has_mid_like(audio);
        bundled.then_some(index)
    }

    pub(crate) fn video_section(&self) -> Option<&Section> {
        self.video_index().map(|index| &self.sections[index])
    }

    /// What we agree on, as an answer to the page's offer. `taken`: numbers that mean something else in this bundle.
    pub(super) fn agree_on_video(
        &self,
        wanted: &Wanted<'_>,
        taken: impl Fn(u8) -> bool,
    ) -> Option<AgreedVideo> {
        let section = self.video_section()?;
        let other = match wanted.other_side {
            Some(MediaFormat { video: None, .. }) if !wanted.stands_in => return None,
            Some(other) => other.video, // none: it may have some later, and shall find the page ready
            None => None,
        };
        let mut found: Vec<(Rank, NumberedVideo)> = Vec::new();
        for payload in section.payloads.iter().filter(|payload| !taken(payload.number)) {
            let Some(page) = payload.video() else { continue };
            let wishes = wanted
                .video
                .iter()
                .enumerate()
                .filter_map(|(place, wish)| Some((fit(&page, wish)?, place, wish)));
            let Some((wish_fit, place, wish)) = wishes.min_by_key(|(fit, place, _)| (*fit, *place)) else {
                continue;
            };
            let to_other = other
                .and_then(|line| Some((fit(&page, &line.takes)?.max(fit(&page, &line.sends)?), line.takes)));
            let (other_fit, level) = to_other.unwrap_or((Fit::Not, *wish));
            let numbered = NumberedVideo {
                payload_type: payload.number,
                rtx: section.rtx_of(payload.number).filter(|rtx| !taken(*rtx)),
                page,
                ours: ours(&page, &level),
                feedback: payload.feedback.and(Feedback::ALL),
            };
            found.push(((other_fit, place, wish_fit), numbered));
        }
        found.sort_by_key(|(rank, _)| *rank);
        let formats = once(found.into_iter().map(|(_, numbered)| numbered));
        let shown = wanted.stands_in || other.is_none_or(|line| line.direction.receives());
        section.agreed(formats, shown, other.and_then(|line| line.limit))
    }

    /// What an answer leaves of our offer.
    pub(super) fn agree_on_video_as_answer(&self, offered: &AgreedVideo) -> Option<AgreedVideo> {
        let section =
            self.video_section().filter(|section| section.mid.as_deref() == Some(OFFERED_VIDEO_MID))?;
        let formats = section.payloads.iter().filter_map(|payload| {
            let page = payload.video()?;
            let ours = offered.formats.iter().find(|ours| ours.payload_type == payload.number)?;
            fit(&page, &ours.ours)?;
            let rtx = section.rtx_of(payload.number).filter(|rtx| ours.rtx == Some(*rtx));
            Some(NumberedVideo { rtx, page, feedback: payload.feedback.and(ours.feedback), ..*ours })
        });
        section.agreed(formats.collect(), true, offered.page_limit)
    }
}

impl Section {
    fn agreed(
        &self,
        formats: Vec<NumberedVideo>,
        shown: bool,
        page_limit: Option<u32>,
    ) -> Option<AgreedVideo> {
        let video = AgreedVideo {
            formats,
            page_sends: self.direction.sends(),
            page_receives: self.direction.receives() && shown,
            limit: self.bandwidth,
            page_limit,
            mid: self.mid.clone()?,
        };
        (!video.formats.is_empty() && (video.page_sends || video.page_receives)).then_some(video)
    }
}

/// How well a payload type of the page suits: the other side first, then our own order.
type Rank = (Fit, usize, Fit);

/// How near two formats of one codec and profile are, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The same profile to the letter and the same packets.
    Exactly,
    /// Whatever one sends, the other takes.
    Whole,
    /// ... but in other packets.
    Repacketised,
    /// Not at all.
    Not,
}

/// Levels do not count: whoever sends is told which it may use.
fn fit(page: &VideoFormat, wish: &VideoFormat) -> Option<Fit> {
    let level = match (page, wish) {
        (VideoFormat::H264(page), VideoFormat::H264(wish)) => {
            let profile_level = wish.profile_level.at_level_of(&page.profile_level);
            VideoFormat::H264(H264Format { profile_level, level_asymmetry: page.level_asymmetry, ..*wish })
        }
        _ => *wish,
    };
    match (VideoFormat::passing(page, &level), VideoFormat::passing(&level, page)) {
        (Passing::Transcode, _) | (_, Passing::Transcode) => None,
        (Passing::Whole, Passing::Whole) if *page == level => Some(Fit::Exactly),
        (Passing::Whole, Passing::Whole) => Some(Fit::Whole),
        _ => Some(Fit::Repacketised),
    }
}

/// How we describe the page's format: at the level that is wished for, as far as the page lets levels differ (RFC 6184 §8.2.2).
fn ours(page: &VideoFormat, wish: &VideoFormat) -> VideoFormat {
    let (VideoFormat::H264(page), VideoFormat::H264(wish)) = (page, wish) else { return *page };
    let lower = wish.profile_level.level() < page.profile_level.level();
    let level = if lower || page.level_asymmetry { wish.profile_level } else { page.profile_level };
    VideoFormat::H264(H264Format { profile_level: page.profile_level.at_level_of(&level), ..*page })
}

/// The first of each codec.
fn once(formats: impl Iterator<Item = NumberedVideo>) -> Vec<NumberedVideo> {
    let mut kept: Vec<NumberedVideo> = Vec::new();
    for numbered in formats {
        if kept.iter().all(|known| known.page.codec() != numbered.page.codec()) {
            kept.push(numbered);
        }
    }
    kept
}

/// What we offer: each wanted format, H.264 in both packetization modes, numbered from 96 on past those that `taken` names.
pub(super) fn offered(wanted: &[VideoFormat], taken: impl Fn(u8) -> bool) -> Option<AgreedVideo> {
    let mut formats: Vec<VideoFormat> = Vec::new();
    for format in wanted.iter().flat_map(|format| [Some(*format), in_other_mode(format)]).flatten() {
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    let mut numbers = (96..128).filter(|number| !taken(*number));
    let numbered = formats.into_iter().map_while(|format| {
        let (payload_type, rtx) = (numbers.next()?, Some(numbers.next()?));
        Some(NumberedVideo { payload_type, rtx, page: format, ours: format, feedback: Feedback::ALL })
    });
    let formats: Vec<NumberedVideo> = numbered.collect();
    (!formats.is_empty()).then(|| AgreedVideo {
        formats,
        page_sends: true,
        page_receives: true,
        limit: None,
        page_limit: None,
        mid: OFFERED_VIDEO_MID.to_owned(),
    })
}

fn in_other_mode(format: &VideoFormat) -> Option<VideoFormat> {
    let VideoFormat::H264(format) = format else { return None };
    let packetization_mode = 1 - format.packetization_mode.min(1);
    Some(VideoFormat::H264(H264Format { packetization_mode, ..*format }))
}

impl super::Agreed {
    /// Whether a payload type carries retransmissions.
    pub fn is_rtx(&self, payload_type: u8) -> bool {
        self.video.iter().flat_map(|video| &video.formats).any(|numbered| numbered.rtx == Some(payload_type))
    }

    /// What pictures with this payload type are coded with.
    pub(super) fn video_codec(&self, payload_type: u8) -> Option<VideoCodec> {
        let mut formats = self.video.iter().flat_map(|video| &video.formats);
        formats.find(|numbered| numbered.payload_type == payload_type).map(|numbered| numbered.page.codec())
    }

    /// The payload type for pictures of this codec.
    pub(super) fn video_number(&self, codec: VideoCodec) -> Option<u8> {
        let mut formats = self.video.iter().flat_map(|video| &video.formats);
        formats.find(|numbered| numbered.page.codec() == codec).map(|numbered| numbered.payload_type)
    }
}
