//! What the switch must be told, already checked: `src` reads files, this is what comes of them.
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{ActivityLimits, HeaderRules, StandInRules};
use codecs::ring_back::RingBack;
use codecs::video::H264Format;
use codecs::wav::Wav;
use codecs::{Browsers, CODECS, CodecId, VideoCodec, VideoFormat};
use sip::resolve::AddressPolicy;
use sip::sdp::SrtpPolicy;

/// Everything the switch needs to start.
#[derive(Debug, Clone)]
pub struct SwitchSettings {
    /// SIP signalling.
    pub sip: SipSettings,
    /// RTP, WebRTC and codecs.
    pub media: MediaSettings,
    /// Accounts may ring only this many calls at once: `true` lets a second call ring, `false` answers 486.
    pub second_incoming_rings: bool,
    /// How long the callee may ring, either way.
    pub no_answer: Duration,
    /// How long an answered call may last; `None`: as long as it likes.
    pub max_duration: Option<Duration>,
    /// How long a far end of an answered call may give no sign of life.
    pub activity: ActivityLimits,
}

/// SIP signalling.
#[derive(Debug, Clone)]
pub struct SipSettings {
    /// UDP and TCP listeners, for instance `0.0.0.0:5060` and `[::]:5060`.
    pub listen: Vec<SocketAddr>,
    /// What Contact and Via say instead of the bound address (1:1 NAT).
    pub advertised_address: Option<IpAddr>,
    /// The User-Agent and Server header.
    pub user_agent: String,
    /// Name servers instead of the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// Addresses that no request may go to.
    pub target_policy: AddressPolicy,
    /// Expires that we ask for in REGISTER.
    pub register_expires: Duration,
    /// How often the way to an account's registrar is kept open; `None`: never.
    pub keep_alive: Option<Duration>,
    /// Whether registered accounts subscribe to their mailboxes (RFC 3842).
    pub mailbox_subscribe: bool,
    /// SIP over TLS.
    pub tls: TlsSettings,
    /// Whether media on the SIP side is encrypted.
    pub srtp: SrtpPolicy,
    /// Whose wish for a transfer is followed.
    pub refer_policy: ReferPolicy,
    /// Header fields that pages may add.
    pub page_headers: HeaderRules,
}

/// Whose REFER is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferPolicy {
    /// Nobody's: 405.
    Off,
    /// That of the far side of a call.
    #[default]
    InDialog,
    /// The same, to addresses of the account's own domain.
    OwnDomain,
}

/// SIP over TLS. The default: no listener, the system's CAs, no pins.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    /// Listeners, for instance `0.0.0.0:5061`.
    pub listen: Vec<SocketAddr>,
    /// Certificate chain and private key of the listeners, PEM; `None`: self-signed.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// CAs to believe instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Certificates that are believed whatever their name, issuer and date.
    pub pins: Vec<Fingerprint>,
    /// What we name in ALPN, where we are asked for something.
    pub alpn: Vec<Alpn>,
    /// Whether every request of ours goes over TLS, and a port of 5060 means 5061.
    pub only: bool,
}

/// A protocol to name in ALPN (RFC 7301) towards a server: `pbx.example=sip`, or `*=sip` towards all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alpn {
    /// As accounts name it; in lower case. `None`: any.
    host: Option<String>,
    protocol: String,
}

impl Alpn {
    /// The protocol, if it is one for this server.
    pub fn towards(&self, host: &str) -> Option<&str> {
        let fits = self.host.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(host));
        fits.then_some(self.protocol.as_str())
    }
}

impl FromStr for Alpn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, protocol) = text.split_once('=').ok_or("must be host=protocol, or *=protocol")?;
        let (host, protocol) = (host.trim(), protocol.trim());
        if host.is_empty() || protocol.is_empty() || protocol.len() > 255 {
            return Err("must be host=protocol, the protocol of 1 to 255 bytes");
        }
        Ok(Self { host: (host != "*").then(|| host.to_ascii_lowercase()), protocol: protocol.to_owned() })
    }
}

/// SHA-256 of a certificate; reads with or without colons, prints with them, as openssl does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits, with or without colons")]
pub struct NoFingerprint;

impl Fingerprint {
    /// From the digest itself.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let pairs = text.len() == 95 && text.bytes().skip(2).step_by(3).all(|byte| byte == b':');
        let plain = if pairs { text.replace(':', "") } else { text.to_owned() };
        if plain.len() != 64 || !plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoFingerprint);
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&plain[at..at + 2], 16).map_err(|_| NoFingerprint)?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

