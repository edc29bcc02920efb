//! SDP text to our model: the only file that knows the SDP library.
//!
//! Peers write SDP loosely, and a call should not fail over a line that nobody reads. So the text is tidied first (line ends,
//! blanks, letters that we do not use, second `o=`/`s=`/`c=` lines), and only then handed to the library.

use std::fmt::Write as _;

use super::{Attribute, Crypto, Direction, ExtraLine, Format, Media, MediaKind, Origin, Rtcp, Session};

/// Longest SDP that is looked at: far above any real one (browsers with video: 5 kB), small enough to bound the work.
pub const MAX_BYTES: usize = 64 * 1024;

/// Most m-lines.
pub const MAX_MEDIA: usize = 32;

/// Why a text is no usable SDP. A request that carries it is answered 400 or 488.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// More than [`MAX_BYTES`].
    #[error("SDP of {0} bytes, at most {MAX_BYTES} allowed")]
    TooLong(usize),
    /// More than [`MAX_MEDIA`] m-lines.
    #[error("SDP with {0} m-lines, at most {MAX_MEDIA} allowed")]
    TooManyMedia(usize),
    /// Broken in a line that matters (`v= c= m=`).
    #[error("SDP syntax: {0}")]
    Syntax(String),
}

impl Session {
    /// Reads an SDP body. Takes LF, CR and CRLF in any mixture, stray blanks, bytes that are not UTF-8, missing `o= s= t=`,
    /// and m-lines without formats.
    ///
    /// # Errors
    /// [`SdpError`], naming the limit or the line.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_BYTES {
            return Err(SdpError::TooLong(body.len()));
        }
        let tidy = tidy(&String::from_utf8_lossy(body))?;
        let parsed = sdp_types::Session::parse(tidy.as_bytes())
            .map_err(|error| SdpError::Syntax(error.to_string()))?;
        Ok(session(parsed))
    }
}

/// Brings the text into the form that the library takes.
fn tidy(text: &str) -> Result<String, SdpError> {
    let mut out = String::with_capacity(text.len());
    let mut once = [false; 3];
    let mut media = 0;
    for line in text.split(['\r', '\n']) {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}');
        let Some((letter, value)) = line.split_once('=').filter(|(letter, _)| letter.len() == 1) else {
            continue;
        };
        if value.contains('\0') {
            continue;
        }
        if media == 0
            && let Some(seen) = "osc".find(letter).map(|place| &mut once[place])
            && std::mem::replace(seen, true)
        {
            continue;
        }
        let kept = match letter {
            "v" | "c" => value.trim().to_owned(),
            "s" => "-".to_owned(),
            "o" => tidy_origin(value),
            "b" if is_bandwidth(value) => value.to_owned(),
            "a" if !value.is_empty() => value.to_owned(),
            "m" => {
                media += 1;
                tidy_media(value)
            }
            _ => continue,
        };
        let _ = write!(out, "{letter}={kept}\r\n");
    }
    if media > MAX_MEDIA { Err(SdpError::TooManyMedia(media)) } else { Ok(out) }
}

/// Six words, the third a number; whatever is missing becomes a dash or 0.
fn tidy_origin(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    let word = |place: usize, default| words.get(place).copied().unwrap_or(default);
    let version: u64 = word(2, "0").parse().unwrap_or(0);
    format!("{} {} {version} IN IP4 {}", word(0, "-"), word(1, "0"), word(5, "0.0.0.0"))
}

/// Single blanks, and a placeholder where the formats are missing: the browser SDK can strip them all.
fn tidy_media(value: &str) -> String {
    let mut words: Vec<&str> = value.split_whitespace().collect();
    if words.len() == 3 {
        words.push(NO_FORMAT);
    }
    words.join(" ")
}

fn is_bandwidth(value: &str) -> bool {
    value.split_once(':').is_some_and(|(kind, kbit)| !kind.is_empty() && kbit.parse::<u64>().is_ok())
}

fn session(parsed: sdp_types::Session) -> Session {
    let mut session = Session {
        origin: Origin {
            username: parsed.origin.username.unwrap_or_else(|| "-".into()),
            id: parsed.origin.sess_id,
            version: parsed.origin.sess_version,
            address: parsed.origin.unicast_address,
        },
        connection: parsed.connection.map(|line| address(&line.connection_address)),
        extra_lines: parsed
            .bandwidths
            .iter()
            .filter_map(|line| ExtraLine::new(&format!("b={}:{}", line.bwtype, line.bandwidth)).ok())
            .collect(),
        media: parsed.medias.into_iter().map(media).collect(),
        ..Session::default()
    };
    for attribute in parsed.attributes {
        match Direction::from_attribute(&attribute.attribute) {
            Some(direction) => session.direction = Some(direction),
            None => session.attributes.push(self::attribute(attribute)),
        }
    }
    session
}

