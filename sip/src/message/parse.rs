//! Bytes to [`Message`]: one pass, strict, bounded (RFC 3261 7).
//!
//! What comes out has all that a transaction and an answer need: Via, From, To, Call-ID and CSeq stand there, once where once
//! is the rule, and follow the grammar. Everything else is checked by who needs it, see [`check`](super::check).

use std::borrow::Cow;

use bytes::Bytes;

use super::reject::reject;
use super::{
    Header, HeaderError, HeaderName, Headers, Malformed, Message, Method, Request, Response, StatusCode, Uri,
};

/// The largest message that we read, in bytes: the most that fits a datagram; over streams the same, against hoarding.
pub const MAX_MESSAGE: usize = 65_535;

/// The most header lines of one message; the longest known legal message (RFC 4475 3.1.1.7) has 45.
pub const MAX_HEADERS: usize = 256;

/// Why bytes are no message, and what the sender may be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct ParseFailure {
    /// What is wrong, for the log.
    pub error: ParseError,
    /// The answer to send to where the bytes came from. `None`: drop silently, as for responses, ACK and what is no SIP at all.
    pub response: Option<Box<Response>>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not SIP, or nothing but line ends.
    #[error("not SIP")]
    NotSip,
    /// More than [`MAX_MESSAGE`] bytes.
    #[error("message too large")]
    TooLarge,
    /// More than [`MAX_HEADERS`] header lines.
    #[error("too many header fields")]
    TooManyHeaders,
    /// A version that is well formed and not 2.0.
    #[error("version not supported")]
    Version,
    /// The start line does not follow the grammar.
    #[error("start line: {0}")]
    StartLine(Malformed),
    /// A line behind the start line is no header field. Lines count from 1, the start line included.
    #[error("line {0}: malformed header field")]
    HeaderLine(usize),
    /// The empty line behind the header fields is missing.
    #[error("the header section does not end")]
    Unfinished,
    /// A field that every message must have is missing, doubled or malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Content-Length is no number, says two things, or promises more than there is.
    #[error("Content-Length does not fit")]
    ContentLength,
}

impl ParseError {
    /// The code that tells the sender of a request; `None` when it should hear nothing.
    fn code(&self) -> Option<StatusCode> {
        match self {
            ParseError::NotSip => None,
            ParseError::TooLarge | ParseError::TooManyHeaders => Some(StatusCode::MESSAGE_TOO_LARGE),
            ParseError::Version => Some(StatusCode::VERSION_NOT_SUPPORTED),
            _ => Some(StatusCode::BAD_REQUEST),
        }
    }
}

/// Reads one message: a datagram, or what stream framing cut out. Bytes behind the body are ignored (RFC 3261 18.3).
pub fn parse(bytes: &[u8]) -> Result<Message, ParseFailure> {
    let start = bytes.iter().position(|b| !b"\r\n".contains(b)).unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let (head, body) = match head_end(bytes) {
        Some(end) => (&bytes[..end], Some(&bytes[end + 4..])),
        None => (&bytes[..bytes.len().min(MAX_MESSAGE)], None),
    };
    let head = String::from_utf8_lossy(head);
    let (line, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let start = StartLine::read(line);
    let (headers, fault) = read_headers(rest);

    let checked = if bytes.len() > MAX_MESSAGE {
        Err(ParseError::TooLarge)
    } else {
        start.and_then(|start| Ok((start, body_of(&headers, fault, body)?)))
    };
    match checked {
        Ok((start, body)) => Ok(build(start, headers, Bytes::copy_from_slice(body))),
        Err(error) => {
            let code = error.code().filter(|_| is_answerable_request(line));
            let response = code.and_then(|code| reject(&headers, code, &error)).map(Box::new);
            Err(ParseFailure { error, response })
        }
    }
}

/// Where the header section ends; the empty line follows there.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n")
}

enum StartLine {
    Request(Method, Uri),
    Response(StatusCode, Box<str>),
}

impl StartLine {
    /// Exactly one blank between the parts, none elsewhere (RFC 3261 7.1, RFC 4475 3.1.2.8 to 10).
    fn read(line: &str) -> Result<Self, ParseError> {
        let bad = |what| ParseError::StartLine(Malformed(what));
        if starts_with_sip(line) {
            let (version, rest) = line.split_once(' ').ok_or(bad("status line"))?;
            version_is_2(version)?;
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = Some(code).filter(|c| c.len() == 3).and_then(|c| c.parse::<u16>().ok());
            let code = code.and_then(|code| StatusCode::try_from(code).ok()).ok_or(bad("status code"))?;
            if reason.contains(['\r', '\n']) {
                return Err(bad("reason phrase"));
            }
            return Ok(StartLine::Response(code, reason.into()));
        }
        let last = line.trim_end().rsplit(' ').next().unwrap_or_default();
        if !starts_with_sip(last) {
            return Err(ParseError::NotSip);
        }
        version_is_2(last)?;
        let mut parts = line.split(' ');
        let (Some(method), Some(uri), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("request line"));
        };
        let method = method.parse().map_err(|_| bad("method"))?;
        let uri: Uri = uri.parse().map_err(ParseError::StartLine)?;
        if uri.as_sip().is_some_and(|uri| uri.headers().is_some()) {
            // They could smuggle a Route or a body (RFC 3261 19.1.1, RFC 4475 3.1.2.11).
            return Err(bad("Request-URI: it holds headers"));
        }
        Ok(StartLine::Request(method, uri))
    }
}

