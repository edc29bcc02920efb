//! Digits by SIP INFO, the way of PBXs that take no telephone-events: `application/dtmf-relay` and `application/dtmf`.
//! No RFC has these bodies; RFC 6086 calls their use "legacy INFO", which needs no Info-Package.
//!
//! Out: one INFO at a time, the next after the final response of the last, so that digits never overtake each other.
//! In: read leniently, each told once (the transaction layer absorbs repetitions); the answer:
//!
//! | INFO with | answer |
//! |---|---|
//! | an Info-Package (RFC 6086 §4.2.2: we take none) | 469, Recv-Info empty |
//! | no body | 200: the far side asks whether the call lives |
//! | one of the two bodies: a digit, or an event that is none (hook flash) | 200 |
//! | one of the two bodies, without an event | 400 |
//! | `application/media_control+xml` (RFC 5168), where there are pictures: a wish for a key frame, or nothing that we know | 200 |
//! | any other body | 415, Accept |
use std::collections::VecDeque;

use actix::Context;
use codecs::payload::telephone_event;
use sip::message::{HeaderName, Method, Request, StatusCode};
use sip::transaction::ServerKey;
use tracing::{debug, info, warn};

use super::media::VideoSession;
use super::outbound::{Outbound, Purpose};
use super::pictures::{MEDIA_CONTROL, asks_for_key_frame};
use super::signalling::Signalling;
use super::state::State;
use super::{Dialog, Respond};
use crate::leg::{DigitMethod, Digits, LegEvent};
use crate::rtp::digits::{DigitError, MAX_QUEUED};

/// What an INFO with a digit looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `Signal=5`, `Duration=160`.
    Relay,
    /// The digit alone.
    Plain,
}

/// Digits on their way by INFO.
#[derive(Debug, Default)]
pub(super) struct InfoDigits {
    queue: VecDeque<(char, Kind)>,
    /// An INFO is out and has no final response yet.
    is_out: bool,
}

/// What telephones press, in milliseconds; the same length as our telephone-events.
const DURATION_MS: u32 = 160;

impl Kind {
    const ALL: [Self; 2] = [Self::Relay, Self::Plain];

    fn media_type(self) -> &'static str {
        match self {
            Self::Relay => "application/dtmf-relay",
            Self::Plain => "application/dtmf",
        }
    }

    fn body(self, digit: char) -> String {
        match self {
            Self::Relay => format!("Signal={digit}\r\nDuration={DURATION_MS}\r\n"),
            Self::Plain => digit.to_string(),
        }
    }
}

/// How digits travel: as the page asked, except that telephone-events which the far side does not take become INFO.
/// `None`: as telephone-events.
pub(super) fn kind(asked: DigitMethod, has_events: bool) -> Option<Kind> {
    match asked {
        DigitMethod::Rfc2833 if has_events => None,
        DigitMethod::Rfc2833 | DigitMethod::InfoRelay => Some(Kind::Relay),
        DigitMethod::Info => Some(Kind::Plain),
    }
}

impl InfoDigits {
    /// Puts digits at the end, all or none; at most [`MAX_QUEUED`] wait, as with telephone-events.
    pub(super) fn queue(&mut self, digits: &str, kind: Kind) -> Result<(), DigitError> {
        if let Some(bad) = digits.chars().find(|digit| telephone_event::event(*digit).is_none()) {
            return Err(DigitError::NotADigit(bad));
        }
        if self.queue.len() + digits.len() > MAX_QUEUED {
            return Err(DigitError::QueueFull);
        }
        self.queue.extend(digits.chars().map(|digit| (digit, kind)));
        Ok(())
    }

    /// The next digit, if none is out: media type and body of its INFO.
    pub(super) fn next(&mut self) -> Option<(&'static str, String)> {
        if self.is_out {
            return None;
        }
        let (digit, kind) = self.queue.pop_front()?;
        self.is_out = true;
        Some((kind.media_type(), kind.body(digit)))
    }

    /// The INFO that was out has its final response, or will never have one. Nobody answers (`None`) or the far side knows
    /// nothing of INFO: the rest is dropped, since nobody would hear it in time. Whether digits were lost.
    pub(super) fn concluded(&mut self, code: Option<StatusCode>) -> bool {
        self.is_out = false;
        let lost = !code.is_some_and(StatusCode::is_success);
        if lost {
            self.queue.clear();
        }
        lost
    }
}

/// The digit in a body; `Ok(None)`: an event that is no digit. Numbers of events (`10` is `*`) are met as well as characters.
pub(super) fn read(body: &[u8]) -> Result<Option<char>, NoEvent> {
    let text = std::str::from_utf8(body).map_err(|_| NoEvent)?;
    let mut lines = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    let signal = lines.clone().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
    });
    let event = signal.or_else(|| lines.next()).filter(|event| !event.is_empty()).ok_or(NoEvent)?;
    let mut characters = event.chars();
    if let (Some(one), None) = (characters.next(), characters.next()) {
        let digit = one.to_ascii_uppercase();
        return Ok(telephone_event::event(digit).map(|_| digit));
    }
    event.parse().map(telephone_event::digit).map_err(|_| NoEvent)
}