fn media(parsed: sdp_types::Media) -> Media {
    let mut media = Media::new(MediaKind::from(parsed.media.as_str()), parsed.port, &parsed.proto);
    media.connection = parsed.connections.first().map(|line| address(&line.connection_address));
    media.bandwidth =
        parsed.bandwidths.iter().map(|line| format!("{}:{}", line.bwtype, line.bandwidth)).collect();
    let mut maps = Maps::default();
    for attribute in parsed.attributes {
        let value = attribute.value.as_deref().map(str::trim).unwrap_or_default();
        match attribute.attribute.to_ascii_lowercase().as_str() {
            "rtpmap" => maps.rtpmap(value),
            "fmtp" => maps.fmtp(value),
            "ptime" => media.ptime = milliseconds(value),
            "maxptime" => media.max_ptime = milliseconds(value),
            "rtcp" => media.rtcp = rtcp(value),
            "rtcp-mux" => media.rtcp_mux = true,
            "crypto" if media.crypto.len() < Crypto::MAX => media.crypto.extend(Crypto::parse(value)),
            "crypto" => {}
            name => match Direction::from_attribute(name) {
                Some(direction) => media.direction = Some(direction),
                None => media.attributes.push(self::attribute(attribute)),
            },
        }
    }
    let words = parsed.fmt.split_whitespace().filter(|word| *word != NO_FORMAT);
    if media.protocol.to_ascii_uppercase().contains("RTP/") {
        media.formats = maps.formats(words);
    } else {
        media.other_formats = words.map(str::to_owned).collect();
    }
    media
}

/// `a=rtpmap` and `a=fmtp` by number: two tables of 128 rows, so that a hostile list of lines costs linear time.
struct Maps {
    rtpmap: Vec<Option<Format>>,
    fmtp: Vec<Option<String>>,
}

impl Default for Maps {
    fn default() -> Self {
        Self { rtpmap: vec![None; 128], fmtp: vec![None; 128] }
    }
}

impl Maps {
    fn rtpmap(&mut self, value: &str) {
        if let Some((number, rest)) = numbered(value)
            && let Some(format) = Format::from_rtpmap(number, rest)
        {
            self.rtpmap[usize::from(number)].get_or_insert(format);
        }
    }

    fn fmtp(&mut self, value: &str) {
        let Some((number, rest)) = numbered(value).filter(|(_, rest)| !rest.is_empty()) else {
            return;
        };
        match &mut self.fmtp[usize::from(number)] {
            Some(known) => {
                known.push(';');
                known.push_str(rest);
            }
            empty => *empty = Some(rest.to_owned()),
        }
    }

    /// The formats of the m-line in its order, each number once.
    fn formats<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> Vec<Format> {
        let mut seen = [false; 128];
        words
            .filter_map(|word| word.parse::<u8>().ok().filter(|number| *number < 128))
            .filter(|number| !std::mem::replace(&mut seen[usize::from(*number)], true))
            .map(|number| {
                let mut format = self.rtpmap[usize::from(number)]
                    .take()
                    .or_else(|| Format::of_static(number))
                    .unwrap_or_else(|| Format::new(number, "", 0, 1));
                format.fmtp = self.fmtp[usize::from(number)].take();
                format
            })
            .collect()
    }
}

/// Splits `111 opus/48000/2` into the payload type and the rest.
fn numbered(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    Some((number.parse().ok().filter(|number| *number < 128)?, rest.trim()))
}

/// Whole milliseconds; `20.0` occurs.
fn milliseconds(value: &str) -> Option<u16> {
    value.split('.').next()?.parse().ok()
}

/// `a=rtcp:<port> [IN IP4 <address>]`.
fn rtcp(value: &str) -> Option<Rtcp> {
    let mut words = value.split_whitespace();
    let port = words.next()?.parse().ok()?;
    Some(Rtcp { port, address: words.nth(2).map(address) })
}

/// The address without `/ttl` and without an IPv6 zone, which means nothing on another host.
fn address(text: &str) -> String {
    text.split(['/', '%']).next().unwrap_or_default().to_owned()
}

fn attribute(parsed: sdp_types::Attribute) -> Attribute {
    Attribute { name: parsed.attribute, value: parsed.value }
}

/// Stands in for missing formats while the library, which wants one, reads the m-line.
const NO_FORMAT: &str = "-";
