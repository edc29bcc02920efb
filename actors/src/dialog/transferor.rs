//! The far end is asked to call somebody else: REFER within the dialog (RFC 3515), and what its NOTIFYs say of it.
//!
//! | in       | on                                  | becomes  | does                                        |
//! |----------|-------------------------------------|----------|---------------------------------------------|
//! | Idle     | Sent                                | Asked    | start the limit                             |
//! | Asked    | Sent (with credentials)             | Asked    | start the limit                             |
//! | Asked    | Accepted                            | Accepted | start the limit                             |
//! | Asked    | Accepted, no NOTIFY will come (RFC 4488) | Reached | wait for their BYE                      |
//! | Asked, Accepted | Told 1xx or nothing, more follows | same | start the limit                            |
//! | Asked, Accepted | Told 2xx                     | Reached  | wait for their BYE                          |
//! | Asked, Accepted | Told 3xx to 6xx, or the last NOTIFY without a 2xx | Idle | report the refusal       |
//! | Asked, Accepted | Failed, Late                 | Idle     | report the refusal                          |
//! | Reached  | Late                                | Reached  | report the end: the call says BYE           |
//!
//! A NOTIFY may overtake the 202. Their BYE ends the dialog in any state; once they accepted, it means that they took the transfer.
//! No NOTIFY at all for [`LIMIT`] is a refusal: the call lives, and so does what they may still be calling.
use std::time::Duration;

use actix::{AsyncContext, Context};
use sip::auth::SentTo;
use sip::dialog::{DialogId, Notification, Replaces, is_silent};
use sip::message::{HeaderName, Request, Response, StatusCode, Uri};
use sip::transaction::ServerKey;
use tracing::info;

use super::Dialog;
use super::outbound::{Outbound, Purpose};
use super::signalling::Signalling;
use super::state::State;
use crate::leg::LegEvent;
use crate::vocabulary::{Cause, EndReason, Side};

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Transferor {
    /// None is under way.
    #[default]
    Idle,
    /// The REFER with this CSeq number is out.
    Asked(u32),
    /// It was accepted; NOTIFYs tell the rest.
    Accepted(u32),
    /// They talk to somebody else now.
    Reached(u32),
}

/// What may happen to a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The REFER went out under this CSeq number.
    Sent(u32),
    /// 2xx to the REFER.
    Accepted {
        /// NOTIFYs will come.
        tells: bool,
    },
    /// The REFER was refused, or nobody answered it.
    Failed(EndReason),
    /// A NOTIFY.
    Told(Notification),
    /// The time is over.
    Late,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Let [`Event::Late`] happen after this time, instead of any earlier one.
    StartTimer(Duration),
    /// It is decided.
    StopTimer,
    /// Tell the call.
    Report(LegEvent),
}

/// Without a word of the far end for this time, a transfer counts as failed.
const LIMIT: Duration = Duration::from_secs(60);

/// Who has moved on says BYE by itself; after this time we do.
const BYE_WAIT: Duration = Duration::from_secs(1);

impl Transferor {
    /// The whole life of a transfer. `far`: which end of the call is asked to move.
    pub(super) fn on(&mut self, event: Event, far: Side) -> Vec<Action> {
        use Transferor::{Accepted, Asked, Idle, Reached};
        let reached = || vec![Action::StartTimer(BYE_WAIT)];
        let (next, actions) = match (*self, event) {
            (Idle | Asked(_), Event::Sent(number)) => (Asked(number), vec![Action::StartTimer(LIMIT)]),
            (Asked(number), Event::Accepted { tells: true }) => {
                (Accepted(number), vec![Action::StartTimer(LIMIT)])
            }
            (Asked(number), Event::Accepted { tells: false }) => (Reached(number), reached()),
            (Asked(number) | Accepted(number), Event::Told(Notification { status, last, .. })) => {
                match status {
                    Some(code) if code.is_success() => (Reached(number), reached()),
                    Some(code) if code.is_final() => {
                        (Idle, refuse(EndReason::from_sip(far, code.as_u16(), code.reason())))
                    }
                    _ if last => {
                        let why = EndReason::new(Some(far), Cause::Refused);
                        (Idle, refuse(why.with_detail("the far side does not say how the transfer ended")))
                    }
                    _ => (*self, vec![Action::StartTimer(LIMIT)]),
                }
            }
            (Asked(_) | Accepted(_), Event::Failed(why)) => (Idle, refuse(why)),
            (Asked(_) | Accepted(_), Event::Late) => {
                let why = EndReason::new(Some(far), Cause::NoAnswer);
                (Idle, refuse(why.with_detail("the far side does not say what became of the transfer")))
            }
            (Reached(_), Event::Late) => {
                let why = EndReason::new(Some(far.other()), Cause::Transferred);
                (*self, vec![Action::Report(LegEvent::Ended(why))])
            }
            _ => return vec![],
        };
        *self = next;
        actions
    }

