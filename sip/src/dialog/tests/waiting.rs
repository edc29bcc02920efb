//! Our 2xx, repeated until its ACK, in virtual time.

use std::time::{Duration, Instant};

use super::*;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// Milliseconds at which the 2xx goes out again, and at which we give up; an ACK comes at `ack`.
fn check(ack: Option<u64>, sent: &[u64], gave_up: Option<u64>) {
    let start = Instant::now();
    let ok = dialog_response(&invite(""), StatusCode::OK, "bob", &bobs_contact()).unwrap();
    let mut wait = AckWait::new(ok.clone(), 10, T1, T2, start);
    let (mut times, mut end) = (Vec::new(), None);
    while let Some(at) = wait.deadline() {
        let elapsed = u64::try_from((at - start).as_millis()).unwrap();
        if ack.is_some_and(|ack| ack <= elapsed) {
            assert!(wait.on_ack(&from_alice("ACK", 10, "")));
            assert!(!wait.on_ack(&from_alice("ACK", 10, "")), "a repeated ACK is no news");
            continue;
        }
        match wait.on_deadline(at) {
            AckStep::Send(response) => {
                assert_eq!(response, ok);
                times.push(elapsed);
            }
            AckStep::GiveUp => end = Some(elapsed),
            AckStep::Wait => panic!("a deadline with nothing to do"),
        }
    }
    assert_eq!((times.as_slice(), end), (sent, gave_up));
    assert_eq!(wait.on_deadline(start + T1 * 100), AckStep::Wait);
}

#[test]
fn the_interval_doubles_up_to_t2_and_ends_after_64_t1() {
    check(None, &[500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500], Some(32000));
}

#[test]
fn the_ack_ends_it() {
    check(Some(0), &[], None);
    check(Some(2000), &[500, 1500], None);
}

#[test]
fn another_ack_and_an_early_look_do_nothing() {
    let start = Instant::now();
    let ok = dialog_response(&invite(""), StatusCode::OK, "bob", &bobs_contact()).unwrap();
    let mut wait = AckWait::new(ok, 10, T1, T2, start);
    assert!(!wait.on_ack(&from_alice("ACK", 9, "")));
    assert!(!wait.on_ack(&from_alice("BYE", 10, "")));
    assert_eq!(wait.on_deadline(start), AckStep::Wait);
    assert_eq!(wait.deadline(), Some(start + T1));
}
