//! Requests that come.

use std::time::Duration;

use sip::message::{Message, StatusCode, parse};
use sip::transaction::{Limits, Output};
use sip::transport::Transport;

use crate::Bench;

/// A request with these telling parts.
fn message(method: &str, branch: &str, cseq: &str, to: &str) -> String {
    format!(
        "{method} sip:phone@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>{to}\r\nCall-ID: c\r\nCSeq: {cseq}\r\n\r\n"
    )
}

fn invite() -> String {
    message("INVITE", "z9hG4bK1", "1 INVITE", "")
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_retransmission_is_answered_by_the_layer_and_never_seen_by_the_user() {
    let mut bench = Bench::new(Transport::Udp);
    let options = message("OPTIONS", "z9hG4bK1", "1 OPTIONS", "");
    let (key, request) = bench.request(&options);
    assert!(bench.receive(&options).is_empty(), "absorbed while the user thinks");
    assert_eq!(bench.respond(key, request.response(StatusCode::OK)), ["> 200 OPTIONS"]);
    assert_eq!(bench.receive(&options), ["> 200 OPTIONS"]);
    assert_eq!(bench.layer.counters().retransmissions_received, 2);
    assert_eq!(bench.pass(MS * 32_000), ["ended"]);
    assert_eq!(bench.layer.running(), (0, 0));
}

#[test]
fn a_slow_user_makes_the_layer_say_100_to_an_invite() {
    let mut bench = Bench::new(Transport::Udp);
    let (key, request) = bench.request(&invite());
    assert!(bench.pass(MS * 199).is_empty());
    assert_eq!(bench.pass(MS), ["> 100 INVITE"]);
    assert_eq!(bench.receive(&invite()), ["> 100 INVITE"]);
    assert_eq!(bench.respond(key, request.response(StatusCode::RINGING)), ["> 180 INVITE"]);
    assert_eq!(bench.receive(&invite()), ["> 180 INVITE"]);
}

#[test]
fn a_refusal_is_repeated_until_its_ack_which_the_layer_keeps() {
    let mut bench = Bench::new(Transport::Udp);
    let (key, request) = bench.request(&invite());
    assert_eq!(bench.respond(key, request.response(StatusCode::BUSY_HERE)), ["> 486 INVITE"]);
    assert_eq!(bench.pass(MS * 1_500), ["> 486 INVITE", "> 486 INVITE"]);
    let ack = message("ACK", "z9hG4bK1", "1 ACK", ";tag=x");
    assert!(bench.receive(&ack).is_empty());
    assert!(bench.receive(&ack).is_empty());
    assert_eq!(bench.pass(MS * 5_000), ["ended"]);
}

#[test]
fn a_refusal_without_ack_fails_after_32_seconds() {
    let mut bench = Bench::new(Transport::Tcp);
    let (key, request) = bench.request(&invite());
    assert_eq!(bench.respond(key, request.response(StatusCode::BUSY_HERE)), ["> 486 INVITE"]);
    assert_eq!(bench.pass(MS * 32_000), ["failed: NoAck", "ended"]);
}

#[test]
fn a_success_is_repeated_by_the_user_and_its_ack_is_the_users() {
    let mut bench = Bench::new(Transport::Udp);
    let (key, request) = bench.request(&invite());
    let success = request.response(StatusCode::OK).with_to_tag("b").unwrap();
    assert_eq!(bench.respond(key, success.clone()), ["> 200 INVITE"]);
    assert!(bench.receive(&invite()).is_empty(), "a late INVITE is absorbed");
    assert_eq!(bench.respond(key, success), ["> 200 INVITE"]);
    assert_eq!(bench.receive(&message("ACK", "z9hG4bK2", "1 ACK", ";tag=b")), ["ack"]);
    assert_eq!(bench.pass(MS * 32_000), ["ended"]);
}

#[test]
fn a_request_that_came_by_another_way_before_is_refused_with_482() {
    let mut bench = Bench::new(Transport::Udp);
    bench.request(&invite());
    assert_eq!(bench.receive(&message("INVITE", "z9hG4bK2", "1 INVITE", "")), ["> 482 INVITE"]);
    assert_eq!(
        bench.receive(&message("INVITE", "z9hG4bK3", "2 INVITE", "")),
        ["request INVITE"],
        "a new try is new"
    );
    assert_eq!(bench.receive(&message("BYE", "z9hG4bK4", "1 BYE", ";tag=b")), ["request BYE"]);
    assert!(bench.receive(&message("ACK", "z9hG4bK2", "1 ACK", ";tag=x")).is_empty());
}

#[test]
fn a_call_forked_to_two_accounts_of_ours_rings_both() {
    let mut bench = Bench::new(Transport::Udp);
    bench.request(&invite());
    let other = message("INVITE", "z9hG4bK2", "1 INVITE", "").replace("sip:phone@", "sip:page@");
    assert_eq!(bench.receive(&other), ["request INVITE"]);
}

#[test]
fn cancel_is_answered_at_once_and_told_while_the_invite_is_undecided() {
    let mut bench = Bench::new(Transport::Udp);
    let (key, request) = bench.request(&invite());
    bench.respond(key, request.response(StatusCode::RINGING).with_to_tag("b").unwrap());
    let cancel = message("CANCEL", "z9hG4bK1", "1 CANCEL", "");
    bench.layer.receive(bench.now, cancel.as_bytes(), bench.flow);
    let Some(Output::Transmit { bytes, .. }) = bench.layer.poll() else { panic!("an answer") };
    let Ok(Message::Response(answer)) = parse(&bytes) else { panic!("an answer") };
    assert_eq!((answer.code, answer.headers.to().unwrap().tag()), (StatusCode::OK, Some("b")));
    assert_eq!(bench.said(), ["cancelled"]);
    assert_eq!(bench.receive(&cancel), ["> 200 CANCEL"], "a retransmission");
    assert_eq!(bench.respond(key, request.response(StatusCode::REQUEST_TERMINATED)), ["> 487 INVITE"]);
}

#[test]
fn cancel_after_the_decision_changes_nothing() {
    let mut bench = Bench::new(Transport::Udp);
    let (key, request) = bench.request(&invite());
    bench.respond(key, request.response(StatusCode::OK));
    assert_eq!(bench.receive(&message("CANCEL", "z9hG4bK1", "1 CANCEL", "")), ["> 200 CANCEL"]);
}

#[test]
fn cancel_for_nothing_hears_481() {
    let mut bench = Bench::new(Transport::Udp);
    bench.request(&message("OPTIONS", "z9hG4bK1", "1 OPTIONS", ""));
    assert_eq!(bench.receive(&message("CANCEL", "z9hG4bK1", "1 CANCEL", "")), ["> 481 CANCEL"]);
    assert_eq!(bench.receive(&message("CANCEL", "z9hG4bK7", "1 CANCEL", "")), ["> 481 CANCEL"]);
}

#[test]
fn without_the_magic_cookie_the_old_rules_match() {
    let mut bench = Bench::new(Transport::Udp);
    for branch in ["1", "z9hG4bK"] {
        let invite = message("INVITE", branch, "1 INVITE", "");
        let (key, request) = bench.request(&invite);
        let busy = request.response(StatusCode::BUSY_HERE).with_to_tag("b").unwrap();
        bench.respond(key, busy);
        assert_eq!(bench.receive(&invite), ["> 486 INVITE"]);
        assert_eq!(
            bench.receive(&message("ACK", branch, "1 ACK", ";tag=other")),
            ["ack"],
            "of another dialog"
        );
        assert!(bench.receive(&message("ACK", branch, "1 ACK", ";tag=b")).is_empty());
        assert_eq!(bench.pass(MS * 5_000), ["ended"]);
    }
}

#[test]
fn an_old_phone_acknowledges_a_success_under_the_branch_of_its_invite() {
    let mut bench = Bench::new(Transport::Udp);
    let (key, request) = bench.request(&message("INVITE", "1", "1 INVITE", ""));
    bench.respond(key, request.response(StatusCode::OK).with_to_tag("b").unwrap());
    assert_eq!(bench.receive(&message("ACK", "1", "1 ACK", ";tag=b")), ["ack of the transaction"]);
}

#[test]
fn the_sender_is_written_into_the_via_and_the_answer_goes_there() {
    let mut bench = Bench::new(Transport::Udp);
    bench.flow.remote = "203.0.113.7:40000".parse().unwrap();
    let options = message("OPTIONS", "z9hG4bK1;rport", "1 OPTIONS", "");
    let (key, request) = bench.request(&options);
    let via = request.headers.top_via().unwrap();
    assert_eq!((via.received().unwrap().to_string(), via.rport()), ("203.0.113.7".to_owned(), Some(40_000)));
    bench.layer.respond(bench.now, key, request.response(StatusCode::OK));
    let Some(Output::Transmit { flow, .. }) = bench.layer.poll() else { panic!("an answer") };
    assert_eq!(flow, bench.flow);
}

#[test]
fn what_is_broken_is_answered_without_state() {
    let mut bench = Bench::new(Transport::Udp);
    assert_eq!(bench.receive(&invite().replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia")), ["> 505 INVITE"]);
    assert!(bench.receive(&message("ACK", "z9hG4bK1", "1 ACK", "").replace("To", "to-nobody")).is_empty());
    assert_eq!((bench.layer.running(), bench.layer.counters().broken), ((0, 0), 2));
    assert!(bench.receive("\r\n\r\n").is_empty(), "a keep-alive");
    assert_eq!(bench.layer.counters().broken, 2);
}

#[test]
fn over_the_limit_new_requests_hear_503_and_running_calls_can_still_end() {
    let limits = Limits { servers: 4, clients: 4 };
    let mut bench = Bench::with_limits(Transport::Udp, limits);
    let options =
        |number: usize| message("OPTIONS", &format!("z9hG4bK{number}"), &format!("{number} OPTIONS"), "");
    for number in 0..4 {
        bench.request(&options(number));
    }
    assert_eq!(bench.receive(&options(4)), ["> 503 OPTIONS"]);
    assert!(bench.receive(&options(3)).is_empty(), "what runs goes on");
    let bye =
        |number: usize| message("BYE", &format!("z9hG4bKb{number}"), &format!("{number} BYE"), ";tag=b");
    assert_eq!(bench.receive(&bye(1)), ["request BYE"]);
    assert_eq!(bench.receive(&bye(2)), ["> 503 BYE"]);
    assert_eq!((bench.layer.running(), bench.layer.counters().refused), ((0, 5), 2));
}

#[test]
fn a_user_that_never_answers_leaves_nothing_behind() {
    let mut bench = Bench::new(Transport::Udp);
    let (key, request) = bench.request(&message("OPTIONS", "z9hG4bK1", "1 OPTIONS", ""));
    assert_eq!(bench.pass(MS * 37_000), ["failed: Unanswered", "ended"]);
    assert!(!bench.layer.respond(bench.now, key, request.response(StatusCode::OK)), "too late");
    assert!(bench.said().is_empty());
}

#[test]
fn a_broken_connection_ends_what_waits_for_it() {
    let mut bench = Bench::new(Transport::Tcp);
    bench.request(&invite());
    let flow = bench.flow;
    bench.layer.transport_failed(bench.now, &flow);
    assert_eq!(bench.said(), ["failed: Transport", "ended"]);
}