    /// Whether a NOTIFY is about the transfer that is under way.
    fn is_meant(self, id: Option<u32>) -> bool {
        match self {
            Self::Idle => false,
            Self::Asked(number) | Self::Accepted(number) | Self::Reached(number) => {
                id.is_none_or(|id| id == number)
            }
        }
    }

    /// A report of the dialog as the transfer explains it: who accepted a transfer and hangs up has moved on.
    pub(super) fn explained(self, event: LegEvent) -> LegEvent {
        match (self, event) {
            (Self::Accepted(_) | Self::Reached(_), LegEvent::Ended(why)) if why.cause == Cause::HangUp => {
                LegEvent::Ended(EndReason { cause: Cause::Transferred, ..why })
            }
            (_, event) => event,
        }
    }
}

fn refuse(why: EndReason) -> Vec<Action> {
    vec![Action::StopTimer, Action::Report(LegEvent::TransferRefused(why))]
}

impl Dialog {
    /// Asks the far end to call `to`.
    pub(super) fn transfer(&mut self, to: Uri, ctx: &mut Context<Self>) {
        let free = self.transferor == Transferor::Idle && !self.transferee.follows();
        let ready = free && matches!(self.state, State::Up(_));
        let refer = self.signalling.as_mut().filter(|_| ready).and_then(|signalling| signalling.refer(&to));
        match refer {
            Some(request) => {
                info!(call_id = %self.call_id, %to, "transferring");
                self.send_refer(request, ctx);
            }
            None => self.report(LegEvent::TransferRefused(EndReason::from_sip(self.far, 491, ""))),
        }
    }

    /// Says how somebody else takes our place towards the far end: a call to its Contact that replaces this dialog (RFC 3891).
    pub(super) fn introduce(&mut self) {
        let up = matches!(self.state, State::Up(_));
        let dialog = self.signalling.as_mut().filter(|_| up).and_then(Signalling::dialog);
        let to = dialog.and_then(|dialog| {
            let DialogId { call_id, local_tag, remote_tag } = dialog.id().clone();
            let replaces = Replaces { call_id, to_tag: remote_tag, from_tag: local_tag, early_only: false };
            let contact = dialog.remote_target().as_sip()?.clone().without_headers();
            Some(contact.with_header("Replaces", &replaces.to_string()).into())
        });
        self.report(LegEvent::Introduced(to));
    }

    fn send_refer(&mut self, request: Request, ctx: &mut Context<Self>) {
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        self.transfer_step(Event::Sent(number), ctx);
        self.send_inside(Outbound::Request(Purpose::Refer, request), ctx);
    }

    /// The final response to our REFER.
    pub(super) fn refer_answered(&mut self, response: &Response, sent_to: SentTo, ctx: &mut Context<Self>) {
        let Some(signalling) = &mut self.signalling else { return };
        if let Some(again) = signalling.refer_challenged(response, sent_to) {
            return self.send_refer(again, ctx);
        }
        signalling.refer_concluded(Some(response));
        let code = response.code;
        let event = if code.is_success() {
            Event::Accepted { tells: !is_silent(response.headers.get(&HeaderName::ReferSub)) }
        } else {
            Event::Failed(EndReason::from_sip(self.far, code.as_u16(), response.reason()))
        };
        self.transfer_step(event, ctx);
    }

    /// Our REFER will have no response.
    pub(super) fn refer_failed(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        if let Some(signalling) = &mut self.signalling {
            signalling.refer_concluded(None);
        }
        self.transfer_step(Event::Failed(why), ctx);
    }

    /// A NOTIFY of the far end.
    pub(super) fn notified(&mut self, key: ServerKey, request: &Request, ctx: &mut Context<Self>) {
        match Notification::read(request) {
            Ok(told) if self.transferor.is_meant(told.id) => {
                self.refuse(key, request, StatusCode::OK);
                self.transfer_step(Event::Told(told), ctx);
            }
            // It ends a subscription that nobody has any more (RFC 6665 §4.1.3).
            Ok(_) => self.refuse(key, request, StatusCode::CALL_DOES_NOT_EXIST),
            Err(code) => self.refuse(key, request, code),
        }
    }

    fn transfer_step(&mut self, event: Event, ctx: &mut Context<Self>) {
        for action in self.transferor.on(event, self.far) {
            match action {
                Action::StartTimer(time) => {
                    self.stop_transfer_timer(ctx);
                    self.transfer_timer =
                        Some(ctx.run_later(time, |dialog, ctx| dialog.transfer_step(Event::Late, ctx)));
                }
                Action::StopTimer => self.stop_transfer_timer(ctx),
                Action::Report(event) => self.report(event),
            }
        }
    }

