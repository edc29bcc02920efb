//! What is asked of calls through `handle`: holds, and transfers to an address or to the far side of another call (RFC 5589 §7).
#![allow(clippy::unwrap_used)]
mod support;

use std::time::Duration;

use actors::handle::{
    Additions, AskError, CallId, CallStatus, Cause, FromPage, PlaceCall, ToPage, TransferTo,
};
use sip::message::{HeaderName, Message, Method, NameAddr, Request, StatusCode, Uri};
use support::switch::Scene;

const WAIT: Duration = Duration::from_secs(2);
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

impl Scene {
    /// The page calls; the INVITE as the phone got it.
    async fn calls(&self, call_id: &CallId) -> Request {
        self.session.tell(FromPage::Call(PlaceCall {
            call_id: call_id.clone(),
            callee: "1002".into(),
            visible_name: None,
            sdp: include_str!("sdp/offer-audio.sdp").to_owned(),
            additions: Additions::default(),
        }));
        self.hears(Method::Invite).await
    }

    /// A call that the phone has answered as `tag`.
    async fn talks(&mut self, tag: &str) -> (CallId, Request) {
        let call_id = CallId::random();
        let invite = self.calls(&call_id).await;
        self.answers(&invite, StatusCode::OK, tag, "application/sdp", SDP).await;
        self.hears(Method::Ack).await;
        loop {
            if let ToPage::CallStatus(view, CallStatus::Established) = self.page.recv().await.unwrap()
                && view.call_id == call_id
            {
                return (call_id, invite);
            }
        }
    }

    async fn hears(&self, method: Method) -> Request {
        loop {
            match self.house.phone.message(WAIT).await.unwrap_or_else(|| panic!("no {method}")) {
                Message::Request(request) if request.method == method => return request,
                _ => {}
            }
        }
    }

    fn contact(&self) -> String {
        format!("sip:phone@{}", self.house.phone.socket.local_addr().unwrap())
    }

    async fn answers(&self, request: &Request, code: StatusCode, tag: &str, kind: &'static str, body: &str) {
        let contact: Uri = self.contact().parse().unwrap();
        let response = request.response(code).with_to_tag(tag).unwrap();
        let response = response.with_header(HeaderName::Contact, NameAddr::new(contact));
        let response = if body.is_empty() { response } else { response.with_body(kind, body.to_owned()) };
        self.house.phone.send(&response.to_bytes()).await;
    }

    /// The phone tells what became of our REFER.
    async fn notifies(&self, invite: &Request, tag: &str, line: &str) {
        let from = invite.headers.to().unwrap().with_tag(tag).unwrap();
        let (to, uri) = (invite.headers.from().unwrap(), &invite.headers.contacts().unwrap()[0].uri);
        let at = self.house.phone.socket.local_addr().unwrap();
        let (call_id, branch) = (invite.headers.call_id().unwrap(), sip::message::random_branch());
        let text = format!(
            "NOTIFY {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
             To: {to}\r\nCall-ID: {call_id}\r\nCSeq: 1 NOTIFY\r\nContact: <{}>\r\nEvent: refer\r\n\
             Subscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\nContent-Length: {}\r\n\r\n{line}",
            self.contact(),
            line.len()
        );
        self.house.phone.send(text.as_bytes()).await;
    }
}

#[actix::test]
async fn rq14_the_far_sides_of_two_calls_are_joined_by_replaces() {
    let mut scene = Scene::new().await;
    let (first, first_invite) = scene.talks("one").await;
    let (second, second_invite) = scene.talks("two").await;
    let switch = scene.house.switch.clone();
    let (to, id) = (TransferTo::Call(second), first.clone());
    let transfer = actix::spawn(async move { switch.transfer(&id, &to).await });
    let refer = scene.hears(Method::Refer).await;
    assert_eq!(refer.headers.call_id(), first_invite.headers.call_id());
    // The second far side's own Contact, and its dialog as it knows it: its tag first.
    let tag = second_invite.headers.from().unwrap().tag().unwrap().to_owned();
    let dialog = second_invite.headers.call_id().unwrap();
    let wanted = format!("<{}?Replaces={dialog}%3Bto-tag%3Dtwo%3Bfrom-tag%3D{tag}>", scene.contact());
    assert_eq!(refer.headers.get(&HeaderName::ReferTo), Some(&*wanted));
    scene.answers(&refer, StatusCode::ACCEPTED, "one", "", "").await;
    scene.notifies(&first_invite, "one", "SIP/2.0 200 OK").await;
    let bye = scene.hears(Method::Bye).await;
    assert_eq!(bye.headers.call_id(), first_invite.headers.call_id());
    assert_eq!(transfer.await.unwrap(), Ok(()));
    scene.house.shows("tandem_calls_total{direction=\"outgoing\",result=\"transferred\"} 1").await;
}

