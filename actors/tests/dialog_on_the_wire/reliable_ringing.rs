//! Reliable provisional responses (RFC 3262) of the phone.
use super::*;

impl Scene {
    /// A reliable 1xx, with SDP or without.
    async fn progress(&self, invite: &Request, code: u16, tag: &str, rseq: u32, sdp: bool) {
        let mut response = self.response(invite, StatusCode::try_from(code).unwrap(), tag);
        response.headers.push_text(HeaderName::Require, "100rel").unwrap();
        response.headers.push(HeaderName::RSeq, rseq);
        let response = if sdp { response.with_body("application/sdp", SDP) } else { response };
        self.phone.send(&response.to_bytes()).await;
    }

    async fn acknowledged(&self, rack: &str) -> Request {
        let prack = self.hears(Method::Prack).await;
        assert_eq!(prack.headers.get(&HeaderName::RAck), Some(rack));
        assert!(prack.body.is_empty());
        self.answers(&prack, StatusCode::OK, "phone").await;
        prack
    }
}

#[actix::test]
async fn rq21_reliable_responses_are_acknowledged_once_each_and_the_call_goes_on() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.calls().await;
    assert!(invite.headers.supported().unwrap().contains(&"100rel".to_owned()));
    let number = invite.headers.cseq().unwrap().number;

    scene.progress(&invite, 183, "phone", 5, true).await;
    let first = scene.acknowledged(&format!("5 {number} INVITE")).await;
    scene.says(LegEvent::SentEarlyMedia).await;
    scene.progress(&invite, 183, "phone", 5, true).await; // repeated: passed over
    scene.progress(&invite, 180, "phone", 6, false).await;
    let second = scene.acknowledged(&format!("6 {number} INVITE")).await;
    assert!(second.headers.cseq().unwrap().number > first.headers.cseq().unwrap().number);
    scene.says(LegEvent::Rang).await;

    scene.answers(&invite, StatusCode::OK, "phone").await;
    let ack = scene.hears(Method::Ack).await;
    assert_eq!(ack.headers.cseq().unwrap().number, number);
    scene.says(LegEvent::Answered).await;
}

#[actix::test]
async fn rq21_each_fork_is_acknowledged_in_its_own_dialog() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.calls().await;
    for (tag, rseq) in [("desk", 1), ("mobile", 100)] {
        scene.progress(&invite, 180, tag, rseq, false).await;
        let prack = scene.hears(Method::Prack).await;
        assert_eq!(prack.headers.to().unwrap().tag(), Some(tag));
    }
}

#[actix::test]
async fn rq21_a_phone_that_rings_may_update_its_early_dialog_but_not_say_goodbye() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.calls().await;
    scene.progress(&invite, 183, "phone", 1, true).await;
    scene.hears(Method::Prack).await;
    assert_eq!(scene.asks(&invite, Method::Update, "phone", 1, "").await, 200);
    assert_eq!(scene.asks(&invite, Method::Update, "stranger", 1, "").await, 481);
    assert_eq!(scene.asks(&invite, Method::Bye, "phone", 2, "").await, 481);
    scene.answers(&invite, StatusCode::OK, "phone").await;
    scene.says(LegEvent::Answered).await;
    assert_eq!(scene.asks(&invite, Method::Bye, "phone", 3, "").await, 200);
}

#[actix::test]
async fn rq21_a_caller_that_insists_hears_reliable_ringing_until_its_prack() {
    let scene = Scene::new().await;
    let at = scene.phone.socket.local_addr().unwrap();
    let lines = format!(
        "Require: 100rel\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    let bytes = request("INVITE", "UDP", at, &lines);
    scene.phone.send(&bytes).await;
    let IncomingRequest { key, request, hop, .. } = scene.incoming.next().await;
    let order = IncomingInvite {
        key,
        request,
        hop,
        way: None,
        contact_user: "c1".into(),
        codecs: vec![CodecId::Pcmu],
        video: vec![],
        telephone_events: true,
    };
    let dialog = scene.start(DialogOrder::Incoming(Box::new(order)), Side::Caller);
    dialog.do_send(LegCommand::Ring);
    let mut rung = vec![];
    while rung.len() < 2 {
        match scene.phone.message(WAIT).await.expect("ringing, and again") {
            Message::Response(response) if response.code == StatusCode::RINGING => rung.push(response),
            _ => {}
        }
    }
    assert_eq!(rung[0], rung[1]);
    let rseq = rung[0].headers.get(&HeaderName::RSeq).unwrap();

    let Ok(Message::Request(invite)) = parse(&bytes) else { panic!("an INVITE") };
    let mut prack = invite.clone();
    let number = invite.headers.cseq().unwrap().number;
    prack.method = Method::Prack;
    prack.headers.remove(&HeaderName::Require);
    prack.headers.set(HeaderName::To, rung[0].headers.to().unwrap());
    for (rack, code) in [(format!("1{rseq} {number} INVITE"), 481), (format!("{rseq} {number} INVITE"), 200)]
    {
        let next = prack.headers.cseq().unwrap().number + 1;
        prack.headers.set(HeaderName::CSeq, sip::message::CSeq::new(next, Method::Prack));
        prack.headers.set_text(HeaderName::RAck, &rack).unwrap();
        let mut via = prack.headers.top_via().unwrap();
        via.params.set("branch", &sip::message::random_branch()).unwrap();
        prack.headers.set(HeaderName::Via, via);
        scene.phone.send(&prack.to_bytes()).await;
        let heard = loop {
            match scene.phone.message(WAIT).await.expect("an answer to the PRACK") {
                Message::Response(response) if response.code != StatusCode::RINGING => break response,
                _ => {}
            }
        };
        assert_eq!(heard.code.as_u16(), code, "{rack}");
    }
    assert!(scene.phone.message(WAIT).await.is_none(), "nothing is repeated any more");
    dialog.do_send(LegCommand::Answer);
    assert_eq!(scene.phone.code(WAIT).await, Some(200));
}
