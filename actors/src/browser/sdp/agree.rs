//! What a page's description and our wishes have in common.

use codecs::{CodecId, VideoFormat};

use super::{AgreedVideo, Description, Direction, OFFERED_MID, SdpError, Section};
use crate::vocabulary::{MediaFormat, Payload};

/// What we would like, best first.
pub(crate) struct Wanted<'a> {
    pub(crate) audio: &'a [CodecId],
    pub(crate) video: &'a [VideoFormat],
    /// What the other side speaks, if it is known.
    pub(crate) other_side: Option<&'a MediaFormat>,
    /// Whether the page sees a picture of ours while the other side sends none.
    pub(crate) stands_in: bool,
}

/// Opus parameters that the page asks us to respect when we send, RFC 7587 §6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpusParameters {
    /// `useinbandfec=1`: the page can use forward error correction.
    pub in_band_fec: bool,
    /// `stereo=1`: the page likes two channels.
    pub stereo: bool,
    /// `usedtx=1`: the page likes silence not to be sent.
    pub dtx: bool,
    /// `maxaveragebitrate`, bits per second.
    pub max_average_bitrate: Option<u32>,
    /// `maxplaybackrate`, Hz.
    pub max_playback_rate: Option<u32>,
}

/// A codec with the number it has in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedCodec {
    /// The codec.
    pub codec: CodecId,
    /// Its RTP payload type, the same both ways.
    pub payload_type: u8,
    /// The page's wishes; all off for anything but Opus.
    pub opus: OpusParameters,
}

/// A telephone-event payload type, RFC 4733.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Its RTP payload type.
    pub payload_type: u8,
    /// The clock its durations count in, Hz: that of the codec it stands beside.
    pub clock_rate: u32,
}

/// What offer and answer settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The common codecs in the order of the answer. A browser sends the first one.
    pub audio: Vec<NumberedCodec>,
    /// Telephone events, one for each RTP clock among the codecs that the page offered one for.
    pub telephone_events: Vec<TelephoneEvent>,
    /// Whether the page sends sound.
    pub page_sends: bool,
    /// Whether the page plays sound.
    pub page_receives: bool,
    /// Whether the page offered video. Without agreement it is answered `inactive`: promised but silent video would keep
    /// the page's sound muted.
    pub video_offered: bool,
    /// What is agreed about it.
    pub video: Option<AgreedVideo>,
    /// The packet length the page asked for, ms.
    pub ptime: Option<u32>,
}

impl Agreed {
    /// What packets with this payload type carry; `None`: they were not agreed.
    pub fn kind(&self, payload_type: u8) -> Option<Payload> {
        let codec = self.audio.iter().find(|numbered| numbered.payload_type == payload_type);
        let event = self.telephone_events.iter().find(|event| event.payload_type == payload_type);
        codec
            .map(|numbered| Payload::Audio(numbered.codec))
            .or_else(|| self.video_codec(payload_type).map(Payload::Video))
            .or_else(|| event.map(|event| Payload::TelephoneEvent(event.clock_rate)))
    }

    /// The payload type for this, if the page wants to have it.
    pub(crate) fn taken_by_page(&self, kind: Payload) -> Option<u8> {
        let video = || self.video.as_ref().is_some_and(|video| video.page_receives);
        let receives = if kind.is_video() { video() } else { self.page_receives };
        self.payload_type(kind).filter(|_| receives)
    }

    /// Whether a payload type carries sound.
    pub(super) fn is_of_sound(&self, payload_type: u8) -> bool {
        let mut numbers = self.audio.iter().map(|numbered| numbered.payload_type);
        let mut events = self.telephone_events.iter().map(|event| event.payload_type);
        numbers.any(|number| number == payload_type) || events.any(|number| number == payload_type)
    }

    /// The payload type for this; `None`: it was not agreed.
    pub fn payload_type(&self, kind: Payload) -> Option<u8> {
        match kind {
            Payload::Audio(codec) => self
                .audio
                .iter()
                .find(|numbered| numbered.codec == codec)
                .map(|numbered| numbered.payload_type),
            Payload::Video(codec) => self.video_number(codec),
            Payload::ComfortNoise => None,
            Payload::TelephoneEvent(clock) => self
                .telephone_events
                .iter()
                .find(|event| event.clock_rate == clock)
                .map(|event| event.payload_type),
        }
    }
}

impl Description {
    /// The codecs that the page offers and we know, in the page's order.
    pub fn audio_codecs(&self) -> Vec<NumberedCodec> {
        let mut found: Vec<NumberedCodec> = Vec::new();
        for payload in &self.sections[self.audio].payloads {
            let codec = payload.codec();
            if let Some(codec) = codec.filter(|codec| found.iter().all(|known| known.codec != *codec)) {
                let opus = if codec == CodecId::Opus {
                    opus_parameters(&payload.fmtp)
                } else {
                    OpusParameters::default()
                };
                found.push(NumberedCodec { codec, payload_type: payload.number, opus });
            }
        }
        found
    }

