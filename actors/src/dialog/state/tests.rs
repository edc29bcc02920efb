use Progress::{Asked, Refreshing, Waiting};
use Side::{Callee, Caller};
use State::*;
use proptest::prelude::*;

use super::*;

fn check(start: State, event: Event, end: State, does: &str) {
    let mut state = start;
    let far = if matches!(start, Invited | AwaitingAck { .. }) { Caller } else { Callee };
    let actions: Vec<_> = state.on(event, far).iter().map(brief).collect();
    assert_eq!(state, end);
    assert_eq!(actions.join(" "), does);
}

fn brief(action: &Action) -> String {
    match action {
        Action::Report(LegEvent::Ended(why)) => format!("Ended[{why}]"),
        Action::Report(LegEvent::Refused(why)) => format!("Refused[{why}]"),
        Action::Report(event) => format!("{event:?}"),
        Action::Refuse(why) => format!("Refuse[{}]", why.as_sip_code()),
        other => format!("{other:?}"),
    }
}

fn busy() -> EndReason {
    EndReason::from_sip(Callee, 486, "")
}

const UNACKED: State = AwaitingAck { leaves: false, next: None };

#[test]
fn an_invite_goes_out_once_the_next_hop_is_known() {
    check(Idle, Event::Dial, Locating, "Locate");
    check(Locating, Event::Located, Inviting, "Invite");
    check(Locating, Event::HangUp(busy()), Over, "Finish");
    check(Locating, Event::Rejected(busy()), Over, "Ended[busy by callee, 486] Finish");
}

#[test]
fn an_invite_rings_and_is_answered_or_refused() {
    check(Inviting, Event::TryAgain, Inviting, "Invite");
    check(Inviting, Event::Rang, Inviting, "Rang");
    check(Inviting, Event::EarlyMedia, Inviting, "SentEarlyMedia");
    check(Inviting, Event::Accepted, Up(Progress::None), "Ack Answered");
    check(Inviting, Event::Rejected(busy()), Over, "Ended[busy by callee, 486] Finish");
    check(Inviting, Event::AcceptedBadly(busy()), Leaving, "Ack Bye StartLimit Ended[busy by callee, 486]");
}

#[test]
fn a_cancelled_invite_that_was_answered_all_the_same_gets_ack_and_bye() {
    check(Inviting, Event::HangUp(busy()), Cancelling, "Cancel StartLimit");
    check(Cancelling, Event::Accepted, Leaving, "Ack Bye StartLimit");
    check(Cancelling, Event::Rejected(busy()), Over, "Finish");
    check(Cancelling, Event::TryAgain, Over, "Finish");
    check(Cancelling, Event::LimitOver, Over, "Finish");
}

#[test]
fn an_invite_that_came_in_rings_and_is_answered_or_refused() {
    check(Invited, Event::Ring, Invited, "Respond180");
    check(Invited, Event::Answer, UNACKED, "Respond200");
    check(Invited, Event::HangUp(busy()), Over, "Refuse[486] Finish");
    check(Invited, Event::AnswerFailed(busy()), Over, "Refuse[486] Ended[busy by callee, 486] Finish");
    for gone in [Event::Cancelled, Event::ByeReceived] {
        check(Invited, gone, Over, "Refuse[487] Ended[cancelled by caller, 487] Finish");
    }
}

#[test]
fn nothing_is_asked_of_the_far_end_before_its_ack() {
    let leaves = AwaitingAck { leaves: true, next: None };
    let holds = AwaitingAck { leaves: false, next: Some(Change::Hold) };
    check(UNACKED, Event::HangUp(busy()), leaves, "");
    check(leaves, Event::Acked, Leaving, "Bye StartLimit");
    check(UNACKED, Event::Ask(Change::Hold), holds, "");
    check(holds, Event::Acked, Up(Asked(Change::Hold)), "Reinvite(Hold)");
    check(UNACKED, Event::Acked, Up(Progress::None), "");
    let missing = "Bye StartLimit Ended[signalling_timeout by caller, no ACK]";
    check(UNACKED, Event::AckMissing, Leaving, missing);
    check(leaves, Event::AckMissing, Leaving, "Bye StartLimit");
    check(UNACKED, Event::ByeReceived, Over, "Ended[hangup by caller] Finish");
}

#[test]
fn a_change_is_reported_when_the_far_end_has_agreed() {
    check(Up(Progress::None), Event::Ask(Change::Hold), Up(Asked(Change::Hold)), "Reinvite(Hold)");
    check(Up(Asked(Change::Hold)), Event::Accepted, Up(Progress::None), "Ack Held");
    check(Up(Asked(Change::Resume)), Event::Accepted, Up(Progress::None), "Ack Resumed");
    check(Up(Asked(Change::Hold)), Event::TryAgain, Up(Asked(Change::Hold)), "Reinvite(Hold)");
}

#[test]
fn a_refused_change_leaves_the_call_as_it_was() {
    check(
        Up(Asked(Change::Hold)),
        Event::ChangeRefused(busy()),
        Up(Progress::None),
        "Refused[busy by callee, 486]",
    );
    check(Up(Asked(Change::Hold)), Event::Glare, Up(Waiting(Change::Hold)), "StartGlareWait");
    check(Up(Waiting(Change::Hold)), Event::GlareOver, Up(Asked(Change::Hold)), "Reinvite(Hold)");
    let gone = "Bye StartLimit Ended[busy by callee, 486]";
    check(Up(Asked(Change::Hold)), Event::Rejected(busy()), Leaving, gone);
}

