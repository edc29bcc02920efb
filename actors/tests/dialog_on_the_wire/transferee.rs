//! The phone asks that we call somebody else (RFC 3515), and hears what becomes of it.
use actors::leg::{Fared, Successor};
use actors::vocabulary::ReferPolicy;

use super::*;

/// A running call of an account, whose PBX is the phone itself.
async fn talking(settings: SipSettings) -> (Scene, Addr<Dialog>, Request) {
    let scene = Scene::with(settings).await;
    let port = scene.phone.socket.local_addr().unwrap().port();
    let account = Account { port: Some(port), ..account() };
    let (dialog, invite) = scene.calls_as(Some(account)).await;
    scene.answers(&invite, StatusCode::OK, "phone").await;
    scene.hears(Method::Ack).await;
    scene.says(LegEvent::Answered).await;
    (scene, dialog, invite)
}

impl Scene {
    /// The phone asks; gives our final response.
    async fn refers(&self, invite: &Request, number: u32, more: &str) -> Response {
        let from = invite.headers.to().unwrap().with_tag("phone").unwrap();
        let (to, uri) = (invite.headers.from().unwrap(), &invite.headers.contacts().unwrap()[0].uri);
        let (call_id, branch) = (invite.headers.call_id().unwrap(), sip::message::random_branch());
        let at = self.phone.socket.local_addr().unwrap();
        let text = format!(
            "REFER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
             To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} REFER\r\nContact: {}\r\n{more}\r\nContent-Length: 0\r\n\r\n",
            self.contact,
        );
        self.phone.send(text.as_bytes()).await;
        loop {
            if let Message::Response(response) = self.phone.message(WAIT).await.expect("an answer")
                && response.headers.cseq().unwrap().method == Method::Refer
            {
                return response;
            }
        }
    }

    async fn successor(&self) -> Successor {
        loop {
            match self.call.next().await.event {
                LegEvent::SuccessorOffered(successor) => return successor,
                LegEvent::Ended(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    /// The next NOTIFY, as its Event, state and body; it is taken.
    async fn told(&self) -> String {
        let notify = self.hears(Method::Notify).await;
        self.answers(&notify, StatusCode::OK, "phone").await;
        let header =
            |name| notify.headers.get(&name).unwrap_or("-").split(['=', '\r']).next().unwrap().to_owned();
        assert_eq!(notify.headers.get(&HeaderName::ContentType), Some("message/sipfrag;version=2.0"));
        let line = String::from_utf8_lossy(&notify.body).trim_end().to_owned();
        let event = notify.headers.get(&HeaderName::Event).unwrap_or("-");
        format!("{event} {} {line}", header(HeaderName::SubscriptionState))
    }
}

const TO: &str = "Refer-To: <sip:1003@127.0.0.1?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=x>\r\n\
                  Referred-By: <sip:phone@127.0.0.1>;q=x";

#[actix::test]
async fn a_refer_is_followed_by_a_call_of_its_own_and_told_of() {
    let (scene, dialog, invite) = talking(settings()).await;
    let accepted = scene.refers(&invite, 1, TO).await;
    assert_eq!(accepted.code, StatusCode::ACCEPTED);
    assert_eq!(scene.told().await, "refer active;expires SIP/2.0 100 Trying");
    let Successor { leg, comes_in, .. } = scene.successor().await;
    assert!(!comes_in);
    leg.commands.do_send(LegCommand::Dial);
    let second = scene.hears(Method::Invite).await;
    assert_ne!(second.headers.call_id().unwrap(), invite.headers.call_id().unwrap());
    assert_eq!(second.uri.to_string(), "sip:1003@127.0.0.1");
    assert_eq!(second.headers.get(&HeaderName::Replaces), Some("a@b;to-tag=1;from-tag=2"));
    assert_eq!(second.headers.get(&HeaderName::ReferredBy), Some("<sip:phone@127.0.0.1>;q=x"));
    assert!(!second.headers.has(&HeaderName::Subject), "no other header of the URI");
    assert_eq!(second.headers.from().unwrap().uri.to_string(), "sip:1001@127.0.0.1");

    // One at a time, ours and theirs.
    assert_eq!(scene.refers(&invite, 2, TO).await.code, StatusCode::REQUEST_PENDING);
    dialog.do_send(LegCommand::Transfer("sip:1004@127.0.0.1".parse().unwrap()));
    while !matches!(scene.call.next().await.event, LegEvent::TransferRefused(_)) {}

    dialog.do_send(LegCommand::SuccessorFared(Fared::Rang));
    assert_eq!(scene.told().await, "refer active;expires SIP/2.0 180 Ringing");
    dialog.do_send(LegCommand::SuccessorFared(Fared::Answered));
    dialog.do_send(LegCommand::HangUp(EndReason::new(None, Cause::Transferred)));
    let answered = std::time::Instant::now();
    assert_eq!(scene.told().await, "refer terminated;reason SIP/2.0 200 OK");
    let bye = scene.hears(Method::Bye).await;
    assert_eq!(bye.headers.call_id().unwrap(), invite.headers.call_id().unwrap());
    assert!(
        answered.elapsed() > Duration::from_millis(900),
        "theirs may come first: {:?}",
        answered.elapsed()
    );
}

#[actix::test]
async fn a_transfer_that_fails_may_be_asked_for_again_and_says_which_is_meant() {
    let (scene, dialog, invite) = talking(settings()).await;
    assert_eq!(scene.refers(&invite, 1, TO).await.code, StatusCode::ACCEPTED);
    assert_eq!(scene.told().await, "refer active;expires SIP/2.0 100 Trying");
    dialog.do_send(LegCommand::SuccessorFared(Fared::Failed(EndReason::from_sip(Side::Callee, 486, ""))));
    assert_eq!(scene.told().await, "refer terminated;reason SIP/2.0 486 Busy Here");
    assert_eq!(scene.refers(&invite, 2, TO).await.code, StatusCode::ACCEPTED);
    assert_eq!(scene.told().await, "refer;id=2 active;expires SIP/2.0 100 Trying");
    assert_eq!(scene.asks(&invite, Method::Options, "phone", 3, "").await, 200);
}

#[actix::test]
async fn who_hangs_up_after_its_refer_still_hears_how_it_ended() {
    let (scene, dialog, invite) = talking(settings()).await;
    assert_eq!(scene.refers(&invite, 1, TO).await.code, StatusCode::ACCEPTED);
    assert_eq!(scene.told().await, "refer active;expires SIP/2.0 100 Trying");
    assert_eq!(scene.asks(&invite, Method::Bye, "phone", 2, "").await, 200);
    assert_eq!(scene.end().await.to_string(), "hangup by callee");
    assert!(dialog.connected());
    dialog.do_send(LegCommand::SuccessorFared(Fared::Answered));
    assert_eq!(scene.told().await, "refer terminated;reason SIP/2.0 200 OK");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!dialog.connected(), "nothing is left to tell");
}

#[actix::test]
async fn who_wants_no_notify_gets_none() {
    let (scene, dialog, invite) = talking(settings()).await;
    let accepted =
        scene.refers(&invite, 1, &format!("{TO}\r\nRefer-Sub: false\r\nRequire: norefersub")).await;
    assert_eq!(accepted.code, StatusCode::ACCEPTED);
    assert_eq!(accepted.headers.get(&HeaderName::ReferSub), Some("false"));
    dialog.do_send(LegCommand::SuccessorFared(Fared::Rang));
    dialog.do_send(LegCommand::SuccessorFared(Fared::Failed(EndReason::from_sip(Side::Callee, 486, ""))));
    assert!(scene.phone.bytes(Duration::from_millis(500)).await.is_none());
}

#[actix::test]
async fn what_cannot_or_must_not_be_followed_is_refused() {
    let (scene, _dialog, invite) = talking(settings()).await;
    for (number, (more, code)) in (1..).zip([
        ("Subject: x", 400),
        ("Refer-To: <sip:a@b>, <sip:c@d>", 400),
        ("Refer-To: <http://example.org>", 416),
        ("Refer-To: <sip:a@b;method=SUBSCRIBE>", 603),
    ]) {
        assert_eq!(scene.refers(&invite, number, more).await.code.as_u16(), code, "{more}");
    }
    let own = SipSettings { refer_policy: ReferPolicy::OwnDomain, ..settings() };
    let (scene, _dialog, invite) = talking(own).await;
    let elsewhere = scene.refers(&invite, 1, "Refer-To: <sip:1003@192.0.2.1>").await;
    assert_eq!(elsewhere.code, StatusCode::DECLINE);
    assert_eq!(scene.refers(&invite, 2, TO).await.code, StatusCode::ACCEPTED);
    let off = SipSettings { refer_policy: ReferPolicy::Off, ..settings() };
    let (scene, _dialog, invite) = talking(off).await;
    assert!(!invite.headers.get(&HeaderName::Allow).unwrap().contains("REFER"));
    assert_eq!(scene.refers(&invite, 1, TO).await.code, StatusCode::METHOD_NOT_ALLOWED);
}
