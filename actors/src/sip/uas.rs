//! What the endpoint itself decides about a request before anybody sees it (RFC 3261 §8.2). Pure.
use sip::dialog::Replaces;
use sip::message::{Capabilities, HeaderName, Method, Request, Response, StatusCode, check};

use super::DialogKey;
use crate::vocabulary::ReferPolicy;

/// Who deals with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The endpoint, with this.
    Answer(Box<Response>),
    /// The owner of this dialog.
    Owner(DialogKey),
    /// The owner of this dialog, which the INVITE is to replace.
    Replaced(DialogKey),
    /// The consumer of requests outside dialogs.
    Consumer,
}

/// What is answered; REFER only where it is followed. OPTIONS, and what has no dialog, the endpoint answers itself.
const METHODS: [Method; 11] = [
    Method::Refer,
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Options,
    Method::Update,
    Method::Info,
    Method::Prack,
    Method::Notify,
    Method::Message,
];
/// What calls need, and the registrar's own method.
const REGISTRAR_METHODS: [Method; 10] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Options,
    Method::Update,
    Method::Info,
    Method::Prack,
    Method::Notify,
    Method::Register,
];
/// Option tags that we understand, for Supported and Require: session timers (RFC 4028), reliable provisional responses (RFC 3262); where the
/// far side may move, INVITE with Replaces (RFC 3891) and REFER that wants no NOTIFY (RFC 4488).
const EXTENSIONS: [&str; 4] = ["timer", "100rel", "replaces", "norefersub"];
const SDP: &[&str] = &["application/sdp"];
const TEXT: &[&str] = &["text/plain"];

/// What the endpoint can do, for Allow, Supported and Accept.
pub(super) fn capabilities(registrar: bool, refer: ReferPolicy) -> Capabilities<'static> {
    let methods = if registrar { &REGISTRAR_METHODS[..] } else { methods(refer) };
    let bodies = &[(Method::Invite, SDP), (Method::Update, SDP), (Method::Message, TEXT)];
    Capabilities { methods, bodies, ..dialog_capabilities(refer) }
}

/// What a dialog says of itself: all but MESSAGE, which is taken there too. The first INVITE must fit a datagram.
pub fn dialog_capabilities(refer: ReferPolicy) -> Capabilities<'static> {
    let all = methods(refer);
    Capabilities {
        methods: &all[..all.len() - 1],
        extensions: &EXTENSIONS[..if refer == ReferPolicy::Off { 2 } else { EXTENSIONS.len() }],
        schemes: &["sip", "sips", "tel"],
        bodies: &[],
    }
}

fn methods(refer: ReferPolicy) -> &'static [Method] {
    &METHODS[usize::from(refer == ReferPolicy::Off)..]
}

