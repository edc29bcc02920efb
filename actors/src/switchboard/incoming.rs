//! What an INVITE from outside becomes: what a page is shown, or a refusal. Pure.
use sip::message::{NameAddr, Request};

use crate::page::CallView;
use crate::vocabulary::CallId;

/// What a page is shown of an INVITE.
pub fn view_of(invite: &Request, call_id: CallId, callee: &str) -> CallView {
    let from = invite.headers.from().ok();
    let caller = from.as_ref().map(who).unwrap_or_default();
    let name = from.as_ref().and_then(|from| from.display_name()).map(str::to_owned);
    CallView {
        call_id,
        incoming: true,
        visible_name: name.unwrap_or_else(|| caller.clone()),
        caller,
        callee: callee.to_owned(),
        has_audio: true,
        has_video: false,
    }
}

/// User or number behind a From, else the whole URI.
fn who(from: &NameAddr) -> String {
    from.uri.user().map_or_else(|| from.uri.to_string(), |user| user.into_owned())
}

#[cfg(test)]
mod tests {
    use sip::message::{Message, parse};

    use super::*;

    fn check(from: &str, caller: &str, name: &str) {
        let text = format!(
            "INVITE sip:c1@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: {from};tag=1\r\nTo: <sip:1001@pbx>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        let Ok(Message::Request(invite)) = parse(text.as_bytes()) else { panic!("{text}") };
        let view = view_of(&invite, CallId::random(), "1001");
        assert_eq!((view.caller.as_str(), view.visible_name.as_str()), (caller, name));
    }

    #[test]
    fn a_page_is_shown_who_calls() {
        check("\"Alice <b>\" <sip:1002@pbx>", "1002", "Alice <b>");
        check("<sip:1002@pbx>", "1002", "1002");
        check("<sip:pbx.example.org>", "sip:pbx.example.org", "sip:pbx.example.org");
    }
}
