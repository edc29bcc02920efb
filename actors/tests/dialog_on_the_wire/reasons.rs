//! Why a call ends, on the wire (RFC 3326).
use super::*;

/// The phone's CANCEL of its INVITE, with these header lines more.
async fn cancels(scene: &Scene, invite: &Request, more: &str) {
    let mut cancel = invite.clone();
    let number = invite.headers.cseq().unwrap().number;
    cancel.method = Method::Cancel;
    cancel.body = Default::default();
    for gone in [HeaderName::ContentType, HeaderName::Contact] {
        cancel.headers.remove(&gone);
    }
    cancel.headers.set(HeaderName::CSeq, sip::message::CSeq::new(number, Method::Cancel));
    let text = String::from_utf8(cancel.to_bytes().to_vec()).unwrap();
    scene.phone.send(text.replace("\r\n\r\n", &format!("\r\n{more}\r\n")).as_bytes()).await;
}

#[actix::test]
async fn a_call_that_another_phone_took_ends_as_answered_elsewhere() {
    for (line, want) in [
        (
            "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n",
            "cancelled by caller, 487, answered elsewhere",
        ),
        ("", "cancelled by caller, 487"),
    ] {
        let scene = Scene::new().await;
        let (dialog, invite) = scene.called("").await;
        dialog.do_send(LegCommand::Ring);
        cancels(&scene, &invite, line).await;
        assert_eq!(scene.end().await.to_string(), want);
    }
}

#[actix::test]
async fn a_bye_tells_its_reason() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.talks().await;
    let line = "Reason: Q.850;cause=31;text=\"Normal, unspecified\"\r\n";
    let mut phone = scene;
    phone.contact = format!("{}\r\n{}", phone.contact, line.trim_end());
    assert_eq!(phone.asks(&invite, Method::Bye, "phone", 1, "").await, 200);
    assert_eq!(phone.end().await.to_string(), "hangup by callee, Normal, unspecified");
}

#[actix::test]
async fn our_goodbye_says_what_failed_and_nothing_else() {
    for (cause, want) in
        [(Cause::IceFailed, Some("SIP;cause=500;text=\"ice failed\"")), (Cause::HangUp, None)]
    {
        let scene = Scene::new().await;
        let (dialog, _) = scene.talks().await;
        dialog.do_send(LegCommand::HangUp(EndReason::new(Some(Side::Caller), cause)));
        let bye = scene.hears(Method::Bye).await;
        assert_eq!(bye.headers.get(&HeaderName::Reason), want);
        scene.answers(&bye, StatusCode::OK, "phone").await;
    }
}

#[actix::test]
async fn our_cancel_says_that_nobody_answered() {
    for (cause, want) in
        [(Cause::NoAnswer, Some("SIP;cause=480;text=\"no answer\"")), (Cause::Cancelled, None)]
    {
        let scene = Scene::new().await;
        let (dialog, invite) = scene.calls().await;
        scene.answers(&invite, StatusCode::RINGING, "phone").await;
        scene.says(LegEvent::Rang).await;
        dialog.do_send(LegCommand::HangUp(EndReason::new(None, cause)));
        let cancel = scene.hears(Method::Cancel).await;
        assert_eq!(cancel.headers.get(&HeaderName::Reason), want);
    }
}
