//! A mailbox's summary as a PBX sends it (RFC 3842), read into what a page is told. Pure.
use std::time::Duration;

use sip::message::{HeaderName, Request, Response, StatusCode};

use crate::page::MailWaiting;

/// The event package.
pub const PACKAGE: &str = "message-summary";
/// Its body.
pub(super) const MEDIA_TYPE: &str = "application/simple-message-summary";
/// Longest body in bytes: real ones have 200.
const MAX_BODY: usize = 4096;
/// Longest account that is passed on.
const MAX_ACCOUNT: usize = 256;

/// Reads a NOTIFY of the event `message-summary`. Lines that nobody reads, message headers (§5.2) among them, do not matter.
pub fn read(request: &Request) -> Result<MailWaiting, Response> {
    if request.body.len() > MAX_BODY {
        return Err(request.stateless_response(StatusCode::REQUEST_ENTITY_TOO_LARGE));
    }
    let kind = request.headers.content_type().ok().flatten();
    if kind.as_deref() != Some(MEDIA_TYPE) {
        let refusal = request.stateless_response(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        return Err(refusal.with_header(HeaderName::Accept, MEDIA_TYPE));
    }
    let text = std::str::from_utf8(&request.body).ok();
    text.and_then(summary).ok_or_else(|| request.stateless_response(StatusCode::BAD_REQUEST))
}

/// Whether a NOTIFY is of this event package.
pub(super) fn is_summary(request: &Request) -> bool {
    let package = request.headers.get(&HeaderName::Event).and_then(|event| event.split(';').next());
    package.is_some_and(|package| package.trim().eq_ignore_ascii_case(PACKAGE))
}

/// Whether this NOTIFY is the last of its subscription (RFC 6665 §4.1.3): then after how long it may be asked for again, `None`: never.
#[expect(clippy::option_option, reason = "not the last; the last; the last for good")]
pub(super) fn terminated(request: &Request) -> Option<Option<Duration>> {
    let value = request.headers.get(&HeaderName::SubscriptionState)?;
    let mut parts = value.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("terminated") {
        return None;
    }
    let (mut reason, mut after) = ("", Duration::ZERO);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "reason" => reason = value.trim(),
            "retry-after" => after = Duration::from_secs(value.trim().parse().unwrap_or_default()),
            _ => {}
        }
    }
    Some((!matches!(reason, "rejected" | "noresource" | "invariant")).then_some(after))
}

/// `None` without `Messages-Waiting: yes` or `no`, which every summary has.
fn summary(text: &str) -> Option<MailWaiting> {
    let mut waiting = None;
    let mut mail = MailWaiting::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("Messages-Waiting") {
            waiting = match value {
                _ if value.eq_ignore_ascii_case("yes") => Some(true),
                _ if value.eq_ignore_ascii_case("no") => Some(false),
                _ => waiting,
            };
        } else if name.eq_ignore_ascii_case("Message-Account") {
            let fits = value.len() <= MAX_ACCOUNT && !value.chars().any(char::is_control);
            mail.account = fits.then(|| value.to_owned()).filter(|account| !account.is_empty());
        } else if name.eq_ignore_ascii_case("Voice-Message") {
            (mail.new, mail.old) = counts(value).unwrap_or_default();
        }
    }
    mail.waiting = waiting?;
    Some(mail)
}

