//! Requests that we send.

use std::time::Duration;

use sip::message::{HeaderName, Message, Method, NameAddr, Reason, Request, Uri, parse};
use sip::transaction::{ClientKey, Limits, Output, SendError};
use sip::transport::{Flow, Transport};

use crate::Bench;

const MS: Duration = Duration::from_millis(1);

/// A request that was sent, as the far side sees it.
struct Sent {
    key: ClientKey,
    request: Request,
}

fn build(method: Method) -> Request {
    let party = |text: &str| NameAddr::new(text.parse::<Uri>().unwrap());
    let from = party("sip:a@example.com").with_tag("a").unwrap();
    let mut request =
        Request::new(method, "sip:b@example.com".parse().unwrap(), from, party("sip:b@example.com"), "c", 7)
            .unwrap();
    request.headers.push(sip::message::HeaderName::Route, party("sip:192.0.2.9;lr"));
    request
}

fn send(bench: &mut Bench, method: Method) -> Sent {
    let key =
        bench.layer.send_request(bench.now, build(method), bench.flow, bench.flow.local.into()).unwrap();
    Sent { key, request: transmitted(bench) }
}

/// The request that the layer sends now.
fn transmitted(bench: &mut Bench) -> Request {
    let Some(Output::Transmit { bytes, .. }) = bench.layer.poll() else { panic!("nothing is sent") };
    let Ok(Message::Request(request)) = parse(&bytes) else { panic!("no request") };
    request
}

fn answer(request: &Request, code: u16, to_tag: &str) -> String {
    let response = request.response(code.try_into().unwrap()).with_to_tag(to_tag).unwrap();
    String::from_utf8(response.to_bytes().to_vec()).unwrap()
}

#[test]
fn a_request_gets_a_via_with_a_fresh_branch_and_rport() {
    let mut bench = Bench::new(Transport::Udp);
    let (one, two) = (send(&mut bench, Method::Options), send(&mut bench, Method::Options));
    let (one, two) = (one.request.headers.top_via().unwrap(), two.request.headers.top_via().unwrap());
    assert!(one.unique_branch().is_some() && one.params.has("rport"));
    assert_ne!(one.branch(), two.branch());
    assert_eq!(one.sent_by.to_string(), "192.0.2.1:5060");
}

#[test]
fn an_answer_finds_its_request_by_branch_and_method() {
    let mut bench = Bench::new(Transport::Udp);
    let sent = send(&mut bench, Method::Options);
    let good = answer(&sent.request, 200, "b");
    let strays = [
        good.replace("7 OPTIONS", "7 BYE"),
        good.replace("z9hG4bK", "z9hG4bKx"),
        good.replace("rport", "rport, SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKq"),
    ];
    for stray in &strays {
        assert!(bench.receive(stray).is_empty(), "{stray}");
    }
    assert_eq!(bench.receive(&good), ["200 OPTIONS"]);
    assert!(bench.receive(&good).is_empty(), "a retransmission is absorbed");
    assert_eq!(bench.pass(MS * 5_000), ["ended"]);
    assert!(bench.receive(&good).is_empty());
    assert_eq!(bench.layer.counters().stray_responses, 4);
}

#[test]
fn silence_ends_an_invite_after_seven_tries() {
    let mut bench = Bench::new(Transport::Udp);
    send(&mut bench, Method::Invite);
    let mut wanted = vec!["> INVITE"; 6];
    wanted.extend(["timed out", "ended"]);
    assert_eq!(bench.pass(MS * 32_000), wanted);
    assert_eq!(bench.layer.running(), (0, 0));
}

#[test]
fn a_refusal_is_acknowledged_each_time_and_told_once() {
    let mut bench = Bench::new(Transport::Udp);
    let sent = send(&mut bench, Method::Invite);
    let busy = answer(&sent.request, 486, "b");
    bench.layer.receive(bench.now, busy.as_bytes(), bench.flow);
    let ack = transmitted(&mut bench);
    let (headers, invite) = (&ack.headers, &sent.request.headers);
    assert_eq!((&ack.method, &ack.uri), (&Method::Ack, &sent.request.uri));
    assert_eq!(headers.vias().unwrap(), invite.vias().unwrap());
    assert_eq!(headers.routes().unwrap(), invite.routes().unwrap());
    assert_eq!((headers.to().unwrap().tag(), headers.cseq().unwrap().number), (Some("b"), 7));
    assert_eq!(bench.said(), ["486 INVITE"]);
    assert_eq!(bench.receive(&busy), ["> ACK"]);
    assert_eq!(bench.pass(MS * 32_000), ["ended"]);
}