/// Finds out who deals with `request`, which is no ACK and no CANCEL. `knows`: whether a dialog has an owner.
///
/// | request | verdict |
/// |---|---|
/// | refused by [`check`] | 400, 405, 406, 415, 416, 420, 501 |
/// | in a dialog that has an owner | that owner |
/// | MESSAGE in such a dialog (RFC 3428 §4) | the consumer: whose call it is does not matter to a text |
/// | OPTIONS, in or out of a dialog | 200 with Allow, Accept, Supported (§11.2) |
/// | in a dialog that nobody knows; BYE, UPDATE, INFO, PRACK, NOTIFY outside one | 481 (§12.2.2) |
/// | REFER outside one | 403: whom a stranger wants called, no page has asked for |
/// | SUBSCRIBE | 489: there is nothing to subscribe to (RFC 6665 §4.2.1.1) |
/// | INVITE with Replaces, where the far side may move | the owner of the dialog that it names; none: 481, more than one: 400 (RFC 3891 §3) |
/// | INVITE; MESSAGE; REGISTER at a registrar; NOTIFY of `message-summary` outside a dialog, as PBXs send it unasked | the consumer |
pub(super) fn judge(
    request: &Request,
    capabilities: &Capabilities<'_>,
    knows: impl Fn(&DialogKey) -> bool,
) -> Verdict {
    if let Err(refusal) = check(request, capabilities) {
        return Verdict::Answer(match request.method {
            Method::Subscribe if refusal.code == StatusCode::METHOD_NOT_ALLOWED => {
                Box::new(request.stateless_response(StatusCode::BAD_EVENT))
            }
            _ => refusal,
        });
    }
    let dialog = dialog_of(request);
    match (&request.method, dialog) {
        (Method::Message, Some(dialog)) if knows(&dialog) => Verdict::Consumer,
        (_, Some(dialog)) if knows(&dialog) => Verdict::Owner(dialog),
        (Method::Options, _) => {
            let mut response = request.stateless_response(StatusCode::OK);
            capabilities.advertise(&mut response.headers);
            response.headers.push(HeaderName::Accept, SDP[0]);
            Verdict::Answer(Box::new(response))
        }
        (Method::Invite, None)
            if request.headers.has(&HeaderName::Replaces)
                && capabilities.extensions.contains(&"replaces") =>
        {
            replaced(request, knows)
        }
        (Method::Invite | Method::Message | Method::Register, None) => Verdict::Consumer,
        // A registrar has no mailboxes to show, as it has nobody to show a text to.
        (Method::Notify, None)
            if capabilities.methods.contains(&Method::Message) && is_message_summary(request) =>
        {
            Verdict::Consumer
        }
        (Method::Refer, None) => Verdict::Answer(Box::new(request.stateless_response(StatusCode::FORBIDDEN))),
        _ => Verdict::Answer(Box::new(request.stateless_response(StatusCode::CALL_DOES_NOT_EXIST))),
    }
}

/// Whose dialog an INVITE is to replace.
fn replaced(invite: &Request, knows: impl Fn(&DialogKey) -> bool) -> Verdict {
    let mut all = invite.headers.all(&HeaderName::Replaces);
    let code = match (all.next().map(str::parse::<Replaces>), all.next()) {
        (Some(Ok(Replaces { call_id, to_tag, .. })), None) => {
            let dialog = DialogKey { call_id, local_tag: to_tag };
            if knows(&dialog) {
                return Verdict::Replaced(dialog);
            }
            StatusCode::CALL_DOES_NOT_EXIST
        }
        _ => StatusCode::BAD_REQUEST,
    };
    Verdict::Answer(Box::new(invite.stateless_response(code)))
}

/// Whether a NOTIFY tells of a mailbox (RFC 3842).
fn is_message_summary(request: &Request) -> bool {
    let package = request.headers.get(&HeaderName::Event).and_then(|event| event.split(';').next());
    package.is_some_and(|package| package.trim().eq_ignore_ascii_case("message-summary"))
}

