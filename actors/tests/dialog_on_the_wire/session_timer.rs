//! Session timers (RFC 4028), with intervals so short that nobody asks for them: a far side that grants them is believed.
use super::*;

/// A call whose phone answers with these headers.
async fn answered_with(headers: &[(HeaderName, &str)]) -> (Scene, Addr<Dialog>, Request) {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.calls().await;
    scene.answers_with(&invite, StatusCode::OK, headers).await;
    scene.hears(Method::Ack).await;
    scene.says(LegEvent::Answered).await;
    (scene, dialog, invite)
}

impl Scene {
    /// The same as `answers`, with more headers.
    async fn answers_with(&self, request: &Request, code: StatusCode, headers: &[(HeaderName, &str)]) {
        let mut response = self.response(request, code, "phone");
        for (name, value) in headers {
            response.headers.push_text(name.clone(), value).unwrap();
        }
        self.phone.send(&response.to_bytes()).await;
    }

    /// The next request that is none of these, within `limit`.
    async fn hears_within(&self, limit: Duration) -> Request {
        match self.phone.message(limit).await {
            Some(Message::Request(request)) => request,
            other => panic!("{other:?} instead of a request"),
        }
    }
}

const REFRESH_AFTER_2_S: (HeaderName, &str) = (HeaderName::SessionExpires, "4;refresher=uac");
const EXPIRES_AFTER_2_7_S: (HeaderName, &str) = (HeaderName::SessionExpires, "4;refresher=uas");
const ALLOWS_UPDATE: (HeaderName, &str) = (HeaderName::Allow, "INVITE, ACK, BYE, UPDATE");
const LIMIT: Duration = Duration::from_secs(5);

fn value(request: &Request, name: HeaderName) -> &str {
    request.headers.get(&name).unwrap_or("-")
}

#[actix::test]
async fn rq23_an_invite_offers_a_session_timer() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.calls().await;
    assert_eq!(value(&invite, HeaderName::SessionExpires), "1800");
    assert!(value(&invite, HeaderName::Supported).contains("timer"));
    assert!(value(&invite, HeaderName::Allow).contains("UPDATE"));
}

#[actix::test]
async fn rq23_a_session_is_refreshed_by_update_and_again() {
    let (scene, _dialog, _) = answered_with(&[REFRESH_AFTER_2_S, ALLOWS_UPDATE]).await;
    for _ in 0..2 {
        let update = scene.hears_within(LIMIT).await;
        assert_eq!(update.method, Method::Update);
        assert_eq!(value(&update, HeaderName::SessionExpires), "90;refresher=uac");
        assert!(update.body.is_empty(), "a refresh has nothing to say about media");
        scene.answers_with(&update, StatusCode::OK, &[REFRESH_AFTER_2_S]).await;
    }
}

#[actix::test]
async fn rq23_a_phone_without_update_is_refreshed_by_a_re_invite_that_repeats_our_sdp() {
    let (scene, dialog, invite) = answered_with(&[REFRESH_AFTER_2_S]).await;
    let refresh = scene.hears_within(LIMIT).await;
    assert_eq!(refresh.method, Method::Invite);
    assert_eq!(refresh.body, invite.body, "same SDP, same version");
    dialog.do_send(LegCommand::Hold); // must wait for the refresh
    scene.answers_with(&refresh, StatusCode::OK, &[REFRESH_AFTER_2_S]).await;
    assert_eq!(scene.hears_within(LIMIT).await.method, Method::Ack);
    let hold = scene.hears_within(LIMIT).await;
    assert!(String::from_utf8_lossy(&hold.body).contains("a=sendonly"));
    scene.answers_with(&hold, StatusCode::OK, &[]).await;
    scene.says(LegEvent::Held).await;
}

#[actix::test]
async fn rq23_a_refused_update_is_followed_by_a_re_invite() {
    let (scene, _dialog, _) = answered_with(&[REFRESH_AFTER_2_S, ALLOWS_UPDATE]).await;
    let update = scene.hears_within(LIMIT).await;
    scene.answers(&update, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "phone").await;
    assert_eq!(scene.hears_within(WAIT).await.method, Method::Invite);
}

#[actix::test]
async fn rq23_an_update_to_a_phone_that_knows_no_such_call_ends_it() {
    let (scene, _dialog, _) = answered_with(&[REFRESH_AFTER_2_S, ALLOWS_UPDATE]).await;
    let update = scene.hears_within(LIMIT).await;
    scene.answers(&update, StatusCode::CALL_DOES_NOT_EXIST, "phone").await;
    assert_eq!(scene.hears_within(WAIT).await.method, Method::Bye);
    assert_eq!(scene.end().await.sip_code, Some(481));
}

#[actix::test]
async fn rq23_a_session_that_the_phone_does_not_refresh_ends_with_a_reason() {
    let (scene, _dialog, _) = answered_with(&[EXPIRES_AFTER_2_7_S]).await;
    let bye = scene.hears_within(LIMIT).await;
    assert_eq!(bye.method, Method::Bye);
    assert!(value(&bye, HeaderName::Reason).contains("cause=408"), "{bye:?}");
    assert_eq!(
        scene.end().await.to_string(),
        "signalling_timeout by callee, 408, the session was not refreshed"
    );
}

#[actix::test]
async fn rq23_a_422_makes_the_invite_ask_for_more() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.calls().await;
    let code = StatusCode::SESSION_INTERVAL_TOO_SMALL;
    scene.answers_with(&invite, code, &[(HeaderName::MinSe, "3600")]).await;
    let again = loop {
        let request = scene.hears(Method::Invite).await;
        if request.headers.cseq().unwrap().number > invite.headers.cseq().unwrap().number {
            break request;
        }
    };
    assert_eq!(value(&again, HeaderName::SessionExpires), "3600");
    assert_eq!(value(&again, HeaderName::MinSe), "3600");
    assert_eq!(again.body, invite.body);
    scene.answers(&again, StatusCode::OK, "phone").await;
    scene.says(LegEvent::Answered).await;
}

/// A phone calls us with these header lines; we answer if we may. The final response.
async fn called_with(lines: &str) -> Response {
    let scene = Scene::new().await;
    let at = scene.phone.socket.local_addr().unwrap();
    let rest = format!("{lines}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
    scene.phone.send(&request("INVITE", "UDP", at, &rest)).await;
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
    dialog.do_send(LegCommand::Answer);
    loop {
        if let Message::Response(response) = scene.phone.message(WAIT).await.expect("a final response")
            && response.code.is_final()
        {
            return response;
        }
    }
}

#[actix::test]
async fn rq23_a_caller_gets_its_timer_or_hears_the_least_that_it_may_ask_for() {
    for (lines, code, name, expected) in [
        (
            "Supported: timer\r\nSession-Expires: 600\r\n",
            200,
            HeaderName::SessionExpires,
            "600;refresher=uac",
        ),
        ("Require: timer\r\nSession-Expires: 600\r\n", 200, HeaderName::Require, "timer"),
        ("Supported: timer\r\nSession-Expires: 60\r\n", 422, HeaderName::MinSe, "90"),
        ("", 200, HeaderName::SessionExpires, "-"),
    ] {
        let response = called_with(lines).await;
        assert_eq!(response.code.as_u16(), code, "{lines}");
        assert_eq!(response.headers.get(&name).unwrap_or("-"), expected, "{lines}");
    }
}
