//! Reads a response to REGISTER (RFC 3261 §10.2.4, §10.2.8). Pure.
use std::time::Duration;

use sip::auth::{Client, GiveUp, SentTo, Tries};
use sip::message::{Request, Response, SipUri};
use sip::transport::Transport;

use super::state::Answer;

/// What `response` to `request` means. `contact_user` finds our own Contact among those that the registrar lists, whatever it made
/// of the host part; `transport` is how the request went. A challenge is taken in by `client`.
pub(super) fn read(
    response: &Response,
    request: &Request,
    contact_user: &str,
    transport: Transport,
    client: &mut Client,
    tries: &mut Tries,
) -> Answer {
    let code = response.code.as_u16();
    match code {
        100..=199 => Answer::Provisional,
        200..=299 => Answer::Granted(granted(response, request, contact_user)),
        401 | 407 => match client.challenged(tries, request, response, SentTo::Home) {
            Ok(()) => Answer::Challenged,
            Err(why) => Answer::GivenUp { code, info: why.to_string(), for_good: why != GiveUp::StaleAgain },
        },
        301 | 302 => match moved(response, transport) {
            Some(to) => Answer::Moved { code, to },
            None => refused(response, "moved where it cannot be followed".to_owned()),
        },
        423 => Answer::TooBrief(seconds(response.headers.min_expires().ok().flatten().unwrap_or_default())),
        _ => refused(response, phrase(response)),
    }
}

fn refused(response: &Response, phrase: String) -> Answer {
    let retry_after = response.headers.retry_after().ok().flatten().map(seconds);
    Answer::Refused { code: response.code.as_u16(), phrase, retry_after }
}

/// Where a redirect leads (RFC 3261 §8.1.3.4): the first server that keeps what encryption there is. Whoever can forge a redirect could forge a
/// challenge as well, so it gains nobody a hash; the realm stays pinned and the address passes the target policy.
fn moved(response: &Response, transport: Transport) -> Option<SipUri> {
    let contacts = response.headers.contacts().ok()?;
    let mut servers = contacts.iter().take(MAX_SERVERS).filter_map(|contact| contact.uri.as_sip());
    let server = servers.find(|server| transport != Transport::Tls || is_encrypted(server))?;
    let (host, port) = (server.host().clone(), server.port());
    let to = SipUri::new(host).with_port(port);
    Some(match server.transport() {
        _ if is_encrypted(server) => to.with_transport(Transport::Tls),
        Some(other) => to.with_transport(other),
        None => to,
    })
}

/// Servers that are looked at in a redirect.
const MAX_SERVERS: usize = 8;

fn is_encrypted(server: &SipUri) -> bool {
    server.secure || server.transport() == Some(Transport::Tls)
}

/// The time that the registrar granted: our Contact's own, else the header's, else what we asked for.
fn granted(response: &Response, request: &Request, contact_user: &str) -> Duration {
    let contacts = response.headers.contacts().unwrap_or_default();
    let ours = contacts.iter().find(|contact| contact.uri.user().as_deref() == Some(contact_user));
    let header = response.headers.expires().ok().flatten();
    let asked = request.headers.expires().ok().flatten();
    seconds(ours.and_then(|contact| contact.expires()).or(header).or(asked).unwrap_or_default())
}

/// The way that the registrar wants for further requests (RFC 3608 §6.1). It is taken whole or not at all: at most [`MAX_ROUTERS`] loose
/// routers, and where the account's own requests are encrypted, the first is to be reached so too.
pub(super) fn service_route(response: &Response, transport: Transport) -> Vec<SipUri> {
    let Ok(named) = response.headers.service_routes() else { return vec![] };
    let routers: Vec<SipUri> = named.iter().filter_map(|router| router.uri.as_sip().cloned()).collect();
    let are_loose = routers.iter().all(SipUri::is_loose_router);
    let is_safe = transport != Transport::Tls || routers.first().is_none_or(is_encrypted);
    if routers.len() == named.len() && routers.len() <= MAX_ROUTERS && are_loose && is_safe {
        return routers;
    }
    tracing::warn!(routers = named.len(), are_loose, is_safe, "a Service-Route that cannot be followed");
    vec![]
}

/// More would not leave room in a datagram; networks name one or two.
const MAX_ROUTERS: usize = 8;