fn starts_with_sip(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
}

fn version_is_2(version: &str) -> Result<(), ParseError> {
    let number = version.get(4..).unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match number.split_once('.') {
        _ if number == "2.0" => Ok(()),
        Some((major, minor)) if digits(major) && digits(minor) => Err(ParseError::Version),
        _ => Err(ParseError::StartLine(Malformed("version"))),
    }
}

/// Responses are never answered, and neither is ACK (RFC 3261 17).
fn is_answerable_request(line: &str) -> bool {
    !starts_with_sip(line) && !line.trim_start().starts_with("ACK ")
}

/// All header fields that can be read, and the first fault. Folded lines are joined by one blank (7.3.1).
fn read_headers(section: &str) -> (Headers, Option<ParseError>) {
    let (mut headers, mut fault) = (Headers::new(), None);
    let mut lines = section.split("\r\n").enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        if line.is_empty() && lines.peek().is_none() {
            break;
        }
        let mut line = Cow::Borrowed(line);
        while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with([' ', '\t'])) {
            let line = line.to_mut();
            line.truncate(line.trim_end_matches([' ', '\t']).len());
            line.push(' ');
            line.push_str(more.trim_matches([' ', '\t']));
        }
        if headers.len() == MAX_HEADERS {
            fault.get_or_insert(ParseError::TooManyHeaders);
            break;
        }
        match read_header(&line) {
            Some(header) => headers.push_from_wire(header),
            None => {
                fault.get_or_insert(ParseError::HeaderLine(at + 2));
            }
        }
    }
    (headers, fault)
}

fn read_header(line: &str) -> Option<Header> {
    let (name, value) = line.split_once(':')?;
    let name: HeaderName = name.trim_end_matches([' ', '\t']).parse().ok()?;
    // A lone CR or LF is no line end, and a value that holds one would become a line of its own when it is copied.
    (!value.contains(['\r', '\n'])).then(|| Header::from_wire(name, value.trim_matches([' ', '\t'])))
}

/// Checks what every message must have, and cuts the body.
fn body_of<'a>(
    headers: &Headers,
    fault: Option<ParseError>,
    behind: Option<&'a [u8]>,
) -> Result<&'a [u8], ParseError> {
    fault.map_or(Ok(()), Err)?;
    headers.vias()?;
    headers.from()?;
    headers.to()?;
    headers.call_id()?;
    headers.cseq()?;
    let behind = behind.ok_or(ParseError::Unfinished)?;
    match content_length(headers)? {
        Some(length) => behind.get(..length).ok_or(ParseError::ContentLength),
        None => Ok(behind),
    }
}

fn build(start: StartLine, mut headers: Headers, body: Bytes) -> Message {
    headers.remove(&HeaderName::ContentLength);
    match start {
        StartLine::Request(method, uri) => Request { method, uri, headers, body }.into(),
        StartLine::Response(code, reason) => Response::from_wire(code, &reason, headers, body).into(),
    }
}

/// The length of the body that a header section declares, for framing: by the same reading that [`parse`] will make of it.
pub(crate) fn declared_length(section: &[u8]) -> Result<usize, ParseError> {
    let section = String::from_utf8_lossy(section);
    let (headers, fault) = read_headers(section.split_once("\r\n").map_or("", |(_, rest)| rest));
    match fault {
        // Lines that were not read may hold another length.
        Some(ParseError::TooManyHeaders) => Err(ParseError::TooManyHeaders),
        _ => content_length(&headers).map(Option::unwrap_or_default),
    }
}

/// The length of the body; several fields are forgiven only when they agree (RFC 4475 3.3.9).
fn content_length(headers: &Headers) -> Result<Option<usize>, ParseError> {
    let mut length = None;
    for text in headers.all(&HeaderName::ContentLength) {
        let this = super::grammar::number(text, "length").map_err(|_| ParseError::ContentLength)?;
        if length.is_some_and(|known| known != this) {
            return Err(ParseError::ContentLength);
        }
        length = Some(this);
    }
    Ok(length)
}