/// `new/old`, with `(urgent new/urgent old)` behind them or not.
fn counts(value: &str) -> Option<(u32, u32)> {
    let (new, old) = value.split(['(', ' ', '\t']).next()?.split_once('/')?;
    Some((new.parse().ok()?, old.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sip::message::{Message, parse};

    use super::*;

    #[track_caller]
    fn check(body: &str, want: Option<(bool, Option<&str>, u32, u32)>) {
        let mail = summary(body);
        let got = mail.as_ref().map(|mail| (mail.waiting, mail.account.as_deref(), mail.new, mail.old));
        assert_eq!(got, want, "{body}");
    }

    #[test]
    fn summaries_of_the_usual_pbxs_are_read() {
        // Asterisk.
        let asterisk =
            "Messages-Waiting: yes\r\nMessage-Account: sip:1001@pbx\r\nVoice-Message: 2/8 (0/2)\r\n";
        check(asterisk, Some((true, Some("sip:1001@pbx"), 2, 8)));
        check("Messages-Waiting: no\r\nVoice-Message: 0/0 (0/0)\r\n\r\n", Some((false, None, 0, 0)));
        // RFC 3842 §5.2, with message headers behind an empty line.
        let rfc = "Messages-Waiting: yes\nMessage-Account: sip:a@v.example\nVoice-Message: 4/8 (1/2)\n\nTo: <a@b>\nSubject: x\n";
        check(rfc, Some((true, Some("sip:a@v.example"), 4, 8)));
        check("messages-waiting:YES\r\nvoice-message:1/0(0/0)", Some((true, None, 1, 0)));
    }

    #[test]
    fn a_summary_that_says_nothing_is_none() {
        check("", None);
        check("Voice-Message: 1/0\r\n", None);
        check("Messages-Waiting: maybe\r\n", None);
        check("Messages-Waiting: yes\r\nVoice-Message: many\r\n", Some((true, None, 0, 0)));
        check("Messages-Waiting: yes\r\nVoice-Message: 99999999999/1\r\n", Some((true, None, 0, 0)));
        check(
            &format!("Messages-Waiting: no\r\nMessage-Account: {}\r\n", "a".repeat(300)),
            Some((false, None, 0, 0)),
        );
    }

    #[test]
    fn what_is_no_summary_is_refused() {
        let code = |kind: &str, body: &str| {
            let text = format!(
                "NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n\
                 Call-ID: x\r\nCSeq: 1 NOTIFY\r\nEvent: message-summary\r\n{kind}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let Ok(Message::Request(request)) = parse(text.as_bytes()) else { panic!("{text}") };
            read(&request).map_or_else(|refusal| refusal.code.as_u16(), |_| 200)
        };
        let kind = "Content-Type: application/simple-message-summary\r\n";
        assert_eq!(code(kind, "Messages-Waiting: yes\r\n"), 200);
        assert_eq!(code("Content-Type: text/plain\r\n", "Messages-Waiting: yes\r\n"), 415);
        assert_eq!(code(kind, "hello"), 400);
        assert_eq!(code(kind, ""), 400);
        assert_eq!(code(kind, &"x: y\r\n".repeat(1000)), 413);
    }

    #[test]
    fn the_last_notify_says_whether_to_ask_again() {
        let check = |state: &str, want: Option<Option<u64>>| {
            let text = format!(
                "NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
                 Call-ID: x\r\nCSeq: 1 NOTIFY\r\nEvent: Message-Summary ;id=1\r\n{state}\r\n"
            );
            let Ok(Message::Request(request)) = parse(text.as_bytes()) else { panic!("{text}") };
            assert!(is_summary(&request));
            assert_eq!(terminated(&request).map(|after| after.map(|after| after.as_secs())), want, "{state}");
        };
        check("", None);
        check("Subscription-State: active;expires=60\r\n", None);
        check("Subscription-State: terminated\r\n", Some(Some(0)));
        check("Subscription-State: Terminated ; reason=timeout\r\n", Some(Some(0)));
        check("Subscription-State: terminated;reason=probation;retry-after=90\r\n", Some(Some(90)));
        check("Subscription-State: terminated;retry-after=soon\r\n", Some(Some(0)));
        for reason in ["rejected", "noresource", "invariant"] {
            check(&format!("Subscription-State: terminated;reason={reason};retry-after=9\r\n"), Some(None));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "(Messages-Waiting: (yes|no)\r\n)?[ -~\r\n:/()0-9]{0,200}") {
            let _ = summary(&text);
        }
    }
}