/// The body names no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoEvent;

/// What an INFO brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    Nothing,
    Digit(char),
    WishForKeyFrame,
}

/// What an INFO means: its answer, and what it brings.
fn judge(request: &Request, has_pictures: bool) -> (StatusCode, Brought) {
    use Brought::{Digit, Nothing, WishForKeyFrame};
    if request.headers.has(&HeaderName::InfoPackage) {
        return (StatusCode::BAD_INFO_PACKAGE, Nothing);
    }
    if request.body.is_empty() {
        return (StatusCode::OK, Nothing);
    }
    let media_type = request.headers.content_type().ok().flatten().unwrap_or_default();
    if media_type == MEDIA_CONTROL && has_pictures {
        let wish = asks_for_key_frame(&request.body);
        return (StatusCode::OK, if wish { WishForKeyFrame } else { Nothing });
    }
    if !Kind::ALL.iter().any(|kind| kind.media_type() == media_type) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, Nothing);
    }
    match read(&request.body) {
        Ok(digit) => (StatusCode::OK, digit.map_or(Nothing, Digit)),
        Err(NoEvent) => (StatusCode::BAD_REQUEST, Nothing),
    }
}

impl Dialog {
    /// Sends digits as the page asked and the far side can.
    pub(super) fn send_digits(&mut self, digits: &Digits, ctx: &mut Context<Self>) {
        let Some(media) = &mut self.media else { return };
        let count = digits.digits.len() as u64;
        let (queued, label) = match kind(digits.method, media.takes_events()) {
            None => (media.queue_digits(&digits.digits), "rfc4733"),
            Some(kind) => (self.info.queue(&digits.digits, kind), "info"),
        };
        match queued {
            Ok(()) => self.sip.meters.dtmf_total.with_label_values(&[label, "out"]).inc_by(count),
            Err(error) => return warn!(call_id = %self.call_id, %error, "digits not sent"),
        }
        if self.digit_timer.is_none() {
            self.pump_digits(ctx);
        }
        self.pump_info(ctx);
    }

