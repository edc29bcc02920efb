//! Every row of the table, and random events in random order.
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};
use sip::message::SipUri;

use super::*;

const HOUR: u64 = 3600;

/// A machine and its own clock.
struct Drive {
    machine: Machine,
    now: Instant,
}

/// Runs `script` from Idle: `(seconds to wait, event)`. The last event must lead to `state` and do `does`.
#[track_caller]
fn check(script: &[(f64, Event)], state: &str, does: &str) {
    let mut drive = Drive::new();
    let mut last = vec![];
    for (wait, event) in script {
        drive.now += Duration::from_secs_f64(*wait);
        last = drive.machine.on(event.clone(), drive.now);
    }
    assert_eq!((drive.machine.state_name(), brief(&last).as_str()), (state, does), "{script:?}");
}

impl Drive {
    fn new() -> Self {
        Self { machine: Machine::new(Duration::from_secs(HOUR), 0.0), now: Instant::now() }
    }
}

fn brief(actions: &[Action]) -> String {
    let words = actions.iter().map(|action| match action {
        Action::Locate => "locate".to_owned(),
        Action::LocateMoved(to) => format!("locate({to})"),
        Action::Send { hop, expires, again } => {
            format!("{}({hop},{expires})", if *again { "again" } else { "send" })
        }
        Action::TellRegistered { expires } => format!("registered({})", expires.as_secs()),
        Action::TellFailed { sip_status: Some(code), last: true, .. } => format!("last({code})"),
        Action::TellFailed { sip_status: Some(code), .. } => format!("failed({code})"),
        Action::TellFailed { .. } => "failed".to_owned(),
        Action::TellUnregistering => "unregistering".to_owned(),
        Action::Finish => "finish".to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn granted(seconds: u64) -> Event {
    Event::Answer(Answer::Granted(Duration::from_secs(seconds)))
}

fn challenged() -> Event {
    Event::Answer(Answer::Challenged)
}

fn given_up(for_good: bool) -> Event {
    Event::Answer(Answer::GivenUp { code: 401, info: "no".into(), for_good })
}

fn refused(code: u16) -> Event {
    Event::Answer(Answer::Refused { code, phrase: "No".into(), retry_after: None })
}

fn too_brief(min: u64) -> Event {
    Event::Answer(Answer::TooBrief(Duration::from_secs(min)))
}

fn moved() -> Event {
    let to = SipUri::new("two.example".parse().unwrap());
    Event::Answer(Answer::Moved { code: 302, to })
}

/// `start`, then Start and Located(`hops`).
fn sent(hops: usize, then: &[(f64, Event)]) -> Vec<(f64, Event)> {
    [&[(0.0, Event::Start), (0.0, Event::Located(hops))], then].concat()
}

/// Registered for an hour after one challenge, then `then`.
fn registered(then: &[(f64, Event)]) -> Vec<(f64, Event)> {
    sent(1, &[&[(0.0, challenged()), (0.0, granted(HOUR))], then].concat())
}

#[test]
fn a_challenge_is_answered_and_a_grant_is_told() {
    check(&[(0.0, Event::Start)], "registering", "locate");
    check(&sent(1, &[]), "registering", "send(0,3600)");
    check(&sent(1, &[(0.0, challenged())]), "registering", "again(0,3600)");
    check(&sent(1, &[(0.0, Event::Answer(Answer::Provisional))]), "registering", "");
    check(&registered(&[]), "registered", "registered(3600)");
}

#[test]
fn a_refused_account_fails_for_good() {
    check(&sent(1, &[(0.0, challenged()), (0.0, given_up(true))]), "failed", "last(401)");
    check(&sent(1, &[(0.0, refused(403))]), "failed", "last(403)");
    check(&sent(1, &[(0.0, refused(404))]), "failed", "last(404)");
    check(&sent(1, &[(0.0, refused(403)), (9.0, Event::Timer)]), "failed", "");
}

#[test]
fn nonces_that_are_always_stale_are_trouble_and_no_verdict_on_the_password() {
    check(&sent(1, &[(0.0, challenged()), (0.0, given_up(false))]), "retrying", "failed(401)");
}

#[test]
fn a_longer_minimum_is_obeyed_twice() {
    check(&sent(1, &[(0.0, too_brief(7200))]), "registering", "send(0,7200)");
    check(&sent(1, &[(0.0, too_brief(60))]), "retrying", "failed(423)");
    let again = |n: u64| (0.0, too_brief(7200 * n));
    check(&sent(1, &[again(1), again(2), again(3)]), "retrying", "failed(423)");
}

#[test]
fn a_redirect_is_obeyed_twice() {
    let found = (0.0, Event::Located(1));
    check(&sent(1, &[(0.0, moved())]), "registering", "locate(sip:two.example)");
    check(&sent(1, &[(0.0, moved()), found.clone()]), "registering", "send(0,3600)");
    check(&sent(1, &[(0.0, moved()), (0.0, Event::NotLocated("no".into()))]), "retrying", "failed");
    let circle = [(0.0, moved()), found.clone(), (0.0, moved()), found, (0.0, moved())];
    check(&sent(1, &circle), "retrying", "failed(302)");
    check(&sent(1, &[&circle[..], &[(1.0, Event::Timer)]].concat()), "registering", "locate");
}

#[test]
fn silence_is_told_after_four_and_a_half_seconds_while_the_request_runs_on() {
    check(&sent(1, &[(4.4, Event::Timer)]), "registering", "");
    check(&sent(1, &[(4.5, Event::Timer)]), "registering", "failed");
    check(&sent(1, &[(4.5, Event::Timer), (20.0, granted(60))]), "registered", "registered(60)");
    check(&sent(1, &[(4.5, Event::Timer), (27.5, Event::TimedOut)]), "retrying", "");
    check(&[(0.0, Event::Start), (4.5, Event::Timer)], "registering", "failed");
}

#[test]
fn trouble_goes_to_the_next_hop_and_then_pauses() {
    check(&sent(2, &[(0.0, Event::TransportFailed)]), "registering", "send(1,3600)");
    check(&sent(2, &[(0.0, Event::TlsFailed("expired".into()))]), "registering", "send(1,3600)");
    check(&sent(1, &[(0.0, Event::TlsFailed("expired".into()))]), "retrying", "failed");
    check(&sent(2, &[(0.0, refused(503))]), "registering", "send(1,3600)");
    check(&sent(2, &[(0.0, refused(500))]), "retrying", "failed(500)");
    check(&sent(2, &[(0.0, Event::TransportFailed), (0.0, Event::TransportFailed)]), "retrying", "failed");
    check(&[(0.0, Event::Start), (0.0, Event::Located(0))], "retrying", "failed");
    check(&[(0.0, Event::Start), (0.0, Event::NotLocated("no".into()))], "retrying", "failed");
    check(&sent(1, &[(0.0, refused(500)), (0.9, Event::Timer)]), "retrying", "");
    check(&sent(1, &[(0.0, refused(500)), (1.0, Event::Timer)]), "registering", "locate");
}

#[test]
fn a_grant_of_no_time_is_trouble() {
    check(&sent(1, &[(0.0, granted(0))]), "retrying", "failed");
}

#[test]
fn the_owner_hears_news_only() {
    let down = [(0.0, refused(500)), (1.0, Event::Timer), (0.0, Event::Located(1))];
    check(&sent(1, &[&down[..], &[(0.0, refused(500))]].concat()), "retrying", "");
    check(&sent(1, &[&down[..], &[(0.0, refused(480))]].concat()), "retrying", "failed(480)");
    check(&sent(1, &[&down[..], &[(0.0, granted(60))]].concat()), "registered", "registered(60)");
    check(&registered(&[(2880.0, Event::Timer)]), "registering", "send(0,3600)");
    check(&registered(&[(2880.0, Event::Timer), (0.0, granted(HOUR))]), "registered", "");
}

#[test]
fn a_lost_event_does_not_stop_the_account() {
    let silent = [(4.5, Event::Timer), (36.0, Event::Timer)];
    check(&sent(1, &silent), "retrying", "");
}

#[test]
fn the_end_unregisters_a_live_binding_only() {
    check(&[(0.0, Event::Stop)], "gone", "finish");
    check(&[(0.0, Event::Start), (0.0, Event::Stop)], "gone", "finish");
    check(&sent(1, &[(0.0, refused(500)), (0.0, Event::Stop)]), "gone", "finish");
    check(&sent(1, &[(0.0, refused(403)), (0.0, Event::Stop)]), "gone", "finish");
    let stop = (0.0, Event::Stop);
    check(&registered(std::slice::from_ref(&stop)), "unregistering", "unregistering send(0,0)");
    check(&registered(&[stop.clone(), (0.0, challenged())]), "unregistering", "again(0,0)");
    check(&registered(&[stop.clone(), (0.0, granted(0))]), "gone", "finish");
    check(&registered(&[stop.clone(), (0.0, Event::TimedOut)]), "gone", "finish");
    check(&registered(&[stop.clone(), (1.9, Event::Timer)]), "unregistering", "");
    check(&registered(&[stop.clone(), (2.0, Event::Timer)]), "gone", "finish");
    check(&registered(&[stop.clone(), (0.0, given_up(true))]), "gone", "finish");
    let trouble = [(2880.0, Event::Timer), (0.0, refused(500)), stop];
    check(&registered(&trouble), "unregistering", "unregistering send(0,0)");
}

#[test]
fn the_end_waits_for_a_register_that_is_out() {
    let stop = (0.0, Event::Stop);
    check(&sent(1, std::slice::from_ref(&stop)), "unregistering", "unregistering");
    check(&sent(1, &[stop.clone(), (0.1, granted(60))]), "unregistering", "send(0,0)");
    check(&sent(1, &[stop.clone(), (0.1, granted(60)), (0.1, granted(0))]), "gone", "finish");
    check(&sent(1, &[stop.clone(), (0.1, challenged())]), "gone", "finish");
    check(&sent(1, &[stop.clone(), (2.0, Event::Timer)]), "gone", "finish");
    let refresh = [(2880.0, Event::Timer), stop, (0.0, Event::TransportFailed)];
    check(&registered(&refresh), "unregistering", "send(0,0)");
}

#[test]
fn a_lost_way_is_opened_again_unless_the_registrar_closes_it_each_time() {
    let (lost, kept, ok) = ((25.0, Event::FlowLost), (25.0, Event::FlowKept), (0.0, granted(HOUR)));
    check(&registered(std::slice::from_ref(&lost)), "registering", "send(0,3600)");
    let twice = [lost.clone(), ok.clone(), lost.clone(), ok.clone()];
    check(&registered(&twice), "registered", "");
    check(&registered(&[&twice[..], std::slice::from_ref(&lost)].concat()), "registered", "");
    check(&registered(&[&twice[..], &[kept, lost.clone()]].concat()), "registering", "send(0,3600)");
    check(&sent(1, std::slice::from_ref(&lost)), "registering", "");
    check(&sent(1, &[(0.0, refused(500)), lost]), "retrying", "");
}

#[test]
fn an_account_that_nobody_uses_stays_registered_as_long_as_a_page_takes_to_be_loaded_anew() {
    let (gone, back) = ((0.0, Event::LetGo), (2.9, Event::Keep));
    check(&registered(std::slice::from_ref(&gone)), "registered", "");
    check(&registered(&[gone.clone(), (2.9, Event::Timer)]), "registered", "");
    check(&registered(&[gone.clone(), (3.0, Event::Timer)]), "unregistering", "unregistering send(0,0)");
    check(&registered(&[gone.clone(), back, (1.0, Event::Timer)]), "registered", "");
    check(&sent(1, &[(0.0, refused(500)), gone.clone(), (3.0, Event::Timer)]), "gone", "finish");
    check(&sent(1, &[gone.clone(), (3.0, Event::Timer)]), "unregistering", "unregistering");
    check(&sent(1, &[gone.clone(), (0.0, refused(403))]), "gone", "last(403) finish");
    check(&[(0.0, Event::Start), gone.clone(), (3.0, Event::Timer)], "gone", "finish");
    check(&sent(1, &[(0.0, refused(403)), gone.clone()]), "gone", "finish");
    check(&[gone], "gone", "finish");
}

#[test]
fn whoever_comes_while_the_account_is_unregistered_is_registered_after_that() {
    let stop = (0.0, Event::Stop);
    let back = (0.1, Event::Keep);
    check(&registered(&[stop.clone(), back.clone()]), "unregistering", "");
    let again = registered(&[stop.clone(), back.clone(), (0.0, granted(0))]);
    check(&again, "registering", "locate");
    let up = [&again[..], &[(0.0, Event::Located(1)), (0.0, granted(60))]].concat();
    check(&up, "registered", "registered(60)");
    check(&registered(&[stop.clone(), back.clone(), (2.0, Event::Timer)]), "registering", "locate");
    let left = (0.0, Event::LetGo);
    check(&registered(&[stop.clone(), back.clone(), left, (0.0, granted(0))]), "gone", "finish");
    check(&registered(&[stop.clone(), back, stop, (0.0, granted(0))]), "gone", "finish");
}

#[test]
fn what_comes_too_late_or_too_early_is_ignored() {
    check(&[(0.0, granted(60))], "idle", "");
    check(&registered(&[(0.0, refused(403))]), "registered", "");
    check(&registered(&[(0.0, Event::Located(3))]), "registered", "");
    check(&[(0.0, Event::Stop), (0.0, Event::Start)], "gone", "");
    check(&sent(1, &[(0.0, Event::Located(2))]), "registering", "");
}

fn any_event() -> impl Strategy<Value = (f64, Event)> {
    let event = prop_oneof![
        Just(Event::Start),
        (0..3usize).prop_map(Event::Located),
        Just(Event::NotLocated("no".into())),
        Just(Event::Answer(Answer::Provisional)),
        (0..4000u64).prop_map(granted),
        Just(challenged()),
        proptest::bool::ANY.prop_map(given_up),
        (0..9000u64).prop_map(too_brief),
        prop_oneof![Just(403), Just(404), Just(480), Just(500), Just(503)].prop_map(refused),
        Just(moved()),
        Just(Event::TimedOut),
        Just(Event::TransportFailed),
        Just(Event::TlsFailed("expired".into())),
        Just(Event::Timer),
        Just(Event::Keep),
        Just(Event::FlowLost),
        Just(Event::FlowKept),
    ];
    (0.0..60.0f64, event)
}

/// The same, with pages that come and go.
fn any_event_and_pages() -> impl Strategy<Value = (f64, Event)> {
    prop_oneof![5 => any_event(), 1 => (0.0..5.0f64, Just(Event::LetGo)), 1 => (0.0..5.0f64, Just(Event::Keep))]
}

/// Whether `event` can end a REGISTER that is out.
fn is_final(event: &Event) -> bool {
    match event {
        Event::Answer(answer) => *answer != Answer::Provisional,
        Event::TimedOut | Event::TransportFailed | Event::TlsFailed(_) => true,
        _ => false,
    }
}

proptest! {
    #[test]
    fn random_events_never_make_two_registers_and_never_get_stuck(script in vec(any_event_and_pages(), 0..80)) {
        let mut drive = Drive::new();
        drive.machine.on(Event::Start, drive.now);
        let mut out: Option<Instant> = None;
        for (wait, event) in script {
            drive.now += Duration::from_secs_f64(wait);
            if is_final(&event) {
                out = None;
            }
            for action in drive.machine.on(event, drive.now) {
                if let Action::Send { .. } = action {
                    // Timer F has ended an older one by the time that the machine gives up.
                    prop_assert!(out.is_none_or(|at| drive.now - at >= Duration::from_secs(32)));
                    out = Some(drive.now);
                }
            }
            let quiet = matches!(drive.machine.state_name(), "failed" | "gone");
            prop_assert_eq!(drive.machine.deadline().is_none(), quiet);
        }
        // Whatever happened: asked to end, it ends within its two seconds.
        drive.machine.on(Event::Stop, drive.now);
        drive.now += Duration::from_secs(2);
        drive.machine.on(Event::Timer, drive.now);
        prop_assert_eq!(drive.machine.state_name(), "gone");
    }

    #[test]
    fn a_register_is_retried_forever_until_it_is_refused(script in vec(any_event(), 0..80)) {
        let mut drive = Drive::new();
        drive.machine.on(Event::Start, drive.now);
        for (wait, event) in script {
            drive.now += Duration::from_secs_f64(wait);
            drive.machine.on(event, drive.now);
        }
        if drive.machine.state_name() != "failed" {
            // Left alone with a healthy registrar, it is registered within its longest pause.
            for _ in 0..8 {
                let Some(at) = drive.machine.deadline() else { break };
                drive.now = drive.now.max(at);
                for action in drive.machine.on(Event::Timer, drive.now) {
                    match action {
                        Action::Locate => {
                            drive.machine.on(Event::Located(1), drive.now);
                            drive.machine.on(granted(60), drive.now);
                        }
                        Action::Send { .. } => {
                            drive.machine.on(granted(60), drive.now);
                        }
                        _ => {}
                    }
                }
            }
            prop_assert_eq!(drive.machine.state_name(), "registered");
        }
    }
}