/// RTP, WebRTC and codecs.
#[derive(Debug, Clone)]
pub struct MediaSettings {
    /// Threads that carry calls; each has a WebRTC port of its own.
    pub lanes: usize,
    /// First WebRTC UDP port; lane `n` has this plus `n`.
    pub webrtc_port: u16,
    /// Addresses that WebRTC binds; empty: all of the machine's.
    pub webrtc_addresses: Vec<IpAddr>,
    /// RTP ports for the SIP leg, first and last.
    pub rtp_ports: (u16, u16),
    /// How long a used RTP port rests, so that a late packet of the old call never reaches a new one.
    pub port_rest: Duration,
    /// What SDP and candidates say instead of the bound address (1:1 NAT).
    pub advertised_address: Option<IpAddr>,
    /// Audio codecs by preference, as the setting `codecs` less `codecs_exclude_sip`.
    pub audio_codecs: Vec<CodecId>,
    /// The same with those that only SIP is not to be offered: what a browser leg may speak.
    pub page_codecs: Vec<CodecId>,
    /// Whether `codecs` less `codecs_exclude_sip` holds telephone-event.
    pub telephone_events: bool,
    /// Whether codecs that the browser did not offer may be offered to SIP.
    pub allow_outside_codecs: bool,
    /// How each codec encodes.
    pub encoding: codecs::Settings,
    /// When the page's audio offer is answered.
    pub answer_audio: AnswerTiming,
    /// Pictures.
    pub video: VideoSettings,
    /// Music for a side that is held; `None`: our own.
    pub hold_music: Option<Wav>,
    /// What a page hears while its call rings and the network says nothing; `None`: nothing, it makes its own sound.
    pub ring_back: Option<&'static RingBack>,
}

/// What is offered for pictures, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSettings {
    /// By preference, as the setting `codecs` and `profiles` less `codecs_exclude_sip`; empty: no video at all.
    pub sip: Vec<VideoFormat>,
    /// When a page's offer with video is answered.
    pub answer: AnswerTiming,
    /// How each codec encodes.
    pub encoding: codecs::video::VideoSettings,
    /// For whom a still picture stands in.
    pub stand_in: StandInRules,
}

impl Default for VideoSettings {
    fn default() -> Self {
        let answer = AnswerTiming::OnSipSdp;
        Self { sip: vec![], answer, encoding: Default::default(), stand_in: Default::default() }
    }
}

impl VideoSettings {
    /// What is offered to a page, or taken from it: each codec in the form that browsers have (RFC 7742 §6.2) besides what SIP may have.
    pub fn page(&self) -> Vec<VideoFormat> {
        let both = |mode| H264Format { packetization_mode: mode, ..H264Format::BROWSER };
        let browser = |format: &VideoFormat| match format.codec() {
            VideoCodec::H264 => vec![VideoFormat::H264(both(1)), VideoFormat::H264(both(0))],
            VideoCodec::Vp8 => vec![],
        };
        let mut page: Vec<VideoFormat> = vec![];
        for format in &self.sip {
            for format in browser(format).into_iter().chain([*format]) {
                if !page.contains(&format) {
                    page.push(format);
                }
            }
        }
        page
    }
}

impl MediaSettings {
    /// What the browser leg speaks, by preference: Opus first, for its error correction and its band; then what
    /// browsers know beside it.
    pub fn browser_codecs(&self) -> Vec<CodecId> {
        let known = CODECS.iter().filter(|spec| spec.browsers != Browsers::None).map(|spec| spec.id);
        known.filter(|codec| self.page_codecs.contains(codec)).collect()
    }
}

/// When the browser's offer is answered (design: "one offer, one answer").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerTiming {
    /// At once: ICE and DTLS finish while the far end rings; Opus on the browser leg.
    AtOnce,
    /// On the far side's first SDP, with its codec first: G.711 passes untranscoded.
    OnSipSdp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_offered_what_browsers_have_of_each_codec_besides_what_sip_may_have() {
        let high =
            VideoFormat::from_sdp("H264", 90_000, Some("profile-level-id=640028;packetization-mode=1"));
        let video = VideoSettings { sip: vec![VideoFormat::Vp8, high.unwrap()], ..VideoSettings::default() };
        let page: Vec<String> = video.page().iter().map(|format| format.fmtp().unwrap_or_default()).collect();
        let browser = "profile-level-id=42e01f";
        let asymmetric = "level-asymmetry-allowed=1;packetization-mode";
        let wanted = [
            String::new(),
            format!("{asymmetric}=1;{browser}"),
            format!("{asymmetric}=0;{browser}"),
            "packetization-mode=1;profile-level-id=640028".to_owned(),
        ];
        assert_eq!(page, wanted);
    }

    #[test]
    fn alpn_is_named_by_server_or_for_all() {
        let alpn: Alpn = " PBX.example = sip/2 ".parse().unwrap();
        assert_eq!((alpn.towards("pbx.EXAMPLE"), alpn.towards("other.example")), (Some("sip/2"), None));
        assert_eq!("*=sip".parse::<Alpn>().unwrap().towards("any"), Some("sip"));
        for wrong in ["sip", "=sip", "host=", &format!("host={}", "x".repeat(256))] {
            assert!(wrong.parse::<Alpn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_fingerprint_reads_with_and_without_colons() {
        let plain = "00ff".repeat(16);
        let fingerprint: Fingerprint = plain.parse().unwrap();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert!(fingerprint.to_string().starts_with("00:FF:00"));
        for wrong in [&plain[2..], &format!("{plain}00"), &plain.replace('f', "g"), &"a:".repeat(48), ""] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint), "{wrong}");
        }
    }
}
