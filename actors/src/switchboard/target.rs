//! Whom a call is for: what a page typed becomes a URI, an INVITE becomes what a page is shown. Pure.
use sip::message::{NameAddr, Request, Response, SipUri, StatusCode, Uri, random_tag};

use crate::page::CallView;
use crate::vocabulary::{Account, CallId, FieldError};

/// Longest callee that is taken; a URI of a phone has some 40 characters.
const MAX_CALLEE: usize = 256;

/// The URI behind what a page typed: a user or number at the account's domain, `user@host`, or a SIP or tel URI.
pub fn outgoing(account: &Account, callee: &str) -> Result<SipUri, FieldError> {
    let callee = callee.trim();
    let bad = |problem: &str| FieldError::new("callee", problem);
    if callee.is_empty() || callee.len() > MAX_CALLEE {
        return Err(bad("is empty or too long"));
    }
    if callee.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | '"' | ' ')) {
        return Err(bad("has a blank, a bracket, a quote or a control character"));
    }
    let at_home = |user: &str| {
        let home = account.address_of_record()?;
        home.with_user(user).map_err(|error| bad(error.problem))
    };
    let lower = callee.to_ascii_lowercase();
    let uri: Uri = if lower.starts_with("sip:") || lower.starts_with("tel:") {
        callee.parse().map_err(|_| bad("is not a SIP or tel URI"))?
    } else if callee.contains('@') {
        format!("sip:{callee}").parse().map_err(|_| bad("is not user@host"))?
    } else {
        return at_home(callee);
    };
    match uri {
        // A header in a URI would become a header of our INVITE (RFC 3261 §19.1.5).
        Uri::Sip(uri) => Ok(uri.without_headers()),
        Uri::Tel(tel) => at_home(&tel.number()),
        _ => Err(bad("is not a SIP or tel URI")),
    }
}

/// What a page is shown of an INVITE.
pub fn incoming_view(invite: &Request, call_id: CallId, callee: &str) -> CallView {
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

/// A final response to an INVITE that becomes no call.
pub fn refusal(invite: &Request, code: StatusCode) -> Response {
    let response = invite.response(code);
    response.clone().with_to_tag(&random_tag()).unwrap_or(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Secret;

    fn check(callee: &str, uri: Result<&str, &str>) {
        let account = Account {
            login: "1001".into(),
            auth_name: "1001".into(),
            password: Secret::default(),
            domain: "pbx.example.org".into(),
            outbound_proxy: Some("proxy.example.org".into()),
            port: Some(5070),
            register: true,
        };
        let found = outgoing(&account, callee).map(|uri| uri.to_string()).map_err(|error| error.to_string());
        assert_eq!(found, uri.map(str::to_owned).map_err(str::to_owned), "{callee:?}");
    }

    #[test]
    fn what_a_page_types_becomes_a_uri() {
        check("1002", Ok("sip:1002@pbx.example.org"));
        check(" +49 30".replace(' ', "").as_str(), Ok("sip:+4930@pbx.example.org"));
        check("bob@example.com", Ok("sip:bob@example.com"));
        check("sip:bob@example.com:5080", Ok("sip:bob@example.com:5080"));
        check("tel:+49-30-12", Ok("sip:+493012@pbx.example.org"));
    }

    #[test]
    fn no_callee_can_add_a_header() {
        check("sip:bob@example.com?Route=%3Csip:evil%3E", Ok("sip:bob@example.com"));
        let refused = Err("callee: has a blank, a bracket, a quote or a control character");
        check("1002\r\nX-Evil: 1", refused);
        check("<sip:1002@x>", refused);
        check("", Err("callee: is empty or too long"));
        check("sip:@@", Err("callee: is not a SIP or tel URI"));
    }
}
