//! One call: who does what, and the judge.
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context};
use actors::dialog::SipSide;
use actors::leg::{DigitMethod, Digits};
use actors::page::{CallStatus, FromPage, PlaceCall, ToPage};
use actors::session::{Session, SessionOrder};
use actors::vocabulary::{
    Account, ActivityLimits, Additions, CallId, Cause, CodecId, HeaderRules, Secret, SessionId,
};
use sip::transport::Transport;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{sleep, timeout_at};

use super::board::{Board, ShutDown, Wired};
use super::house::{Enter, Exchange};
use super::network::{Dice, Network, Weather};
use super::page::Path;
use super::phone::Phone;
use super::story::Story;
use super::{LIFE, now, pick};

/// The pulse of stopped time, and a timer's grain.
const SLACK: Duration = Duration::from_millis(500);
/// What a hold may take to be shown or refused: behind a refresh or three collisions, then 64·T1, then those of its CANCEL.
const HOLD: Duration = Duration::from_secs(100);
/// The longest that a page may be kept in PENDING.
const PENDING: Duration = Duration::from_secs(180);

/// What the page does, by its own clock.
#[derive(Debug, Clone)]
enum Deed {
    Answer,
    HangUp,
    Hold,
    Unhold,
    Dial,
    Transfer,
    Leave,
    ShutDown,
}

struct Run {
    seed: u64,
    story: Rc<Story>,
    session: Option<Addr<Session>>,
    board: Addr<Board>,
    page: Receiver<ToPage>,
    wired: Rc<RefCell<Wired>>,
    no_answer: Duration,
    max_duration: Duration,
    call_id: Option<CallId>,
    answered: Option<Instant>,
    /// When the page asked for hold or resume and was not shown anything since.
    asked: Option<Instant>,
}

/// Plays one call and judges it; how it ended.
pub async fn run(seed: u64, house: SocketAddr, sip: SipSide, exchange: Addr<Exchange>) -> String {
    let mut dice = Dice::new(seed);
    let story = Rc::new(Story::new());
    let weather = Weather {
        transport: Transport::Udp,
        loss: pick(&mut dice, &[0, 0, 5, 20, 50]),
        duplication: pick(&mut dice, &[0, 5, 30]),
        delay: pick(&mut dice, &[20, 20, 200, 800]),
        breaks_after: None,
    };
    let network = Network::new(weather, now());
    let mut phone = Phone::new(house, network, Dice::new(dice.below(u64::MAX)), story.clone()).await;
    let mut run = Run::set_up(seed, &phone, sip, &mut dice, &story);
    let outgoing = dice.percent(60);
    let mut deeds = deeds(&mut dice, outgoing);
    if outgoing {
        let call_id = CallId::random();
        run.place(&call_id);
        run.call_id = Some(call_id);
    } else {
        exchange.do_send(Enter(format!("page{seed}"), run.board.clone()));
        phone.call(&format!("page{seed}"));
    }
    let phone = actix_rt::spawn(phone.live());
    let end = run.until_its_end(&mut deeds).await;
    run.nothing_is_left().await;
    if end != "gone" && end != "never rang" {
        run.can_call_again().await;
    }
    phone.abort();
    end
}

/// What the page will do, last first.
fn deeds(dice: &mut Dice, outgoing: bool) -> Vec<(Duration, Deed)> {
    let mut deeds = vec![];
    if !outgoing && dice.percent(75) {
        let span = pick(dice, &[50, 3_000, 20_000]);
        deeds.push((dice.ms(span), Deed::Answer));
    }
    for (chance, deed) in [(35, Deed::HangUp), (7, Deed::Leave), (3, Deed::ShutDown)] {
        if dice.percent(chance) {
            let span = pick(dice, &[30, 1_000, 8_000, 60_000]);
            deeds.push((dice.ms(span), deed));
        }
    }
    if dice.percent(25) {
        let (mut at, gap) = (dice.ms(10_000), pick(dice, &[1, 100, 2_000]));
        for turn in 0..dice.below(10) {
            deeds.push((at, if turn % 2 == 0 || dice.percent(20) { Deed::Hold } else { Deed::Unhold }));
            at += dice.ms(gap);
        }
    }
    if dice.percent(20) {
        deeds.push((dice.ms(15_000), Deed::Dial));
    }
    if dice.percent(12) {
        deeds.push((dice.ms(15_000), Deed::Transfer));
    }
    deeds.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    deeds
}

