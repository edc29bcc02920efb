//! Writing our side of the description: small, and every line our own.

use std::fmt::Write as _;
use std::net::SocketAddr;

use codecs::{CodecId, VideoFormat};

use super::agree::once;
use super::write_video::{inactive_section, live_section, placeholder};
use super::{Agreed, Description, Direction, Kind, NumberedCodec, Section, Setup, TelephoneEvent, video};

/// One stream id for everything we send. The WebSDK plays the stream of the *last* track it is told of, so two
/// different ids would cost the sound.
pub(super) const STREAM: &str = "tandem";
const AUDIO_TRACK: &str = "tandem-audio";
/// The mid of the audio m-line when we offer.
pub(crate) const OFFERED_MID: &str = "0";
/// That of the video m-line.
pub(crate) const OFFERED_VIDEO_MID: &str = "1";
/// The telephone-event numbers that browsers themselves use.
const OFFERED_EVENTS: [TelephoneEvent; 2] = [
    TelephoneEvent { payload_type: 110, clock_rate: 48_000 },
    TelephoneEvent { payload_type: 126, clock_rate: 8_000 },
];

/// Our end of the transport and of the stream.
pub(crate) struct Local<'a> {
    /// Where the page reaches us, best first. At least one.
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) ufrag: &'a str,
    pub(crate) pwd: &'a str,
    /// SHA-256 of our certificate.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) setup: Setup,
    /// The SSRC that our sound will have.
    pub(crate) audio_ssrc: u32,
    /// Those of our pictures and their retransmissions.
    pub(crate) video_ssrcs: (u32, u32),
    pub(crate) session_id: u64,
}

/// The sound part that both sides of a description share.
struct Body<'a> {
    codecs: &'a [NumberedCodec],
    telephone_events: &'a [TelephoneEvent],
    direction: Direction,
    mid: Option<&'a str>,
    mid_extension: Option<u8>,
}

/// The answer to `offer`: sound and video as agreed, other video `inactive`, everything else refused.
///
/// The m-lines keep number and order (RFC 3264 §6). Without a BUNDLE group only the audio line is taken, as each
/// other would need a transport of its own.
pub(crate) fn answer(offer: &Description, agreed: &Agreed, local: &Local<'_>) -> String {
    let audio = &offer.sections[offer.audio];
    let bundled = |section: &Section| offer.is_bundled(section);
    let first_video =
        offer.sections.iter().position(|section| section.kind == Kind::Video && !section.rejected);
    let mut group = String::new();
    let mut lines = String::new();
    for (index, section) in offer.sections.iter().enumerate() {
        let taken = if index == offer.audio {
            let body = Body {
                codecs: &agreed.audio,
                telephone_events: &agreed.telephone_events,
                direction: section.direction.reversed(),
                mid: section.mid.as_deref(),
                mid_extension: section.mid_extension,
            };
            audio_section(&mut lines, &body, local);
            true
        } else if let Some(video) = agreed.video.as_ref().filter(|_| offer.video_index() == Some(index)) {
            live_section(&mut lines, video, section.mid_extension, local);
            true
        } else if let (true, true, true, Some(payload)) =
            (first_video == Some(index), bundled(section), bundled(audio), placeholder(section))
        {
            inactive_section(&mut lines, section, payload, local);
            true
        } else {
            refused_section(&mut lines, section);
            false
        };
        if let (true, true, Some(mid)) = (taken, bundled(section), &section.mid) {
            let _ = write!(group, " {mid}");
        }
    }
    session(local, &group) + &lines
}

/// An offer of sound both ways, of pictures too if any are wanted, and what it promises.
pub(crate) fn offer(codecs: &[CodecId], pictures: &[VideoFormat], local: &Local<'_>) -> (String, Agreed) {
    let audio: Vec<NumberedCodec> = once(codecs)
        .into_iter()
        .map(|codec| NumberedCodec {
            codec,
            payload_type: codec.spec().payload_type,
            opus: Default::default(),
        })
        .collect();
    let telephone_events: Vec<TelephoneEvent> = OFFERED_EVENTS
        .into_iter()
        .filter(|event| codecs.iter().any(|codec| codec.spec().clock_rate == event.clock_rate))
        .collect();
    let body = Body {
        codecs: &audio,
        telephone_events: &telephone_events,
        direction: Direction::SendRecv,
        mid: Some(OFFERED_MID),
        mid_extension: Some(OFFERED_MID_EXTENSION),
    };
    let mut lines = String::new();
    audio_section(&mut lines, &body, local);
    let mut agreed = Agreed {
        audio,
        telephone_events,
        page_sends: true,
        page_receives: true,
        video_offered: false,
        video: None,
        ptime: None,
    };
    agreed.video = video::offered(pictures, |number| agreed.is_of_sound(number));
    let mut group = format!(" {OFFERED_MID}");
    if let Some(video) = &agreed.video {
        let _ = write!(group, " {OFFERED_VIDEO_MID}");
        live_section(&mut lines, video, Some(OFFERED_MID_EXTENSION), local);
    }
    (session(local, &group) + &lines, agreed)
}

