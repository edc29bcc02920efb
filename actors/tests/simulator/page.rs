//! A page as a leg: the real state machine of a browser leg over a path that dice make.
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, WeakRecipient};
use actors::browser::PageWord;
use actors::browser::state::{Action, Event, State};
use actors::leg::{LegCommand, LegEvent, LegReport};
use actors::page::{CallStatus, CallView, InviteHeaders, ToPage};
use actors::vocabulary::{
    Alive, AudioFormat, Cause, CodecId, Ear, EndReason, LegKind, Measured, MediaFormat, Owes, Packet, Side,
    Sink,
};

use super::story::Story;

/// How the page's path and descriptions fare; thrown once.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Whether the page's SDP can be used.
    pub readable: bool,
    /// When the path breaks after the descriptions are exchanged, and how.
    pub breaks: Option<(Duration, Cause)>,
    /// Whether the page's offer is answered at once.
    pub answer_at_once: bool,
    pub codec: CodecId,
}

pub struct PageLeg {
    pub side: Side,
    pub view: CallView,
    pub call: WeakRecipient<LegReport>,
    pub page: WeakRecipient<ToPage>,
    pub path: Path,
    pub story: Rc<Story>,
    pub state: State,
    pub sink: Option<Sink>,
    /// Of life: its page never lacks them.
    pub signs: u64,
    pub _alive: Alive,
}

/// As in the real leg.
const LIFE_CHECK: Duration = Duration::from_secs(5);

impl PageLeg {
    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        for action in self.state.on(event, self.side) {
            self.perform(action, ctx);
        }
    }

    fn perform(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::AnswerOffer(_) => self.described(Event::OfferAnswered(self.format()), ctx),
            Action::TakeAnswer => self.described(Event::AnswerTaken(self.format()), ctx),
            Action::Offer => {}
            Action::AwaitPath => {
                if let Some((after, cause)) = self.path.breaks {
                    ctx.run_later(after, move |leg, ctx| {
                        leg.story.acted(&format!("the page's path: {}", cause.as_str()));
                        leg.step(Event::PathFailed(EndReason::new(Some(leg.side), cause)), ctx);
                    });
                }
            }
            Action::ShowIncoming => {
                self.tell(ToPage::IncomingCall(self.view.clone(), InviteHeaders::default()))
            }
            Action::ShowRing => self.show(CallStatus::Ring),
            Action::ShowRingMedia => self.show(CallStatus::RingMedia),
            Action::PlayRingBack | Action::PlayWaiting | Action::Quiet => {}
            Action::ShowTalk => self.show(CallStatus::Established),
            Action::ShowHold => self.show(CallStatus::Hold),
            Action::ShowTransferRefused { held, why } => {
                self.tell(ToPage::TransferRefused { call: self.view.clone(), held, why });
            }
            Action::ShowEnd(why) => {
                self.show(if why.is_failure() { CallStatus::Failed(why) } else { CallStatus::Finish(why) });
                ctx.stop();
            }
            Action::Report(event) => {
                if let Some(call) = self.call.upgrade() {
                    call.do_send(LegReport { side: self.side, branch: 0, event });
                }
            }
        }
    }

    fn described(&mut self, event: Event, ctx: &mut Context<Self>) {
        let event = match self.path.readable {
            true => event,
            false => Event::DescriptionFailed(EndReason::new(Some(self.side), Cause::BadDescription)),
        };
        self.step(event, ctx);
    }

    fn format(&self) -> MediaFormat {
        AudioFormat { codec: self.path.codec, ptime_ms: 20, telephone_event: true }.into()
    }

    fn tell(&self, word: ToPage) {
        if let Some(page) = self.page.upgrade() {
            page.do_send(word);
        }
    }

    fn show(&self, status: CallStatus) {
        self.tell(ToPage::CallStatus(self.view.clone(), status));
    }
}

impl Actor for PageLeg {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LIFE_CHECK, |leg, ctx| {
            if leg.call.upgrade().is_none() {
                let why = EndReason::new(None, Cause::Internal);
                leg.step(Event::Command(LegCommand::HangUp(why)), ctx);
            }
        });
        if self.side == Side::Caller {
            self.step(Event::Begun { answer_at_once: self.path.answer_at_once }, ctx);
        }
    }
}

impl Handler<LegCommand> for PageLeg {
    type Result = ();
    fn handle(&mut self, command: LegCommand, ctx: &mut Self::Context) {
        match command {
            LegCommand::Plug(sink) => self.sink = sink,
            LegCommand::Measure => {
                self.signs += 1;
                let ear = Ear { owes: Owes::Sound, path: true, signs: self.signs, ..Ear::default() };
                let measured = Measured { ear, ..Measured::nothing(LegKind::Browser) };
                self.perform(Action::Report(LegEvent::Measured(measured)), ctx);
            }
            command => self.step(Event::Command(command), ctx),
        }
    }
}

impl Handler<PageWord> for PageLeg {
    type Result = ();
    fn handle(&mut self, word: PageWord, ctx: &mut Self::Context) {
        self.step(
            match word {
                PageWord::Answer(..) => Event::PageAnswered,
                PageWord::HangUp => Event::PageHangsUp,
                PageWord::Hold => Event::PageHolds,
                PageWord::Unhold => Event::PageResumes,
                PageWord::Dial(digits) => Event::PageDials(digits),
                PageWord::Transfer(to) => Event::PageTransfers(to),
                PageWord::Gone => Event::PageGone,
            },
            ctx,
        );
    }
}

impl Handler<Packet> for PageLeg {
    type Result = ();
    fn handle(&mut self, _: Packet, _: &mut Self::Context) {}
}
