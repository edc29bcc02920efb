//! Pages that hang up, leave or repeat themselves while their call is still being wired.
#![allow(clippy::unwrap_used)]
mod support;

use std::time::Duration;

use actix::Actor;
use actors::browser::PageWord;
use actors::handle::{Additions, CallId, CallStatus, FromPage, HeaderRules, Meters, PlaceCall, ToPage};
use actors::session::{CallJoined, Session, SessionEvent, SessionOrder};
use actors::vocabulary::SessionId;
use sip::message::{Message, Method, Request, StatusCode};
use support::metric;
use support::owner::Kept;
use support::peer::request;
use support::switch::House;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::sleep;

const WAIT: Duration = Duration::from_secs(2);

fn place(call_id: &CallId, callee: &str) -> FromPage {
    let sdp = include_str!("sdp/offer-audio.sdp").to_owned();
    FromPage::Call(PlaceCall {
        call_id: call_id.clone(),
        callee: callee.to_owned(),
        visible_name: None,
        sdp,
        additions: Additions::default(),
    })
}

// --- a session alone ---

struct Alone {
    session: actix::Addr<Session>,
    switchboard: Kept<SessionEvent>,
    leg: Kept<PageWord>,
    page: Receiver<ToPage>,
    meters: Meters,
}

fn alone() -> Alone {
    let (meters, switchboard, leg) = (Meters::new(), Kept::start(), Kept::start());
    let (tell, page) = channel(256);
    let order = SessionOrder {
        id: SessionId(1),
        account: None,
        page: tell,
        page_headers: HeaderRules::default(),
        owner: switchboard.address.downgrade().recipient(),
        meters: meters.clone(),
    };
    Alone { session: Session::new(order).start(), switchboard, leg, page, meters }
}

impl Alone {
    fn joins(&self, call_id: &CallId) {
        let leg = self.leg.address.clone().recipient();
        self.session.do_send(CallJoined { call_id: call_id.clone(), leg });
    }
}

#[actix::test]
async fn a_hangup_while_the_call_is_being_wired_reaches_its_leg() {
    let (mut scene, call_id) = (alone(), CallId::random());
    scene.session.do_send(place(&call_id, "1002"));
    scene.session.do_send(FromPage::HangUp(call_id.clone()));
    assert!(matches!(scene.switchboard.next().await, SessionEvent::CallWanted(..)));
    scene.joins(&call_id);
    assert_eq!(scene.leg.next().await, PageWord::HangUp);
    assert!(matches!(scene.page.recv().await, Some(ToPage::CallStatus(_, CallStatus::Trying))));
    scene.session.do_send(FromPage::HangUp(call_id));
    sleep(Duration::from_millis(50)).await;
    assert!(scene.leg.is_empty(), "once is enough");
    assert!(scene.page.try_recv().is_err(), "the finish is the leg's to say");
}

#[actix::test]
async fn a_page_that_floods_its_call_is_refused_but_can_hang_up() {
    let (scene, call_id) = (alone(), CallId::random());
    scene.session.do_send(place(&call_id, "1002"));
    scene.joins(&call_id);
    for _ in 0..1000 {
        scene.session.do_send(FromPage::Hold(call_id.clone()));
    }
    scene.session.do_send(FromPage::HangUp(call_id));
    let mut holds = 0;
    while scene.leg.next().await == PageWord::Hold {
        holds += 1;
    }
    let dropped = metric(&scene.meters, "tandem_packets_dropped_total{place=\"page_word\"}");
    assert!(holds < 1000, "{holds}");
    assert_eq!(dropped, f64::from(1000 - holds));
}

// --- sessions in the house ---

#[actix::test]
async fn a_page_that_leaves_while_its_call_is_being_wired_leaves_no_call() {
    let house = House::new().await;
    let (tell, _page) = channel(256);
    let session = house.switch.open_session(Some(house.account()), tell).await.unwrap();
    session.tell(place(&CallId::random(), "1002"));
    drop(session);
    // A phone that rings until it is cancelled, if it is asked at all.
    let mut invite = None;
    let ringing = tokio::time::timeout(Duration::from_millis(300), async {
        while let Some(message) = house.phone.message(WAIT).await {
            let Message::Request(request) = message else { continue };
            let mut say = vec![];
            if request.method == Method::Invite {
                say.push(request.response(StatusCode::RINGING).with_to_tag("t").unwrap());
                invite = Some(request);
            } else if request.method == Method::Cancel {
                say.push(request.response(StatusCode::OK).with_to_tag("t").unwrap());
                let invite =
                    invite.iter().map(|invite: &Request| invite.response(StatusCode::REQUEST_TERMINATED));
                say.extend(invite.map(|response| response.with_to_tag("t").unwrap()));
            }
            for response in say {
                house.phone.send(&response.to_bytes()).await;
            }
        }
    });
    let _ = ringing.await;
    house.shows("tandem_calls_active{direction=\"outgoing\"} 0").await;
    house.shows("tandem_calls_total{direction=\"outgoing\",result=\"session_closed\"} 1").await;
    house.shows("tandem_actors_alive{actor=\"dialog\"} 0").await;
}

#[actix::test]
async fn a_call_id_that_another_page_uses_ends_the_second_call_and_not_the_first() {
    let house = House::new().await;
    let call_id = CallId::random();
    let mut pages = vec![];
    for _ in 0..2 {
        let (tell, mut page) = channel(256);
        let session = house.switch.open_session(Some(house.account()), tell).await.unwrap();
        session.tell(place(&call_id, "1002"));
        assert!(matches!(page.recv().await, Some(ToPage::CallStatus(_, CallStatus::Trying))));
        pages.push((session, page));
    }
    let told = pages[1].1.recv().await;
    let Some(ToPage::CallStatus(view, CallStatus::Failed(why))) = told else { panic!("{told:?}") };
    assert_eq!(view.call_id, call_id);
    assert_eq!(why.detail.as_deref(), Some("callId: in use"));
    house.shows("tandem_calls_active{direction=\"outgoing\"} 1").await;
}

#[actix::test]
async fn a_page_is_rung_by_so_many_calls_and_the_next_hears_busy() {
    let house = House::new().await;
    let (tell, _page) = channel(256);
    let _session = house.switch.open_session(Some(house.account()), tell).await.unwrap();
    for _ in 0..=actors::session::MAX_CALLS {
        let text = String::from_utf8(request("INVITE", "UDP", house.phone.socket.local_addr().unwrap(), ""))
            .unwrap();
        house.phone.send(text.replacen("sip:test@", "sip:1001@", 1).as_bytes()).await;
    }
    assert_eq!(house.phone.code(WAIT).await, Some(486));
    let ringing = format!("tandem_calls_active{{direction=\"incoming\"}} {}", actors::session::MAX_CALLS);
    house.shows(&ringing).await;
}
