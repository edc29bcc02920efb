//! Text messages from outside (RFC 3428): whether one may pass, and what the page is shown. Pure.
use std::time::Instant;

use sip::message::{HeaderName, Request, Response, StatusCode};

use super::incoming::who;
use crate::page::Text;
use crate::vocabulary::random_hex;

/// How many messages a page is handed at once, and how many a second after that: a person reads slower, and a page's queue must have room for its
/// calls, whoever writes to it.
const BURST: f64 = 20.0;
const PER_SECOND: f64 = 2.0;
/// Seconds that a sender should wait whose message came too soon.
const RETRY_AFTER: u32 = 10;
/// Longest text in bytes: more than a datagram holds, less than would tire a page.
const MAX_BODY: usize = 4096;

/// What a page may still be handed. A new one is full.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowance {
    /// How much is missing, and since when it grows back.
    used: f64,
    at: Option<Instant>,
}

impl Allowance {
    /// Takes one message from it. False: it is used up.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        (self.used, self.at) = ((self.used - passed * PER_SECOND).max(0.0), Some(now));
        let passes = self.used + 1.0 <= BURST;
        self.used += f64::from(u8::from(passes));
        passes
    }
}

/// The message as the page of `login` is shown it, or its refusal. Type and encoding of the body have been looked at.
pub fn read(request: &Request, login: &str) -> Result<Text, Response> {
    if request.body.len() > MAX_BODY {
        return Err(request.stateless_response(StatusCode::REQUEST_ENTITY_TOO_LARGE));
    }
    let Ok(body) = std::str::from_utf8(&request.body) else {
        let refusal = request.stateless_response(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        return Err(refusal.with_header(HeaderName::Accept, "text/plain;charset=UTF-8"));
    };
    let from = request.headers.from().ok();
    let sender = from.as_ref().map(who).unwrap_or_default();
    Ok(Text {
        id: random_hex::<16>(),
        visible_name: from.and_then(|from| from.display_name().map(str::to_owned)),
        from: sender,
        to: login.to_owned(),
        body: body.to_owned(),
    })
}

/// The answer to who writes too much.
pub fn too_many(request: &Request) -> Response {
    let refusal = request.stateless_response(StatusCode::TEMPORARILY_UNAVAILABLE);
    refusal.with_header(HeaderName::RetryAfter, RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sip::message::{Message, parse};

    use super::*;

    fn message(body: &[u8]) -> Request {
        let head = format!(
            "MESSAGE sip:c1@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: \"Bob\" <sip:1002@pbx>;tag=1\r\nTo: <sip:1001@pbx>\r\nCall-ID: a\r\nCSeq: 1 MESSAGE\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), body].concat();
        let Ok(Message::Request(request)) = parse(&bytes) else { panic!("{head}") };
        request
    }

    #[test]
    fn a_page_is_shown_who_writes_what() {
        let text = read(&message("grüße\r\nzwei".as_bytes()), "1001").unwrap();
        assert_eq!(
            (text.from.as_str(), text.to.as_str(), text.body.as_str()),
            ("1002", "1001", "grüße\r\nzwei")
        );
        assert_eq!(text.visible_name.as_deref(), Some("Bob"));
        assert_eq!(read(&message(b""), "1001").unwrap().body, "");
    }

    #[test]
    fn what_is_no_text_or_too_long_is_refused() {
        assert_eq!(read(&message(b"\xff\xfe"), "1001").unwrap_err().code.as_u16(), 415);
        assert_eq!(read(&message(&[b'a'; 4097]), "1001").unwrap_err().code.as_u16(), 413);
        assert!(read(&message(&[b'a'; 4096]), "1001").is_ok());
    }

    #[test]
    fn a_flood_of_messages_does_not_reach_the_page() {
        let start = Instant::now();
        let mut allowance = Allowance::default();
        let taken = (0..1000).filter(|n| allowance.take(start + Duration::from_millis(*n))).count();
        assert_eq!(taken, 21);
        assert!(!allowance.take(start + Duration::from_millis(999)));
        assert!(allowance.take(start + Duration::from_secs(2)));
    }
}
