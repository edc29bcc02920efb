//! Session timers, in virtual time.

use std::time::{Duration, Instant};

use super::*;

fn ok(more: &str) -> Response {
    response(200, "bob", &format!("Contact: <sip:bob@192.0.2.2>\n{more}"))
}

/// The seconds at which something is due, until nothing is.
fn due(timer: &mut SessionTimer, start: Instant) -> Vec<(u64, SessionDue)> {
    let mut all = vec![];
    while let Some(at) = timer.deadline() {
        assert!(at >= start && all.len() < 50, "{all:?}");
        all.push(((at - start).as_secs(), timer.on_deadline(at)));
    }
    all
}

/// What our 200 says to an INVITE with these lines, and who refreshes then at which second.
fn answered(more: &str) -> (String, Option<u64>) {
    let (invite, start, mut timer) = (invite(more), Instant::now(), SessionTimer::default());
    let mut response = invite.response(StatusCode::OK);
    timer.answer(&invite, &mut response, start);
    let said = response.headers.get(&HeaderName::SessionExpires).unwrap_or("-").to_owned();
    let require = response.headers.get(&HeaderName::Require).map_or(String::new(), |tag| format!(" {tag}"));
    let first = due(&mut timer, start).first().copied();
    (said + &require, first.filter(|(_, due)| *due == SessionDue::Refresh).map(|(second, _)| second))
}

#[test]
fn we_ask_for_half_an_hour_and_leave_open_who_refreshes() {
    let mut invite = invite("");
    SessionTimer::default().ask(&mut invite);
    assert_eq!(invite.headers.get(&HeaderName::SessionExpires), Some("1800"));
    assert!(!invite.headers.has(&HeaderName::MinSe));
}

#[test]
fn the_refresher_refreshes_at_half_time_and_gives_up_before_the_end() {
    let start = Instant::now();
    let mut timer = SessionTimer::default();
    timer.granted(&ok("Session-Expires: 1800;refresher=uac"), start);
    let all = due(&mut timer, start);
    assert_eq!(
        all[..3],
        [(900, SessionDue::Refresh), (1334, SessionDue::Refresh), (1551, SessionDue::Refresh)]
    );
    assert_eq!(all.last(), Some(&(1768, SessionDue::Expired)));
    assert_eq!(all.iter().filter(|(_, due)| *due == SessionDue::Expired).count(), 1);
    assert_eq!(timer.on_deadline(start + Duration::from_secs(9999)), SessionDue::Nothing);
}

#[test]
fn the_other_side_waits_and_ends_what_is_not_refreshed() {
    for (seconds, end) in [(1800, 1768), (90, 60), (6, 4)] {
        let start = Instant::now();
        let mut timer = SessionTimer::default();
        timer.granted(&ok(&format!("x: {seconds} ; Refresher = UAS")), start);
        assert_eq!(due(&mut timer, start), [(end, SessionDue::Expired)]);
    }
}

#[test]
fn a_refresh_starts_it_anew_and_an_answer_without_the_header_stops_it() {
    let start = Instant::now();
    let mut timer = SessionTimer::default();
    timer.granted(&ok("Session-Expires: 90;refresher=uas"), start);
    timer.granted(&ok("Session-Expires: 90;refresher=uas"), start + Duration::from_secs(50));
    assert_eq!(timer.deadline(), Some(start + Duration::from_secs(110)));
    timer.granted(&ok(""), start);
    assert_eq!(timer.deadline(), None);
}

#[test]
fn who_refreshes_stays_so_in_our_next_request() {
    for (granted, asked) in [
        ("100;refresher=uac", "100;refresher=uac"),
        ("100;refresher=uas", "100;refresher=uas"),
        ("100", "100;refresher=uac"),
    ] {
        let mut timer = SessionTimer::default();
        timer.granted(&ok(&format!("Session-Expires: {granted}")), Instant::now());
        let mut update = alice("").request(Method::Update);
        timer.ask(&mut update);
        assert_eq!(update.headers.get(&HeaderName::SessionExpires), Some(asked));
    }
}