    fn stop_transfer_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.transfer_timer.take() {
            ctx.cancel_future(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use Transferor::{Accepted, Asked, Idle, Reached};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(start: Transferor, event: Event, end: Transferor, does: &str) {
        let mut state = start;
        let actions: Vec<_> = state.on(event, Side::Callee).iter().map(brief).collect();
        assert_eq!((state, actions.join(" ").as_str()), (end, does));
    }

    fn brief(action: &Action) -> String {
        match action {
            Action::StartTimer(time) => format!("{}s", time.as_secs()),
            Action::StopTimer => "stop".to_owned(),
            Action::Report(LegEvent::Ended(why)) => format!("ended[{why}]"),
            Action::Report(LegEvent::TransferRefused(why)) => format!("refused[{}]", why.cause.as_str()),
            Action::Report(other) => format!("{other:?}"),
        }
    }

    fn told(code: u16, last: bool) -> Event {
        Event::Told(Notification { id: None, status: StatusCode::try_from(code).ok(), last })
    }

    #[test]
    fn a_transfer_that_is_followed_ends_the_call() {
        check(Idle, Event::Sent(2), Asked(2), "60s");
        check(Asked(2), Event::Sent(3), Asked(3), "60s");
        check(Asked(3), Event::Accepted { tells: true }, Accepted(3), "60s");
        check(Accepted(3), told(100, false), Accepted(3), "60s");
        check(Accepted(3), told(200, true), Reached(3), "1s");
        check(Reached(3), told(200, true), Reached(3), "");
        check(Reached(3), Event::Late, Reached(3), "ended[transferred by caller]");
    }

    #[test]
    fn a_notify_may_overtake_the_202() {
        check(Asked(2), told(100, false), Asked(2), "60s");
        check(Asked(2), told(200, true), Reached(2), "1s");
        check(Reached(2), Event::Accepted { tells: true }, Reached(2), "");
        check(Reached(2), Event::Failed(EndReason::from_sip(Side::Callee, 408, "")), Reached(2), "");
    }

    #[test]
    fn who_accepts_in_silence_has_moved_on() {
        check(Asked(2), Event::Accepted { tells: false }, Reached(2), "1s");
    }

    #[test]
    fn a_transfer_that_fails_is_told_with_its_cause() {
        let failed = |code| Event::Failed(EndReason::from_sip(Side::Callee, code, ""));
        check(Asked(2), failed(603), Idle, "stop refused[declined]");
        for state in [Asked(2), Accepted(2)] {
            check(state, told(486, true), Idle, "stop refused[busy]");
            check(state, told(302, false), Idle, "stop refused[refused]");
            check(state, told(0, true), Idle, "stop refused[refused]");
            check(state, told(180, true), Idle, "stop refused[refused]");
            check(state, Event::Late, Idle, "stop refused[no_answer]");
        }
        check(Idle, told(200, true), Idle, "");
        check(Idle, Event::Late, Idle, "");
    }

    #[test]
    fn a_bye_after_the_202_means_that_they_moved_on() {
        let hung_up = || LegEvent::Ended(EndReason::new(Some(Side::Callee), Cause::HangUp));
        let moved = LegEvent::Ended(EndReason::new(Some(Side::Callee), Cause::Transferred));
        for (state, expected) in
            [(Idle, hung_up()), (Asked(2), hung_up()), (Accepted(2), moved.clone()), (Reached(2), moved)]
        {
            assert_eq!(state.explained(hung_up()), expected, "{state:?}");
        }
        assert_eq!(Accepted(2).explained(LegEvent::Held), LegEvent::Held);
    }

    #[test]
    fn a_notify_of_an_earlier_refer_is_not_taken_for_this_one() {
        assert!(Asked(2).is_meant(None) && Reached(2).is_meant(Some(2)));
        assert!(!Accepted(2).is_meant(Some(1)) && !Idle.is_meant(None));
    }

    proptest! {
        #[test]
        fn whatever_comes_a_transfer_is_decided_once(picks in proptest::collection::vec(0usize..8, 0..30)) {
            let events = [
                Event::Accepted { tells: true }, Event::Accepted { tells: false }, told(100, false), told(200, true),
                told(486, true), told(0, true), Event::Failed(EndReason::from_sip(Side::Callee, 500, "")), Event::Sent(3),
            ];
            let mut state = Idle;
            let mut decided = 0;
            // A transfer that is over may be asked for again: only one is looked at here.
            for event in std::iter::once(Event::Sent(2)).chain(picks.into_iter().map(|pick| events[pick].clone())) {
                if decided > 0 {
                    break;
                }
                decided += state.on(event, Side::Callee).iter().filter(|it| matches!(it, Action::Report(_))).count();
            }
            decided += state.on(Event::Late, Side::Callee).iter().filter(|it| matches!(it, Action::Report(_))).count();
            prop_assert_eq!(decided, 1);
        }
    }
}
