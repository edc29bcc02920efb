//! What a browser leg may do now. Pure: no actix, no socket, no clock.
//!
//! The page sees one offer and one answer per call, whatever happens on the other side.
//!
//! | in                         | on                  | becomes          | does                                     |
//! |----------------------------|---------------------|------------------|------------------------------------------|
//! | Offered (page calls)       | Begun, answer at once | Progressing    | answer the offer                         |
//! | Offered                    | Agree (other side's codec) | Progressing | answer the offer, its codec first      |
//! | Offered, Progressing       | Ring                | same             | show it, play ring-back until sound comes |
//! | Offered, Progressing       | RingMedia           | same             | show it                                  |
//! | Offered                    | Answer              | Talking          | answer the offer, show talk              |
//! | Progressing                | Answer              | Talking          | show talk, be quiet                      |
//! | Talking                    | Ring                | Talking          | play something for who waits, until sound comes |
//! | Talking                    | Quiet               | Talking          | be quiet                                 |
//! | Idle (we call the page)    | Dial                | Alerting         | offer, show the call, show ring, report Rang |
//! | Alerting                   | PageAnswered        | Accepting        | take the answer                          |
//! | Accepting                  | AnswerTaken         | Progressing      | report the answer                        |
//! | Talking                    | PageHolds, PageResumes | Talking       | report the wish                          |
//! | Talking                    | ShowHold            | Talking          | show hold or talk                        |
//! | Talking                    | PageTransfers       | Talking          | report the wish                          |
//! | Talking                    | ShowTransferRefused | Talking          | show it                                  |
//! | any but Ended              | Hold, Resume        | same             | report Held, Resumed: the page need not know |
//! | any but Ended              | Transfer, Introduce | same             | report that a page cannot be moved, nor taken over |
//! | any but Ended              | PageDials           | same             | report the digits, if Talking            |
//! | any but Ended              | PageHangsUp, PageGone | same           | report the end; the call answers HangUp  |
//! | any but Ended              | PathFailed, DescriptionFailed | same   | report the end                           |
//! | any but Ended              | HangUp              | Ended            | show the end, close                      |
//!
//! Every other pair is ignored. The page's first SDP starts the clock for its path: [`Action::AwaitPath`].
use sip::message::Uri;

use crate::leg::{Digits, LegCommand, LegEvent};
use crate::vocabulary::{Cause, EndReason, MediaFormat, Side};

/// Where the page stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The page's offer is in hand and waits for its answer.
    Offered,
    /// We are to offer to the page.
    Idle,
    /// The page has our offer and rings.
    Alerting,
    /// The page has answered; its SDP is being looked at.
    Accepting,
    /// Both descriptions are exchanged; the call is not answered yet.
    Progressing,
    /// Answered.
    Talking,
    /// Over.
    Ended,
}

/// What may happen to a browser leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The leg has started. For a calling page: whether its offer is answered at once.
    Begun {
        /// `media.answer_audio = "at_once"`.
        answer_at_once: bool,
    },
    /// From the call.
    Command(LegCommand),
    /// The page took the call; the SDP stays with the shell.
    PageAnswered,
    /// The page's answer can be used: this is what it speaks.
    AnswerTaken(MediaFormat),
    /// Our answer to the page's offer is out: this is what it says.
    OfferAnswered(MediaFormat),
    /// The page's SDP cannot be used.
    DescriptionFailed(EndReason),
    /// ICE or DTLS gave up, or never finished.
    PathFailed(EndReason),
    /// The page wants the other side held.
    PageHolds,
    /// The page wants to go on.
    PageResumes,
    /// The page wants the other side to call somebody else.
    PageTransfers(Uri),
    /// The page wants digits sent.
    PageDials(Digits),
    /// The page hangs up, cancels or rejects.
    PageHangsUp,
    /// The page's session is over.
    PageGone,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answer the page's offer; with these codecs first if they are named.
    AnswerOffer(Option<MediaFormat>),
    /// Make an offer and send it to the page.
    Offer,
    /// Hand the page's answer to the peer connection.
    TakeAnswer,
    /// Give the page's path a limit to come up.
    AwaitPath,
    /// Tell the page that a call came in.
    ShowIncoming,
    /// `ring`.
    ShowRing,
    /// `ring` with sound.
    ShowRingMedia,
    /// The page hears its far side ring, until something else is heard.
    PlayRingBack,
    /// The same for a page that is not told that somebody rings.
    PlayWaiting,
    /// Nothing of our own is heard any more.
    Quiet,
    /// `talk`.
    ShowTalk,
    /// `hold`.
    ShowHold,
    /// `hold` or `talk`, with the reason why the transfer failed.
    ShowTransferRefused {
        /// Whether the other side is held.
        held: bool,
        /// Why.
        why: EndReason,
    },
    /// `finish`; then close the peer connection and stop.
    ShowEnd(EndReason),
    /// Tell the call.
    Report(LegEvent),
}

