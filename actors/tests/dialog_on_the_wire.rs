//! A dialog against a phone that plays every datagram by hand: what goes wrong between two ends that both mean well.
#![allow(clippy::unwrap_used)]
#[path = "dialog_on_the_wire/additions.rs"]
mod additions;
#[path = "dialog_on_the_wire/credentials.rs"]
mod credentials;
#[path = "dialog_on_the_wire/reasons.rs"]
mod reasons;
#[path = "dialog_on_the_wire/refused_changes.rs"]
mod refused_changes;
#[path = "dialog_on_the_wire/reliable_ringing.rs"]
mod reliable_ringing;
#[path = "dialog_on_the_wire/replaced.rs"]
mod replaced;
#[path = "dialog_on_the_wire/session_timer.rs"]
mod session_timer;
#[path = "dialog_on_the_wire/silence.rs"]
mod silence;
#[path = "dialog_on_the_wire/stand_in.rs"]
mod stand_in;
mod support;
#[path = "dialog_on_the_wire/transferee.rs"]
mod transferee;
#[path = "dialog_on_the_wire/transferor.rs"]
mod transferor;
#[path = "dialog_on_the_wire/video.rs"]
mod video;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use actix::{Actor, Addr};
use actors::dialog::{Dialog, DialogOrder, IncomingInvite, OutgoingInvite, Place, SipSide};
use actors::leg::{DigitMethod, Digits, LegCommand, LegEvent, LegReport};
use actors::rtp::ports::PortPool;
use actors::sip::{IncomingRequest, Listening, Serve, SipEndpoint};
use actors::vocabulary::{
    Account, ActivityLimits, Additions, AnswerTiming, CallId, Cause, CodecId, EndReason, MediaSettings,
    Meters, Secret, Side, SipSettings, SwitchSettings,
};
use codecs::VideoFormat;
use sip::message::{HeaderName, Headers, Message, Method, Request, Response, SipUri, StatusCode, parse};
use support::owner::Kept;
use support::peer::{UdpPeer, request};
use support::settings;

const WAIT: Duration = Duration::from_secs(2);

/// A dialog, the call that hears its reports, and the phone.
struct Scene {
    sip: SipSide,
    call: Kept<LegReport>,
    incoming: Kept<IncomingRequest>,
    phone: UdpPeer,
    /// Of the phone's answers.
    contact: String,
    /// The RTP ports of this scene alone: tests run beside each other.
    ports: std::ops::Range<u16>,
    /// What our dialogs may have for pictures.
    video: Vec<VideoFormat>,
}

static NEXT_PORT: AtomicU16 = AtomicU16::new(24_000);

impl Scene {
    async fn new() -> Self {
        Self::with(settings()).await
    }

    async fn with(settings: SipSettings) -> Self {
        let meters = Meters::new();
        let endpoint = SipEndpoint::bind(&settings, &meters).await.unwrap().start();
        let incoming: Kept<IncomingRequest> = Kept::start();
        endpoint.send(Serve(incoming.address.clone().recipient())).await.unwrap();
        let at = endpoint.send(Listening).await.unwrap()[0];
        let first = NEXT_PORT.fetch_add(20, Ordering::Relaxed);
        let range = first..first + 20;
        let ports = PortPool::new((first, first + 19), Duration::ZERO, &meters);
        let settings = Arc::new(switch_settings(settings));
        let phone = UdpPeer::any(at).await;
        let contact = format!("<sip:phone@{}>", phone.socket.local_addr().unwrap());
        let sip = SipSide { endpoint, ports, settings, meters };
        Self { sip, call: Kept::start(), incoming, phone, contact, ports: range, video: vec![] }
    }

    fn start(&self, order: DialogOrder, far: Side) -> Addr<Dialog> {
        let call = self.call.address.downgrade().recipient();
        Dialog::new(order, Place::first(far, CallId::random(), call), self.sip.clone()).start()
    }

    /// We call the phone; its INVITE as it got it.
    async fn calls(&self) -> (Addr<Dialog>, Request) {
        self.calls_as(None).await
    }

    async fn calls_as(&self, account: Option<Account>) -> (Addr<Dialog>, Request) {
        self.calls_with(account, Additions::default(), vec![CodecId::Pcmu]).await
    }

    async fn calls_with(
        &self,
        account: Option<Account>,
        additions: Additions,
        codecs: Vec<CodecId>,
    ) -> (Addr<Dialog>, Request) {
        let at = self.phone.socket.local_addr().unwrap();
        let target: sip::message::Uri = format!("sip:phone@{at}").parse().unwrap();
        let dialog = self.start(
            DialogOrder::Outgoing(Box::new(OutgoingInvite {
                next_hop: target.as_sip().unwrap().clone(),
                target,
                route: vec![],
                from: SipUri::new("127.0.0.1".parse().unwrap()).with_user("1001").unwrap(),
                display_name: None,
                account,
                realm: None,
                contact_user: "c1".into(),
                additions,
                codecs,
                video: self.video.clone(),
                telephone_events: true,
                headers: vec![],
            })),
            Side::Callee,
        );
        dialog.do_send(LegCommand::Dial);
        let invite = self.hears(Method::Invite).await;
        (dialog, invite)
    }