#[actix::test]
async fn rq14_who_asks_for_a_transfer_hears_why_it_did_not_come_about() {
    let mut scene = Scene::new().await;
    let (call, invite) = scene.talks("one").await;
    let switch = scene.house.switch.clone();
    let address = |text: &str| TransferTo::Address(text.to_owned());

    let nobody = switch.transfer(&CallId::random(), &address("1003")).await;
    assert_eq!(nobody, Err(AskError::NoCall));
    let bad = switch.transfer(&call, &address("a\r\nb")).await;
    assert!(matches!(&bad, Err(AskError::Field(error)) if error.field == "target"), "{bad:?}");
    for other in [call.clone(), CallId::random()] {
        let bad = switch.transfer(&call, &TransferTo::Call(other)).await;
        assert!(matches!(&bad, Err(AskError::Field(error)) if error.field == "replaces"), "{bad:?}");
    }
    let rings = CallId::random();
    scene.calls(&rings).await;
    assert_eq!(switch.transfer(&rings, &address("1003")).await, Err(AskError::WrongState));
    assert_eq!(switch.transfer(&call, &TransferTo::Call(rings)).await, Err(AskError::WrongState));

    for (answer, told) in [(StatusCode::DECLINE, None), (StatusCode::ACCEPTED, Some("SIP/2.0 486 Busy Here"))]
    {
        let (asking, id) = (switch.clone(), call.clone());
        let transfer =
            actix::spawn(async move { asking.transfer(&id, &TransferTo::Address("1003".into())).await });
        let refer = scene.hears(Method::Refer).await;
        assert_eq!(
            switch.transfer(&call, &address("1004")).await,
            Err(AskError::WrongState),
            "one at a time"
        );
        scene.answers(&refer, answer, "one", "", "").await;
        if let Some(line) = told {
            scene.notifies(&invite, "one", line).await;
        }
        let failed = transfer.await.unwrap();
        let code = told.map_or(603, |_| 486);
        assert!(matches!(&failed, Err(AskError::Refused(why)) if why.sip_code == Some(code)), "{failed:?}");
    }
}

impl Scene {
    /// The status that the page is shown next.
    async fn shows(&mut self) -> CallStatus {
        loop {
            if let ToPage::CallStatus(_, status) = self.page.recv().await.unwrap() {
                return status;
            }
        }
    }

    /// Holds through the door, or lets go; the phone answers its re-INVITE so.
    async fn holds(&self, call: &CallId, wanted: bool, code: StatusCode) -> Result<(), AskError> {
        let (switch, id) = (self.house.switch.clone(), call.clone());
        let asked = actix::spawn(async move { switch.hold(&id, wanted).await });
        let reinvite = self.hears(Method::Invite).await;
        let direction = if wanted { "a=sendonly" } else { "a=sendrecv" };
        assert!(String::from_utf8_lossy(&reinvite.body).contains(direction), "{reinvite:?}");
        let body = if code == StatusCode::OK { SDP } else { "" };
        self.answers(&reinvite, code, "one", "application/sdp", body).await;
        asked.await.unwrap()
    }
}

#[actix::test]
async fn a_call_is_held_and_let_go_and_the_page_sees_it() {
    let mut scene = Scene::new().await;
    let (call, _) = scene.talks("one").await;
    let switch = scene.house.switch.clone();
    assert_eq!(scene.holds(&call, true, StatusCode::OK).await, Ok(()));
    assert_eq!(scene.shows().await, CallStatus::Hold);
    assert_eq!(switch.hold(&call, true).await, Ok(()), "it is so already");
    assert_eq!(scene.shows().await, CallStatus::Hold);
    assert_eq!(scene.holds(&call, false, StatusCode::OK).await, Ok(()));
    assert_eq!(scene.shows().await, CallStatus::Established);
    assert_eq!(switch.hold(&call, false).await, Ok(()), "it is so already");
}

#[actix::test]
async fn who_asks_for_a_hold_hears_why_it_did_not_come_about() {
    let mut scene = Scene::new().await;
    let (call, _) = scene.talks("one").await;
    let switch = scene.house.switch.clone();
    assert_eq!(switch.hold(&CallId::random(), true).await, Err(AskError::NoCall));
    let rings = CallId::random();
    scene.calls(&rings).await;
    assert_eq!(switch.hold(&rings, true).await, Err(AskError::WrongState));
    for code in [488, 500, 603] {
        let failed = scene.holds(&call, true, StatusCode::try_from(code).unwrap()).await;
        assert!(matches!(&failed, Err(AskError::Refused(why)) if why.sip_code == Some(code)), "{failed:?}");
    }
    assert_eq!(scene.holds(&call, true, StatusCode::OK).await, Ok(()), "nothing is left of the refusals");
    let failed = scene.holds(&call, false, StatusCode::NOT_ACCEPTABLE_HERE).await;
    assert!(matches!(&failed, Err(AskError::Refused(why)) if why.sip_code == Some(488)), "{failed:?}");

    let (asking, id) = (switch.clone(), call.clone());
    let asked = actix::spawn(async move { asking.hold(&id, false).await });
    scene.hears(Method::Invite).await;
    assert_eq!(switch.hold(&call, true).await, Err(AskError::WrongState), "one at a time");
    scene.session.tell(FromPage::HangUp(call.clone()));
    let ended = asked.await.unwrap();
    assert!(matches!(&ended, Err(AskError::Refused(why)) if why.cause == Cause::HangUp), "{ended:?}");
}
