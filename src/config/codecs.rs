//! Codec names as WCS writes them.
use actors::handle::{CodecId, CodecSettings, OpusSettings};

use super::reader::{Reader, one_of};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Audio(CodecId),
    TelephoneEvent,
    /// Known, but nothing that Tandem puts into an audio offer: video, streaming.
    Other,
}

/// The names that a WCS settings file may hold besides those of [`CodecId`].
const OTHERS: &[(&str, Named)] = &[
    ("telephone-event", Named::TelephoneEvent),
    ("h264", Named::Other),
    ("vp8", Named::Other),
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
    let events = Named::TelephoneEvent;
    Codecs { sip, page, telephone_events: listed.contains(&events) && !excluded.contains(&events) }
}
