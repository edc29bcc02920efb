//! A request (RFC 3261 7.1), and the answer to it (8.2.6).

use bytes::Bytes;

use super::{CSeq, HeaderName, Headers, InvalidField, Method, NameAddr, Response, StatusCode, Uri};

/// Asks for something. All fields are public: each type can hold only what is legal on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Whom.
    pub uri: Uri,
    /// All header fields but Content-Length, which is written from the body.
    pub headers: Headers,
    /// Usually SDP; empty for none.
    pub body: Bytes,
}

impl Request {
    /// A request with the header fields that every request must have, save Via, which the transaction layer adds
    /// (RFC 3261 8.1.1). `from` should carry a tag.
    pub fn new(
        method: Method,
        uri: Uri,
        from: NameAddr,
        to: NameAddr,
        call_id: &str,
        cseq: u32,
    ) -> Result<Self, InvalidField> {
        let mut headers = Headers::new();
        headers.push(HeaderName::MaxForwards, MAX_FORWARDS);
        headers.push(HeaderName::From, from);
        headers.push(HeaderName::To, to);
        check_call_id(call_id)?;
        headers.push_text(HeaderName::CallId, call_id)?;
        headers.push(HeaderName::CSeq, CSeq::new(cseq, method.clone()));
        Ok(Self { method, uri, headers, body: Bytes::new() })
    }

    /// Sets the body and its type, for example `application/sdp`.
    pub fn with_body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
        self
    }

    /// An answer with the usual phrase and the fields that it must copy: Via, From, To, Call-ID, CSeq, and Timestamp for 100
    /// (RFC 3261 8.2.6). The To tag is the caller's: [`Response::with_to_tag`].
    pub fn response(&self, code: StatusCode) -> Response {
        let mut response = Response::new(code);
        for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
        {
            response.headers.copy_from(&self.headers, &name);
        }
        if code == StatusCode::TRYING {
            response.headers.copy_from(&self.headers, &HeaderName::Timestamp);
        }
        response
    }

    /// The bytes for the wire, with a Content-Length that fits the body.
    pub fn to_bytes(&self) -> Bytes {
        super::response::to_bytes(
            format_args!("{} {} SIP/2.0", self.method, self.uri),
            &self.headers,
            &self.body,
        )
    }
}

/// `word [ "@" word ]`, read liberally: anything printable without blanks.
fn check_call_id(call_id: &str) -> Result<(), InvalidField> {
    if call_id.is_empty() || !call_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(InvalidField {
            field: "Call-ID",
            problem: "is empty or holds blanks or control characters",
        });
    }
    Ok(())
}

/// RFC 3261 8.1.1.6.
const MAX_FORWARDS: u32 = 70;