impl State {
    /// The whole life of a browser leg. `side`: which end of the call the page is.
    pub fn on(&mut self, event: Event, side: Side) -> Vec<Action> {
        use Action::*;
        use State::*;
        let (next, actions) = match (&*self, event) {
            (Ended, _) => return vec![],
            (_, Event::Command(LegCommand::HangUp(why))) => (Ended, vec![ShowEnd(why)]),
            (now, Event::PageHangsUp) => (now.clone(), vec![Report(LegEvent::Ended(hang_up(now, side)))]),
            (now, Event::PageGone) => {
                let why = EndReason::new(Some(side), Cause::SessionClosed);
                (now.clone(), vec![Report(LegEvent::Ended(why))])
            }
            (now, Event::PathFailed(why) | Event::DescriptionFailed(why)) => {
                (now.clone(), vec![Report(LegEvent::Ended(why))])
            }

            (Offered, Event::Begun { answer_at_once: true }) => {
                (Progressing, vec![AnswerOffer(None), AwaitPath])
            }
            (Offered, Event::Command(LegCommand::Agree(format))) => {
                (Progressing, vec![AnswerOffer(Some(format)), AwaitPath])
            }
            (Offered | Progressing, Event::Command(LegCommand::Ring)) => {
                (self.clone(), vec![ShowRing, PlayRingBack])
            }
            (Offered | Progressing, Event::Command(LegCommand::RingMedia)) => {
                (self.clone(), vec![ShowRingMedia])
            }
            (Offered, Event::Command(LegCommand::Answer)) => {
                (Talking, vec![AnswerOffer(None), AwaitPath, ShowTalk])
            }
            (Progressing, Event::Command(LegCommand::Answer)) => (Talking, vec![ShowTalk, Quiet]),
            (Talking, Event::Command(LegCommand::Ring)) => (Talking, vec![PlayWaiting]),
            (Talking, Event::Command(LegCommand::Quiet)) => (Talking, vec![Quiet]),
            (now @ (Progressing | Talking), Event::OfferAnswered(format)) => {
                (now.clone(), vec![Report(LegEvent::MediaAgreed(format))])
            }

            (Idle, Event::Command(LegCommand::Dial)) => {
                (Alerting, vec![Offer, ShowIncoming, ShowRing, Report(LegEvent::Rang)])
            }
            (Alerting, Event::PageAnswered) => (Accepting, vec![TakeAnswer]),
            (Accepting, Event::AnswerTaken(format)) => (
                Progressing,
                vec![AwaitPath, Report(LegEvent::MediaAgreed(format)), Report(LegEvent::Answered)],
            ),

            (Talking, Event::PageHolds) => (Talking, vec![Report(LegEvent::HoldAsked)]),
            (Talking, Event::PageResumes) => (Talking, vec![Report(LegEvent::ResumeAsked)]),
            (Talking, Event::PageTransfers(to)) => (Talking, vec![Report(LegEvent::TransferAsked(to))]),
            (Talking, Event::PageDials(digits)) => (Talking, vec![Report(LegEvent::DigitsAsked(digits))]),
            (Talking, Event::Command(LegCommand::ShowHold(true))) => (Talking, vec![ShowHold]),
            (Talking, Event::Command(LegCommand::ShowHold(false))) => (Talking, vec![ShowTalk]),
            (Talking, Event::Command(LegCommand::ShowTransferRefused { held, why })) => {
                (Talking, vec![ShowTransferRefused { held, why }])
            }
            (now, Event::Command(LegCommand::Introduce)) => {
                (now.clone(), vec![Report(LegEvent::Introduced(None))])
            }
            (now, Event::Command(LegCommand::Transfer(_))) => {
                let why = EndReason::from_sip(side, 501, "");
                (now.clone(), vec![Report(LegEvent::TransferRefused(why))])
            }
            (now, Event::Command(LegCommand::Hold)) => (now.clone(), vec![Report(LegEvent::Held)]),
            (now, Event::Command(LegCommand::Resume)) => (now.clone(), vec![Report(LegEvent::Resumed)]),
            _ => return vec![],
        };
        *self = next;
        actions
    }
}