/// The phone sends no sound at all: where limits hold, an answered call runs into one.
fn activity(dice: &mut Dice) -> ActivityLimits {
    let mut limit = || Duration::from_secs(pick(dice, &[3, 20, 60]));
    let (first, hold) = (limit(), limit());
    ActivityLimits { detecting: dice.percent(40), first, running: first, hold }
}

fn path(dice: &mut Dice) -> Path {
    let breaks = match dice.below(100) {
        0..8 => Some((Duration::from_secs(10), Cause::IceFailed)),
        8..12 => Some((dice.ms(2_000), Cause::DtlsFailed)),
        12..20 => Some((dice.ms(40_000), Cause::IceFailed)), // consent
        _ => None,
    };
    Path {
        readable: !dice.percent(4),
        breaks,
        answer_at_once: dice.percent(70),
        codec: if dice.percent(10) { CodecId::Opus } else { CodecId::Pcmu },
    }
}

impl Run {
    fn set_up(seed: u64, phone: &Phone, sip: SipSide, dice: &mut Dice, story: &Rc<Story>) -> Self {
        let account = Account {
            login: "1001".into(),
            auth_name: "1001".into(),
            password: Secret::new("pw"),
            domain: "127.0.0.1".into(),
            outbound_proxy: None,
            port: Some(phone.at().port()),
            register: false,
        };
        let (tell, page) = channel(256);
        let (no_answer, max_duration) = (pick(dice, &[5, 30, 180]), pick(dice, &[5, 30, 90]));
        let (no_answer, max_duration) = (Duration::from_secs(no_answer), Duration::from_secs(max_duration));
        let activity = activity(dice);
        let (wired, path) = (Rc::<RefCell<Wired>>::default(), path(dice));
        let (held, told, meters) = (wired.clone(), story.clone(), sip.meters.clone());
        let mut session = None;
        let board = Board::create(|ctx: &mut Context<Board>| {
            let order = SessionOrder {
                id: SessionId(seed),
                account: Some(account.clone()),
                page: tell,
                page_headers: HeaderRules::default(),
                owner: ctx.address().downgrade().recipient(),
                meters,
            };
            let started = Session::new(order).start();
            let weak = started.downgrade();
            session = Some(started);
            Board {
                sip,
                account,
                path,
                no_answer,
                max_duration,
                activity,
                story: told,
                session: weak,
                call: None,
                wired: held,
            }
        });
        let story = story.clone();
        Self {
            seed,
            story,
            session,
            board,
            page,
            wired,
            no_answer,
            max_duration,
            call_id: None,
            answered: None,
            asked: None,
        }
    }

    fn place(&self, call_id: &CallId) {
        let call = PlaceCall {
            call_id: call_id.clone(),
            callee: "2001".into(),
            visible_name: None,
            sdp: String::new(),
            additions: Additions::default(),
        };
        self.tell(FromPage::Call(call));
    }

    fn tell(&self, word: FromPage) {
        if let Some(session) = &self.session {
            self.story.acted(&format!("the page: {word:?}"));
            session.do_send(word);
        }
    }

    /// When the call must be over, as things stand.
    fn deadline(&self, next_deed: Option<Instant>) -> Instant {
        let limit = match self.answered {
            Some(at) => at + self.max_duration,
            None => self.story.begun() + self.no_answer,
        };
        limit.max(self.story.last_event()).max(next_deed.unwrap_or(limit)) + LIFE + SLACK
    }