/// The header extension number of the mid in our offers.
pub(crate) const OFFERED_MID_EXTENSION: u8 = 4;

fn session(local: &Local<'_>, group: &str) -> String {
    let (version, host) = family(local);
    let mut text = format!(
        "v=0\r\no=- {} 1 IN {version} {host}\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=msid-semantic: WMS {STREAM}\r\n",
        local.session_id,
    );
    if !group.is_empty() {
        let _ = write!(text, "a=group:BUNDLE{group}\r\n");
    }
    text
}

fn audio_section(text: &mut String, body: &Body<'_>, local: &Local<'_>) {
    let (version, host) = family(local);
    let port = local.candidates.first().map_or(9, SocketAddr::port);
    let _ = write!(text, "m=audio {port} UDP/TLS/RTP/SAVPF");
    let codecs = body.codecs.iter().map(|numbered| numbered.payload_type);
    for number in codecs.chain(body.telephone_events.iter().map(|event| event.payload_type)) {
        let _ = write!(text, " {number}");
    }
    let _ = write!(text, "\r\nc=IN {version} {host}\r\na=rtcp:{port} IN {version} {host}\r\n");
    transport(text, body.mid, local);
    for (index, address) in local.candidates.iter().enumerate() {
        // RFC 8445 §5.1.2.1: type preference 126 of a host candidate, falling local preference, component 1.
        let priority = (126_u32 << 24) + ((65_535 - index as u32) << 8) + 255;
        let (number, ip, port) = (index + 1, address.ip(), address.port());
        let _ = write!(text, "a=candidate:{number} 1 udp {priority} {ip} {port} typ host\r\n");
    }
    text.push_str("a=end-of-candidates\r\n");
    if let Some(id) = body.mid_extension {
        let _ = write!(text, "a=extmap:{id} urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    }
    let _ = write!(text, "a={}\r\n", body.direction.attribute());
    for numbered in body.codecs {
        let (number, spec) = (numbered.payload_type, numbered.codec.spec());
        let _ = write!(text, "a=rtpmap:{number} {spec}\r\n");
        if let Some(fmtp) = spec.fmtp {
            let _ = write!(text, "a=fmtp:{number} {fmtp}\r\n");
        }
    }
    for event in body.telephone_events {
        let (number, rate) = (event.payload_type, event.clock_rate);
        let _ = write!(text, "a=rtpmap:{number} telephone-event/{rate}\r\na=fmtp:{number} 0-15\r\n");
    }
    if body.direction.sends() {
        let ssrc = local.audio_ssrc;
        let _ = write!(text, "a=msid:{STREAM} {AUDIO_TRACK}\r\na=ssrc:{ssrc} cname:{STREAM}\r\n");
    }
}

/// ICE, DTLS and multiplexing: the same in every m-line of the bundle.
pub(super) fn transport(text: &mut String, mid: Option<&str>, local: &Local<'_>) {
    if let Some(mid) = mid {
        let _ = write!(text, "a=mid:{mid}\r\n");
    }
    let _ = write!(text, "a=rtcp-mux\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", local.ufrag, local.pwd);
    text.push_str("a=fingerprint:sha-256 ");
    for (index, byte) in local.fingerprint.iter().enumerate() {
        let _ = write!(text, "{}{byte:02X}", if index == 0 { "" } else { ":" });
    }
    let setup = match local.setup {
        Setup::ActPass => "actpass",
        Setup::Active => "active",
        Setup::Passive => "passive",
    };
    let _ = write!(text, "\r\na=setup:{setup}\r\n");
}

fn refused_section(text: &mut String, section: &Section) {
    let Section { media, protocol, first_format, .. } = section;
    let _ = write!(text, "m={media} 0 {protocol} {first_format}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n");
    if let Some(mid) = &section.mid {
        let _ = write!(text, "a=mid:{mid}\r\n");
    }
}

pub(super) fn family(local: &Local<'_>) -> (&'static str, String) {
    match local.candidates.first() {
        Some(address @ SocketAddr::V6(_)) => ("IP6", address.ip().to_string()),
        Some(address) => ("IP4", address.ip().to_string()),
        None => ("IP4", "0.0.0.0".to_owned()),
    }
}
