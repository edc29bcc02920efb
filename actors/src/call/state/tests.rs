//! A test for each row of the table, and what holds whatever comes.
use codecs::CodecId;
use proptest::prelude::*;

use super::*;
use crate::vocabulary::AudioFormat;

/// The one place that knows how to drive a state.
fn check(start: State, event: Event, end: State, does: &str) {
    let mut state = start;
    let actions: Vec<_> = state.on(event).iter().map(brief).collect();
    assert_eq!(state, end);
    assert_eq!(actions.join(" "), does);
}

/// An action in a few letters, so that a row of the table stays a row.
fn brief(action: &Action) -> String {
    match action {
        Action::Tell(side, command) => {
            let name = format!("{command:?}");
            let end = name.find(['(', ' ']).unwrap_or(name.len());
            let arg = if let LegCommand::ShowHold(on) = command { format!("={on}") } else { String::new() };
            format!("{}:{}{arg}", side.as_str(), &name[..end])
        }
        Action::Finish(why) => format!("Finish[{why}]"),
        other => format!("{other:?}"),
    }
}

fn why() -> EndReason {
    EndReason::new(Some(Side::Callee), Cause::HangUp)
}

fn format() -> MediaFormat {
    AudioFormat { codec: CodecId::Pcmu, ptime_ms: 20, telephone_event: true }.into()
}

fn digits() -> Digits {
    Digits { digits: "1".into(), method: crate::leg::DigitMethod::Rfc2833 }
}

use Side::{Callee, Caller};
use State::*;

#[test]
fn a_call_is_dialled_rings_and_is_answered() {
    check(New, Event::Begun, Dialing, "callee:Dial StartNoAnswerLimit");
    check(Dialing, Event::Rang, Ringing, "caller:Ring");
    check(Dialing, Event::SentEarlyMedia, Ringing, "caller:RingMedia");
    check(Ringing, Event::SentEarlyMedia, Ringing, "caller:RingMedia");
    let answer = "StartDurationLimit caller:Answer callee:Answer Connect";
    check(Ringing, Event::Answered, Talking, answer);
    check(Dialing, Event::Answered, Talking, answer);
    let given = |side| Event::AdditionsGiven(side, Additions::default());
    check(Ringing, given(Callee), Ringing, "caller:Add");
    check(Dialing, given(Callee), Dialing, "caller:Add");
    check(Ringing, given(Caller), Ringing, "");
    check(Talking, given(Callee), Talking, "");
}

#[test]
fn a_hold_waits_for_the_other_side_and_is_shown_to_the_asker() {
    check(Talking, Event::HoldAsked(Caller), Holding(Caller), "callee:Hold Pause");
    check(Holding(Caller), Event::Held, OnHold(Caller), "caller:ShowHold=true PlayMusic(Callee)");
    check(OnHold(Caller), Event::ResumeAsked(Caller), Resuming(Caller), "callee:Resume");
    check(Resuming(Caller), Event::Resumed, Talking, "caller:ShowHold=false Connect");
}

#[test]
fn a_refused_hold_shows_what_is_true() {
    check(Holding(Callee), Event::Refused, Talking, "callee:ShowHold=false Connect");
    check(Resuming(Callee), Event::Refused, OnHold(Callee), "callee:ShowHold=true");
    check(OnHold(Caller), Event::HoldAsked(Caller), OnHold(Caller), "caller:ShowHold=true");
    check(Talking, Event::ResumeAsked(Caller), Talking, "caller:ShowHold=false");
    check(OnHold(Caller), Event::ResumeAsked(Callee), OnHold(Caller), "");
}

fn transferring(held: Option<Side>) -> State {
    Transferring { by: Caller, held }
}