#[test]
fn a_422_raises_the_interval_and_a_loop_of_them_ends() {
    let mut timer = SessionTimer::default();
    assert!(timer.refused(&response(422, "bob", "Min-SE: 3600")));
    let mut again = invite("");
    timer.ask(&mut again);
    assert_eq!(again.headers.get(&HeaderName::SessionExpires), Some("3600"));
    assert_eq!(again.headers.get(&HeaderName::MinSe), Some("3600"));
    assert!(!timer.refused(&response(422, "bob", "")), "a 422 must say Min-SE");
    assert!(!timer.refused(&response(422, "bob", "Min-SE: 4000000000")));
    let tries = (0..10).filter(|_| timer.refused(&response(422, "bob", "Min-SE: 3600"))).count();
    assert_eq!(tries, 2);
}

#[test]
fn a_caller_gets_what_it_asked_for_as_table_2_says() {
    let timer = "Supported: timer\n";
    for (supported, asked, said, refresh) in [
        ("", "", "-", None),
        ("", "Session-Expires: 600", "600;refresher=uas", Some(300)),
        ("", "Session-Expires: 600;refresher=uac", "600;refresher=uas", Some(300)),
        (timer, "", "1800;refresher=uas", Some(900)),
        (timer, "Session-Expires: 600", "600;refresher=uac timer", None),
        (timer, "Session-Expires: 600;refresher=uac", "600;refresher=uac timer", None),
        (timer, "Session-Expires: 600;refresher=uas", "600;refresher=uas", Some(300)),
        (timer, "Session-Expires: 600\nMin-SE: 900", "900;refresher=uac timer", None),
        (timer, "Session-Expires: soon", "1800;refresher=uas", Some(900)),
    ] {
        assert_eq!(
            answered(&format!("{supported}{asked}")),
            (said.to_owned(), refresh),
            "{supported}{asked}"
        );
    }
}

#[test]
fn less_than_ninety_seconds_is_refused_to_those_who_understand_it() {
    for (more, refused) in [
        ("Supported: timer\nSession-Expires: 89", true),
        ("Require: timer\nSession-Expires: 10", true),
        ("Supported: timer\nSession-Expires: 90", false),
        ("Session-Expires: 10", false),
        ("Supported: timer", false),
    ] {
        assert_eq!(SessionTimer::too_small(&invite(more)), refused, "{more}");
    }
}

/// One end of a call of a day.
struct End {
    dialog: Dialog,
    timer: SessionTimer,
}

impl End {
    /// What is due now: a refresh, answered by the other end at once.
    fn wakes(&mut self, other: &mut Self, method: &Method, now: Instant) {
        match self.timer.on_deadline(now) {
            SessionDue::Refresh => {}
            SessionDue::Nothing => return,
            SessionDue::Expired => panic!("the session ran out"),
        }
        let mut refresh = self.dialog.request(method.clone());
        self.timer.ask(&mut refresh);
        other.dialog.receive(&refresh).expect("a request of this dialog, in its order");
        assert!(!SessionTimer::too_small(&refresh));
        let mut response = refresh.response(StatusCode::OK);
        other.timer.answer(&refresh, &mut response, now);
        if *method == Method::Invite {
            other.dialog.answered(StatusCode::OK);
        }
        self.dialog.concluded(method, Some(&response)).unwrap();
        self.timer.granted(&response, now);
    }
}

#[test]
fn rq23_a_call_of_a_day_is_refreshed_all_day_long_whoever_refreshes_and_however() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    for seconds in [90, 1800] {
        for refresher in ["uac", "uas"] {
            for method in [Method::Update, Method::Invite] {
                let wish = format!("Supported: timer\nSession-Expires: {seconds};refresher={refresher}\n");
                let (start, invite) = (Instant::now(), invite(&wish));
                let mut accepted = ok("");
                let mut called = End { dialog: bob(&wish), timer: SessionTimer::default() };
                called.timer.answer(&invite, &mut accepted, start);
                let mut caller = End { dialog: alice(""), timer: SessionTimer::default() };
                caller.timer.granted(&accepted, start);
                let (mut now, mut refreshes) = (start, 0);
                while now < start + DAY {
                    let next = [&caller, &called].into_iter().filter_map(|end| end.timer.deadline()).min();
                    now = next.expect("somebody watches over the session");
                    caller.wakes(&mut called, &method, now);
                    called.wakes(&mut caller, &method, now);
                    refreshes += 1;
                }
                let want = 24 * 3600 * 2 / seconds;
                assert!((want..=want + 1).contains(&refreshes), "{wish}{method}: {refreshes} refreshes");
            }
        }
    }
}