    /// The next request of this method; others are skipped.
    async fn hears(&self, method: Method) -> Request {
        loop {
            match self.phone.message(WAIT).await.unwrap_or_else(|| panic!("no {method}")) {
                Message::Request(request) if request.method == method => return request,
                _ => {}
            }
        }
    }

    /// A response of the phone as this tag, with SDP if it is a 2xx to an INVITE.
    fn response(&self, request: &Request, code: StatusCode, tag: &str) -> Response {
        let response = request.response(code).with_to_tag(tag).unwrap();
        let response = response
            .with_header(HeaderName::Contact, self.contact.parse::<sip::message::NameAddr>().unwrap());
        if code.is_success() && request.method == Method::Invite {
            response.with_body("application/sdp", SDP)
        } else {
            response
        }
    }

    async fn answers(&self, request: &Request, code: StatusCode, tag: &str) {
        self.phone.send(&self.response(request, code, tag).to_bytes()).await;
    }

    /// We call, the phone answers, we acknowledge.
    async fn talks(&self) -> (Addr<Dialog>, Request) {
        self.talks_with(SDP).await
    }

    async fn talks_with(&self, sdp: &str) -> (Addr<Dialog>, Request) {
        let (dialog, invite) = self.calls().await;
        let answer =
            self.response(&invite, StatusCode::OK, "phone").with_body("application/sdp", sdp.to_owned());
        self.phone.send(&answer.to_bytes()).await;
        self.hears(Method::Ack).await;
        self.says(LegEvent::Answered).await;
        (dialog, invite)
    }

    /// Reads reports until this one.
    async fn says(&self, wanted: LegEvent) {
        while self.call.next().await.event != wanted {}
    }

    /// Reads reports until a change was refused; the far side's code.
    async fn refused(&self) -> Option<u16> {
        loop {
            if let LegEvent::Refused(why) = self.call.next().await.event {
                return why.sip_code;
            }
        }
    }

    async fn end(&self) -> EndReason {
        loop {
            if let LegEvent::Ended(why) = self.call.next().await.event {
                return why;
            }
        }
    }

    /// Sends a request of the phone inside the dialog of our INVITE, as the fork of this tag.
    async fn inside(&self, invite: &Request, method: Method, tag: &str, number: u32, sdp: &str) {
        self.inside_as(invite, method, tag, number, ("application/sdp", sdp)).await;
    }

    /// The same with another body, as the one that answered.
    async fn inside_with(&self, invite: &Request, method: Method, number: u32, kind: &str, body: &str) {
        self.inside_as(invite, method, "phone", number, (kind, body)).await;
    }

