//! Several pages of one account: a call rings on all of them, and one takes it.
#![allow(clippy::unwrap_used)]
mod support;

use std::time::Duration;

use actors::handle::{
    Account, Additions, CallId, CallStatus, Cause, EndReason, FromPage, Secret, SessionHandle, ToPage,
};
use sip::message::{Message, Method, Request, Response};
use support::peer::request;
use support::switch::House;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(2);

/// A page with its session.
struct Page {
    session: SessionHandle,
    told: Receiver<ToPage>,
}

impl Page {
    async fn of(house: &House, account: Account) -> Self {
        let (tell, told) = channel(256);
        Self { session: house.switch.open_session(Some(account), tell).await.unwrap(), told }
    }

    async fn status(&mut self) -> CallStatus {
        loop {
            let word = timeout(WAIT, self.told.recv()).await.expect("the page is told something");
            if let ToPage::CallStatus(_, status) = word.expect("the session lives") {
                return status;
            }
        }
    }

    /// Waits until it rings; gives the call.
    async fn rings(&mut self) -> CallId {
        loop {
            let word = timeout(WAIT, self.told.recv()).await.expect("the page is told something");
            if let Some(ToPage::CallStatus(view, CallStatus::Ring)) = word {
                return view.call_id;
            }
        }
    }

