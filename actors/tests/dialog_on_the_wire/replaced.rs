//! Somebody takes the phone's place by an INVITE with Replaces (RFC 3891).
use actors::leg::Successor;

use super::*;

impl Scene {
    /// An INVITE out of nothing that is to replace the dialog of `invite`, as `tags` name it (ours, theirs).
    async fn replaces(&self, invite: &Request, tags: [&str; 2], more: &str) {
        let at = self.phone.socket.local_addr().unwrap();
        let call_id = invite.headers.call_id().unwrap();
        let headers = format!(
            "Replaces: {call_id};to-tag={};from-tag={}{more}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            tags[0],
            tags[1],
            SDP.len()
        );
        self.phone.send(&request("INVITE", "UDP", at, &headers)).await;
    }

    /// The final response to that INVITE.
    async fn replaced(&self) -> Response {
        loop {
            if let Message::Response(response) = self.phone.message(WAIT).await.expect("an answer")
                && response.headers.cseq().unwrap().method == Method::Invite
                && response.code.is_final()
            {
                return response;
            }
        }
    }
}

fn tag(invite: &Request) -> String {
    invite.headers.from().unwrap().tag().unwrap().to_owned()
}

#[actix::test]
async fn who_names_both_tags_takes_the_place_and_the_old_dialog_is_ended_at_once() {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.talks().await;
    scene.replaces(&invite, [&tag(&invite), "phone"], "").await;
    let successor = loop {
        if let LegEvent::SuccessorOffered(successor) = scene.call.next().await.event {
            break successor;
        }
    };
    let Successor { leg, comes_in, .. } = successor;
    assert!(comes_in);
    leg.commands.do_send(LegCommand::Answer);
    let accepted = scene.replaced().await;
    assert_eq!(accepted.code, StatusCode::OK);
    assert!(!accepted.body.is_empty());
    dialog.do_send(LegCommand::HangUp(EndReason::new(None, Cause::Transferred)));
    let asked = std::time::Instant::now();
    let bye = scene.hears(Method::Bye).await;
    assert_eq!(bye.headers.call_id().unwrap(), invite.headers.call_id().unwrap());
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
}

#[actix::test]
async fn an_early_dialog_of_ours_may_be_picked_up() {
    let scene = Scene::new().await;
    let (_dialog, invite) = scene.calls().await;
    scene.answers(&invite, StatusCode::RINGING, "phone").await;
    scene.says(LegEvent::Rang).await;
    scene.replaces(&invite, [&tag(&invite), "phone"], ";early-only").await;
    while !matches!(scene.call.next().await.event, LegEvent::SuccessorOffered(_)) {}
}

#[actix::test]
async fn what_must_not_be_replaced_is_refused_as_the_rfc_says() {
    let scene = Scene::new().await;
    let (dialog, invite) = scene.talks().await;
    let ours = tag(&invite);
    for (tags, more, code) in [
        ([&*ours, "phone"], ";early-only", 486),
        ([&*ours, "other"], "", 481),
        (["other", "phone"], "", 481),
        ([&*ours, "phone"], "\r\nReplaces: x;to-tag=1;from-tag=2", 400),
    ] {
        scene.replaces(&invite, tags, more).await;
        assert_eq!(scene.replaced().await.code.as_u16(), code, "{tags:?} {more:?}");
    }
    dialog.do_send(LegCommand::HangUp(EndReason::new(None, Cause::HangUp)));
    scene.hears(Method::Bye).await;
    scene.replaces(&invite, [&ours, "phone"], "").await;
    assert_eq!(scene.replaced().await.code, StatusCode::DECLINE);
}
