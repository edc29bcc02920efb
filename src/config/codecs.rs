//! Codec names as WCS writes them, and how each codec encodes.
use actors::handle::{
    CodecId, CodecSettings, H264Format, OpusSettings, ProfileLevel, VideoCodec, VideoEncoding, VideoFormat,
};

use super::reader::{Reader, one_of};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Audio(CodecId),
    Video(VideoCodec),
    TelephoneEvent,
    /// Known, but nothing that Tandem puts into an offer: streaming.
    Other,
}

/// The names that a WCS settings file may hold besides those of [`CodecId`].
const OTHERS: &[(&str, Named)] = &[
    ("telephone-event", Named::TelephoneEvent),
    ("h264", Named::Video(VideoCodec::H264)),
    ("vp8", Named::Video(VideoCodec::Vp8)),
    ("mpeg4-generic", Named::Other),
    ("flv", Named::Other),
    ("mpv", Named::Other),
];

fn named(name: &str) -> Result<Named, String> {
    CodecId::from_setting(name).map_or_else(
        || one_of(name, OTHERS).map_err(|problem| format!("{problem}, {}", CodecId::settings().join(", "))),
        |codec| Ok(Named::Audio(codec)),
    )
}

/// `codecs` and `codecs_exclude_sip`, understood.
pub(super) struct Codecs {
    /// Audio codecs by preference that SIP is offered.
    pub(super) sip: Vec<CodecId>,
    /// The same with the excluded ones.
    pub(super) page: Vec<CodecId>,
    /// Whether SIP is offered telephone-events.
    pub(super) telephone_events: bool,
    /// Formats for pictures by preference that SIP is offered.
    pub(super) video: Vec<VideoFormat>,
}

/// How each codec encodes.
pub(super) fn encoding(reader: &mut Reader) -> CodecSettings {
    let mut number = |key: &str, range| reader.number(key, range) as u32;
    let opus = OpusSettings {
        bitrate: number("opus.bitrate", 6_000..=510_000),
        complexity: number("opus.complexity", 0..=10),
        complexity_telephone: number("opus.complexity_telephone", 0..=10),
        expected_loss: number("opus.expected_loss", 0..=100),
        fec: reader.flag("opus.fec"),
        dtx: reader.flag("opus.dtx"),
    };
    CodecSettings { opus }
}

/// How pictures are encoded.
pub(super) fn video_encoding(reader: &mut Reader) -> VideoEncoding {
    let mut number = |key: &str, range| reader.number(key, range) as u32;
    VideoEncoding {
        bitrate: number("video.bitrate", 20_000..=8_000_000),
        max_size: (number("video.max_width", 160..=1920), number("video.max_height", 120..=1088)),
        max_fps: number("video.max_fps", 1..=60),
        vp8_speed: number("video.vp8_speed", 1..=16),
        ..VideoEncoding::default()
    }
}

/// `profiles`: what H.264 is offered as.
fn profiles(reader: &mut Reader) -> Vec<ProfileLevel> {
    reader.list("profiles", |item| {
        let profile = ProfileLevel::parse(item).filter(|profile| profile.profile().is_some());
        profile.ok_or_else(|| {
            "must be a profile-level-id of H.264 in six hexadecimal digits, such as 42e01f".into()
        })
    })
}

/// A codec in the forms that SIP is offered it. H.264's packetization-mode 1 for each profile; for the first one mode 0 too, which is all that many
/// phones have.
fn formats(codec: VideoCodec, profiles: &[ProfileLevel], mode_1_first: bool) -> Vec<VideoFormat> {
    if codec == VideoCodec::Vp8 {
        return vec![VideoFormat::Vp8];
    }
    let format = |profile: &ProfileLevel, mode| {
        VideoFormat::H264(H264Format {
            profile_level: *profile,
            packetization_mode: mode,
            level_asymmetry: true,
        })
    };
    let mode_1 = profiles.iter().map(|profile| format(profile, 1));
    let mode_0 = profiles.first().map(|profile| format(profile, 0));
    if mode_1_first { mode_1.chain(mode_0).collect() } else { mode_0.into_iter().chain(mode_1).collect() }
}

/// Reads both lists.
pub(super) fn read(reader: &mut Reader) -> Codecs {
    let listed = reader.list("codecs", named);
    let excluded = reader.list("codecs_exclude_sip", named);
    let mut page: Vec<CodecId> = Vec::new();
    for named in &listed {
        if let Named::Audio(codec) = named
            && !page.contains(codec)
        {
            page.push(*codec);
        }
    }
    page.retain(|codec| {
        let spec = codec.spec();
        let missing = (spec.missing)();
        if let Some(why) = missing {
            reader.note(format!("codecs names {}, which nobody is offered: {why}", spec.setting));
        }
        missing.is_none()
    });
    let sip: Vec<CodecId> =
        page.iter().copied().filter(|codec| !excluded.contains(&Named::Audio(*codec))).collect();
    if sip.is_empty() {
        reader.clash(
            "codecs",
            "…",
            format!("leaves no audio codec for SIP, of {}", CodecId::settings().join(", ")),
        );
    }
    let (profiles, mode_1_first) =
        (profiles(reader), reader.flag("proxy_use_h264_packetization_mode_1_only"));
    let mut video: Vec<VideoFormat> = Vec::new();
    for named in listed.iter().filter(|named| !excluded.contains(named)) {
        if let Named::Video(codec) = named
            && video.iter().all(|known| known.codec() != *codec)
        {
            video.extend(formats(*codec, &profiles, mode_1_first));
        }
    }
    let events = Named::TelephoneEvent;
    Codecs { video, sip, page, telephone_events: listed.contains(&events) && !excluded.contains(&events) }
}
