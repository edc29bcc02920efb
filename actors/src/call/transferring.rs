//! Transfers asked for from above, and what is asked of a call about its legs. The wish goes the way of a page's; whoever asked hears what
//! became of it.
use actix::{Context, Handler, Message, ResponseFuture};
use sip::message::Uri;
use tokio::sync::oneshot;

use super::Call;
use super::state::{Event, State};
use crate::leg::LegCommand;
use crate::vocabulary::{Cause, EndReason, Side};

/// Asks the far end across from `by` to call somebody else. Answered when it is decided.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), TransferFailed>")]
pub struct Transfer {
    /// At whose wish.
    pub by: Side,
    /// Whom to call.
    pub to: Uri,
}

/// Why a transfer did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferFailed {
    /// The call is not answered, or is being transferred already.
    WrongState,
    /// The far side would not, or could not, or the call ended in another way.
    Refused(EndReason),
}

/// Asks how somebody else would take the far end of a side over; `None`: nobody could.
#[derive(Debug, Message)]
#[rtype(result = "Option<Uri>")]
pub struct Introduce(pub Side);

/// Who waits for an answer.
#[derive(Default)]
pub(super) struct Waiting {
    transfer: Option<oneshot::Sender<Result<(), TransferFailed>>>,
    introduced: Option<oneshot::Sender<Option<Uri>>>,
}

impl Call {
    /// The far side would not be moved.
    pub(super) fn transfer_refused(&mut self, why: &EndReason) {
        if let Some(waiting) = self.waiting.transfer.take() {
            let _ = waiting.send(Err(TransferFailed::Refused(why.clone()))); // who left does not want to know
        }
    }

    /// The call is over, perhaps because the far side was moved.
    pub(super) fn transfer_over(&mut self, why: &EndReason) {
        if let Some(waiting) = self.waiting.transfer.take_if(|_| why.cause == Cause::Transferred) {
            let _ = waiting.send(Ok(()));
        }
        self.transfer_refused(why);
    }

    /// A leg says how it could be taken over.
    pub(super) fn introduced(&mut self, to: Option<Uri>) {
        if let Some(waiting) = self.waiting.introduced.take() {
            let _ = waiting.send(to);
        }
    }
}

impl Handler<Transfer> for Call {
    type Result = ResponseFuture<Result<(), TransferFailed>>;
    fn handle(&mut self, Transfer { by, to }: Transfer, ctx: &mut Context<Self>) -> Self::Result {
        let free = self.state.is_answered() && !matches!(self.state, State::Transferring { .. });
        if !free || self.waiting.transfer.is_some() {
            return Box::pin(async { Err(TransferFailed::WrongState) });
        }
        let (tell, told) = oneshot::channel();
        self.waiting.transfer = Some(tell);
        self.step(Event::TransferAsked(by, to), ctx);
        Box::pin(async { told.await.unwrap_or(Err(TransferFailed::WrongState)) })
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