    /// Whether the page offers telephone-events, with whatever clock.
    pub fn has_telephone_events(&self) -> bool {
        self.audio_section()
            .payloads
            .iter()
            .any(|payload| payload.name.eq_ignore_ascii_case("telephone-event"))
    }

    /// Whether the page has a live video m-line that travels with its sound.
    pub fn has_video(&self) -> bool {
        self.video_section().is_some_and(|section| section.direction != Direction::Inactive)
    }

    pub(crate) fn is_bundled(&self, section: &Section) -> bool {
        section.mid.as_ref().is_some_and(|mid| self.bundle.contains(mid))
    }

    pub(crate) fn audio_section(&self) -> &Section {
        &self.sections[self.audio]
    }

    /// What an answer to our offer leaves of it. The order of the codecs is the page's: it sends its first.
    pub(crate) fn agree_as_answer(&self, offered: &Agreed) -> Result<Agreed, SdpError> {
        if self.audio != 0 {
            return Err(SdpError::AnswerMismatch("m=audio is not the first m-line"));
        }
        if self.audio_section().mid.as_deref().is_some_and(|mid| mid != OFFERED_MID) {
            return Err(SdpError::AnswerMismatch("another a=mid"));
        }
        let same = |numbered: &NumberedCodec| {
            let number = numbered.payload_type;
            offered.audio.iter().any(|ours| ours.codec == numbered.codec && ours.payload_type == number)
        };
        let wanted: Vec<CodecId> =
            self.audio_codecs().into_iter().filter(same).map(|numbered| numbered.codec).collect();
        let mut agreed = self.agree_on_sound(&wanted)?;
        agreed.telephone_events.retain(|event| offered.telephone_events.contains(event));
        agreed.video = offered.video.as_ref().and_then(|video| self.agree_on_video_as_answer(video));
        Ok(agreed)
    }

    /// What we agree on, as an answer to the page's offer.
    pub(crate) fn agree(&self, wanted: &Wanted<'_>) -> Result<Agreed, SdpError> {
        let mut audio = wanted.audio.to_vec();
        audio.sort_by_key(|codec| wanted.other_side.is_some_and(|other| *codec != other.audio.codec));
        let mut agreed = self.agree_on_sound(&audio)?;
        agreed.video = self.agree_on_video(wanted, |number| agreed.is_of_sound(number));
        Ok(agreed)
    }

    fn agree_on_sound(&self, wanted: &[CodecId]) -> Result<Agreed, SdpError> {
        let section = &self.sections[self.audio];
        let offered = self.audio_codecs();
        let audio: Vec<NumberedCodec> = once(wanted)
            .into_iter()
            .filter_map(|codec| offered.iter().find(|numbered| numbered.codec == codec).copied())
            .collect();
        if audio.is_empty() {
            return Err(SdpError::NoCommonCodec);
        }
        let mut telephone_events: Vec<TelephoneEvent> = Vec::new();
        for payload in section.payloads.iter().filter(|p| p.name.eq_ignore_ascii_case("telephone-event")) {
            let clock_rate = payload.clock_rate;
            let wanted = audio.iter().any(|numbered| numbered.codec.spec().clock_rate == clock_rate);
            if wanted && telephone_events.iter().all(|known| known.clock_rate != clock_rate) {
                telephone_events.push(TelephoneEvent { payload_type: payload.number, clock_rate });
            }
        }
        Ok(Agreed {
            audio,
            telephone_events,
            page_sends: section.direction.sends(),
            page_receives: section.direction.receives(),
            video_offered: self.has_video(),
            video: None,
            ptime: section.ptime,
        })
    }
}

/// The same list with each codec once, so that a doubled wish makes no doubled line.
pub(super) fn once(codecs: &[CodecId]) -> Vec<CodecId> {
    let first = |(index, codec): &(usize, &CodecId)| !codecs[..*index].contains(codec);
    codecs.iter().enumerate().filter(first).map(|(_, codec)| *codec).collect()
}

fn opus_parameters(fmtp: &str) -> OpusParameters {
    let mut parameters = OpusParameters::default();
    for (key, value) in fmtp.split(';').filter_map(|pair| pair.trim().split_once('=')) {
        match key.to_ascii_lowercase().as_str() {
            "useinbandfec" => parameters.in_band_fec = value == "1",
            "stereo" => parameters.stereo = value == "1",
            "usedtx" => parameters.dtx = value == "1",
            // RFC 7587 §6.1 allows 6,000 to 510,000 bit/s and 8,000 to 48,000 Hz; anything else is no wish.
            "maxaveragebitrate" => {
                parameters.max_average_bitrate =
                    value.parse().ok().filter(|rate| (6_000..=510_000).contains(rate));
            }
            "maxplaybackrate" => {
                parameters.max_playback_rate =
                    value.parse().ok().filter(|rate| (8_000..=48_000).contains(rate));
            }
            _ => {}
        }
    }
    parameters
}