/// The dialog that a request from outside names: its To tag is the one that we gave.
pub(super) fn dialog_of(request: &Request) -> Option<DialogKey> {
    let to = request.headers.to().ok()?;
    let call_id = request.headers.call_id().ok()?;
    Some(DialogKey { call_id: call_id.to_owned(), local_tag: to.tag()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use sip::message::{Message, parse};

    use super::*;

    /// A request from outside in words of the test; `tag`: its To tag. The dialog with our tag `ours` has an owner.
    #[track_caller]
    fn check(method: &str, tag: &str, registrar: bool, verdict: &str) {
        check_by(ReferPolicy::InDialog, method, tag, registrar, verdict);
    }

    #[track_caller]
    fn check_by(refer: ReferPolicy, method: &str, tag: &str, registrar: bool, verdict: &str) {
        check_with("", refer, method, tag, registrar, verdict);
    }

    /// `more`: further header lines.
    #[track_caller]
    fn check_with(more: &str, refer: ReferPolicy, method: &str, tag: &str, registrar: bool, verdict: &str) {
        let to = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
        let text = format!(
            "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
             To: <sip:a@b>{to}\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n{more}\r\n"
        );
        let Ok(Message::Request(request)) = parse(text.as_bytes()) else { panic!("a request: {text}") };
        let said = match judge(&request, &capabilities(registrar, refer), |dialog| dialog.local_tag == "ours")
        {
            Verdict::Answer(response) => response.code.to_string(),
            Verdict::Owner(dialog) => dialog.local_tag,
            Verdict::Replaced(dialog) => format!("instead of {}", dialog.local_tag),
            Verdict::Consumer => "consumer".to_owned(),
        };
        assert_eq!(said, verdict, "{method} {tag}");
    }

    #[test]
    fn every_request_finds_who_deals_with_it() {
        check("INVITE", "", false, "consumer");
        check("INVITE", "ours", false, "ours");
        check("INVITE", "gone", false, "481");
        check("BYE", "ours", false, "ours");
        for method in ["BYE", "UPDATE", "INFO", "PRACK", "NOTIFY"] {
            check(method, "gone", false, "481");
            check(method, "", false, "481");
        }
        check("REGISTER", "", false, "405");
        check("REGISTER", "", true, "consumer");
    }

    #[test]
    fn a_mailbox_may_be_told_of_unasked_and_nothing_else() {
        let mailbox = "Event: message-summary;id=1\r\n";
        check_with(mailbox, ReferPolicy::InDialog, "NOTIFY", "", false, "consumer");
        check_with("o: Message-Summary\r\n", ReferPolicy::InDialog, "NOTIFY", "", false, "consumer");
        check_with(mailbox, ReferPolicy::InDialog, "NOTIFY", "", true, "481");
        check_with(mailbox, ReferPolicy::InDialog, "NOTIFY", "gone", false, "481");
        check_with("Event: presence\r\n", ReferPolicy::InDialog, "NOTIFY", "", false, "481");
    }

    #[test]
    fn options_is_answered_by_the_endpoint_unless_a_dialog_owns_it() {
        check("OPTIONS", "", false, "200");
        check("OPTIONS", "gone", false, "200");
        check("OPTIONS", "ours", false, "ours");
    }

    #[test]
    fn an_invite_that_replaces_a_dialog_goes_to_its_owner() {
        let check = |more: &str, refer, verdict: &str| check_with(more, refer, "INVITE", "", false, verdict);
        let ours = "Replaces: x;to-tag=ours;from-tag=1\r\n";
        check(ours, ReferPolicy::InDialog, "instead of ours");
        check("Replaces: x;to-tag=gone;from-tag=1\r\n", ReferPolicy::InDialog, "481");
        check("Replaces: x;to-tag=ours\r\n", ReferPolicy::InDialog, "400");
        check(&format!("{ours}{ours}"), ReferPolicy::InDialog, "400");
        check(&format!("{ours}Require: replaces\r\n"), ReferPolicy::InDialog, "instead of ours");
        check(ours, ReferPolicy::Off, "consumer");
        check(&format!("{ours}Require: replaces\r\n"), ReferPolicy::Off, "420");
    }

    #[test]
    fn a_refer_needs_a_dialog_and_a_policy() {
        check("REFER", "ours", false, "ours");
        check("REFER", "", false, "403");
        check("REFER", "gone", false, "481");
        for tag in ["", "ours", "gone"] {
            check_by(ReferPolicy::Off, "REFER", tag, false, "405");
        }
    }

    #[test]
    fn what_a_stranger_could_deliver_to_a_page_is_refused() {
        check("MESSAGE", "", false, "consumer");
        check("MESSAGE", "", true, "405");
        check("MESSAGE", "ours", false, "consumer");
        check("MESSAGE", "gone", false, "481");
        check("PUBLISH", "", false, "405");
        check("SUBSCRIBE", "", false, "489");
        check("SUBSCRIBE", "ours", false, "489");
        check("DANCE", "", false, "501");
    }
}
