//! Answers to what could not be read well: built from raw header fields, without state (RFC 3261 8.2.7, 21.4.1).

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Header, HeaderName, Headers, Request, Response, StatusCode};

impl Request {
    /// A final answer that needs no memory: the To tag is the same for each retransmission (RFC 3261 8.2.7).
    pub fn stateless_response(&self, code: StatusCode) -> Response {
        let tag = stateless_tag(&self.headers);
        self.response(code).with_to_tag(&tag).expect("hexadecimal digits are a token")
    }
}

/// The answer to a broken request, with `why` as the phrase. `None` when there is not even a Via to find the way back by.
pub(crate) fn reject(headers: &Headers, code: StatusCode, why: &impl fmt::Display) -> Option<Response> {
    if !headers.has(&HeaderName::Via) {
        return None;
    }
    let mut response = Response::new(code).with_reason(&why.to_string()).expect("our error texts are plain");
    response.headers.copy_from(headers, &HeaderName::Via);
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        // Of doubled fields the first: the answer itself should be legal.
        if let Some(value) = headers.get(&name) {
            response.headers.push_from_wire(Header::from_wire(name, value));
        }
    }
    let tag = stateless_tag(headers);
    Some(response.with_to_tag(&tag).expect("hexadecimal digits are a token"))
}

/// A tag that depends only on what retransmissions share.
fn stateless_tag(headers: &Headers) -> String {
    let mut hasher = DefaultHasher::new();
    for name in [HeaderName::Via, HeaderName::CallId, HeaderName::CSeq, HeaderName::From] {
        headers.get(&name).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use crate::message::{Message, StatusCode, parse};

    #[test]
    fn retransmissions_get_the_same_to_tag() {
        let text =
            b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
                     To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n";
        let Message::Request(request) = parse(text).unwrap() else { panic!("a request") };
        let (one, two) =
            (request.stateless_response(StatusCode::OK), request.stateless_response(StatusCode::OK));
        assert_eq!(one, two);
        assert!(one.headers.to().unwrap().tag().is_some());
    }
}
