//! What the switch must be told, already checked: `src` reads files, this is what comes of them.
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use codecs::CodecId;
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
    /// After how long without a `pong` a page counts as gone; used by `src` only through this switch's owner.
    pub no_answer: Duration,
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
    /// Whether media on the SIP side is encrypted.
    pub srtp: SrtpPolicy,
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
    /// Whether codecs that the browser did not offer may be offered to SIP.
    pub allow_outside_codecs: bool,
    /// When the page's audio offer is answered.
    pub answer_audio: AnswerTiming,
    /// Where to find the sound for a held party; part of hold music.
    pub hold_music_file: Option<PathBuf>,
}

impl MediaSettings {
    /// What the browser leg speaks, by preference: Opus first, for its error correction and its band; then what
    /// browsers know beside it.
    pub fn browser_codecs(&self) -> Vec<CodecId> {
        let mut codecs = vec![CodecId::Opus, CodecId::Pcmu, CodecId::Pcma];
        codecs.retain(|codec| self.audio_codecs.contains(codec));
        codecs
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
