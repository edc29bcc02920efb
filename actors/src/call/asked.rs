//! What is asked of a call from above: holds, transfers, and how its legs could be taken over. A wish goes the way of a page's; whoever asked
//! hears what became of it.
use actix::{Context, Handler, Message, ResponseFuture};
use sip::message::Uri;
use tokio::sync::oneshot;

use super::Call;
use super::state::{Event, State};
use crate::leg::LegCommand;
use crate::vocabulary::{Cause, EndReason, Side};

/// Asks that a side's far end be held, or be let go. Answered when it is decided; at once where it is so already.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), AskFailed>")]
pub struct Hold {
    /// At whose wish: the other side is held.
    pub by: Side,
    /// Held, or let go.
    pub wanted: bool,
}

/// Asks the far end across from `by` to call somebody else. Answered when it is decided.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), AskFailed>")]
pub struct Transfer {
    /// At whose wish.
    pub by: Side,
    /// Whom to call.
    pub to: Uri,
}

/// Why a wish did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskFailed {
    /// The call is not answered, or something of the kind is under way already.
    WrongState,
    /// The far side would not, or could not, or the call ended in another way.
    Refused(EndReason),
}

/// Asks how somebody else would take the far end of a side over; `None`: nobody could.
#[derive(Debug, Message)]
#[rtype(result = "Option<Uri>")]
pub struct Introduce(pub Side);

type Answer = oneshot::Sender<Result<(), AskFailed>>;

/// Who waits for an answer.
#[derive(Default)]
pub(super) struct Waiting {
    hold: Option<(Hold, Answer)>,
    /// What the far side said last to a hold or its end.
    refusal: Option<EndReason>,
    transfer: Option<Answer>,
    introduced: Option<oneshot::Sender<Option<Uri>>>,
}

impl Call {
    /// The far side would not be held, or not be let go. What that means for the call is shown to the asker.
    pub(super) fn hold_refused(&mut self, why: EndReason) {
        self.waiting.refusal = Some(why);
    }

    /// A side is shown whether the other is held: the state machine's last word on each wish.
    pub(super) fn hold_shown(&mut self, side: Side, held: bool) {
        let refusal = self.waiting.refusal.take();
        if let Some((hold, waiting)) = self.waiting.hold.take_if(|(hold, _)| hold.by == side) {
            let failed = || refusal.map_or(AskFailed::WrongState, AskFailed::Refused);
            // Who left does not want to know.
            let _ = waiting.send(if hold.wanted == held { Ok(()) } else { Err(failed()) });
        }
    }

    /// The far side would not be moved.
    pub(super) fn transfer_refused(&mut self, why: &EndReason) {
        if let Some(waiting) = self.waiting.transfer.take() {
            let _ = waiting.send(Err(AskFailed::Refused(why.clone())));
        }
    }

    /// The call is over, perhaps because the far side was moved.
    pub(super) fn asked_in_vain(&mut self, why: &EndReason) {
        if let Some(waiting) = self.waiting.transfer.take_if(|_| why.cause == Cause::Transferred) {
            let _ = waiting.send(Ok(()));
        }
        self.transfer_refused(why);
        if let Some((_, waiting)) = self.waiting.hold.take() {
            let _ = waiting.send(Err(AskFailed::Refused(why.clone())));
        }
    }

    /// A leg says how it could be taken over.
    pub(super) fn introduced(&mut self, to: Option<Uri>) {
        if let Some(waiting) = self.waiting.introduced.take() {
            let _ = waiting.send(to);
        }
    }
}

impl Handler<Hold> for Call {
    type Result = ResponseFuture<Result<(), AskFailed>>;
    fn handle(&mut self, hold: Hold, ctx: &mut Context<Self>) -> Self::Result {
        if !self.state.is_answered() || self.waiting.hold.is_some() {
            return Box::pin(async { Err(AskFailed::WrongState) });
        }
        let Hold { by, wanted } = hold;
        let (tell, told) = oneshot::channel();
        self.waiting.hold = Some((hold, tell));
        self.step(if wanted { Event::HoldAsked(by) } else { Event::ResumeAsked(by) }, ctx);
        Box::pin(async { told.await.unwrap_or(Err(AskFailed::WrongState)) })
    }
}

impl Handler<Transfer> for Call {
    type Result = ResponseFuture<Result<(), AskFailed>>;
    fn handle(&mut self, Transfer { by, to }: Transfer, ctx: &mut Context<Self>) -> Self::Result {
        let free = self.state.is_answered() && !matches!(self.state, State::Transferring { .. });
        if !free || self.waiting.transfer.is_some() {
            return Box::pin(async { Err(AskFailed::WrongState) });
        }
        let (tell, told) = oneshot::channel();
        self.waiting.transfer = Some(tell);
        self.step(Event::TransferAsked(by, to), ctx);
        Box::pin(async { told.await.unwrap_or(Err(AskFailed::WrongState)) })
    }
}

impl Handler<Introduce> for Call {
    type Result = ResponseFuture<Option<Uri>>;
    fn handle(&mut self, Introduce(side): Introduce, _: &mut Context<Self>) -> Self::Result {
        if !self.state.is_answered() {
            return Box::pin(async { None });
        }
        let (tell, told) = oneshot::channel();
        self.waiting.introduced = Some(tell);
        self.tell(side, LegCommand::Introduce);
        Box::pin(async { told.await.ok().flatten() })
    }
}
