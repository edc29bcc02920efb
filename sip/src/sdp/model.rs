//! Our small model of one SDP text: what a gateway needs, and the rest kept raw.

use super::{Crypto, Direction, ExtraLine, Format};

/// One session description. [`Session::parse`] reads it, `to_string()` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// The `o=` line.
    pub origin: Origin,
    /// Address of the session-level `c=` line: an IP address as text, or a host name.
    pub connection: Option<String>,
    /// Lines between `c=` and `t=`, in order: `b=` lines when parsed, [`LocalMedia::extra_lines`](super::LocalMedia) when ours.
    pub extra_lines: Vec<ExtraLine>,
    /// Direction for all m-lines that do not say their own.
    pub direction: Option<Direction>,
    /// Other session-level attributes, in order.
    pub attributes: Vec<Attribute>,
    /// The m-lines, at most [`MAX_MEDIA`](super::MAX_MEDIA).
    pub media: Vec<Media>,
}

/// The `o=` line (RFC 8866 §5.2): who made the session, and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name, usually `-`.
    pub username: String,
    /// Session id: digits, but some peers exceed 64 bits, so text.
    pub id: String,
    /// Version: grows by one with every changed description (RFC 3264 §8).
    pub version: u64,
    /// Address as text.
    pub address: String,
}

/// One m-line with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Audio, video or another.
    pub kind: MediaKind,
    /// RTP port; 0 = rejected or switched off.
    pub port: u16,
    /// Transport profile as written: `RTP/AVP`, `RTP/SAVP`, `udptl`…
    pub protocol: String,
    /// Payload formats of an RTP profile, in order of preference, at most one per number.
    pub formats: Vec<Format>,
    /// The format words of any other profile (`t38`), raw.
    pub other_formats: Vec<String>,
    /// Address of this m-line's own `c=`.
    pub connection: Option<String>,
    /// Values of `b=` lines (`AS:64`).
    pub bandwidth: Vec<String>,
    /// This m-line's own direction.
    pub direction: Option<Direction>,
    /// `a=ptime` in ms: packet length that the writer wants to receive.
    pub ptime: Option<u16>,
    /// `a=maxptime` in ms.
    pub max_ptime: Option<u16>,
    /// `a=rtcp` (RFC 3605).
    pub rtcp: Option<Rtcp>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
    /// `a=crypto` lines that we can follow (RFC 4568), in order, at most [`Crypto::MAX`].
    pub crypto: Vec<Crypto>,
    /// All other attributes, in order.
    pub attributes: Vec<Attribute>,
}

/// What an m-line carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaKind {
    /// `m=audio`.
    Audio,
    /// `m=video`.
    Video,
    /// `m=image`, `m=application`…
    Other(String),
}

/// An `a=` line that the model has no field for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Name before the colon.
    pub name: String,
    /// Value after it, if there is a colon.
    pub value: Option<String>,
}

/// Where the writer listens for RTCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rtcp {
    /// Port.
    pub port: u16,
    /// Address, if it differs from the m-line's.
    pub address: Option<String>,
}

impl Session {
    /// Address text that holds for an m-line: its own `c=`, else the session's.
    pub fn connection_of<'a>(&'a self, media: &'a Media) -> Option<&'a str> {
        media.connection.as_deref().or(self.connection.as_deref())
    }

    /// Puts an address in the place of a host name in every `c=`, once the name that
    /// [`OfferAnswerError::HostName`](super::OfferAnswerError) complained of has been resolved.
    pub fn resolve_host(&mut self, name: &str, address: std::net::IpAddr) {
        let places = self.media.iter_mut().map(|media| &mut media.connection).chain([&mut self.connection]);
        for place in places.filter(|place| place.as_deref() == Some(name)) {
            *place = Some(address.to_string());
        }
    }

    /// Direction that holds for an m-line: its own, else the session's, else `sendrecv`.
    pub fn direction_of(&self, media: &Media) -> Direction {
        media.direction.or(self.direction).unwrap_or_default()
    }

    /// Value of a session-level attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }

    /// Whether two descriptions say the same, versions apart. Peers are known to change without counting and to count
    /// without changing, so only the content decides.
    pub fn same_content(&self, other: &Self) -> bool {
        let version = other.origin.version;
        *other == Self { origin: Origin { version, ..self.origin.clone() }, ..self.clone() }
    }
}

impl Media {
    /// An empty m-line of this kind.
    pub fn new(kind: MediaKind, port: u16, protocol: &str) -> Self {
        Self {
            kind,
            port,
            protocol: protocol.to_owned(),
            formats: Vec::new(),
            other_formats: Vec::new(),
            connection: None,
            bandwidth: Vec::new(),
            direction: None,
            ptime: None,
            max_ptime: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// This m-line refused or switched off: port 0, kind and profile kept, one format as the grammar wants (RFC 3264 §6).
    pub fn rejected(&self) -> Self {
        let mut media = Self::new(self.kind.clone(), 0, &self.protocol);
        media.formats = self.formats.first().cloned().into_iter().collect();
        media.other_formats = self.other_formats.first().cloned().into_iter().collect();
        media
    }

    /// Takes out what says no more than its absence: `a=sendrecv` (RFC 8866 §6.7), packets of 20 ms (RFC 3551 §4.2), and that
    /// telephone-events are digits (RFC 4733 §2.4.1), save at the clock of old phones.
    pub(super) fn leave_out_the_usual(&mut self) {
        self.direction = self.direction.filter(|direction| *direction != Direction::default());
        self.ptime = self.ptime.filter(|ms| *ms != 20);
        let events = self.formats.iter_mut().filter(|format| format.is_event() && format.clock != 8000);
        events.for_each(|format| format.fmtp = format.fmtp.take().filter(|events| events != "0-15"));
    }

    /// Whether the profile is plain RTP (`RTP/AVP` or `RTP/AVPF`), with no keys to exchange.
    pub fn is_plain_rtp(&self) -> bool {
        ["RTP/AVP", "RTP/AVPF"].iter().any(|profile| self.protocol.eq_ignore_ascii_case(profile))
    }

    /// Whether the profile is SRTP with keys from SDP (`RTP/SAVP` or `RTP/SAVPF`), not from DTLS.
    pub fn is_secure_rtp(&self) -> bool {
        ["RTP/SAVP", "RTP/SAVPF"].iter().any(|profile| self.protocol.eq_ignore_ascii_case(profile))
    }

    /// Value of one of the other attributes; empty for a bare flag.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
        .map(|attribute| attribute.value.as_deref().unwrap_or_default())
}

impl Default for Origin {
    fn default() -> Self {
        Self { username: "-".into(), id: "0".into(), version: 0, address: "0.0.0.0".into() }
    }
}

impl MediaKind {
    /// The word of the m-line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for MediaKind {
    fn from(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "audio" => Self::Audio,
            "video" => Self::Video,
            _ => Self::Other(word.to_owned()),
        }
    }
}