#[test]
fn every_success_of_every_fork_is_told_and_acknowledged_by_the_user() {
    let mut bench = Bench::new(Transport::Udp);
    let sent = send(&mut bench, Method::Invite);
    assert_eq!(bench.receive(&answer(&sent.request, 200, "one")), ["200 INVITE"]);
    assert_eq!(bench.receive(&answer(&sent.request, 200, "two")), ["200 INVITE"], "another fork");
    assert_eq!(
        bench.receive(&answer(&sent.request, 200, "one")),
        ["200 INVITE"],
        "a retransmission: ACK again"
    );
    let (flow, sent_by) = (bench.flow, bench.flow.local.into());
    let mut ack = build(Method::Ack);
    bench.layer.send_ack(&mut ack, flow, sent_by);
    let first = transmitted(&mut bench);
    bench.layer.send_ack(&mut ack, flow, bench.flow.local.into());
    assert_eq!(transmitted(&mut bench), first, "the same bytes each time");
    assert_ne!(first.headers.top_via(), sent.request.headers.top_via(), "a transaction of its own");
    assert_eq!(bench.pass(MS * 32_000), ["ended"]);
}

#[test]
fn cancel_waits_for_a_provisional_answer_and_wears_the_branch_of_its_invite() {
    let mut bench = Bench::new(Transport::Udp);
    let sent = send(&mut bench, Method::Invite);
    bench.layer.cancel(bench.now, sent.key, Some(&Reason::sip(480, "no answer")));
    assert!(bench.said().is_empty(), "no answer yet");
    bench.layer.receive(bench.now, answer(&sent.request, 180, "b").as_bytes(), bench.flow);
    assert!(matches!(bench.layer.poll(), Some(Output::Response { .. })));
    let cancel = transmitted(&mut bench);
    assert_eq!((&cancel.method, &cancel.uri), (&Method::Cancel, &sent.request.uri));
    assert_eq!(cancel.headers.vias().unwrap(), sent.request.headers.vias().unwrap());
    assert_eq!(cancel.headers.to().unwrap().tag(), None);
    assert_eq!(cancel.headers.cseq().unwrap().number, 7);
    assert_eq!(cancel.headers.get(&HeaderName::Reason), Some("SIP;cause=480;text=\"no answer\""));
    assert!(bench.receive(&answer(&cancel, 200, "b")).is_empty(), "the user cares for the INVITE only");
    assert_eq!(bench.receive(&answer(&sent.request, 487, "b")), ["> ACK", "487 INVITE"]);
    bench.layer.cancel(bench.now, sent.key, None);
    assert!(bench.said().is_empty(), "nothing is left to cancel");
    assert_eq!(bench.pass(MS * 32_000), ["ended"]);
    assert_eq!(bench.layer.running(), (0, 0));
}

#[test]
fn a_final_answer_overtakes_cancel() {
    let mut bench = Bench::new(Transport::Udp);
    let sent = send(&mut bench, Method::Invite);
    bench.layer.cancel(bench.now, sent.key, None);
    assert_eq!(bench.receive(&answer(&sent.request, 200, "b")), ["200 INVITE"]);
}

#[test]
fn a_cancelled_invite_that_hears_nothing_more_ends_after_32_seconds() {
    let mut bench = Bench::new(Transport::Tcp);
    let sent = send(&mut bench, Method::Invite);
    bench.receive(&answer(&sent.request, 180, "b"));
    assert!(bench.pass(MS * 200_000).is_empty(), "it may ring for ever");
    bench.layer.cancel(bench.now, sent.key, None);
    assert_eq!(bench.said(), ["> CANCEL"]);
    assert_eq!(bench.pass(MS * 32_000), ["timed out", "ended"]);
    assert_eq!(bench.layer.running(), (0, 0), "the CANCEL is gone too");
}

#[test]
fn a_failed_transport_is_told_to_those_who_wait_for_it() {
    let mut bench = Bench::new(Transport::Tcp);
    send(&mut bench, Method::Register);
    let other = Flow { remote: "192.0.2.77:5060".parse().unwrap(), ..bench.flow };
    bench.layer.transport_failed(bench.now, &other);
    assert!(bench.said().is_empty());
    let flow = bench.flow;
    bench.layer.transport_failed(bench.now, &flow);
    assert_eq!(bench.said(), ["transport failed", "ended"]);
}

#[test]
fn what_is_no_transaction_or_one_too_many_is_refused() {
    let mut bench = Bench::with_limits(Transport::Udp, Limits { servers: 1, clients: 1 });
    let mut try_to =
        |request: Request| bench.layer.send_request(bench.now, request, bench.flow, bench.flow.local.into());
    assert_eq!(try_to(build(Method::Ack)), Err(SendError::NotATransaction));
    assert_eq!(try_to(build(Method::Cancel)), Err(SendError::NotATransaction));
    let mut mixed = build(Method::Bye);
    mixed.method = Method::Options;
    assert!(matches!(try_to(mixed), Err(SendError::Header(_))));
    assert!(try_to(build(Method::Bye)).is_ok());
    assert_eq!(try_to(build(Method::Bye)), Err(SendError::LimitReached));
}