    async fn inside_as(
        &self,
        invite: &Request,
        method: Method,
        tag: &str,
        number: u32,
        (kind, body): (&str, &str),
    ) {
        let from = invite.headers.to().unwrap().with_tag(tag).unwrap();
        let to = invite.headers.from().unwrap();
        let uri = &invite.headers.contacts().unwrap()[0].uri;
        let (call_id, branch) = (invite.headers.call_id().unwrap(), sip::message::random_branch());
        let at = self.phone.socket.local_addr().unwrap();
        let kind = if body.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
             To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: {}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.contact,
            body.len()
        );
        self.phone.send(text.as_bytes()).await;
    }

    /// The phone calls us, with these header lines more; its INVITE.
    async fn called(&self, more: &str) -> (Addr<Dialog>, Request) {
        self.called_with(more, SDP).await
    }

    async fn called_with(&self, more: &str, sdp: &str) -> (Addr<Dialog>, Request) {
        let at = self.phone.socket.local_addr().unwrap();
        let body =
            format!("{more}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
        self.phone.send(&request("INVITE", "UDP", at, &body)).await;
        let IncomingRequest { key, request, hop, .. } = self.incoming.next().await;
        let order = IncomingInvite {
            key,
            request: request.clone(),
            hop,
            way: None,
            contact_user: "c1".into(),
            codecs: vec![CodecId::Pcmu],
            video: self.video.clone(),
            telephone_events: true,
        };
        (self.start(DialogOrder::Incoming(Box::new(order)), Side::Caller), request)
    }

    /// The phone's ACK for this answer to its INVITE.
    async fn acknowledges(&self, invite: &Request, accepted: &Response) {
        let mut ack = invite.clone();
        let number = invite.headers.cseq().unwrap().number;
        ack.method = Method::Ack;
        ack.body = Default::default();
        ack.headers.remove(&HeaderName::ContentType);
        ack.headers.set(HeaderName::To, accepted.headers.to().unwrap());
        ack.headers.set(HeaderName::CSeq, sip::message::CSeq::new(number, Method::Ack));
        let mut via = ack.headers.top_via().unwrap();
        via.params.set("branch", &sip::message::random_branch()).unwrap();
        ack.headers.set(HeaderName::Via, via);
        self.phone.send(&ack.to_bytes()).await;
    }

    /// The next 2xx to a request of this method.
    async fn accepted(&self, method: Method) -> Response {
        loop {
            if let Message::Response(response) = self.phone.message(WAIT).await.expect("an answer")
                && response.headers.cseq().unwrap().method == method
                && response.code.is_success()
            {
                return response;
            }
        }
    }

    /// The code of the final response to a request like that.
    async fn asks(&self, invite: &Request, method: Method, tag: &str, number: u32, sdp: &str) -> u16 {
        self.inside(invite, method.clone(), tag, number, sdp).await;
        loop {
            if let Message::Response(response) = self.phone.message(WAIT).await.expect("an answer")
                && response.headers.cseq().unwrap().method == method
                && response.code.is_final()
            {
                return response.code.as_u16();
            }
        }
    }
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

const CHALLENGE: &str = "Digest realm=\"pbx\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";

fn account() -> Account {
    Account {
        login: "1001".into(),
        auth_name: "1001".into(),
        password: Secret::new("pw"),
        domain: "127.0.0.1".into(),
        outbound_proxy: None,
        port: None,
        register: false,
    }
}

fn switch_settings(sip: SipSettings) -> SwitchSettings {
    SwitchSettings {
        sip,
        media: MediaSettings {
            lanes: 1,
            webrtc_port: 0,
            webrtc_addresses: vec![],
            rtp_ports: (24_000, 24_999),
            port_rest: Duration::ZERO,
            advertised_address: None,
            audio_codecs: vec![CodecId::Pcmu],
            page_codecs: vec![CodecId::Pcmu],
            telephone_events: true,
            allow_outside_codecs: true,
            answer_audio: AnswerTiming::AtOnce,
            video: Default::default(),
            encoding: Default::default(),
            hold_music: None,
            ring_back: None,
        },
        second_incoming_rings: true,
        no_answer: Duration::from_secs(180),
        max_duration: None,
        activity: ActivityLimits::never(),
    }
}

#[actix::test]
async fn an_answer_whose_contact_leads_nowhere_ends_the_call_with_a_reason() {
    let mut scene = Scene::new().await;
    scene.contact = "<sip:phone@127.0.0.1;transport=sctp>".into();
    let (_dialog, invite) = scene.calls().await;
    scene.answers(&invite, StatusCode::OK, "phone").await;
    let why = scene.end().await;
    assert_eq!((why.cause, why.sip_code), (Cause::Unreachable, Some(503)), "{why}");
}

#[actix::test]
async fn a_200_to_a_re_invite_that_comes_again_gets_its_ack_again() {
    let scene = Scene::new().await;
    let (dialog, _) = scene.talks().await;
    dialog.do_send(LegCommand::Hold);
    let hold = scene.hears(Method::Invite).await;
    for _ in 0..3 {
        scene.answers(&hold, StatusCode::OK, "phone").await;
        let ack = scene.hears(Method::Ack).await;
        assert_eq!(ack.headers.cseq().unwrap().number, hold.headers.cseq().unwrap().number);
    }
    scene.says(LegEvent::Held).await;
    dialog.do_send(LegCommand::Resume);
    let resume = scene.hears(Method::Invite).await;
    scene.answers(&resume, StatusCode::OK, "phone").await;
    scene.says(LegEvent::Resumed).await;
}

#[actix::test]
async fn a_fork_that_lost_cannot_end_the_call_of_the_winner() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.talks().await;
    scene.answers(&invite, StatusCode::OK, "late").await;
    scene.hears(Method::Ack).await;
    scene.hears(Method::Bye).await;
    assert_eq!(scene.asks(&invite, Method::Bye, "late", 1, "").await, 481);
    assert_eq!(scene.asks(&invite, Method::Options, "phone", 1, "").await, 200);
    assert_eq!(scene.asks(&invite, Method::Bye, "phone", 2, "").await, 200);
    assert_eq!(scene.end().await.to_string(), "hangup by callee");
}

#[actix::test]
async fn a_text_message_inside_a_call_goes_the_way_of_all_texts_and_the_call_goes_on() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.talks().await;
    scene.inside(&invite, Method::Message, "phone", 1, "").await;
    let text = scene.incoming.next().await;
    assert_eq!((text.request.method, text.request.uri.user().as_deref()), (Method::Message, Some("c1")));
    assert_eq!(scene.asks(&invite, Method::Options, "phone", 2, "").await, 200);
}

