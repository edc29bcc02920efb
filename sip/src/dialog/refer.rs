//! The words of a transfer: what a NOTIFY says of a REFER of ours (RFC 3515 §2.4.4, RFC 6665 §8.2, RFC 3420).
use crate::message::{HeaderName, Request, StatusCode};

/// The event package of the subscription that a REFER begins.
const PACKAGE: &str = "refer";

/// What a NOTIFY says of a REFER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// The CSeq number of the REFER that is meant; absent: the only one (RFC 3515 §2.4.6).
    pub id: Option<u32>,
    /// How far the call is that the REFER asked for.
    pub status: Option<StatusCode>,
    /// No other NOTIFY follows.
    pub last: bool,
}

impl Notification {
    /// Reads a NOTIFY. Read leniently: many leave out Subscription-State, or call the body by another name.
    ///
    /// # Errors
    /// The code that refuses it: 489 for an event that is not `refer`, 400 for one that cannot be read.
    pub fn read(notify: &Request) -> Result<Self, StatusCode> {
        let event = notify.headers.get(&HeaderName::Event).ok_or(StatusCode::BAD_EVENT)?;
        let mut parts = event.split(';').map(str::trim);
        if !parts.next().is_some_and(|package| package.eq_ignore_ascii_case(PACKAGE)) {
            return Err(StatusCode::BAD_EVENT);
        }
        let id = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim() == "id");
        let id = match id {
            Some((_, number)) => Some(number.trim().parse().map_err(|_| StatusCode::BAD_REQUEST)?),
            None => None,
        };
        let state = notify.headers.get(&HeaderName::SubscriptionState).unwrap_or_default();
        let state = state.split(';').next().unwrap_or_default().trim();
        Ok(Self { id, status: status_of(&notify.body), last: state.eq_ignore_ascii_case("terminated") })
    }
}

/// The status line of a `message/sipfrag` body.
fn status_of(body: &[u8]) -> Option<StatusCode> {
    let line = body.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty())?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ').filter(|word| !word.is_empty());
    if !words.next()?.eq_ignore_ascii_case("SIP/2.0") {
        return None;
    }
    words.next().filter(|code| code.len() == 3)?.parse::<u16>().ok()?.try_into().ok()
}

/// Whether the 2xx to a REFER says that no NOTIFY will follow (RFC 4488 §4).
pub fn is_silent(refer_sub: Option<&str>) -> bool {
    let value = refer_sub.and_then(|value| value.split(';').next());
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{Message, parse};

    fn notify(more: &str) -> Request {
        let text = format!(
            "NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 NOTIFY\r\n{more}"
        );
        match parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    /// What a NOTIFY with these header lines and body says: `id status last`, or the code that refuses it.
    #[track_caller]
    fn check(more: &str, expected: &str) {
        let said = match Notification::read(&notify(more)) {
            Ok(Notification { id, status, last }) => {
                let word = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
                let (id, status) = (id.map(|id| id.to_string()), status.map(|code| code.to_string()));
                format!("{} {} {last}", word(id), word(status))
            }
            Err(code) => code.to_string(),
        };
        assert_eq!(said, expected, "{more:?}");
    }

    #[test]
    fn notifications_are_read_as_pbxs_write_them() {
        check(
            "Event: refer\r\nSubscription-State: active;expires=60\r\nContent-Type: message/sipfrag;version=2.0\r\n\r\n\
             SIP/2.0 100 Trying\r\n",
            "- 100 false",
        );
        check(
            "o: Refer;id=2\r\nSubscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\n\r\n\
             SIP/2.0 200 OK\r\n",
            "2 200 true",
        );
        check(
            "Event: refer ; id=93\r\nSubscription-State: Terminated\r\n\r\nSIP/2.0 603 Decline",
            "93 603 true",
        );
        check("Event: refer\r\n\r\n\r\nSIP/2.0 180 Ringing\r\nTo: x\r\n", "- 180 false");
        check("Event: refer\r\nSubscription-State: terminated\r\n\r\n", "- - true");
        check("Event: refer\r\n\r\nSIP/2.0 99 X", "- - false");
        check("Event: refer\r\n\r\nHTTP/1.1 200 OK", "- - false");
    }

    #[test]
    fn another_event_is_refused() {
        check("\r\n", "489");
        check("Event: presence\r\n\r\n", "489");
        check("Event: refer;id=x\r\n\r\n", "400");
    }

    #[test]
    fn a_refer_may_be_accepted_in_silence() {
        for (value, silent) in
            [(None, false), (Some("true"), false), (Some("false"), true), (Some(" False ;x=y"), true)]
        {
            assert_eq!(is_silent(value), silent, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body: Vec<u8>) {
            let _ = status_of(&body);
        }
    }
}