#[test]
fn a_refresh_lets_a_change_wait_and_never_ends_the_call_unless_the_far_side_is_gone() {
    let (alone, holds) = (Up(Refreshing { next: None }), Up(Refreshing { next: Some(Change::Hold) }));
    check(Up(Progress::None), Event::RefreshDue, alone, "Refresh");
    check(alone, Event::Ask(Change::Hold), holds, "");
    check(alone, Event::TryAgain, alone, "Refresh");
    check(alone, Event::Refreshed, Up(Progress::None), "");
    check(alone, Event::Accepted, Up(Progress::None), "Ack");
    check(alone, Event::ChangeRefused(busy()), Up(Progress::None), "");
    check(alone, Event::Glare, Up(Progress::None), "");
    check(holds, Event::Refreshed, Up(Asked(Change::Hold)), "Reinvite(Hold)");
    check(holds, Event::Accepted, Up(Asked(Change::Hold)), "Ack Reinvite(Hold)");
    check(holds, Event::ChangeRefused(busy()), Up(Asked(Change::Hold)), "Reinvite(Hold)");
    check(holds, Event::Glare, Up(Waiting(Change::Hold)), "StartGlareWait");
    check(Up(Asked(Change::Hold)), Event::RefreshDue, Up(Asked(Change::Hold)), "");
    check(alone, Event::Rejected(busy()), Leaving, "Bye StartLimit Ended[busy by callee, 486]");
    check(alone, Event::AcceptedBadly(busy()), Leaving, "Ack Bye StartLimit Ended[busy by callee, 486]");
}

#[test]
fn a_session_that_nobody_refreshes_ends() {
    let does = "Bye StartLimit Ended[signalling_timeout by callee, 408, the session was not refreshed]";
    for progress in [Progress::None, Asked(Change::Hold), Refreshing { next: None }] {
        check(Up(progress), Event::SessionExpired, Leaving, does);
    }
    check(Leaving, Event::SessionExpired, Leaving, "");
}

#[test]
fn either_side_hangs_up() {
    check(Up(Progress::None), Event::HangUp(busy()), Leaving, "Bye StartLimit");
    check(Up(Asked(Change::Hold)), Event::ByeReceived, Over, "Ended[hangup by callee] Finish");
    let missing = "Bye StartLimit Ended[signalling_timeout by callee, no ACK]";
    check(Up(Progress::None), Event::AckMissing, Leaving, missing);
    let lost = "Bye StartLimit Ended[busy by callee, 486]";
    check(Up(Progress::None), Event::RouteLost(busy()), Leaving, lost);
    check(Leaving, Event::RouteLost(busy()), Leaving, "");
    check(Leaving, Event::ByeDone, Over, "Finish");
    check(Leaving, Event::ByeReceived, Over, "Finish");
    check(Leaving, Event::LimitOver, Over, "Finish");
    check(Over, Event::ByeReceived, Over, "");
}

#[test]
fn a_repeated_200_gets_its_ack_again() {
    check(Up(Progress::None), Event::Accepted, Up(Progress::None), "Ack");
    check(Leaving, Event::Accepted, Leaving, "Ack");
    check(Leaving, Event::AcceptedBadly(busy()), Leaving, "Ack");
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Dial),
        Just(Event::Ring),
        Just(Event::Answer),
        Just(Event::Ask(Change::Hold)),
        Just(Event::Ask(Change::Resume)),
        Just(Event::HangUp(busy())),
        Just(Event::Located),
        Just(Event::TryAgain),
        Just(Event::Rang),
        Just(Event::Accepted),
        Just(Event::AcceptedBadly(busy())),
        Just(Event::Rejected(busy())),
        Just(Event::ChangeRefused(busy())),
        Just(Event::RouteLost(busy())),
        Just(Event::Glare),
        Just(Event::GlareOver),
        Just(Event::RefreshDue),
        Just(Event::Refreshed),
        Just(Event::SessionExpired),
        Just(Event::AnswerFailed(busy())),
        Just(Event::Acked),
        Just(Event::AckMissing),
        Just(Event::Cancelled),
        Just(Event::ByeReceived),
        Just(Event::ByeDone),
    ]
}

proptest! {
    /// Whatever the network says, a hang-up followed by the limits that the machine itself has started ends it,
    /// once, and the call has heard of at most one end.
    #[test]
    fn any_order_of_events_ends_after_a_hang_up_and_its_limits(
        events in proptest::collection::vec(any_event(), 0..60),
        called: bool,
    ) {
        let (mut state, far) = if called { (Invited, Caller) } else { (Idle, Callee) };
        let mut all = Vec::new();
        let last = [Event::HangUp(busy()), Event::AckMissing, Event::LimitOver];
        for event in events.into_iter().chain(last) {
            all.extend(state.on(event, far));
        }
        prop_assert_eq!(state, Over);
        let count = |wanted: fn(&Action) -> bool| all.iter().filter(|action| wanted(action)).count();
        prop_assert_eq!(count(|action| matches!(action, Action::Finish)), 1);
        prop_assert!(count(|action| matches!(action, Action::Report(LegEvent::Ended(_)))) <= 1);
    }

    /// Two INVITEs of ours never stand at once: a re-INVITE follows an answer to the last, or the ACK of theirs.
    #[test]
    fn never_two_changes_at_once(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut state = Up(Progress::None);
        let mut outstanding = false;
        for event in events {
            let closes = matches!(event, Event::Accepted | Event::AcceptedBadly(_) | Event::TryAgain
                | Event::Glare | Event::ChangeRefused(_) | Event::Rejected(_) | Event::Refreshed);
            outstanding &= !closes;
            for action in state.on(event, Callee) {
                if matches!(action, Action::Reinvite(_) | Action::Refresh) {
                    prop_assert!(!outstanding);
                    outstanding = true;
                }
            }
        }
    }
}
