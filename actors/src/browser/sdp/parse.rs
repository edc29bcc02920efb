//! Reading a page's description: forgiving about form, strict about what is used.

use std::net::IpAddr;

use super::{
    Description, Direction, Format, IceCredentials, Kind, MAX_BYTES, MAX_MEDIA, MAX_PAYLOADS, SdpError,
    Section, Setup,
};

/// RFC 8839 §5.4 gives both values 256 characters at most, and these lower bounds.
const UFRAG: std::ops::RangeInclusive<usize> = 4..=256;
const PWD: std::ops::RangeInclusive<usize> = 22..=256;
/// Longest mid we echo. Browsers use one or two digits or letters.
const MAX_MID: usize = 64;
/// Longest fmtp we look into; an H.264 one has 80 characters.
const MAX_FMTP: usize = 256;

const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// Transport attributes, which may stand at session level or in any bundled m-line.
#[derive(Default, Clone)]
struct Transport {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprint: Option<String>,
    foreign_hash: bool,
    setup: Option<String>,
    loopback: bool,
}

impl Transport {
    /// Fills what is missing here from `other`.
    fn or(mut self, other: &Self) -> Self {
        // User name and password belong together.
        if self.ufrag.is_none() && self.pwd.is_none() {
            self.ufrag.clone_from(&other.ufrag);
            self.pwd.clone_from(&other.pwd);
        }
        if self.fingerprint.is_none() {
            self.fingerprint.clone_from(&other.fingerprint);
            self.foreign_hash |= other.foreign_hash;
        }
        if self.setup.is_none() {
            self.setup.clone_from(&other.setup);
        }
        self.loopback |= other.loopback;
        self
    }
}

/// A section while its lines are still coming in.
struct Draft {
    section: Section,
    direction: Option<Direction>,
    bundle_only: bool,
    transport: Transport,
}

impl Description {
    /// Takes from `text` what a call needs.
    ///
    /// # Errors
    /// Names the line that is missing or unusable. Everything unknown is skipped.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLong(text.len()));
        }
        let mut session = Session::default();
        let mut drafts: Vec<Draft> = Vec::new();
        // Line ends may be CRLF, LF or mixed, lines may end in blanks: see the WebSDK's `stripCodecs`.
        for line in text.split(['\r', '\n']) {
            let Some((kind, value)) = line.trim().split_once('=') else {
                continue;
            };
            match kind {
                "v" => session.version = true,
                "m" if drafts.len() == MAX_MEDIA => return Err(SdpError::TooManyMedia),
                "m" => drafts.push(Draft::new(value)),
                "b" => {
                    if let Some(draft) = drafts.last_mut() {
                        draft.bandwidth(value);
                    }
                }
                "a" => match drafts.last_mut() {
                    None => session.attribute(value),
                    Some(draft) => draft.attribute(value),
                },
                _ => {}
            }
        }
        session.finish(drafts)
    }
}

#[derive(Default)]
struct Session {
    version: bool,
    ice_lite: bool,
    bundle: Vec<String>,
    direction: Option<Direction>,
    transport: Transport,
}

impl Session {
    fn attribute(&mut self, attribute: &str) {
        let (name, value) = split_attribute(attribute);
        match name {
            "ice-lite" => self.ice_lite = true,
            "group" if self.bundle.is_empty() => {
                let mut words = value.split_ascii_whitespace();
                if words.next().is_some_and(|semantics| semantics.eq_ignore_ascii_case("BUNDLE")) {
                    self.bundle =
                        words.filter(|mid| is_token(mid, MAX_MID)).take(MAX_MEDIA).map(Into::into).collect();
                }
            }
            _ => match direction(name) {
                Some(direction) => self.direction = Some(direction),
                None => self.transport.attribute(name, value),
            },
        }
    }

    fn finish(self, drafts: Vec<Draft>) -> Result<Description, SdpError> {
        if !self.version {
            return Err(SdpError::NotSdp);
        }
        if self.ice_lite {
            return Err(SdpError::IceLite);
        }
        let bundled = |mid: &Option<String>| mid.as_ref().is_some_and(|mid| self.bundle.contains(mid));
        let mut transports = Vec::with_capacity(drafts.len());
        let mut sections = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let (mut section, transport) = draft.finish(self.direction.unwrap_or_default());
            // Port 0 refuses an m-line, unless it only says "my transport is the bundle's" (RFC 9143 §7.2.1).
            section.rejected = section.rejected && !bundled(&section.mid);
            transports.push(transport);
            sections.push(section);
        }
        let audio = sections
            .iter()
            .position(|section| section.kind == Kind::Audio && !section.rejected)
            .ok_or(SdpError::NoAudio)?;
        let section = &sections[audio];
        if !section.protocol.eq_ignore_ascii_case("UDP/TLS/RTP/SAVPF")
            && !section.protocol.eq_ignore_ascii_case("UDP/TLS/RTP/SAVP")
        {
            return Err(SdpError::NotSecure);
        }
        if !section.rtcp_mux {
            return Err(SdpError::Missing("rtcp-mux"));
        }
        // A bundled m-line may leave its transport to the first of the group (RFC 9143 §7.1.1).
        let mut transport = transports[audio].clone().or(&self.transport);
        if bundled(&section.mid) {
            for (other, section) in transports.iter().zip(&sections) {
                if bundled(&section.mid) {
                    transport = transport.or(other);
                }
            }
        }
        let loopback = transport.loopback;
        let (ice, fingerprint, setup) = transport.check()?;
        Ok(Description { loopback, ice, fingerprint, setup, bundle: self.bundle, sections, audio })
    }
}