/// What a page's `hangup` means. An unanswered incoming call is declined with 486: a 603 would silence the
/// user's other phones too (RFC 3261 §21.6.2).
fn hang_up(now: &State, side: Side) -> EndReason {
    match (now, side) {
        (State::Talking, _) => EndReason::new(Some(side), Cause::HangUp),
        (_, Side::Caller) => EndReason::new(Some(side), Cause::Cancelled),
        (_, Side::Callee) => EndReason { sip_code: Some(486), ..EndReason::new(Some(side), Cause::Declined) },
    }
}

#[cfg(test)]
mod tests {
    use Side::{Callee, Caller};
    use State::*;
    use codecs::CodecId;
    use proptest::prelude::*;

    use super::*;
    use crate::vocabulary::AudioFormat;

    fn check(start: State, side: Side, event: Event, end: State, does: &str) {
        let mut state = start;
        let actions = state.on(event, side);
        assert_eq!(state, end);
        assert_eq!(format!("{actions:?}").replace(OPUS, "opus"), does);
    }

    const OPUS: &str = "MediaFormat { audio: AudioFormat { codec: Opus, ptime_ms: 20, telephone_event: true }, video: None }";

    fn opus() -> MediaFormat {
        AudioFormat { codec: CodecId::Opus, ptime_ms: 20, telephone_event: true }.into()
    }

    fn command(command: LegCommand) -> Event {
        Event::Command(command)
    }

    #[test]
    fn a_calling_page_is_answered_at_once_or_when_the_far_side_has_spoken() {
        let begun = |answer_at_once| Event::Begun { answer_at_once };
        check(Offered, Caller, begun(true), Progressing, "[AnswerOffer(None), AwaitPath]");
        check(Offered, Caller, begun(false), Offered, "[]");
        let agree = command(LegCommand::Agree(opus()));
        check(Offered, Caller, agree.clone(), Progressing, "[AnswerOffer(Some(opus)), AwaitPath]");
        check(Progressing, Caller, agree, Progressing, "[]");
        check(
            Offered,
            Caller,
            command(LegCommand::Answer),
            Talking,
            "[AnswerOffer(None), AwaitPath, ShowTalk]",
        );
        check(Progressing, Caller, Event::OfferAnswered(opus()), Progressing, "[Report(MediaAgreed(opus))]");
    }

    #[test]
    fn a_calling_page_sees_ring_and_talk() {
        check(Progressing, Caller, command(LegCommand::Ring), Progressing, "[ShowRing, PlayRingBack]");
        check(Offered, Caller, command(LegCommand::Ring), Offered, "[ShowRing, PlayRingBack]");
        check(Progressing, Caller, command(LegCommand::RingMedia), Progressing, "[ShowRingMedia]");
        check(Progressing, Caller, command(LegCommand::Answer), Talking, "[ShowTalk, Quiet]");
        check(Talking, Caller, command(LegCommand::Ring), Talking, "[PlayWaiting]");
        check(Talking, Caller, command(LegCommand::Quiet), Talking, "[Quiet]");
    }

    #[test]
    fn a_called_page_gets_sdp_then_the_call_then_ring() {
        check(
            Idle,
            Callee,
            command(LegCommand::Dial),
            Alerting,
            "[Offer, ShowIncoming, ShowRing, Report(Rang)]",
        );
        check(Alerting, Callee, Event::PageAnswered, Accepting, "[TakeAnswer]");
        let taken = "[AwaitPath, Report(MediaAgreed(opus)), Report(Answered)]";
        check(Accepting, Callee, Event::AnswerTaken(opus()), Progressing, taken);
        check(Progressing, Callee, command(LegCommand::Answer), Talking, "[ShowTalk, Quiet]");
        check(Accepting, Callee, Event::PageAnswered, Accepting, "[]");
    }