    async fn finished(&mut self) -> EndReason {
        loop {
            match self.status().await {
                CallStatus::Finish(why) => return why,
                CallStatus::Failed(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    fn answers(&self, call_id: &CallId) {
        let sdp = include_str!("sdp/incoming-answer-audio.sdp").to_owned();
        let answer = FromPage::Answer { call_id: call_id.clone(), sdp, additions: Additions::default() };
        assert!(self.session.tell(answer));
    }

    fn hangs_up(&self, call_id: &CallId) {
        assert!(self.session.tell(FromPage::HangUp(call_id.clone())));
    }

    fn heard_nothing(&mut self) -> bool {
        self.told.try_recv().is_err()
    }
}

/// Two pages of the house's account.
async fn two_pages(house: &House) -> [Page; 2] {
    [Page::of(house, house.account()).await, Page::of(house, house.account()).await]
}

/// The phone calls the account.
async fn call(house: &House) -> Request {
    let from = house.phone.socket.local_addr().unwrap();
    let offer = "Content-Type: application/sdp\r\nContent-Length: 95\r\n\r\nv=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n\
                 c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    let length = offer.split_once("\r\n\r\n").unwrap().1.len();
    let offer = offer.replace("Length: 95", &format!("Length: {length}"));
    let text = String::from_utf8(request("INVITE", "UDP", from, &offer)).unwrap();
    let text = text.replacen("sip:test@", "sip:1001@", 1);
    house.phone.send(text.as_bytes()).await;
    let Message::Request(invite) = sip::message::parse(text.as_bytes()).unwrap() else { panic!("a request") };
    invite
}

/// The phone's final response to its INVITE.
async fn final_response(house: &House, invite: &Request) -> Response {
    loop {
        let message = house.phone.message(WAIT).await.expect("a response");
        let Message::Response(response) = message else { continue };
        let cseq = response.headers.cseq().unwrap();
        let is_ours = response.headers.call_id().unwrap() == invite.headers.call_id().unwrap();
        if is_ours && cseq.method == Method::Invite && response.code.is_final() {
            return response;
        }
    }
}

#[actix::test]
async fn rq25_every_page_of_an_account_rings_and_the_first_that_answers_has_the_call() {
    let house = House::new().await;
    let [mut one, mut other] = two_pages(&house).await;
    let invite = call(&house).await;
    let call_id = one.rings().await;
    assert_eq!(call_id, other.rings().await);
    other.answers(&call_id);
    one.answers(&call_id); // in the same moment
    assert_eq!(final_response(&house, &invite).await.code.as_u16(), 200);
    let (mut told, mut pages) = (one.status().await, [one, other]);
    if told == CallStatus::Established {
        pages.reverse();
        told = pages[0].status().await;
    }
    let [mut one, mut other] = pages;
    let CallStatus::Finish(lost) = told else { panic!("{told:?}") };
    assert_eq!((lost.cause, lost.is_failure()), (Cause::AnsweredElsewhere, false));
    // The page that lost has no call any more: what it says about it moves nothing, and the next call rings there.
    one.hangs_up(&call_id);
    assert_eq!(one.finished().await.detail.as_deref(), Some("no such call"));
    house.shows("tandem_calls_active{direction=\"incoming\"} 1").await;
    house.shows("tandem_actors_alive{actor=\"browser\"} 1").await;
    other.hangs_up(&call_id);
    assert_eq!(other.finished().await.cause, Cause::HangUp);
}

#[actix::test]
async fn rq25_one_page_refuses_and_the_others_ring_on_until_the_last_has_refused() {
    let house = House::new().await;
    let [mut one, mut other] = two_pages(&house).await;
    let invite = call(&house).await;
    let call_id = one.rings().await;
    other.rings().await;
    one.hangs_up(&call_id);
    assert_eq!(one.finished().await.cause, Cause::Declined);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(other.heard_nothing(), "it rings on");
    other.hangs_up(&call_id);
    assert_eq!(other.finished().await.cause, Cause::Declined);
    assert_eq!(final_response(&house, &invite).await.code.as_u16(), 486);
    house.shows("tandem_calls_active{direction=\"incoming\"} 0").await;
    house.shows("tandem_actors_alive{actor=\"browser\"} 0").await;
}

#[actix::test]
async fn rq25_a_page_that_is_closed_while_it_rings_leaves_the_call_to_the_others() {
    let house = House::new().await;
    let [mut one, mut other] = two_pages(&house).await;
    let invite = call(&house).await;
    let call_id = one.rings().await;
    other.rings().await;
    drop(one);
    house.shows("tandem_actors_alive{actor=\"browser\"} 1").await;
    other.answers(&call_id);
    assert_eq!(final_response(&house, &invite).await.code.as_u16(), 200);
    assert_eq!(other.status().await, CallStatus::Established);
}

#[actix::test]
async fn rq25_a_caller_that_gives_up_silences_every_page() {
    let house = House::new().await;
    let [mut one, mut other] = two_pages(&house).await;
    let invite = call(&house).await;
    one.rings().await;
    other.rings().await;
    let cancel = String::from_utf8(invite.to_bytes().to_vec()).unwrap().replace("INVITE", "CANCEL");
    let (head, _) = cancel.split_once("\r\n\r\n").unwrap();
    let lines = head.lines().filter(|line| !line.starts_with("Content-"));
    let cancel: String = lines.map(|line| format!("{line}\r\n")).collect();
    house.phone.send(format!("{cancel}\r\n").as_bytes()).await;
    for page in [&mut one, &mut other] {
        assert_eq!(page.finished().await.cause, Cause::Cancelled);
    }
    assert_eq!(final_response(&house, &invite).await.code.as_u16(), 487);
}

#[actix::test]
async fn rq25_a_page_with_another_password_is_another_account() {
    let house = House::new().await;
    let mut one = Page::of(&house, house.account()).await;
    let stranger = Account { password: Secret::new("guessed"), ..house.account() };
    let mut other = Page::of(&house, stranger).await;
    let invite = call(&house).await;
    assert_eq!(
        final_response(&house, &invite).await.code.as_u16(),
        404,
        "two accounts have the login, and neither has proved itself"
    );
    assert!(one.heard_nothing() && other.heard_nothing());
}

#[actix::test]
async fn rq33_a_second_call_rings_beside_the_first_or_hears_busy_as_the_setting_says() {
    for second_rings in [true, false] {
        let house = House::with(second_rings).await;
        let [mut one, mut other] = two_pages(&house).await;
        let invite = call(&house).await;
        let first = one.rings().await;
        other.rings().await;
        one.answers(&first);
        assert_eq!(final_response(&house, &invite).await.code.as_u16(), 200);
        assert_eq!(other.finished().await.cause, Cause::AnsweredElsewhere);
        assert_eq!(one.status().await, CallStatus::Established);
        let invite = call(&house).await;
        if second_rings {
            let second = one.rings().await;
            assert_eq!(second, other.rings().await);
            other.answers(&second);
            assert_eq!(final_response(&house, &invite).await.code.as_u16(), 200);
            assert_eq!(one.finished().await.cause, Cause::AnsweredElsewhere);
        } else {
            assert_eq!(final_response(&house, &invite).await.code.as_u16(), 486);
            assert!(other.heard_nothing());
        }
        one.hangs_up(&first);
        assert_eq!(one.finished().await.cause, Cause::HangUp, "the first call was not touched");
    }
}