impl Transport {
    fn attribute(&mut self, name: &str, value: &str) {
        match name {
            "ice-ufrag" => self.ufrag = Some(value.to_owned()),
            "ice-pwd" => self.pwd = Some(value.to_owned()),
            "setup" => self.setup = Some(value.to_owned()),
            "candidate" => {
                let address = value.split_ascii_whitespace().nth(4).and_then(|ip| ip.parse::<IpAddr>().ok());
                self.loopback |= address.is_some_and(|ip| ip.is_loopback());
            }
            "fingerprint" => match value.split_once(' ') {
                Some((hash, digest)) if hash.eq_ignore_ascii_case("sha-256") => {
                    self.fingerprint.get_or_insert_with(|| digest.trim().to_owned());
                }
                // Several certificates' hashes may be listed (RFC 8122 §5): we take the SHA-256 one.
                _ => self.foreign_hash = true,
            },
            _ => {}
        }
    }

    fn check(self) -> Result<(IceCredentials, [u8; 32], Setup), SdpError> {
        let ufrag = self.ufrag.ok_or(SdpError::Missing("ice-ufrag"))?;
        let pwd = self.pwd.ok_or(SdpError::Missing("ice-pwd"))?;
        if !is_ice_string(&ufrag, UFRAG) {
            return Err(SdpError::Malformed("ice-ufrag"));
        }
        if !is_ice_string(&pwd, PWD) {
            return Err(SdpError::Malformed("ice-pwd"));
        }
        let fingerprint = match self.fingerprint {
            Some(digest) => digest_bytes(&digest).ok_or(SdpError::Malformed("fingerprint"))?,
            None if self.foreign_hash => return Err(SdpError::FingerprintHash),
            None => return Err(SdpError::Missing("fingerprint")),
        };
        let setup = match self.setup.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("active") => Setup::Active,
            Some("passive") => Setup::Passive,
            // RFC 4145 §4.1: active is the default of an offer; whoever says nothing lets us choose here.
            Some("actpass") | None => Setup::ActPass,
            Some(_) => return Err(SdpError::Malformed("setup")),
        };
        Ok((IceCredentials { ufrag, pwd }, fingerprint, setup))
    }
}

