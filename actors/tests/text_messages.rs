//! Text messages (RFC 3428) between a page and a PBX, and words of its mailbox (RFC 3842), datagram by datagram.
#![allow(clippy::unwrap_used)]
mod support;

use std::time::Duration;

use actors::handle::{FromPage, MailWaiting, SendText, Text, TextStatus, ToPage};
use sip::message::{HeaderName, Message, Method, Request, StatusCode};
use support::peer::{code_of, request};
use support::switch::Scene;
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(2);

impl Scene {
    fn sends(&self, id: &str, to: &str, body: &str) {
        let (id, to, body) = (id.to_owned(), to.to_owned(), body.to_owned());
        let visible_name = Some("Zoë".to_owned());
        assert!(self.session.tell(FromPage::SendText(SendText { id, to, visible_name, body })));
    }

    async fn hears(&self) -> Request {
        match self.house.phone.message(WAIT).await {
            Some(Message::Request(request)) if request.method == Method::Message => request,
            other => panic!("no MESSAGE: {other:?}"),
        }
    }

    async fn told(&mut self) -> (Text, TextStatus) {
        match timeout(WAIT, self.page.recv()).await.expect("the page is told something") {
            Some(ToPage::Text(text, status)) => (text, status),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The code that a MESSAGE from outside hears, and its whole answer.
    async fn receives(&self, user: &str, lines: &str, body: &str) -> (u16, String) {
        self.receives_as("MESSAGE", user, lines, body).await
    }

    async fn receives_as(&self, method: &str, user: &str, lines: &str, body: &str) -> (u16, String) {
        let at = self.house.phone.socket.local_addr().unwrap();
        let more = format!("{lines}Content-Length: {}\r\n\r\n{body}", body.len());
        let text = String::from_utf8(request(method, "UDP", at, &more)).unwrap();
        self.house.phone.send(text.replacen("sip:test@", &format!("sip:{user}@"), 1).as_bytes()).await;
        let answer = self.house.phone.bytes(WAIT).await.expect("an answer");
        (code_of(&answer), String::from_utf8(answer).unwrap())
    }
}

fn failed(info: &str, sip_status: Option<u16>) -> TextStatus {
    TextStatus::Failed { info: info.to_owned(), sip_status }
}

#[actix::test]
async fn a_text_of_a_page_goes_out_with_credentials_and_is_accepted() {
    let mut scene = Scene::new().await;
    scene.sends("m1", "1002", "grüße\r\nX-Evil: 1");
    let first = scene.hears().await;
    assert_eq!(first.uri.to_string(), "sip:1002@127.0.0.1");
    assert_eq!(first.headers.from().unwrap().display_name(), Some("Zoë"));
    assert!(!first.headers.has(&HeaderName::Contact), "RFC 3428 §4");
    assert_eq!(first.headers.content_type().unwrap().as_deref(), Some("text/plain"));
    assert_eq!(first.body, "grüße\r\nX-Evil: 1".as_bytes());
    let mut refused = first.response(StatusCode::UNAUTHORIZED).with_to_tag("pbx").unwrap();
    let challenge = "Digest realm=\"pbx\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"";
    refused.headers.push_text(HeaderName::WwwAuthenticate, challenge).unwrap();
    scene.house.phone.send(&refused.to_bytes()).await;
    let again = scene.hears().await;
    assert!(again.headers.has(&HeaderName::Authorization));
    assert_eq!(again.headers.call_id().unwrap(), first.headers.call_id().unwrap());
    assert_eq!(again.headers.cseq().unwrap().number, 2);
    scene
        .house
        .phone
        .send(&again.response(StatusCode::ACCEPTED).with_to_tag("pbx").unwrap().to_bytes())
        .await;
    let (text, status) = scene.told().await;
    assert_eq!((text.id.as_str(), text.from.as_str(), text.to.as_str()), ("m1", "1001", "1002"));
    assert_eq!(status, TextStatus::Sent);
    assert_eq!(scene.told().await.1, TextStatus::Accepted);
    scene.house.shows("tandem_actors_alive{actor=\"courier\"} 0").await;
}

#[actix::test]
async fn a_text_that_is_not_delivered_says_why() {
    let mut scene = Scene::new().await;
    scene.sends("m1", "1002", "hello");
    let message = scene.hears().await;
    scene
        .house
        .phone
        .send(&message.response(StatusCode::NOT_FOUND).with_to_tag("pbx").unwrap().to_bytes())
        .await;
    assert_eq!(scene.told().await.1, TextStatus::Sent);
    assert_eq!(scene.told().await.1, failed("Not Found", Some(404)));
    scene.sends("m2", "10\r\n02", "hello");
    assert!(matches!(scene.told().await.1, TextStatus::Failed { info, .. } if info.starts_with("to: ")));
    assert!(scene.house.phone.bytes(Duration::from_millis(200)).await.is_none(), "nothing was sent");
    scene.house.shows("tandem_actors_alive{actor=\"courier\"} 0").await;
}

#[actix::test]
async fn a_text_too_long_for_a_datagram_is_not_sent() {
    let mut scene = Scene::new().await;
    scene.sends("m1", "1002", &"x".repeat(1200));
    assert!(
        matches!(scene.told().await.1, TextStatus::Failed { info, .. } if info.starts_with("body: too long"))
    );
    assert!(scene.house.phone.bytes(Duration::from_millis(200)).await.is_none(), "nothing was sent");
}

#[actix::test]
async fn a_page_has_so_many_texts_on_their_way_at_once() {
    let mut scene = Scene::new().await;
    for number in 0..17 {
        scene.sends(&format!("m{number}"), "1002", "hello");
    }
    scene.sends("m0", "1002", "the same name");
    let mut statuses = vec![];
    for _ in 0..18 {
        statuses.push(scene.told().await);
    }
    let failed: Vec<_> = statuses.iter().filter(|(_, status)| *status != TextStatus::Sent).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
}

#[actix::test]
async fn a_text_for_a_page_is_shown_and_accepted() {
    let mut scene = Scene::new().await;
    let (code, _) = scene.receives("1001", "Content-Type: text/plain; charset=UTF-8\r\n", "grüße").await;
    assert_eq!(code, 200);
    let (text, status) = scene.told().await;
    assert_eq!((text.from.as_str(), text.to.as_str(), text.body.as_str()), ("peer", "1001", "grüße"));
    assert_eq!(status, TextStatus::Received);
}

#[actix::test]
async fn a_text_that_no_page_can_read_is_refused() {
    let scene = Scene::new().await;
    assert_eq!(scene.receives("1009", "Content-Type: text/plain\r\n", "hello").await.0, 404);
    for kind in ["text/html", "message/cpim", "application/im-iscomposing+xml"] {
        let (code, text) = scene.receives("1001", &format!("Content-Type: {kind}\r\n"), "hello").await;
        assert!(code == 415 && text.contains("Accept: text/plain"), "{text}");
    }
    assert_eq!(scene.receives("1001", "Content-Type: text/plain\r\n", &"x".repeat(5000)).await.0, 413);
    assert_eq!(scene.receives("1001", "", "hello").await.0, 400);
}

#[actix::test]
async fn a_flood_of_texts_is_turned_away_and_the_page_stays() {
    let mut scene = Scene::new().await;
    let mut codes = vec![];
    for _ in 0..40 {
        codes.push(scene.receives("1001", "Content-Type: text/plain\r\n", "hello").await);
    }
    let refused: Vec<_> = codes.iter().filter(|(code, _)| *code == 480).collect();
    assert!((10..=20).contains(&refused.len()), "{}", refused.len());
    assert!(refused[0].1.contains("Retry-After: 10"), "{}", refused[0].1);
    assert_eq!(scene.told().await.1, TextStatus::Received);
    scene.sends("m1", "1002", "still here");
    scene.hears().await;
}

#[actix::test]
async fn a_page_is_told_of_its_mailbox() {
    let mut scene = Scene::new().await;
    let lines = "Event: message-summary\r\nSubscription-State: active\r\nContent-Type: application/simple-message-summary\r\n";
    let body = "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/0)\r\n";
    assert_eq!(scene.receives_as("NOTIFY", "1001", lines, body).await.0, 200);
    let told = timeout(WAIT, scene.page.recv()).await.expect("the page is told");
    let wanted = MailWaiting { waiting: true, account: None, new: 2, old: 8 };
    assert_eq!(told, Some(ToPage::MailWaiting(wanted)));
    assert_eq!(scene.receives_as("NOTIFY", "1001", lines, "hello").await.0, 400);
    assert_eq!(scene.receives_as("NOTIFY", "1009", lines, body).await.0, 404);
    assert_eq!(scene.receives_as("NOTIFY", "1001", "Event: presence\r\n", "").await.0, 481);
}
