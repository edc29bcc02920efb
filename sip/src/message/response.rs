//! A response (RFC 3261 7.2).

use std::fmt;

use bytes::Bytes;

use super::{HeaderName, Headers, InvalidField, StatusCode, grammar};

/// Answers a request. Made by [`Request::response`](super::Request::response) or by the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub code: StatusCode,
    reason: Box<str>,
    /// All header fields but Content-Length, which is written from the body.
    pub headers: Headers,
    /// Usually SDP; empty for none.
    pub body: Bytes,
}

impl Response {
    pub(crate) fn new(code: StatusCode) -> Self {
        Self { code, reason: code.reason().into(), headers: Headers::new(), body: Bytes::new() }
    }

    pub(crate) fn from_wire(code: StatusCode, reason: &str, headers: Headers, body: Bytes) -> Self {
        Self { code, reason: reason.into(), headers, body }
    }

    /// Replaces the usual phrase; control characters are refused.
    pub fn with_reason(mut self, reason: &str) -> Result<Self, InvalidField> {
        grammar::check_text("reason phrase", reason)?;
        self.reason = reason.into();
        Ok(self)
    }

    /// Adds our tag to a To that has none; every answer but 100 needs it (RFC 3261 8.2.6.2). An unreadable To stays as it is.
    pub fn with_to_tag(mut self, tag: &str) -> Result<Self, InvalidField> {
        grammar::check_token("tag", tag)?;
        if let Ok(to) = self.headers.to()
            && to.tag().is_none()
        {
            self.headers.set(HeaderName::To, to.with_tag(tag)?);
        }
        Ok(self)
    }

    /// Adds a header whose text is a literal of the program or a typed value.
    pub fn with_header(mut self, name: HeaderName, value: impl super::HeaderValue) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Sets the body and its type, for example `application/sdp`.
    pub fn with_body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
        self
    }

    /// The phrase behind the code; may be empty, may be any language.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The bytes for the wire, with a Content-Length that fits the body.
    pub fn to_bytes(&self) -> Bytes {
        to_bytes(format_args!("SIP/2.0 {} {}", self.code, self.reason), &self.headers, &self.body)
    }
}

/// Prints a message. Content-Length always stands and always fits, whatever `headers` says.
pub(super) fn to_bytes(start_line: fmt::Arguments<'_>, headers: &Headers, body: &Bytes) -> Bytes {
    use fmt::Write as _;
    let mut text = String::with_capacity(1024);
    let written = write!(text, "{start_line}\r\n").and_then(|()| {
        headers
            .iter()
            .filter(|field| *field.name() != HeaderName::ContentLength)
            .try_for_each(|field| write!(text, "{}: {}\r\n", field.name(), field.value()))?;
        write!(text, "{}: {}\r\n\r\n", HeaderName::ContentLength, body.len())
    });
    written.expect("writing to a String never fails");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}