    /// Lets the page act and look until its call is over.
    async fn until_its_end(&mut self, deeds: &mut Vec<(Duration, Deed)>) -> String {
        loop {
            let next = deeds.last().map(|(at, _)| self.story.begun() + *at);
            if self.session.is_none() {
                return "gone".to_owned();
            }
            let deadline = self.deadline(next);
            let until = next.unwrap_or(deadline).min(deadline);
            match timeout_at(until.into(), self.page.recv()).await {
                Ok(Some(word)) => {
                    if let Some(end) = self.hears(word) {
                        return end;
                    }
                }
                Ok(None) => self.fail("the session ended by itself"),
                Err(_) if next.is_some_and(|at| at <= now()) => {
                    let (_, deed) = deeds.pop().expect("it was looked at");
                    self.does(deed);
                }
                Err(_) if self.call_id.is_none() => {
                    // An INVITE that was lost altogether, or refused before it rang.
                    return "never rang".to_owned();
                }
                Err(_) if self.deadline(None) <= now() => self.fail("no end in time"),
                Err(_) => {}
            }
            let pending = self.answered.is_none() && self.call_id.is_some();
            if self.asked.is_some_and(|at| now() > at + HOLD) {
                self.fail("a hold is never shown");
            }
            if pending && self.story.since_begin() > PENDING + SLACK {
                self.fail("PENDING for too long");
            }
        }
    }

    fn does(&mut self, deed: Deed) {
        match deed {
            Deed::ShutDown => return self.board.do_send(ShutDown),
            Deed::Leave => {
                self.tell(FromPage::Gone);
                self.session = None;
                return;
            }
            _ => {}
        }
        let Some(call_id) = self.call_id.clone() else { return };
        if let (Deed::Hold | Deed::Unhold, Some(_)) = (&deed, self.answered) {
            self.asked.get_or_insert_with(now);
        }
        let digits = || Digits { digits: "12#".into(), method: DigitMethod::Info };
        self.tell(match deed {
            Deed::Answer => FromPage::Answer { call_id, sdp: String::new(), additions: Additions::default() },
            Deed::HangUp => FromPage::HangUp(call_id),
            Deed::Hold => FromPage::Hold(call_id),
            Deed::Unhold => FromPage::Unhold(call_id),
            Deed::Dial => FromPage::SendDigits(call_id, digits()),
            Deed::Transfer => FromPage::Transfer { call_id, target: "2002".into() },
            Deed::Leave | Deed::ShutDown => return,
        });
    }

    /// What the page hears; its call's end.
    fn hears(&mut self, word: ToPage) -> Option<String> {
        match word {
            ToPage::IncomingCall(view, _) => self.call_id = Some(view.call_id),
            ToPage::CallStatus(_, CallStatus::Finish(why) | CallStatus::Failed(why)) => {
                self.story.heard(&format!("the page hears its end: {why}"));
                return Some(why.cause.as_str().to_owned());
            }
            ToPage::CallStatus(_, status) => {
                self.story.heard(&format!("the page hears {status:?}"));
                self.asked = None;
                if status == CallStatus::Established {
                    self.answered.get_or_insert_with(now);
                }
            }
            word => {
                self.story.heard(&format!("the page hears {word:?}"));
                self.asked = None;
            }
        }
        None
    }

    /// Our 200 waits for its ACK for 64·T1 and our BYE for its answer for as long (RFC 3261 §15): by then all is gone.
    async fn nothing_is_left(&mut self) {
        let until = now() + LIFE * 2 + SLACK;
        loop {
            let left = self.wired.borrow().left();
            if left.is_empty() {
                return;
            }
            if now() > until {
                self.fail(&format!("{left:?} left"));
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// The same id once more: the session must have let go of it; and nothing is heard of the first call any more.
    async fn can_call_again(&mut self) {
        if let Ok(word) = self.page.try_recv() {
            self.fail(&format!("after its end the page hears {word:?}"));
        }
        let call_id = self.call_id.clone().unwrap_or_else(CallId::random);
        self.place(&call_id);
        let first = self.page.recv().await;
        if !matches!(first, Some(ToPage::CallStatus(_, CallStatus::Trying))) {
            self.fail(&format!("a second call is told {first:?}"));
        }
        self.tell(FromPage::HangUp(call_id));
        loop {
            match tokio::time::timeout(LIFE, self.page.recv()).await {
                Ok(Some(ToPage::CallStatus(_, CallStatus::Finish(_) | CallStatus::Failed(_)))) => break,
                Ok(Some(_)) => {}
                other => self.fail(&format!("a second call has no end: {other:?}")),
            }
        }
        self.nothing_is_left().await;
    }

    fn fail(&self, what: &str) -> ! {
        panic!("TANDEM_SEED={}: {what}\n{}", self.seed, self.story.tell())
    }
}