#[test]
fn a_transfer_goes_to_the_other_side_whether_it_is_held_or_not() {
    let asked = || Event::TransferAsked(Caller, "sip:1003@pbx".parse().unwrap());
    check(Talking, asked(), transferring(None), "callee:Transfer");
    check(OnHold(Caller), asked(), transferring(Some(Caller)), "callee:Transfer");
    check(Ringing, asked(), Ringing, "");
    for undecided in [Holding(Caller), Resuming(Caller)] {
        let mut state = undecided.clone();
        assert_eq!(state.on(asked()), [Action::Postpone(asked())]);
        assert_eq!(state, undecided);
    }
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_was() {
    let refused = || Event::TransferRefused(why());
    check(transferring(None), refused(), Talking, "caller:ShowTransferRefused");
    check(transferring(Some(Caller)), refused(), OnHold(Caller), "caller:ShowTransferRefused");
    check(Talking, refused(), Talking, "");
    let mut state = transferring(Some(Caller));
    let show = LegCommand::ShowTransferRefused { held: true, why: why() };
    assert_eq!(state.on(refused()), [Action::Tell(Caller, show)]);
}

#[test]
fn during_a_transfer_a_page_is_shown_what_is_true() {
    let (talks, held) = (transferring(None), transferring(Some(Caller)));
    check(talks.clone(), Event::HoldAsked(Caller), talks.clone(), "caller:ShowHold=false");
    check(held.clone(), Event::ResumeAsked(Caller), held.clone(), "caller:ShowHold=true");
    check(talks.clone(), Event::MediaAgreed(Callee, format()), talks.clone(), "caller:Agree Connect");
    check(held.clone(), Event::MediaAgreed(Callee, format()), held, "caller:Agree");
    check(talks.clone(), Event::DigitsAsked(Caller, digits()), talks, "callee:SendDigits");
}

#[test]
fn who_takes_a_held_sides_place_is_held_as_well() {
    check(Talking, Event::Replaced(Callee), Talking, "");
    check(transferring(None), Event::Replaced(Callee), Talking, "");
    for held in [Holding(Caller), OnHold(Caller), transferring(Some(Caller))] {
        check(held, Event::Replaced(Callee), Holding(Caller), "callee:Hold");
    }
    check(Resuming(Caller), Event::Replaced(Callee), Talking, "caller:ShowHold=false Connect");
    check(OnHold(Caller), Event::Replaced(Caller), Resuming(Caller), "callee:Resume");
    let answer = "StartDurationLimit caller:Answer callee:Answer Connect";
    check(Ringing, Event::Replaced(Callee), Talking, answer);
    check(Ringing, Event::Replaced(Caller), Ringing, "");
}

#[test]
fn agreed_media_connects_unless_held() {
    check(Ringing, Event::MediaAgreed(Callee, format()), Ringing, "caller:Agree Connect");
    check(OnHold(Caller), Event::MediaAgreed(Callee, format()), OnHold(Caller), "caller:Agree");
    check(New, Event::MediaAgreed(Callee, format()), New, "");
}

#[test]
fn a_hold_of_the_far_side_is_told_and_changes_nothing() {
    for state in [Ringing, Talking, OnHold(Caller), transferring(None)] {
        check(state.clone(), Event::RemoteHeld(Callee, true), state, "caller:ShowRemoteHold");
    }
    check(New, Event::RemoteHeld(Callee, true), New, "");
}

#[test]
fn digits_pass_only_once_answered() {
    check(Talking, Event::DigitsAsked(Caller, digits()), Talking, "callee:SendDigits");
    check(OnHold(Caller), Event::DigitsAsked(Caller, digits()), OnHold(Caller), "callee:SendDigits");
    check(Ringing, Event::DigitsAsked(Caller, digits()), Ringing, "");
}

#[test]
fn every_state_ends_when_a_leg_ends() {
    let transfers = transferring(None);
    let all = [New, Dialing, Ringing, Talking, Holding(Caller), OnHold(Callee), Resuming(Caller), transfers];
    for state in all {
        let does = "StopLimit Pause Measure caller:HangUp callee:HangUp Finish[hangup by callee]";
        check(state.clone(), Event::LegEnded(why()), Ended(why()), does);
        check(state, Event::HangUpAsked(why()), Ended(why()), does);
    }
    check(Ended(why()), Event::LegEnded(why()), Ended(why()), "");
}

#[test]
fn nobody_answers_for_ever() {
    let end = Ended(EndReason::new(None, Cause::NoAnswer));
    let does = "StopLimit Pause Measure caller:HangUp callee:HangUp Finish[no_answer by house]";
    check(Ringing, Event::NoAnswer, end, does);
    check(Talking, Event::NoAnswer, Talking, "");
}

#[test]
fn nobody_talks_for_ever() {
    let end = Ended(EndReason::new(None, Cause::MaxDuration));
    let does = "StopLimit Pause Measure caller:HangUp callee:HangUp Finish[max_duration by house]";
    check(Talking, Event::TooLong, end.clone(), does);
    check(OnHold(Caller), Event::TooLong, end, does);
    check(Ringing, Event::TooLong, Ringing, "");
}

fn any_event() -> impl Strategy<Value = Event> {
    let side = prop_oneof![Just(Caller), Just(Callee)];
    prop_oneof![
        Just(Event::Begun),
        Just(Event::Rang),
        Just(Event::SentEarlyMedia),
        Just(Event::Answered),
        Just(Event::Held),
        Just(Event::Resumed),
        Just(Event::Refused),
        Just(Event::NoAnswer),
        Just(Event::TooLong),
        side.clone().prop_map(Event::HoldAsked),
        side.clone().prop_map(Event::ResumeAsked),
        side.clone().prop_map(|side| Event::TransferAsked(side, "sip:1003@pbx".parse().unwrap())),
        Just(Event::TransferRefused(why())),
        side.clone().prop_map(Event::Replaced),
        side.clone().prop_map(|side| Event::MediaAgreed(side, format())),
        side.clone().prop_map(|side| Event::RemoteHeld(side, true)),
        side.prop_map(|side| Event::DigitsAsked(side, digits())),
        Just(Event::LegEnded(why())),
    ]
}

proptest! {
    #[test]
    fn any_order_of_events_leaves_a_call_that_can_end_and_ends_once(
        events in proptest::collection::vec(any_event(), 0..60)
    ) {
        let mut state = State::default();
        let mut finished = 0;
        for event in events.into_iter().chain([Event::HangUpAsked(why())]) {
            let actions = state.on(event);
            finished += actions.iter().filter(|action| matches!(action, Action::Finish(_))).count();
        }
        prop_assert!(matches!(state, Ended(_)));
        prop_assert_eq!(finished, 1);
    }

    #[test]
    fn an_asker_always_learns_what_came_of_its_hold(answers in proptest::collection::vec(0usize..3, 1..20)) {
        let mut state = Talking;
        for answer in answers {
            let ask = if state == Talking { Event::HoldAsked(Caller) } else { Event::ResumeAsked(Caller) };
            state.on(ask);
            let reply = [Event::Held, Event::Resumed, Event::Refused][answer].clone();
            let fits = !matches!((&state, &reply), (Holding(_), Event::Resumed) | (Resuming(_), Event::Held));
            let reply = if fits { reply } else { Event::Refused };
            let shown = state.on(reply).iter().any(|a| matches!(a, Action::Tell(Caller, LegCommand::ShowHold(_))));
            prop_assert!(shown);
        }
    }
}