impl Draft {
    fn new(line: &str) -> Self {
        let mut words = line.split_ascii_whitespace();
        let media = words.next().filter(|media| is_token(media, 32)).unwrap_or("unknown");
        let port = words.next().and_then(|port| port.split('/').next()?.parse().ok()).unwrap_or(0_u16);
        let protocol =
            words.next().filter(|protocol| is_token(&protocol.replace('/', ""), 64)).unwrap_or("UDP");
        let formats: Vec<&str> = words.filter(|format| is_token(format, 64)).take(MAX_PAYLOADS).collect();
        let mut numbers: Vec<u8> = Vec::new();
        for number in formats.iter().filter_map(|format| format.parse().ok()) {
            // 64 to 95 would be taken for RTCP on a multiplexed port (RFC 5761 §4).
            if number < 128 && !(64..96).contains(&number) && !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let kind = match media {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            _ => Kind::Other,
        };
        let section = Section {
            kind,
            media: media.to_owned(),
            protocol: protocol.to_owned(),
            first_format: formats.first().copied().unwrap_or("0").to_owned(),
            rejected: port == 0,
            mid: None,
            payloads: numbers.into_iter().map(Format::unnamed).collect(),
            direction: Direction::SendRecv,
            rtcp_mux: false,
            ssrc: None,
            rtx_ssrc: None,
            bandwidth: None,
            mid_extension: None,
            ptime: None,
        };
        Draft { section, direction: None, bundle_only: false, transport: Transport::default() }
    }

    fn attribute(&mut self, attribute: &str) {
        let (name, value) = split_attribute(attribute);
        match name {
            "mid" if is_token(value, MAX_MID) => self.section.mid = Some(value.to_owned()),
            "rtcp-mux" => self.section.rtcp_mux = true,
            "bundle-only" => self.bundle_only = true,
            "rtpmap" => self.rtpmap(value),
            "fmtp" => self.fmtp(value),
            "rtcp-fb" => self.feedback(value),
            "ssrc-group" => self.ssrc_group(value),
            "ssrc" if self.section.ssrc.is_none() => {
                self.section.ssrc = value.split_ascii_whitespace().next().and_then(|ssrc| ssrc.parse().ok());
            }
            "extmap" => {
                if let Some((id, uri)) = value.split_once(' ')
                    && uri.split_ascii_whitespace().next() == Some(MID_EXTENSION)
                {
                    let id = id.split('/').next().and_then(|id| id.parse().ok());
                    self.section.mid_extension = id.filter(|id| (1..=14).contains(id));
                }
            }
            "ptime" => self.section.ptime = value.parse().ok().filter(|ptime| (10..=120).contains(ptime)),
            _ => match direction(name) {
                Some(direction) => self.direction = Some(direction),
                None => self.transport.attribute(name, value),
            },
        }
    }

    fn payload(&mut self, number: &str) -> Option<&mut Format> {
        let number: u8 = number.parse().ok()?;
        self.section.payloads.iter_mut().find(|payload| payload.number == number)
    }

    fn rtpmap(&mut self, value: &str) {
        let Some((number, format)) = value.split_once(' ') else {
            return;
        };
        let Some(payload) = self.payload(number) else {
            return;
        };
        let mut parts = format.trim().split('/');
        let name = parts.next().unwrap_or_default();
        let clock_rate = parts.next().and_then(|rate| rate.trim().parse().ok());
        let channels = parts.next().map_or(Some(1), |channels| channels.trim().parse().ok());
        if let (true, Some(clock_rate), Some(channels)) = (is_token(name, 32), clock_rate, channels) {
            name.clone_into(&mut payload.name);
            payload.clock_rate = clock_rate;
            payload.channels = channels;
        }
    }

    fn fmtp(&mut self, value: &str) {
        let Some((number, format)) = value.split_once(' ') else {
            return;
        };
        let printable = format.len() <= MAX_FMTP && format.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if let (true, Some(payload)) = (printable, self.payload(number)) {
            format.trim().clone_into(&mut payload.fmtp);
        }
    }

    fn feedback(&mut self, value: &str) {
        let Some((number, what)) = value.split_once(' ') else {
            return;
        };
        let all = number == "*";
        let number = number.parse().ok();
        for payload in
            self.section.payloads.iter_mut().filter(|payload| all || Some(payload.number) == number)
        {
            payload.feedback.note(what);
        }
    }

    /// `FID`: a stream and its retransmissions (RFC 5576 §4.2).
    fn ssrc_group(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace();
        if words.next().is_some_and(|semantics| semantics.eq_ignore_ascii_case("FID"))
            && self.section.rtx_ssrc.is_none()
        {
            let mut ssrcs = words.map(|ssrc| ssrc.parse().ok());
            if let (Some(Some(main)), Some(Some(rtx)), None) = (ssrcs.next(), ssrcs.next(), ssrcs.next()) {
                (self.section.ssrc, self.section.rtx_ssrc) = (Some(main), Some(rtx));
            }
        }
    }

    /// Bits without headers (`TIAS`, RFC 3890), else kilobits with them (`AS`). Nought would be a way to say "no media"; a
    /// direction says that better.
    fn bandwidth(&mut self, value: &str) {
        let Some((kind, number)) = value.split_once(':') else {
            return;
        };
        let number = number.trim().parse().ok().filter(|number| *number > 0);
        match (kind.trim(), number) {
            ("TIAS", Some(bits)) => self.section.bandwidth = Some(bits),
            ("AS", Some(kilobits)) => {
                self.section.bandwidth.get_or_insert(kilobits.saturating_mul(1_000));
            }
            _ => {}
        }
    }

    fn finish(mut self, session: Direction) -> (Section, Transport) {
        self.section.direction = self.direction.unwrap_or(session);
        for payload in self.section.payloads.iter_mut().filter(|payload| payload.name.is_empty()) {
            // RFC 3551 §6: these numbers need no a=rtpmap.
            let name = match payload.number {
                0 => "PCMU",
                8 => "PCMA",
                9 => "G722",
                _ => continue,
            };
            name.clone_into(&mut payload.name);
            payload.clock_rate = 8_000;
        }
        self.section.payloads.retain(|payload| !payload.name.is_empty());
        self.section.rejected &= !self.bundle_only;
        (self.section, self.transport)
    }
}

fn split_attribute(attribute: &str) -> (&str, &str) {
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    (name.trim(), value.trim())
}

fn direction(name: &str) -> Option<Direction> {
    Some(match name {
        "sendrecv" => Direction::SendRecv,
        "sendonly" => Direction::SendOnly,
        "recvonly" => Direction::RecvOnly,
        "inactive" => Direction::Inactive,
        _ => return None,
    })
}

/// A token of RFC 8866 §9, which can be written into a line of ours as it is.
fn is_token(text: &str, longest: usize) -> bool {
    let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    (1..=longest).contains(&text.len()) && text.bytes().all(is_token_char)
}

/// An ice-char string of RFC 8839 §5.4; a colon inside would break the STUN user name. `-`, `_` and `=` are
/// not ice-chars but are seen in the wild and harmless.
fn is_ice_string(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte))
}

fn digest_bytes(digest: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut pairs = digest.split(':');
    for byte in &mut bytes {
        let pair =
            pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}
