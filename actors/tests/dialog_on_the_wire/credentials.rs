//! Who gets an account's credentials, and who asks for them in vain.
use super::*;

#[actix::test]
async fn credentials_go_to_the_pbx_and_not_to_the_phone_behind_it() {
    let mut scene = Scene::new().await;
    let phone = UdpPeer::any(scene.phone.to).await;
    scene.contact = format!("<sip:phone@{}>", phone.socket.local_addr().unwrap());
    let (_dialog, invite) = scene.calls_as(Some(account())).await;
    let mut refused = scene.response(&invite, StatusCode::UNAUTHORIZED, "pbx");
    refused.headers.push_text(HeaderName::WwwAuthenticate, CHALLENGE).unwrap();
    scene.phone.send(&refused.to_bytes()).await;
    let invite = scene.hears(Method::Invite).await;
    assert!(invite.headers.has(&HeaderName::Authorization));
    scene.answers(&invite, StatusCode::OK, "phone").await;
    let Some(Message::Request(ack)) = phone.message(WAIT).await else { panic!("no ACK") };
    assert_eq!(ack.method, Method::Ack);
    assert!(!ack.headers.has(&HeaderName::Authorization));
}

#[actix::test]
async fn a_challenge_is_answered_at_the_accounts_own_hop_only() {
    for home in [true, false] {
        let mut scene = Scene::new().await;
        let elsewhere = UdpPeer::any(scene.phone.to).await;
        if !home {
            scene.contact = format!("<sip:phone@{}>", elsewhere.socket.local_addr().unwrap());
        }
        let (dialog, invite) = scene.calls_as(Some(account())).await;
        scene.answers(&invite, StatusCode::OK, "phone").await;
        scene.says(LegEvent::Answered).await;
        let asked = if home { &scene.phone } else { &elsewhere };
        dialog.do_send(LegCommand::Transfer("sip:1003@127.0.0.1".parse().unwrap()));
        let mut numbers = vec![];
        let refer = loop {
            let Some(Message::Request(request)) = asked.message(WAIT).await else { panic!("no REFER") };
            if request.method != Method::Refer {
                continue;
            }
            numbers.push(request.headers.cseq().unwrap().number);
            if request.headers.has(&HeaderName::Authorization) || !home && numbers.len() == 2 {
                break request;
            }
            let mut refused = scene.response(&request, StatusCode::UNAUTHORIZED, "phone");
            refused.headers.push_text(HeaderName::WwwAuthenticate, CHALLENGE).unwrap();
            asked.send(&refused.to_bytes()).await;
            if !home {
                assert_eq!(scene.refusal().await.sip_code, Some(401));
                dialog.do_send(LegCommand::Transfer("sip:1003@127.0.0.1".parse().unwrap()));
            }
        };
        assert_eq!(refer.headers.has(&HeaderName::Authorization), home);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert_eq!(refer.headers.all(&HeaderName::ReferTo).count(), 1);
    }
}

/// Whoever answers a BYE with a challenge, the PBX or the phone itself, gets no second one.
#[actix::test]
async fn a_challenged_bye_gets_no_credentials_and_the_call_is_over() {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.calls_as(Some(account())).await;
    let mut refused = scene.response(&invite, StatusCode::UNAUTHORIZED, "pbx");
    refused.headers.push_text(HeaderName::WwwAuthenticate, CHALLENGE).unwrap();
    scene.phone.send(&refused.to_bytes()).await;
    let mut invite = scene.hears(Method::Invite).await;
    while !invite.headers.has(&HeaderName::Authorization) {
        invite = scene.hears(Method::Invite).await;
    }
    scene.answers(&invite, StatusCode::OK, "phone").await;
    scene.says(LegEvent::Answered).await;
    dialog.do_send(LegCommand::HangUp(EndReason::new(Some(Side::Caller), Cause::HangUp)));
    let bye = scene.hears(Method::Bye).await;
    assert!(
        !bye.headers.has(&HeaderName::Authorization) && !bye.headers.has(&HeaderName::ProxyAuthorization)
    );
    let mut refused = scene.response(&bye, StatusCode::UNAUTHORIZED, "phone");
    refused.headers.push_text(HeaderName::WwwAuthenticate, CHALLENGE).unwrap();
    scene.phone.send(&refused.to_bytes()).await;
    assert!(scene.phone.message(Duration::from_millis(700)).await.is_none(), "longer than T1");
    assert!(!dialog.connected());
}
