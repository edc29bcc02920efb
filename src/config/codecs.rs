//! Codec names as WCS writes them.
use actors::handle::CodecId;

use super::reader::{Reader, one_of};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Audio(CodecId),
    TelephoneEvent,
    /// Known, but nothing that Tandem puts into an audio offer: video, streaming, or a codec of a later part.
    Other,
}

/// Every name that a WCS settings file may hold.
const NAMES: &[(&str, Named)] = &[
    ("opus", Named::Audio(CodecId::Opus)),
    ("alaw", Named::Audio(CodecId::Pcma)),
    ("ulaw", Named::Audio(CodecId::Pcmu)),
    ("g722", Named::Audio(CodecId::G722)),
    ("g729", Named::Other),
    ("speex8", Named::Other),
    ("speex16", Named::Other),
    ("telephone-event", Named::TelephoneEvent),
    ("h264", Named::Other),
    ("vp8", Named::Other),
    ("mpeg4-generic", Named::Other),
    ("flv", Named::Other),
    ("mpv", Named::Other),
];

/// `codecs` and `codecs_exclude_sip`, understood.
pub(super) struct Codecs {
    /// Audio codecs by preference that SIP is offered.
    pub(super) sip: Vec<CodecId>,
    /// The same with the excluded ones.
    pub(super) page: Vec<CodecId>,
    /// Whether SIP is offered telephone-events.
    pub(super) telephone_events: bool,
}

/// Reads both lists.
pub(super) fn read(reader: &mut Reader) -> Codecs {
    let listed = reader.list("codecs", |name| one_of(name, NAMES));
    let excluded = reader.list("codecs_exclude_sip", |name| one_of(name, NAMES));
    let mut page: Vec<CodecId> = Vec::new();
    for named in &listed {
        if let Named::Audio(codec) = named
            && !page.contains(codec)
        {
            page.push(*codec);
        }
    }
    let sip: Vec<CodecId> =
        page.iter().copied().filter(|codec| !excluded.contains(&Named::Audio(*codec))).collect();
    if sip.is_empty() {
        reader.clash("codecs", "…", "leaves no audio codec for SIP, of opus, alaw, ulaw and g722");
    }
    let events = Named::TelephoneEvent;
    Codecs { sip, page, telephone_events: listed.contains(&events) && !excluded.contains(&events) }
}