    /// Sends the next digit, if it is its turn.
    pub(super) fn pump_info(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.state, State::Up(_) | State::AwaitingAck { .. }) {
            return;
        }
        let Some(dialog) = self.signalling.as_mut().and_then(Signalling::dialog) else { return };
        if let Some((media_type, body)) = self.info.next() {
            let request = dialog.request(Method::Info).with_body(media_type, body);
            self.send_inside(Outbound::Request(Purpose::Info, request), ctx);
        }
    }

    /// An INFO of ours is over.
    pub(super) fn info_concluded(&mut self, code: Option<StatusCode>, ctx: &mut Context<Self>) {
        if self.info.concluded(code) {
            warn!(call_id = %self.call_id, ?code, "the far side did not take a digit by INFO");
        }
        self.pump_info(ctx);
    }

    /// An INFO of the far side.
    pub(super) fn informed(&mut self, key: ServerKey, request: &Request, ctx: &mut Context<Self>) {
        let has_pictures = self.pictures.session.as_ref().is_some_and(VideoSession::is_agreed);
        let (code, brought) = judge(request, has_pictures);
        let Some(signalling) = &mut self.signalling else { return };
        let mut response = signalling.respond(request, code);
        let more = match code {
            StatusCode::BAD_INFO_PACKAGE => Some((HeaderName::RecvInfo, String::new())),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                Some((HeaderName::Accept, Kind::ALL.map(Kind::media_type).join(", ")))
            }
            _ => None,
        };
        if let Some((name, value)) = more {
            response.headers.push_text(name, &value).expect("our own words hold no control characters");
        }
        self.sip.endpoint.do_send(Respond { key, response });
        match brought {
            Brought::Digit(digit) => {
                debug!(call_id = %self.call_id, "digit received by INFO");
                self.digit_heard(digit, "info");
            }
            Brought::WishForKeyFrame => self.far_side_asks_by_info(ctx),
            Brought::Nothing => {}
        }
    }

    /// A digit of the far side, by whatever way it came.
    pub(super) fn digit_heard(&mut self, digit: char, way: &str) {
        // Which one is nobody else's business: it may be of a PIN.
        info!(call_id = %self.call_id, way, "digit received");
        self.sip.meters.dtmf_total.with_label_values(&[way, "in"]).inc();
        let digits = Digits { digits: digit.to_string(), method: DigitMethod::Rfc2833 };
        self.report(LegEvent::DigitsAsked(digits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sip::message::{Message, parse};

    #[test]
    fn a_page_gets_what_it_asked_for_unless_the_far_side_cannot_hear_it() {
        for (asked, has_events, expected) in [
            (DigitMethod::Rfc2833, true, None),
            (DigitMethod::Rfc2833, false, Some(Kind::Relay)),
            (DigitMethod::Info, true, Some(Kind::Plain)),
            (DigitMethod::InfoRelay, true, Some(Kind::Relay)),
        ] {
            assert_eq!(kind(asked, has_events), expected, "{asked:?} {has_events}");
        }
    }

    #[test]
    fn digits_go_out_one_after_the_answer_of_the_other() {
        let mut digits = InfoDigits::default();
        digits.queue("5", Kind::Relay).unwrap();
        digits.queue("#", Kind::Plain).unwrap();
        let relay = ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n".to_owned());
        assert_eq!(digits.next(), Some(relay));
        assert_eq!(digits.next(), None);
        assert!(!digits.concluded(Some(StatusCode::OK)));
        assert_eq!(digits.next(), Some(("application/dtmf", "#".to_owned())));
        assert!(!digits.concluded(Some(StatusCode::OK)));
        assert_eq!(digits.next(), None);
    }

    #[test]
    fn nobody_hears_the_rest_once_one_was_refused() {
        for code in [None, Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)] {
            let mut digits = InfoDigits::default();
            digits.queue("12", Kind::Relay).unwrap();
            assert!(digits.next().is_some());
            assert!(digits.concluded(code));
            assert_eq!(digits.next(), None);
        }
    }

    #[test]
    fn what_is_no_digit_or_too_many_is_refused_as_a_whole() {
        let mut digits = InfoDigits::default();
        assert_eq!(digits.queue("1\r\n2", Kind::Relay), Err(DigitError::NotADigit('\r')));
        assert_eq!(digits.queue(&"1".repeat(MAX_QUEUED + 1), Kind::Relay), Err(DigitError::QueueFull));
        assert_eq!(digits.next(), None);
    }

    #[test]
    fn bodies_are_read_as_pbxs_write_them() {
        for (body, expected) in [
            ("Signal=5\r\nDuration=160\r\n", Ok(Some('5'))),
            ("Signal= 5\nDuration= 160", Ok(Some('5'))),
            ("signal = *", Ok(Some('*'))),
            ("Duration=250\r\nSignal=#\r\n", Ok(Some('#'))),
            ("Signal=10\r\n", Ok(Some('*'))),
            ("Signal=11", Ok(Some('#'))),
            ("Signal=d", Ok(Some('D'))),
            ("5", Ok(Some('5'))),
            ("\r\n 7 \r\n", Ok(Some('7'))),
            ("16", Ok(None)),
            ("Signal=!\r\n", Ok(None)),
            ("Signal=\r\nDuration=1", Err(NoEvent)),
            ("", Err(NoEvent)),
            ("hello", Err(NoEvent)),
            ("999", Err(NoEvent)),
            ("Signal=-1", Err(NoEvent)),
        ] {
            assert_eq!(read(body.as_bytes()), expected, "{body:?}");
        }
    }

    #[test]
    fn an_info_is_answered_as_the_table_says() {
        use Brought::{Digit, Nothing, WishForKeyFrame};
        for (more, expected) in [
            ("\r\n", (200, Nothing)),
            ("Content-Type: application/dtmf-relay\r\n\r\nSignal=5", (200, Digit('5'))),
            ("Content-Type: Application/DTMF;x=y\r\n\r\n5", (200, Digit('5'))),
            ("Content-Type: application/dtmf\r\n\r\n16", (200, Nothing)),
            ("Content-Type: application/dtmf\r\n\r\n!?", (400, Nothing)),
            ("Content-Type: application/media_control+xml\r\n\r\n<x/>", (200, Nothing)),
            (
                "Content-Type: application/media_control+xml\r\n\r\n<picture_fast_update/>",
                (200, WishForKeyFrame),
            ),
            ("Content-Type: text/html\r\n\r\n<picture_fast_update/>", (415, Nothing)),
            ("Info-Package: dtmf\r\nContent-Type: application/dtmf\r\n\r\n5", (469, Nothing)),
        ] {
            let text = format!(
                "INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
                 To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INFO\r\n{more}"
            );
            let Ok(Message::Request(request)) = parse(text.as_bytes()) else { panic!("{text}") };
            let judged = |has_pictures| {
                let (code, brought) = judge(&request, has_pictures);
                (code.as_u16(), brought)
            };
            assert_eq!(judged(true), expected, "{more:?}");
            let media_control = more.contains("media_control");
            assert_eq!(judged(false), if media_control { (415, Nothing) } else { expected }, "{more:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_we_write_we_read(digit in "[0-9*#A-D]", relay: bool) {
            let kind = if relay { Kind::Relay } else { Kind::Plain };
            let digit = digit.chars().next().unwrap();
            prop_assert_eq!(read(kind.body(digit).as_bytes()), Ok(Some(digit)));
        }

        #[test]
        fn any_body_is_read_without_a_panic(body: Vec<u8>) {
            let _ = read(&body);
        }
    }
}
