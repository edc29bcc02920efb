//! A re-INVITE of ours that is refused: the call is as before and hears so, unless the far side is gone.
use super::*;

#[actix::test]
async fn rq13_a_refusal_leaves_the_call_as_it_was() {
    for code in [403, 408, 415, 488, 500, 503, 603] {
        let scene = Scene::new().await;
        let (dialog, first) = scene.talks().await;
        dialog.do_send(LegCommand::Hold);
        let hold = scene.hears(Method::Invite).await;
        scene.answers(&hold, StatusCode::try_from(code).unwrap(), "phone").await;
        assert_eq!(scene.refused().await, Some(code));
        // What the far side asks next is answered from the state before the hold.
        dialog.do_send(LegCommand::Hold);
        let again = scene.hears(Method::Invite).await;
        assert_ne!(again.body, first.body);
        scene.answers(&again, StatusCode::OK, "phone").await;
        scene.says(LegEvent::Held).await;
        dialog.do_send(LegCommand::Resume);
        let resume = scene.hears(Method::Invite).await;
        assert!(!String::from_utf8_lossy(&resume.body).contains("a=sendonly"), "{code}");
    }
}

#[actix::test]
async fn rq13_a_481_ends_the_call() {
    let scene = Scene::new().await;
    let (dialog, _) = scene.talks().await;
    dialog.do_send(LegCommand::Hold);
    let hold = scene.hears(Method::Invite).await;
    scene.answers(&hold, StatusCode::CALL_DOES_NOT_EXIST, "phone").await;
    scene.hears(Method::Bye).await;
    assert_eq!(scene.end().await.sip_code, Some(481));
}

#[actix::test]
async fn rq13_a_collision_is_tried_again_after_a_while_but_not_for_ever() {
    let scene = Scene::new().await;
    let (dialog, _) = scene.talks().await;
    dialog.do_send(LegCommand::Hold);
    let mut numbers = vec![];
    for _ in 0..4 {
        let hold = loop {
            match scene.phone.message(Duration::from_secs(6)).await {
                Some(Message::Request(request)) if request.method == Method::Invite => break request,
                Some(_) => {}
                None => panic!("no re-INVITE after {numbers:?}"),
            }
        };
        numbers.push(hold.headers.cseq().unwrap().number);
        scene.answers(&hold, StatusCode::REQUEST_PENDING, "phone").await;
    }
    assert_eq!(scene.refused().await, Some(491));
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[actix::test]
async fn a_change_that_hears_100_and_no_more_is_taken_back_and_refused() {
    let scene = Scene::new().await;
    let (dialog, _) = scene.talks().await;
    dialog.do_send(LegCommand::Hold);
    let hold = scene.hears(Method::Invite).await;
    scene.answers(&hold, StatusCode::TRYING, "phone").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(32)).await;
    tokio::time::resume();
    let cancel = scene.hears(Method::Cancel).await;
    scene.answers(&cancel, StatusCode::OK, "phone").await;
    scene.answers(&hold, StatusCode::REQUEST_TERMINATED, "phone").await;
    assert_eq!(scene.refused().await, Some(487));
    assert!(dialog.connected(), "the call lives");
}

#[actix::test]
async fn a_change_that_is_out_when_the_call_ends_is_taken_back() {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.talks().await;
    dialog.do_send(LegCommand::Hold);
    let hold = scene.hears(Method::Invite).await;
    scene.answers(&hold, StatusCode::TRYING, "phone").await;
    scene.inside(&invite, Method::Bye, "phone", 1, "").await;
    let cancel = scene.hears(Method::Cancel).await;
    scene.answers(&cancel, StatusCode::OK, "phone").await;
    scene.answers(&hold, StatusCode::REQUEST_TERMINATED, "phone").await;
    for _ in 0..100 {
        if scene.sip.endpoint.send(actors::sip::UsageNow).await.unwrap().dialogs == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the dialog is left");
}

#[actix::test]
async fn an_offer_to_a_call_that_was_hung_up_before_its_ack_does_not_put_the_goodbye_off() {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.called("").await;
    dialog.do_send(LegCommand::Answer);
    let accepted = loop {
        match scene.phone.message(WAIT).await.expect("a 200") {
            Message::Response(response) if response.code.is_success() => break response,
            _ => {}
        }
    };
    dialog.do_send(LegCommand::HangUp(EndReason::new(None, Cause::HangUp)));
    let mut again = invite.clone();
    again.headers.set(HeaderName::To, accepted.headers.to().unwrap());
    again.headers.set(HeaderName::CSeq, sip::message::CSeq::new(2, Method::Invite));
    let mut via = again.headers.top_via().unwrap();
    via.params.set("branch", &sip::message::random_branch()).unwrap();
    again.headers.set(HeaderName::Via, via);
    scene.phone.send(&again.to_bytes()).await;
    let refused = loop {
        match scene.phone.message(WAIT).await.expect("an answer") {
            Message::Response(response)
                if response.headers.cseq().unwrap().number == 2 && response.code.is_final() =>
            {
                break response;
            }
            _ => {}
        }
    };
    assert_eq!(refused.code, StatusCode::CALL_DOES_NOT_EXIST);
    scene.acknowledges(&invite, &accepted).await;
    scene.hears(Method::Bye).await;
}
