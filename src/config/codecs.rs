//! Codec names as WCS writes them.
use actors::handle::CodecId;

use super::reader::{Reader, one_of};

/// Every name that a WCS settings file may hold; `None`: known, but nothing that Tandem puts into an audio offer
/// (video, streaming, events, or a codec of a later part).
const NAMES: &[(&str, Option<CodecId>)] = &[
    ("opus", Some(CodecId::Opus)),
    ("alaw", Some(CodecId::Pcma)),
    ("ulaw", Some(CodecId::Pcmu)),
    ("g722", None),
    ("g729", None),
    ("speex8", None),
    ("speex16", None),
    ("telephone-event", None),
    ("h264", None),
    ("vp8", None),
    ("mpeg4-generic", None),
    ("flv", None),
    ("mpv", None),
];

/// Audio codecs for SIP by preference: `codecs` less `codecs_exclude_sip`.
pub(super) fn audio(reader: &mut Reader) -> Vec<CodecId> {
    let listed = reader.list("codecs", |name| one_of(name, NAMES));
    let excluded = reader.list("codecs_exclude_sip", |name| one_of(name, NAMES));
    let mut audio: Vec<CodecId> = Vec::new();
    for codec in listed.into_iter().flatten() {
        if !excluded.contains(&Some(codec)) && !audio.contains(&codec) {
            audio.push(codec);
        }
    }
    if audio.is_empty() {
        reader.clash("codecs", "…", "leaves no audio codec for SIP, of opus, alaw and ulaw");
    }
    audio
}
