//! A call between two played legs, in virtual time: what it tells them, when it gives up, and what it leaves behind.
#![allow(clippy::unwrap_used)]
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, Context, Handler, Message, WeakAddr, WeakRecipient};
use actors::call::{Begin, Call, CallEnded, CallOrder, HangUp};
use actors::leg::{Fared, Leg, LegCommand, LegEvent, LegReport, Successor, fresh_branch};
use actors::quality::LegRecord;
use actors::vocabulary::{
    ActivityLimits, Additions, AudioFormat, CallId, Cause, CodecId, EndReason, FarSides, LegKind, Measured,
    Meters, Packet, Payload, Side, StandInRules, StandInWish,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const LIMITS: ActivityLimits = ActivityLimits {
    detecting: true,
    first: Duration::from_secs(30),
    running: Duration::from_secs(60),
    hold: Duration::from_secs(3600),
};

/// A leg that writes down what it is told, and answers a hold by itself.
struct Played {
    side: Side,
    call: WeakRecipient<LegReport>,
    told: UnboundedSender<(Side, LegCommand)>,
}

impl Actor for Played {
    type Context = Context<Self>;
}

impl Handler<LegCommand> for Played {
    type Result = ();
    fn handle(&mut self, command: LegCommand, ctx: &mut Self::Context) {
        let answer = match &command {
            LegCommand::Hold => Some(LegEvent::Held),
            LegCommand::Resume => Some(LegEvent::Resumed),
            LegCommand::Measure => Some(LegEvent::Measured(Measured::nothing(LegKind::Sip))),
            _ => None,
        };
        if let LegCommand::HangUp(_) = &command {
            ctx.stop();
        }
        let _ = self.told.send((self.side, command));
        if let (Some(event), Some(call)) = (answer, self.call.upgrade()) {
            call.do_send(LegReport { side: self.side, branch: 0, event });
        }
    }
}

impl Handler<Packet> for Played {
    type Result = ();
    fn handle(&mut self, _: Packet, _: &mut Self::Context) {}
}

/// Ends a leg as a panic would: without a word.
#[derive(Message)]
#[rtype(result = "()")]
struct Fall;

impl Handler<Fall> for Played {
    type Result = ();
    fn handle(&mut self, Fall: Fall, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Hears of the end.
struct Owner(UnboundedSender<CallEnded>);

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<CallEnded> for Owner {
    type Result = ();
    fn handle(&mut self, ended: CallEnded, _: &mut Self::Context) {
        let _ = self.0.send(ended);
    }
}

struct Stage {
    call: Addr<Call>,
    tell: UnboundedSender<(Side, LegCommand)>,
    told: UnboundedReceiver<(Side, LegCommand)>,
    ended: UnboundedReceiver<CallEnded>,
    meters: Meters,
    begin: Option<Begin>,
    callee: WeakAddr<Played>,
    _owner: Addr<Owner>,
}

impl Stage {
    fn new() -> Self {
        Self::with(StandInRules::default())
    }

    fn with(stand_in: StandInRules) -> Self {
        tokio::time::pause();
        let meters = Meters::new();
        let (tell, ended) = unbounded_channel();
        let owner = Owner(tell).start();
        let call = Call::new(CallOrder {
            call_id: CallId::random(),
            direction: "outgoing",
            no_answer: Duration::from_secs(180),
            max_duration: Some(Duration::from_secs(3600)),
            encoding: Default::default(),
            video: Default::default(),
            codec_lane: actix::Arbiter::current(),
            activity: LIMITS,
            stand_in,
            sounds: Default::default(),
            owner: owner.downgrade().recipient(),
            meters: meters.clone(),
        })
        .start();
        let (tell, told) = unbounded_channel();
        let leg = |side| {
            let call = call.downgrade().recipient();
            Played { side, call, told: tell.clone() }.start()
        };
        let as_leg = |leg: Addr<Played>| Leg { commands: leg.clone().recipient(), packets: leg.recipient() };
        let (caller, played) = (leg(Side::Caller), leg(Side::Callee));
        let callee = played.downgrade();
        let begin = Some(Begin { caller: as_leg(caller), callees: vec![as_leg(played)] });
        Self { call, tell, told, ended, meters, begin, callee, _owner: owner }
    }

    fn begun() -> Self {
        let mut stage = Self::new();
        stage.begin();
        stage
    }

    fn begin(&mut self) {
        self.call.do_send(self.begin.take().unwrap());
    }

    fn says(&self, side: Side, event: LegEvent) {
        self.call.do_send(LegReport { side, branch: 0, event });
    }

    /// A leg that may take the callee's place.
    fn another_callee(&self) -> Leg {
        let call = self.call.downgrade().recipient();
        let played = Played { side: Side::Callee, call, told: self.tell.clone() }.start();
        Leg { commands: played.clone().recipient(), packets: played.recipient() }
    }

    async fn next(&mut self) -> (Side, LegCommand) {
        self.told.recv().await.unwrap()
    }

    /// Reads what legs are told until a command that fits.
    async fn until(&mut self, wanted: impl Fn(Side, &LegCommand) -> bool) -> LegCommand {
        loop {
            let (side, command) = self.next().await;
            if wanted(side, &command) {
                return command;
            }
        }
    }

    /// What legs have been told, once everybody had a turn.
    async fn told_by_now(&mut self) -> Vec<(Side, LegCommand)> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    async fn end(&mut self) -> EndReason {
        self.ended.recv().await.unwrap().0.reason
    }

    /// After the actors have had their turns: nothing of the call is left.
    async fn assert_nothing_left(&mut self) {
        while self.told.try_recv().is_ok() {} // the sinks in them keep transcoders alive
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!self.call.connected());
        let left = self.meters.text();
        for line in ["tandem_actors_alive{actor=\"call\"}", "tandem_calls_active{direction=\"outgoing\"}"] {
            assert!(left.contains(&format!("{line} 0")), "{left}");
        }
        assert!(!left.contains("tandem_actors_alive{actor=\"transcoder\"} 1"), "{left}");
    }
}

fn format(codec: CodecId) -> LegEvent {
    LegEvent::MediaAgreed(AudioFormat { codec, ptime_ms: 20, telephone_event: true }.into())
}

fn stands_in_for(items: &[&str]) -> StandInRules {
    let far_sides = FarSides::read(items.iter().copied()).unwrap();
    StandInRules { far_sides, ..StandInRules::default() }
}

/// Asserts that both legs have been told this of still pictures, and nothing else of them; or nothing at all.
#[track_caller]
fn assert_stand_in(told: Vec<(Side, LegCommand)>, wanted: Option<Option<Duration>>) {
    let told: Vec<_> =
        told.into_iter().filter(|(_, command)| matches!(command, LegCommand::StandIn(_))).collect();
    let both = |delay| [Side::Caller, Side::Callee].map(|side| (side, LegCommand::StandIn(delay)));
    assert_eq!(told, wanted.into_iter().flat_map(both).collect::<Vec<_>>());
}

const DELAY: Option<Duration> = Some(Duration::from_millis(100));

#[actix::test]
async fn still_pictures_for_all_are_no_question_of_what_the_far_side_runs() {
    let mut stage = Stage::with(stands_in_for(&["all"]));
    stage.begin();
    assert_stand_in(stage.told_by_now().await, Some(DELAY));
    stage.says(Side::Callee, LegEvent::SoftwareSeen("Asterisk PBX".into()));
    assert_stand_in(stage.told_by_now().await, None);
    // The page that is called wants none.
    let stand_in = StandInWish { far_sides: Some(FarSides::nobody()), delay: None };
    stage.says(Side::Callee, LegEvent::AdditionsGiven(Additions { stand_in, ..Additions::default() }));
    assert_stand_in(stage.told_by_now().await, Some(None));
}

#[actix::test]
async fn still_pictures_for_some_wait_until_it_is_known_what_the_far_side_runs() {
    let mut stage = Stage::with(stands_in_for(&["asterisk"]));
    stage.begin();
    assert_stand_in(stage.told_by_now().await, None);
    stage.says(Side::Callee, LegEvent::SoftwareSeen("Asterisk PBX".into()));
    assert_stand_in(stage.told_by_now().await, Some(DELAY));
    stage.says(Side::Callee, LegEvent::SoftwareSeen("Grandstream".into()));
    assert_stand_in(stage.told_by_now().await, Some(None));
    // Whoever comes into the call later is told too.
    stage.says(Side::Callee, LegEvent::Answered);
    let (branch, leg) = (fresh_branch(), stage.another_callee());
    let successor = Successor { branch, leg, comes_in: false };
    stage.says(Side::Callee, LegEvent::SuccessorOffered(successor));
    let heir = |event| LegReport { side: Side::Callee, branch, event };
    stage.call.do_send(heir(LegEvent::SoftwareSeen("Asterisk 20".into())));
    assert_stand_in(stage.told_by_now().await, None);
    stage.call.do_send(heir(LegEvent::Answered));
    let told = stage.told_by_now().await;
    let last = told.iter().rev().find(|(_, command)| matches!(command, LegCommand::StandIn(_)));
    assert_eq!(last, Some(&(Side::Callee, LegCommand::StandIn(DELAY))));
}

#[actix::test]
async fn two_codecs_are_joined_by_transcoders_and_nothing_is_left_of_them() {
    let mut stage = Stage::begun();
    assert_eq!(stage.next().await, (Side::Callee, LegCommand::Dial));
    stage.says(Side::Caller, format(CodecId::Opus));
    stage.says(Side::Callee, format(CodecId::Pcmu));
    stage.says(Side::Callee, LegEvent::Answered);
    stage.until(|_, command| matches!(command, LegCommand::Answer)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(stage.meters.text().contains("tandem_transcoders_active{from=\"opus\",to=\"PCMU\"} 1"));
    stage.says(Side::Callee, LegEvent::Ended(EndReason::new(Some(Side::Callee), Cause::HangUp)));
    assert_eq!(stage.end().await.to_string(), "hangup by callee");
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn what_a_leg_says_before_the_call_has_begun_is_heard_then() {
    let mut stage = Stage::new();
    stage.says(Side::Caller, format(CodecId::Opus));
    stage.begin();
    let agree = stage.until(|side, _| side == Side::Callee).await;
    assert_eq!(agree, LegCommand::Dial);
    let agree = stage.until(|side, _| side == Side::Callee).await;
    let LegCommand::Agree(format) = agree else { panic!("{agree:?}") };
    assert_eq!(format.audio.codec, CodecId::Opus);
}

#[actix::test]
async fn a_call_that_nobody_answers_ends_by_itself_and_both_legs_hear_of_it() {
    let mut stage = Stage::begun();
    stage.says(Side::Callee, LegEvent::Rang);
    let start = tokio::time::Instant::now();
    assert_eq!(stage.end().await.cause, Cause::NoAnswer);
    assert_eq!(start.elapsed().as_secs(), 180);
    for side in [Side::Caller, Side::Callee] {
        stage.until(|told, command| told == side && matches!(command, LegCommand::HangUp(_))).await;
    }
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn an_answered_call_lasts_no_longer_than_it_may() {
    let mut stage = Stage::begun();
    stage.says(Side::Callee, LegEvent::Rang);
    tokio::time::sleep(Duration::from_secs(170)).await;
    stage.says(Side::Callee, LegEvent::Answered);
    stage.until(|_, command| matches!(command, LegCommand::Answer)).await;
    let start = tokio::time::Instant::now();
    assert_eq!(stage.end().await.to_string(), "max_duration by house");
    assert_eq!(start.elapsed().as_secs(), 3600);
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn a_hold_unplugs_both_legs_and_a_resume_plugs_them_again() {
    let mut stage = Stage::begun();
    stage.says(Side::Caller, format(CodecId::Pcmu));
    stage.says(Side::Callee, format(CodecId::Pcmu));
    stage.says(Side::Callee, LegEvent::Answered);
    stage.until(|_, command| matches!(command, LegCommand::Plug(Some(_)))).await;
    stage.says(Side::Caller, LegEvent::HoldAsked);
    stage.until(|side, command| side == Side::Callee && *command == LegCommand::Hold).await;
    stage.until(|_, command| *command == LegCommand::Plug(None)).await;
    stage.until(|side, command| side == Side::Caller && *command == LegCommand::ShowHold(true)).await;
    stage.says(Side::Caller, LegEvent::ResumeAsked);
    stage.until(|side, command| side == Side::Caller && *command == LegCommand::ShowHold(false)).await;
    stage.until(|side, command| side == Side::Callee && matches!(command, LegCommand::Plug(Some(_)))).await;
}

#[actix::test]
async fn a_call_that_is_ended_from_above_says_why() {
    let mut stage = Stage::begun();
    stage.call.do_send(HangUp(EndReason::new(None, Cause::Shutdown)));
    assert_eq!(stage.end().await.to_string(), "shutdown by house");
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn a_leg_that_falls_without_a_word_ends_the_call_within_seconds() {
    let mut stage = Stage::begun();
    stage.says(Side::Callee, LegEvent::Answered);
    stage.until(|_, command| matches!(command, LegCommand::Answer)).await;
    stage.callee.upgrade().unwrap().do_send(Fall);
    let start = tokio::time::Instant::now();
    assert_eq!(stage.end().await.to_string(), "internal by house");
    assert!(start.elapsed().as_secs() <= 5);
    stage.until(|side, command| side == Side::Caller && matches!(command, LegCommand::HangUp(_))).await;
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn what_a_transcoder_made_up_stands_in_the_record() {
    let mut stage = Stage::begun();
    stage.says(Side::Caller, format(CodecId::Opus));
    stage.says(Side::Callee, format(CodecId::Pcmu));
    stage.says(Side::Callee, LegEvent::Answered);
    let plugged =
        |side, command: &LegCommand| side == Side::Callee && matches!(command, LegCommand::Plug(Some(_)));
    let LegCommand::Plug(Some(mut sink)) = stage.until(plugged).await else { unreachable!("asked for it") };
    for sequence in (0u16..100).filter(|sequence| *sequence != 50) {
        let packet = Packet {
            payload_kind: Payload::Audio(CodecId::Pcmu),
            ssrc: 1,
            sequence,
            timestamp: u32::from(sequence) * 160,
            marker: false,
            payload: vec![0x80; 160].into(),
            received: tokio::time::Instant::now().into_std(),
        };
        assert!(sink.send(packet));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(sink);
    stage.says(Side::Callee, LegEvent::Ended(EndReason::new(Some(Side::Callee), Cause::HangUp)));
    let record = stage.ended.recv().await.unwrap().0;
    let made_up = |leg: Option<LegRecord>| leg.unwrap().playout.concealed.as_millis();
    assert_eq!(made_up(record.legs.caller), 0);
    // The hole of 20 ms, and what its buffer bridged when packets began to be late or to stay away.
    let made_up = made_up(record.legs.callee);
    assert!((20..=120).contains(&made_up), "{made_up} ms");
}

/// A running call whose callee offers this successor.
async fn succeeding(comes_in: bool) -> (Stage, usize) {
    let mut stage = Stage::begun();
    stage.says(Side::Caller, format(CodecId::Pcmu));
    stage.says(Side::Callee, format(CodecId::Pcmu));
    stage.says(Side::Callee, LegEvent::Answered);
    stage.until(|side, command| side == Side::Callee && matches!(command, LegCommand::Plug(Some(_)))).await;
    let (branch, leg) = (fresh_branch(), stage.another_callee());
    stage.says(Side::Callee, LegEvent::SuccessorOffered(Successor { branch, leg, comes_in }));
    let start = if comes_in { LegCommand::Answer } else { LegCommand::Dial };
    stage.until(|side, command| side == Side::Callee && *command == start).await;
    (stage, branch)
}

#[actix::test]
async fn a_leg_whose_successor_answers_is_replaced_and_heard_no_more() {
    let (mut stage, heir) = succeeding(false).await;
    stage.call.do_send(LegReport { side: Side::Callee, branch: heir, event: format(CodecId::Opus) });
    stage.call.do_send(LegReport { side: Side::Callee, branch: heir, event: LegEvent::Answered });
    let told = stage.told_by_now().await;
    let has = |wanted: &dyn Fn(&LegCommand) -> bool| {
        told.iter().any(|(side, it)| *side == Side::Callee && wanted(it))
    };
    assert!(has(&|it| *it == LegCommand::SuccessorFared(Fared::Answered)), "{told:?}");
    assert!(has(&|it| matches!(it, LegCommand::HangUp(why) if why.cause == Cause::Transferred)), "{told:?}");
    assert!(has(&|it| matches!(it, LegCommand::Plug(Some(_)))), "{told:?}");
    // The old leg's BYE is not the call's end; the new one's is.
    stage.says(Side::Callee, LegEvent::Ended(EndReason::new(Some(Side::Callee), Cause::HangUp)));
    let why = EndReason::new(Some(Side::Callee), Cause::HangUp).with_detail("the new one");
    stage.call.do_send(LegReport { side: Side::Callee, branch: heir, event: LegEvent::Ended(why) });
    assert_eq!(stage.end().await.detail.as_deref(), Some("the new one"));
    drop(told);
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn a_successor_that_calls_us_takes_over_once_its_sound_is_agreed() {
    let (mut stage, heir) = succeeding(true).await;
    let told = stage.told_by_now().await;
    assert!(told.iter().all(|(_, it)| !matches!(it, LegCommand::HangUp(_))), "{told:?}");
    stage.call.do_send(LegReport { side: Side::Callee, branch: heir, event: format(CodecId::Pcmu) });
    let told = stage.told_by_now().await;
    assert!(told.iter().any(|(_, it)| matches!(it, LegCommand::HangUp(_))), "{told:?}");
    let plugged =
        |(side, it): &(Side, LegCommand)| *side == Side::Callee && matches!(it, LegCommand::Plug(Some(_)));
    assert!(told.iter().any(plugged), "{told:?}");
}

#[actix::test]
async fn a_call_whose_far_end_left_waits_for_the_successor_but_not_for_ever() {
    let (mut stage, _) = succeeding(false).await;
    stage.says(Side::Callee, LegEvent::Ended(EndReason::new(Some(Side::Callee), Cause::HangUp)));
    stage.callee.upgrade().unwrap().do_send(Fall);
    let start = tokio::time::Instant::now();
    assert_eq!(stage.end().await.cause, Cause::NoAnswer);
    assert_eq!(start.elapsed().as_secs(), 180);
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn a_page_that_hangs_up_during_a_transfer_ends_all_three_legs() {
    let (mut stage, _) = succeeding(false).await;
    stage.says(Side::Caller, LegEvent::Ended(EndReason::new(Some(Side::Caller), Cause::HangUp)));
    assert_eq!(stage.end().await.to_string(), "hangup by caller");
    for _ in 0..3 {
        stage.until(|_, command| matches!(command, LegCommand::HangUp(_))).await;
    }
    stage.assert_nothing_left().await;
}

#[actix::test]
async fn one_successor_at_a_time() {
    let (mut stage, _) = succeeding(false).await;
    let (branch, leg) = (fresh_branch(), stage.another_callee());
    stage.says(Side::Callee, LegEvent::SuccessorOffered(Successor { branch, leg, comes_in: false }));
    stage.until(|_, command| matches!(command, LegCommand::HangUp(why) if why.sip_code == Some(491))).await;
    stage.until(|_, command| matches!(command, LegCommand::SuccessorFared(Fared::Failed(_)))).await;
}