    #[test]
    fn a_page_that_hangs_up_cancels_declines_or_ends() {
        let ended = |why: &str, side, state: State| {
            let mut now = state.clone();
            let actions = now.on(Event::PageHangsUp, side);
            let [Action::Report(LegEvent::Ended(reason))] = &actions[..] else { panic!("{actions:?}") };
            assert_eq!(reason.to_string(), why);
            assert_eq!(now, state, "the page sees its end when the call says so");
        };
        ended("cancelled by caller", Caller, Progressing);
        ended("declined by callee, 486", Callee, Alerting);
        ended("hangup by callee", Callee, Talking);
    }

    #[test]
    fn a_hold_of_the_far_side_is_the_pages_wish_and_a_hold_of_the_page_is_nothing() {
        check(Talking, Caller, Event::PageHolds, Talking, "[Report(HoldAsked)]");
        check(Talking, Caller, Event::PageResumes, Talking, "[Report(ResumeAsked)]");
        check(Talking, Caller, command(LegCommand::ShowHold(true)), Talking, "[ShowHold]");
        check(Talking, Caller, command(LegCommand::ShowHold(false)), Talking, "[ShowTalk]");
        check(Talking, Caller, command(LegCommand::Hold), Talking, "[Report(Held)]");
        check(Talking, Caller, command(LegCommand::Resume), Talking, "[Report(Resumed)]");
        check(Progressing, Caller, Event::PageHolds, Progressing, "[]");
    }

    #[test]
    fn a_page_may_transfer_an_answered_call_and_learns_when_it_fails() {
        let to: Uri = "sip:1003@pbx".parse().unwrap();
        let mut state = Talking;
        let wish = [Action::Report(LegEvent::TransferAsked(to.clone()))];
        assert_eq!(state.on(Event::PageTransfers(to.clone()), Caller), wish);
        let why = EndReason::from_sip(Callee, 486, "Busy Here");
        let refused = LegCommand::ShowTransferRefused { held: true, why: why.clone() };
        assert_eq!(state.on(command(refused), Caller), [Action::ShowTransferRefused { held: true, why }]);
        assert_eq!(state, Talking);
        check(Progressing, Caller, Event::PageTransfers(to.clone()), Progressing, "[]");
        let cannot = [Action::Report(LegEvent::TransferRefused(EndReason::from_sip(Caller, 501, "")))];
        assert_eq!(state.on(command(LegCommand::Transfer(to)), Caller), cannot);
        let nobody = [Action::Report(LegEvent::Introduced(None))];
        assert_eq!(state.on(command(LegCommand::Introduce), Caller), nobody);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_end_is_shown_once(picks in proptest::collection::vec(0usize..13, 0..40), called: bool) {
            let why = EndReason::new(None, Cause::Internal);
            let digits = Digits { digits: "1".into(), method: crate::leg::DigitMethod::Rfc2833 };
            let events = [
                Event::Begun { answer_at_once: true }, Event::Begun { answer_at_once: false },
                command(LegCommand::Ring), command(LegCommand::Answer), command(LegCommand::Agree(opus())),
                command(LegCommand::Dial), command(LegCommand::ShowHold(true)), Event::PageAnswered,
                Event::AnswerTaken(opus()), Event::PageHolds, Event::PageDials(digits), Event::PageHangsUp,
                Event::PathFailed(why.clone()),
            ];
            let (mut state, side) = if called { (Idle, Callee) } else { (Offered, Caller) };
            let mut shown = 0;
            let last = [command(LegCommand::HangUp(why.clone())), command(LegCommand::HangUp(why))];
            for event in picks.into_iter().map(|pick| events[pick].clone()).chain(last) {
                shown += state.on(event, side).iter().filter(|action| matches!(action, Action::ShowEnd(_))).count();
            }
            prop_assert_eq!(shown, 1);
            prop_assert_eq!(state, Ended);
        }
    }
}
