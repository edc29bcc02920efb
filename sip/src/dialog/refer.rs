//! The words of a transfer: whom a REFER wants called (RFC 3515 §2.1), and what a NOTIFY says of it (§2.4.4, RFC 6665 §8.2, RFC 3420).
use super::Replaces;
use crate::message::{HeaderName, NameAddr, Request, StatusCode, Uri};

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

/// What a REFER of the far side asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refer {
    /// Whom to call; headers of the URI are gone.
    pub target: Uri,
    /// Which dialog there the call is to replace.
    pub replaces: Option<Replaces>,
    /// Who asks, as written (RFC 3892).
    pub referred_by: Option<String>,
    /// Nobody wants to hear what becomes of it (RFC 4488).
    pub silent: bool,
}

impl Refer {
    /// Reads a REFER. Of the URI's headers only Replaces is kept: all others could say what we never would.
    ///
    /// # Errors
    /// The code that refuses it: 400 without exactly one Refer-To that can be read (RFC 3515 §2.4.2), 416 for an address that is no
    /// telephone's, 603 for a method other than INVITE.
    pub fn read(refer: &Request) -> Result<Self, StatusCode> {
        let bad = |_| StatusCode::BAD_REQUEST;
        let addresses = refer.headers.values::<NameAddr>(HeaderName::ReferTo).map_err(bad)?;
        let [address] = <[NameAddr; 1]>::try_from(addresses).map_err(|_| StatusCode::BAD_REQUEST)?;
        let (target, replaces) = match address.uri {
            Uri::Sip(uri) => {
                if uri.params.get("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
                    return Err(StatusCode::DECLINE);
                }
                let replaces = uri.header("Replaces").map(|text| text.parse()).transpose();
                (uri.without_headers().into(), replaces.map_err(|_| StatusCode::BAD_REQUEST)?)
            }
            tel @ Uri::Tel(_) => (tel, None),
            Uri::Other { .. } => return Err(StatusCode::UNSUPPORTED_URI_SCHEME),
        };
        let silent = is_silent(refer.headers.get(&HeaderName::ReferSub));
        let referred_by = refer.headers.get(&HeaderName::ReferredBy).map(str::to_owned);
        Ok(Self { target, replaces, referred_by, silent })
    }
}

/// The body of a NOTIFY that says how far the call is.
pub fn sipfrag(code: StatusCode) -> String {
    format!("SIP/2.0 {code} {}\r\n", code.reason())
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

    /// What a REFER with these header lines asks for, or the code that refuses it.
    #[track_caller]
    fn asks(more: &str, expected: &str) {
        let text = format!(
            "REFER sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 REFER\r\n{more}\r\n\r\n"
        );
        let Ok(Message::Request(refer)) = parse(text.as_bytes()) else { panic!("{text}") };
        let said = match Refer::read(&refer) {
            Ok(Refer { target, replaces, referred_by, silent }) => {
                let replaces = replaces.map_or("-".to_owned(), |replaces| replaces.to_string());
                format!("{target} {replaces} {} {silent}", referred_by.as_deref().unwrap_or("-"))
            }
            Err(code) => code.to_string(),
        };
        assert_eq!(said, expected, "{more:?}");
    }

    #[test]
    fn a_refer_names_one_whom_to_call() {
        asks("Refer-To: <sip:1003@pbx>", "sip:1003@pbx - - false");
        asks(
            "r: sip:1003@pbx\r\nb: <sip:1002@pbx>;tag=x\r\nRefer-Sub: false",
            "sip:1003@pbx - <sip:1002@pbx>;tag=x true",
        );
        asks(
            "Refer-To: \"Bob\" <sip:b@pbx;method=INVITE;transport=tcp>",
            "sip:b@pbx;transport=tcp - - false",
        );
        asks("Refer-To: <tel:+1-201>", "tel:+1-201 - - false");
        asks(
            "Refer-To: <sip:b@192.0.2.1:5070?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Route=%3Csip:evil%3E>",
            "sip:b@192.0.2.1:5070 a@b;to-tag=1;from-tag=2 - false",
        );
    }

    #[test]
    fn a_refer_that_cannot_be_followed_is_refused() {
        asks("Subject: x", "400");
        asks("Refer-To: <sip:a@b>, <sip:c@d>", "400");
        asks("Refer-To: <sip:a@b>\r\nRefer-To: <sip:c@d>", "400");
        asks("Refer-To: <sip:a b@c>", "400");
        asks("Refer-To: <sip:a@b?Replaces=x>", "400");
        asks("Refer-To: <http://example.org/>", "416");
        asks("Refer-To: <sip:a@b;method=BYE>", "603");
    }

    #[test]
    fn what_we_notify_is_what_we_read() {
        let line = sipfrag(StatusCode::BUSY_HERE);
        assert_eq!(
            (line.as_str(), status_of(line.as_bytes())),
            ("SIP/2.0 486 Busy Here\r\n", Some(StatusCode::BUSY_HERE))
        );
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body: Vec<u8>) {
            let _ = status_of(&body);
        }
    }
}
