//! What the far ends take of pictures, and who hears of it.
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use codecs::{CodecId, Settings, VideoFormat};
use sip::sdp::Direction;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Begin, Call, CallEnded, CallOrder};
use crate::leg::{Leg, LegCommand, LegEvent, LegReport};
use crate::vocabulary::{ActivityLimits, AudioFormat, CallId, MediaFormat, Meters, Packet, Side, VideoLine};

/// A leg that passes on what limits it is told.
struct Ear(UnboundedSender<u32>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<LegCommand> for Ear {
    type Result = ();
    fn handle(&mut self, command: LegCommand, _: &mut Self::Context) {
        if let LegCommand::LimitVideo(bits) = command {
            let _ = self.0.send(bits);
        }
    }
}

impl Handler<Packet> for Ear {
    type Result = ();
    fn handle(&mut self, _: Packet, _: &mut Self::Context) {}
}

struct Owner;

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<CallEnded> for Owner {
    type Result = ();
    fn handle(&mut self, _: CallEnded, _: &mut Self::Context) {}
}

fn says(call: &Addr<Call>, side: Side, event: LegEvent) {
    call.do_send(LegReport { side, branch: 0, event });
}

fn media(limit: Option<u32>) -> LegEvent {
    let audio = AudioFormat { codec: CodecId::Pcmu, ptime_ms: 20, telephone_event: true };
    let (takes, sends) = (VideoFormat::Vp8, VideoFormat::Vp8);
    let video = Some(VideoLine { takes, sends, direction: Direction::SendRecv, limit });
    LegEvent::MediaAgreed(MediaFormat { audio, video })
}

/// The next limit that a leg is told.
async fn told(limits: &mut UnboundedReceiver<u32>) -> Option<u32> {
    tokio::time::timeout(Duration::from_millis(100), limits.recv()).await.ok().flatten()
}

#[actix::test]
async fn rq18_a_source_is_told_the_lower_of_the_targets_sdp_and_its_last_word() {
    tokio::time::pause();
    let owner = Owner.start();
    let call = Call::new(CallOrder {
        call_id: CallId::random(),
        direction: "outgoing",
        no_answer: Duration::from_secs(60),
        max_duration: None,
        activity: ActivityLimits::never(),
        sounds: Default::default(),
        encoding: Settings::default(),
        video: Default::default(),
        stand_in: Default::default(),
        codec_lane: actix::Arbiter::current(),
        owner: owner.downgrade().recipient(),
        meters: Meters::new(),
    });
    let call = call.start();
    let ((tell_caller, mut caller), (tell_callee, mut callee)) = (unbounded_channel(), unbounded_channel());
    let leg = |tell| {
        let leg = Ear(tell).start();
        Leg { commands: leg.clone().recipient(), packets: leg.recipient() }
    };
    call.do_send(Begin { caller: leg(tell_caller), callees: vec![leg(tell_callee)] });
    says(&call, Side::Caller, media(None));
    says(&call, Side::Callee, media(Some(512_000)));
    says(&call, Side::Callee, LegEvent::Answered);
    assert_eq!(told(&mut caller).await, Some(512_000), "b=AS of the callee");
    says(&call, Side::Callee, LegEvent::VideoLimited(300_000));
    assert_eq!(told(&mut caller).await, Some(300_000));
    says(&call, Side::Callee, LegEvent::VideoLimited(900_000));
    assert_eq!(told(&mut caller).await, Some(512_000));
    says(&call, Side::Callee, LegEvent::VideoLimited(800_000));
    assert_eq!(told(&mut caller).await, None, "nothing new");
    says(&call, Side::Callee, media(Some(256_000)));
    assert_eq!(told(&mut caller).await, Some(256_000), "a new agreement");
    assert_eq!(told(&mut callee).await, None);
    says(&call, Side::Caller, LegEvent::VideoLimited(200_000));
    assert_eq!(told(&mut callee).await, Some(200_000));
}
