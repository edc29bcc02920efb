//! Which provisional responses are acknowledged.

use std::time::{Duration, Instant};

use super::*;

fn verdicts(responses: &[(u16, &str, &str)]) -> Vec<String> {
    let mut seen = ReliableProvisionals::default();
    let verdict = |(code, tag, more): &(u16, &str, &str)| match seen.receive(&response(*code, tag, more)) {
        Provisional::Fresh(rack) => rack.to_string(),
        other => format!("{other:?}"),
    };
    responses.iter().map(verdict).collect()
}

#[test]
fn each_reliable_response_is_acknowledged_once_and_in_order() {
    const REL: &str = "Require: 100rel\nRSeq: ";
    let rseq = |number: u32| format!("{REL}{number}");
    let all = verdicts(&[
        (180, "a", ""),
        (183, "a", &rseq(7)),
        (183, "a", &rseq(7)),
        (180, "a", &rseq(9)),
        (180, "a", &rseq(8)),
        (180, "a", &rseq(9)),
        (183, "b", &rseq(1)),
        (180, "a", &rseq(3)),
    ]);
    let expected =
        ["Plain", "7 10 INVITE", "Again", "Again", "8 10 INVITE", "9 10 INVITE", "1 10 INVITE", "Again"];
    assert_eq!(all, expected);
}

#[test]
fn what_only_looks_reliable_is_plain() {
    for (code, tag, more) in [
        (100, "a", "Require: 100rel\nRSeq: 1"),
        (183, "", "Require: 100rel\nRSeq: 1"),
        (183, "a", "RSeq: 1"),
        (183, "a", "Require: 100rel"),
        (183, "a", "Supported: 100rel\nRSeq: 1"),
        (183, "a", "Require: 100rel\nRSeq: one"),
        (183, "a", "Require: 100rel\nRSeq: 99999999999"),
    ] {
        assert_eq!(verdicts(&[(code, tag, more)]), ["Plain"], "{code} {more}");
    }
}

#[test]
fn the_last_number_of_all_has_no_next() {
    let last = "Require: 100rel\nRSeq: 4294967295";
    assert_eq!(verdicts(&[(183, "a", last), (183, "a", last)]), ["4294967295 10 INVITE", "Again"]);
}

#[test]
fn a_reliable_response_is_repeated_until_its_prack_or_for_64_t1() {
    let (start, t1) = (Instant::now(), Duration::from_millis(500));
    let wait = || {
        let mut ringing = dialog_response(&invite(""), StatusCode::RINGING, "bob", &bobs_contact()).unwrap();
        let wait = PrackWait::new(&mut ringing, 7, 10, t1, start);
        assert_eq!(ringing.headers.get(&HeaderName::RSeq), Some("7"));
        assert!(ringing.headers.require().unwrap().contains(&"100rel".to_owned()));
        wait
    };
    let mut unheard = wait();
    let mut times = vec![];
    while let Some(at) = unheard.deadline() {
        let what = if unheard.on_deadline(at) == AckStep::GiveUp { "gives up" } else { "sends" };
        times.push(((at - start).as_millis(), what));
    }
    let sends = [500, 1500, 3500, 7500, 15500, 31500].map(|ms| (ms, "sends"));
    assert_eq!(times, [sends.as_slice(), &[(32000, "gives up")]].concat());

    let mut heard = wait();
    for (rack, ours) in [("6 10 INVITE", false), ("7 9 INVITE", false), ("7  10 INVITE", true)] {
        assert_eq!(heard.on_prack(&from_alice("PRACK", 11, &format!("RAck: {rack}"))), ours, "{rack}");
        assert_eq!(heard.deadline().is_none(), ours);
    }
}

#[test]
fn only_require_insists() {
    assert!(requires_reliable(&invite("Require: timer, 100Rel")));
    assert!(!requires_reliable(&invite("Supported: 100rel")));
}
