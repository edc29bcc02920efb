//! Writing the m-line of pictures.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::write::{STREAM, family, transport};
use super::{AgreedVideo, Format, Local, Section};

const VIDEO_TRACK: &str = "tandem-video";

/// Pictures as agreed, on the transport of the sound. Of the page's header extensions the mid alone stays: what says which way up a picture
/// is would not reach a phone, so the page turns its pictures itself.
pub(super) fn live_section(
    text: &mut String,
    video: &AgreedVideo,
    mid_extension: Option<u8>,
    local: &Local<'_>,
) {
    let (version, host) = family(local);
    let port = local.candidates.first().map_or(9, SocketAddr::port);
    let _ = write!(text, "m=video {port} UDP/TLS/RTP/SAVPF");
    let numbers = video.formats.iter().map(|numbered| numbered.payload_type);
    for number in numbers.chain(video.formats.iter().filter_map(|numbered| numbered.rtx)) {
        let _ = write!(text, " {number}");
    }
    let _ = write!(text, "\r\nc=IN {version} {host}\r\n");
    if let Some(bits) = video.page_limit {
        let _ = write!(text, "b=AS:{}\r\nb=TIAS:{bits}\r\n", (bits / 1_000).max(1));
    }
    let _ = write!(text, "a=rtcp:{port} IN {version} {host}\r\n");
    transport(text, Some(&video.mid), local);
    if let Some(id) = mid_extension {
        let _ = write!(text, "a=extmap:{id} urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    }
    let _ = write!(text, "a={}\r\n", video.line().direction.attribute());
    for numbered in &video.formats {
        let number = numbered.payload_type;
        let _ = write!(text, "a=rtpmap:{number} {}/90000\r\n", numbered.ours.codec().name());
        if let Some(fmtp) = numbered.ours.fmtp() {
            let _ = write!(text, "a=fmtp:{number} {fmtp}\r\n");
        }
        for value in numbered.feedback.values() {
            let _ = write!(text, "a=rtcp-fb:{number} {value}\r\n");
        }
        if let Some(rtx) = numbered.rtx {
            let _ = write!(text, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n");
        }
    }
    if video.page_receives {
        let (ssrc, rtx) = local.video_ssrcs;
        // Chromium takes the SSRC that is named first for the stream's own, whatever the group says.
        let _ = write!(text, "a=msid:{STREAM} {VIDEO_TRACK}\r\na=ssrc:{ssrc} cname:{STREAM}\r\n");
        if video.formats.iter().any(|numbered| numbered.rtx.is_some()) {
            let _ = write!(text, "a=ssrc-group:FID {ssrc} {rtx}\r\na=ssrc:{rtx} cname:{STREAM}\r\n");
        }
    }
}

/// The format that stands in an inactive video line: the m-line may not be empty.
pub(super) fn placeholder(section: &Section) -> Option<&Format> {
    let named = |name: &str| section.payloads.iter().find(|payload| payload.name.eq_ignore_ascii_case(name));
    named("VP8").or_else(|| named("H264"))
}

pub(super) fn inactive_section(text: &mut String, section: &Section, payload: &Format, local: &Local<'_>) {
    let Format { number, name, clock_rate, fmtp, .. } = payload;
    let _ = write!(text, "m=video 9 UDP/TLS/RTP/SAVPF {number}\r\nc=IN IP4 0.0.0.0\r\n");
    transport(text, section.mid.as_deref(), local);
    let _ = write!(text, "a=inactive\r\na=rtpmap:{number} {name}/{clock_rate}\r\n");
    if !fmtp.is_empty() {
        let _ = write!(text, "a=fmtp:{number} {fmtp}\r\n");
    }
}