#[actix::test]
async fn a_goodbye_gives_its_ports_back_before_it_is_answered() {
    let scene = Scene::new().await;
    let (dialog, _) = scene.talks().await;
    dialog.do_send(LegCommand::HangUp(EndReason::new(None, Cause::HangUp)));
    let bye = scene.hears(Method::Bye).await;
    assert!(dialog.connected());
    let free = |scene: &Scene| scene.sip.ports.free(std::time::Instant::now());
    assert_eq!(free(&scene), 10);
    for port in scene.ports.clone().step_by(2) {
        let bound = std::net::UdpSocket::bind(("127.0.0.1", port));
        assert!(bound.is_ok(), "somebody still reads {port}: {bound:?}");
    }
    scene.answers(&bye, StatusCode::OK, "phone").await;
}

#[actix::test]
async fn a_bye_before_the_answer_ends_a_call_that_came_in() {
    let scene = Scene::new().await;
    let at = scene.phone.socket.local_addr().unwrap();
    let bytes = request(
        "INVITE",
        "UDP",
        at,
        &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len()),
    );
    scene.phone.send(&bytes).await;
    let incoming = scene.incoming.next().await;
    let dialog = scene.start(
        DialogOrder::Incoming(Box::new(IncomingInvite {
            key: incoming.key,
            request: incoming.request,
            hop: incoming.hop,
            way: None,
            contact_user: "c1".into(),
            codecs: vec![CodecId::Pcmu],
            video: vec![],
            telephone_events: true,
        })),
        Side::Caller,
    );
    dialog.do_send(LegCommand::Ring);
    let ringing = loop {
        if let Some(Message::Response(response)) = scene.phone.message(WAIT).await
            && response.code == StatusCode::RINGING
        {
            break response;
        }
    };
    let Ok(Message::Request(mut bye)) = parse(&bytes) else { panic!("an INVITE") };
    bye.headers.set(HeaderName::To, ringing.headers.to().unwrap());
    bye.headers.set(HeaderName::CSeq, sip::message::CSeq::new(2, Method::Bye));
    let mut via = bye.headers.top_via().unwrap();
    via.params.set("branch", &sip::message::random_branch()).unwrap();
    bye.headers.set(HeaderName::Via, via);
    bye.method = Method::Bye;
    scene.phone.send(&bye.to_bytes()).await;
    assert_eq!(scene.phone.code(WAIT).await, Some(200), "to the BYE");
    assert_eq!(scene.phone.code(WAIT).await, Some(487), "to the INVITE");
    assert_eq!(scene.end().await.to_string(), "cancelled by caller, 487");
}

#[actix::test]
async fn an_ack_without_the_answer_that_it_owes_leaves_the_dialog_open_for_the_next_offer() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.talks().await;
    assert_eq!(scene.asks(&invite, Method::Invite, "phone", 1, "").await, 200);
    scene.inside(&invite, Method::Ack, "phone", 1, "").await;
    assert_eq!(scene.asks(&invite, Method::Invite, "phone", 2, SDP).await, 200);
    scene.inside(&invite, Method::Ack, "phone", 2, "").await;
    assert_eq!(scene.asks(&invite, Method::Bye, "phone", 3, "").await, 200);
}

#[actix::test]
async fn digits_that_wait_survive_a_new_address_of_the_far_end() {
    let scene = Scene::new().await;
    let ears = [UdpPeer::any(scene.phone.to).await, UdpPeer::any(scene.phone.to).await];
    let sdp = |ear: &UdpPeer| {
        let port = ear.socket.local_addr().unwrap().port();
        let line = format!("m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n");
        SDP.replace("m=audio 9 RTP/AVP 0\r\n", &line)
    };
    let (dialog, invite) = scene.talks_with(&sdp(&ears[0])).await;
    let digits = Digits { digits: "1234".into(), method: DigitMethod::Rfc2833 };
    dialog.do_send(LegCommand::SendDigits(digits));
    let event = async |ear: &UdpPeer| loop {
        let packet = ear.bytes(WAIT).await.expect("a digit");
        if packet[1] & 0x7f == 101 {
            break packet[12]; // else silence
        }
    };
    let mut heard = vec![event(&ears[0]).await];
    assert_eq!(scene.asks(&invite, Method::Invite, "phone", 1, &sdp(&ears[1])).await, 200);
    while heard.len() < 4 {
        let digit = event(&ears[1]).await;
        if heard.last() != Some(&digit) {
            heard.push(digit);
        }
    }
    assert_eq!(heard, [1, 2, 3, 4]);
}
