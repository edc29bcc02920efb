//! Why a call ends, told to the far side and read from it (RFC 3326). Pure.
use sip::message::{Reason, Request};

use crate::vocabulary::{Cause, EndReason};

/// Longest words of theirs that are passed on.
const MAX_TEXT: usize = 128;

/// What our BYE or CANCEL says: nothing where people did what people do, the cause where something failed or a limit of
/// ours is over.
pub(super) fn ours(why: &EndReason) -> Option<Reason> {
    let told = why.is_failure() || matches!(why.cause, Cause::NoAnswer | Cause::MaxDuration);
    told.then(|| Reason::sip(why.as_sip_code(), &why.cause.as_str().replace('_', " ")))
}

/// The words behind their BYE or CANCEL.
///
/// | Reason | words |
/// |---|---|
/// | `SIP;cause=200` | `answered elsewhere`, whatever its text: pages may look for it |
/// | with a text | the text |
/// | with a cause | protocol and number |
/// | none, or not readable | none |
pub(super) fn theirs(request: &Request) -> Option<String> {
    let reasons = request.headers.reasons().ok()?;
    if reasons.iter().any(Reason::is_answered_elsewhere) {
        return Some("answered elsewhere".to_owned());
    }
    let printable = |text: &String| !text.is_empty() && !text.chars().any(char::is_control);
    let text = reasons.iter().find_map(|reason| reason.text().filter(printable));
    let number =
        || reasons.iter().find_map(|reason| Some(format!("{} {}", reason.protocol(), reason.cause()?)));
    text.or_else(number).map(|text| text.chars().take(MAX_TEXT).collect())
}

#[cfg(test)]
mod tests {
    use sip::message::{Message, parse};

    use super::*;
    use crate::vocabulary::Side;

    #[track_caller]
    fn check(lines: &str, want: Option<&str>) {
        let text = format!(
            "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 BYE\r\n{lines}\r\n"
        );
        let Ok(Message::Request(bye)) = parse(text.as_bytes()) else { panic!("{text}") };
        assert_eq!(theirs(&bye).as_deref(), want, "{lines}");
    }

    #[test]
    fn their_words_are_read() {
        check("", None);
        check("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n", Some("answered elsewhere"));
        check("Reason: Q.850;cause=26, SIP;cause=200\r\n", Some("answered elsewhere"));
        check("Reason: Q.850;cause=16;text=\"Normal call clearing\"\r\n", Some("Normal call clearing"));
        check("Reason: Q.850;cause=16\r\nReason: SIP;cause=603;text=\"no\"\r\n", Some("no"));
        check("Reason: Q.850;cause=31\r\n", Some("Q.850 31"));
        check("Reason: rubbish \"\r\n", None);
        check("Reason: X\r\n", None);
        let long = "y".repeat(500);
        check(&format!("Reason: SIP;cause=500;text=\"{long}\"\r\n"), Some(&long[..128]));
    }

    #[test]
    fn only_what_nobody_can_guess_is_told() {
        let check = |by, cause, want: Option<&str>| {
            assert_eq!(ours(&EndReason::new(by, cause)).map(|reason| reason.to_string()).as_deref(), want);
        };
        check(Some(Side::Caller), Cause::HangUp, None);
        check(Some(Side::Caller), Cause::Cancelled, None);
        check(Some(Side::Caller), Cause::SessionClosed, None);
        check(None, Cause::NoAnswer, Some("SIP;cause=480;text=\"no answer\""));
        check(None, Cause::MaxDuration, Some("SIP;cause=480;text=\"max duration\""));
        check(Some(Side::Caller), Cause::IceFailed, Some("SIP;cause=500;text=\"ice failed\""));
        check(None, Cause::NoCommonCodec, Some("SIP;cause=488;text=\"no common codec\""));
        check(None, Cause::Shutdown, Some("SIP;cause=503;text=\"shutdown\""));
    }
}