fn phrase(response: &Response) -> String {
    let phrase = if response.reason().is_empty() { response.code.reason() } else { response.reason() };
    phrase.to_owned()
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use sip::message::{Message, parse};

    use super::*;

    fn parsed(status: &str, lines: &str) -> (Response, Request) {
        let common = "Via: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\n";
        let lines = lines.replace('|', "\r\n");
        let parsed = |text: String| parse(text.as_bytes()).unwrap();
        let Message::Response(response) = parsed(format!("SIP/2.0 {status}\r\n{common}{lines}\r\n\r\n"))
        else {
            panic!("a response")
        };
        let Message::Request(request) =
            parsed(format!("REGISTER sip:b SIP/2.0\r\n{common}Expires: 3600\r\n\r\n"))
        else {
            panic!("a request")
        };
        (response, request)
    }

    /// What a response with these lines means after a REGISTER for an hour.
    fn answer(lines: &str) -> Answer {
        let (status, lines) = lines.split_once('|').unwrap_or((lines, ""));
        let (response, request) = parsed(status, lines);
        let mut client = Client::new("a", "secret".into()).unwrap();
        read(&response, &request, "me", Transport::Udp, &mut client, &mut Tries::default())
    }

    fn refused(code: u16, phrase: &str, retry_after: Option<u64>) -> Answer {
        Answer::Refused { code, phrase: phrase.into(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn the_time_of_our_own_contact_counts_before_the_header() {
        let granted = |seconds| Answer::Granted(Duration::from_secs(seconds));
        assert_eq!(
            answer("200 OK|Contact: <sip:x@h>;expires=7, <sip:me@nat:9>;expires=50|Expires: 60"),
            granted(50)
        );
        assert_eq!(answer("200 OK|Contact: <sip:me@h>|Expires: 60"), granted(60));
        assert_eq!(answer("200 OK|Contact: <sip:x@h>;expires=7"), granted(3600));
        assert_eq!(answer("200 OK"), granted(3600));
    }

    #[test]
    fn a_challenge_that_can_be_answered_is_told_from_one_that_cannot() {
        assert_eq!(answer("401 No|WWW-Authenticate: Digest realm=\"r\", nonce=\"n\""), Answer::Challenged);
        assert_eq!(answer("407 No|Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\""), Answer::Challenged);
        let basic = answer("401 No|WWW-Authenticate: Basic realm=\"r\"");
        assert!(matches!(basic, Answer::GivenUp { code: 401, for_good: true, .. }), "{basic:?}");
    }

    #[test]
    fn a_service_route_is_followed_whole_or_not_at_all() {
        let check = |transport, lines: &str, routers: &[&str]| {
            let found = service_route(&parsed("200 OK", lines).0, transport);
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), routers, "{lines}");
        };
        let (udp, tls) = (Transport::Udp, Transport::Tls);
        check(udp, "", &[]);
        check(udp, "Service-Route: <sip:orig@a;lr>, <sip:b:5080;lr>", &["sip:orig@a;lr", "sip:b:5080;lr"]);
        check(udp, "Service-Route: <sip:a;lr>|Service-Route: <sip:b;lr>", &["sip:a;lr", "sip:b;lr"]);
        check(udp, "Service-Route: <sip:a;lr>, <sip:b>", &[]);
        check(udp, "Service-Route: <sip:a;lr>, <tel:1>", &[]);
        check(udp, "Service-Route: nonsense <", &[]);
        check(udp, &format!("Service-Route: {}<sip:a;lr>", "<sip:a;lr>, ".repeat(8)), &[]);
        check(tls, "Service-Route: <sip:a;lr>", &[]);
        check(tls, "Service-Route: <sips:a;lr>, <sip:b;lr>", &["sips:a;lr", "sip:b;lr"]);
        check(tls, "Service-Route: <sip:a;transport=tls;lr>", &["sip:a;transport=tls;lr"]);
    }

    #[test]
    fn a_redirect_is_followed_where_encryption_is_kept() {
        let check = |transport, contact: &str, to: Option<&str>| {
            let (response, _) = parsed("302 Moved", &format!("Contact: {contact}"));
            assert_eq!(moved(&response, transport).map(|to| to.to_string()).as_deref(), to, "{contact}");
        };
        let (udp, tls) = (Transport::Udp, Transport::Tls);
        check(
            udp,
            "<sip:me@two.example:5080;transport=tcp>;q=0.5",
            Some("sip:two.example:5080;transport=tcp"),
        );
        check(udp, "<tel:1>, <sip:192.0.2.2>", Some("sip:192.0.2.2"));
        check(udp, "<tel:1>", None);
        check(udp, "*", None);
        check(tls, "<sip:two.example>", None);
        check(tls, "<sip:two.example>, <sips:three.example>", Some("sip:three.example;transport=tls"));
        check(tls, "<sip:two.example;transport=tls>", Some("sip:two.example;transport=tls"));
        assert_eq!(answer("302 Moved"), refused(302, "moved where it cannot be followed", None));
        let moved = Answer::Moved { code: 301, to: SipUri::new("two.example".parse().unwrap()) };
        assert_eq!(answer("301 Moved|Contact: <sip:two.example>"), moved);
        assert_eq!(answer("300 Choose|Contact: <sip:two.example>"), refused(300, "Choose", None));
    }

    #[test]
    fn refusals_keep_their_words() {
        assert_eq!(answer("100 Trying"), Answer::Provisional);
        assert_eq!(answer("403 Nope"), refused(403, "Nope", None));
        assert_eq!(answer("403 "), refused(403, "Forbidden", None));
        assert_eq!(answer("503 Later|Retry-After: 30 (lunch)"), refused(503, "Later", Some(30)));
        assert_eq!(answer("423 Brief|Min-Expires: 7200"), Answer::TooBrief(Duration::from_secs(7200)));
        assert_eq!(answer("423 Brief"), Answer::TooBrief(Duration::ZERO));
    }
}
