//! We ask the phone to call somebody else (RFC 3515), and hear what became of it.
use super::*;

const TARGET: &str = "sip:1003@pbx.example";

/// A running call whose phone has our REFER.
async fn referred() -> (Scene, Addr<Dialog>, Request, Request) {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.talks().await;
    dialog.do_send(LegCommand::Transfer(TARGET.parse().unwrap()));
    let refer = scene.hears(Method::Refer).await;
    (scene, dialog, invite, refer)
}

impl Scene {
    /// The phone says what became of the REFER; gives the code of our answer.
    async fn notifies(&self, invite: &Request, number: u32, event: &str, state: &str, line: &str) -> u16 {
        let from = invite.headers.to().unwrap().with_tag("phone").unwrap();
        let (to, uri) = (invite.headers.from().unwrap(), &invite.headers.contacts().unwrap()[0].uri);
        let (call_id, branch) = (invite.headers.call_id().unwrap(), sip::message::random_branch());
        let at = self.phone.socket.local_addr().unwrap();
        let text = format!(
            "NOTIFY {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
             To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} NOTIFY\r\nContact: {}\r\nEvent: {event}\r\n\
             Subscription-State: {state}\r\nContent-Type: message/sipfrag;version=2.0\r\nContent-Length: {}\r\n\r\n{line}\r\n",
            self.contact,
            line.len() + 2
        );
        self.phone.send(text.as_bytes()).await;
        self.code_of(Method::Notify).await
    }

    /// The final response to the phone's last request of this method.
    async fn code_of(&self, method: Method) -> u16 {
        loop {
            if let Message::Response(response) = self.phone.message(WAIT).await.expect("an answer")
                && response.headers.cseq().unwrap().method == method
                && response.code.is_final()
            {
                return response.code.as_u16();
            }
        }
    }

    pub(super) async fn refusal(&self) -> EndReason {
        loop {
            match self.call.next().await.event {
                LegEvent::TransferRefused(why) => return why,
                LegEvent::Ended(why) => panic!("the call ended: {why}"),
                _ => {}
            }
        }
    }
}

const ACTIVE: &str = "active;expires=60";
const OVER: &str = "terminated;reason=noresource";

#[actix::test]
async fn a_refer_goes_to_the_phones_contact_and_names_whom_to_call_and_who_asks() {
    let (scene, _dialog, _, refer) = referred().await;
    let at = scene.phone.socket.local_addr().unwrap();
    assert_eq!(refer.uri.to_string(), format!("sip:phone@{at}"));
    assert_eq!(refer.headers.get(&HeaderName::ReferTo), Some("<sip:1003@pbx.example>"));
    assert_eq!(refer.headers.get(&HeaderName::ReferredBy), Some("<sip:1001@127.0.0.1>"));
    assert!(refer.headers.to().unwrap().tag().is_some(), "inside the dialog");
    assert!(refer.headers.has(&HeaderName::Contact));
}

#[actix::test]
async fn a_phone_that_reached_the_target_gets_our_bye_after_a_second() {
    let (scene, dialog, invite, refer) = referred().await;
    scene.answers(&refer, StatusCode::ACCEPTED, "phone").await;
    assert_eq!(scene.notifies(&invite, 1, "refer", ACTIVE, "SIP/2.0 100 Trying").await, 200);
    assert_eq!(scene.notifies(&invite, 2, "refer", OVER, "SIP/2.0 200 OK").await, 200);
    let reached = std::time::Instant::now();
    let why = scene.end().await;
    assert_eq!(why.to_string(), "transferred by caller");
    assert!(reached.elapsed() > Duration::from_millis(900), "{:?}", reached.elapsed());
    dialog.do_send(LegCommand::HangUp(why));
    scene.hears(Method::Bye).await;
}

#[actix::test]
async fn a_bye_of_the_phone_after_its_202_is_no_ordinary_hang_up() {
    let (scene, _dialog, invite, refer) = referred().await;
    scene.answers(&refer, StatusCode::ACCEPTED, "phone").await;
    assert_eq!(scene.notifies(&invite, 1, "refer", ACTIVE, "SIP/2.0 100 Trying").await, 200);
    assert_eq!(scene.asks(&invite, Method::Bye, "phone", 2, "").await, 200);
    assert_eq!(scene.end().await.to_string(), "transferred by callee");
}

#[actix::test]
async fn a_notify_may_come_before_the_202() {
    let (scene, _dialog, invite, refer) = referred().await;
    let event = format!("refer;id={}", refer.headers.cseq().unwrap().number);
    assert_eq!(scene.notifies(&invite, 1, &event, OVER, "SIP/2.0 200 OK").await, 200);
    scene.answers(&refer, StatusCode::ACCEPTED, "phone").await;
    assert_eq!(scene.end().await.cause, Cause::Transferred);
}

#[actix::test]
async fn a_202_that_promises_no_notify_is_believed() {
    let (scene, _dialog, _, refer) = referred().await;
    let mut accepted = scene.response(&refer, StatusCode::ACCEPTED, "phone");
    accepted.headers.push_text(HeaderName::ReferSub, "false").unwrap();
    scene.phone.send(&accepted.to_bytes()).await;
    assert_eq!(scene.end().await.cause, Cause::Transferred);
}

#[actix::test]
async fn a_refused_refer_leaves_the_call_as_it_was_and_may_be_tried_again() {
    let (scene, dialog, invite, mut refer) = referred().await;
    for code in [400, 403, 405, 481, 491, 500, 603] {
        scene.answers(&refer, StatusCode::try_from(code).unwrap(), "phone").await;
        assert_eq!(scene.refusal().await.sip_code, Some(code));
        dialog.do_send(LegCommand::Transfer(TARGET.parse().unwrap()));
        refer = scene.hears(Method::Refer).await;
    }
    assert_eq!(scene.asks(&invite, Method::Options, "phone", 1, "").await, 200);
}

#[actix::test]
async fn a_target_that_did_not_answer_leaves_the_call_as_it_was() {
    let (scene, dialog, invite, refer) = referred().await;
    scene.answers(&refer, StatusCode::ACCEPTED, "phone").await;
    assert_eq!(scene.notifies(&invite, 1, "refer", OVER, "SIP/2.0 486 Busy Here").await, 200);
    let why = scene.refusal().await;
    assert_eq!((why.cause, why.sip_code), (Cause::Busy, Some(486)));
    // A subscription that is over is nobody's, and neither is one to another event.
    assert_eq!(scene.notifies(&invite, 2, "refer", OVER, "SIP/2.0 200 OK").await, 481);
    assert_eq!(scene.notifies(&invite, 3, "presence", ACTIVE, "").await, 489);
    dialog.do_send(LegCommand::Hold);
    let hold = scene.hears(Method::Invite).await;
    scene.answers(&hold, StatusCode::OK, "phone").await;
    scene.says(LegEvent::Held).await;
}

#[actix::test]
async fn a_subscription_that_ends_without_a_word_is_a_failure() {
    let (scene, _dialog, invite, refer) = referred().await;
    scene.answers(&refer, StatusCode::ACCEPTED, "phone").await;
    assert_eq!(scene.notifies(&invite, 1, "refer", OVER, "SIP/2.0 100 Trying").await, 200);
    assert_eq!(scene.refusal().await.cause, Cause::Refused);
}
