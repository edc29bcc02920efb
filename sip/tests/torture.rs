//! The torture messages of RFC 4475 and the IPv6 cases of RFC 5118: parser and stateless checks say what the index expects.
//!
//! What needs a transaction or a socket (responses to nobody, framing) is tested where those live.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use sip::message::{Capabilities, Message, Method, Request, Response, check, parse};
use sip::transport::{BODY_DEADLINE, Frame, Framer};

/// A telephone, not a registrar.
const PHONE: Capabilities<'_> = Capabilities {
    methods: &[Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options],
    extensions: &[],
    schemes: &["sip", "sips", "tel"],
    bodies: &[(Method::Invite, &["application/sdp"])],
};

/// One row of the index.
struct Case {
    file: String,
    wire: String,
    strict: Vec<String>,
    tolerated: Vec<String>,
}

#[test]
fn every_torture_message_is_judged_as_the_index_says() {
    let (mut strict, mut wrong) = (0, Vec::new());
    let cases = index();
    for case in &cases {
        let got = judge(&read(&case.file));
        let is_call_level = ["parse-ok", "405", "501"].contains(&got.as_str());
        let fits = |wanted: &[String]| {
            wanted.contains(&got) || (is_call_level && wanted.iter().any(|w| w == "parse-ok"))
        };
        if fits(&case.strict) {
            strict += 1;
        } else if !fits(&case.tolerated) {
            wrong.push(format!("{}: {got}, wanted {:?} or {:?}", case.file, case.strict, case.tolerated));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((cases.len(), strict), (49, 49), "rows of the index, and how many of them are met strictly");
}

#[test]
fn a_message_with_noise_behind_its_body_is_one_message() {
    let request = request("valid/dblreq.dat");
    assert_eq!((request.method, request.body.len()), (Method::Register, 0));
}

#[test]
fn folded_and_compact_fields_read_as_their_plain_forms() {
    let request = request("valid/wsinv.dat");
    let headers = &request.headers;
    assert_eq!(headers.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(headers.from().unwrap().display_name(), Some("J Rosenberg \\\""));
    assert_eq!(headers.max_forwards().unwrap(), Some(68));
    assert_eq!(headers.cseq().unwrap().number, 9);
    let vias = headers.vias().unwrap();
    let branches: Vec<_> = vias.iter().filter_map(|via| via.branch()).collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    assert_eq!(headers.contacts().unwrap()[0].params.get("q"), Some("0.33"));
    assert_eq!(request.body.len(), 150);
}

#[test]
fn escapes_are_decoded_once_and_never_cut_at_nul() {
    let invite = request("valid/esc01.dat");
    assert_eq!(invite.uri.user().unwrap(), "sips:user@example.com");
    assert_eq!(invite.headers.to().unwrap().uri.user().unwrap(), "user");
    let contacts = request("valid/escnull.dat").headers.contacts().unwrap();
    let users: Vec<_> = contacts.iter().filter_map(|contact| contact.uri.user()).collect();
    assert_eq!(users, ["\0", "\0\0"]);
}

#[test]
fn a_binary_body_arrives_whole() {
    assert_eq!(request("valid/mpart01.dat").body.len(), 553);
}

#[test]
fn an_answer_echoes_every_via_in_order() {
    let response = request("valid/transports.dat").stateless_response(sip::message::StatusCode::OK);
    let vias = response.headers.vias().unwrap();
    let names: Vec<_> = vias.iter().map(|via| via.transport_name()).collect();
    assert_eq!(names, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test]
fn what_comes_by_stream_is_one_frame_each() {
    for case in index().iter().filter(|case| case.wire == "tcp") {
        let bytes = read(&case.file);
        let mut framer = Framer::new();
        framer.push(&bytes);
        assert_eq!(framer.next_frame(Instant::now()), Some(Frame::Message(bytes.into())), "{}", case.file);
    }
}

#[test]
fn over_a_stream_a_length_in_doubt_is_answered_and_ends_the_connection() {
    for file in ["invalid/ncl.dat", "other/mcl01.dat"] {
        let mut framer = Framer::new();
        framer.push(&read(file));
        let Some(Frame::Broken(head)) = framer.next_frame(Instant::now()) else {
            panic!("{file} was not broken")
        };
        assert_eq!(judge(&head), "400", "{file}");
    }
}

#[test]
fn over_a_stream_a_promised_body_is_waited_for_until_the_deadline() {
    let (mut framer, now) = (Framer::new(), Instant::now());
    framer.push(&read("invalid/clerr.dat"));
    assert_eq!(framer.next_frame(now), None);
    assert_eq!(framer.deadline(), Some(now + BODY_DEADLINE));
}

#[test]
fn ipv6_is_read_where_rfc_5118_says() {
    const GOOD: &str = "REGISTER sip:[2001:db8::10] SIP/2.0";
    const VIA: &str = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111";
    for (section, start, via, verdict) in [
        ("4.1", GOOD, VIA, "405"),
        ("4.2", "REGISTER sip:2001:db8::10 SIP/2.0", VIA, "400"),
        ("4.3", "REGISTER sip:[2001:db8::10:5070] SIP/2.0", VIA, "405"),
        ("4.4", "REGISTER sip:[2001:db8::10]:5070 SIP/2.0", VIA, "405"),
        ("4.5", GOOD, "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3", "405"),
        ("4.5", GOOD, "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3", "405"),
        (
            "4.7",
            GOOD,
            "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKa, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb",
            "405",
        ),
        ("4.9", GOOD, "SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19", "405"),
        ("4.10", GOOD, "SIP/2.0/UDP [2001:db8:::192.0.2.1];branch=z9hG4bKas3", "405"),
        ("4.10", GOOD, "SIP/2.0/UDP [2001:db8::192.0.2.1];branch=z9hG4bKas3", "405"),
    ] {
        let text = format!(
            "{start}\r\nVia: {via}\r\nTo: <sip:user@example.com>\r\nFrom: <sip:user@example.com>;tag=81x2\r\n\
             Call-ID: x@[2001:db8::1]\r\nMax-Forwards: 70\r\nCSeq: 98176 REGISTER\r\nContact: <sip:[2001:db8::1]>\r\n\r\n"
        );
        assert_eq!(judge(text.as_bytes()), verdict, "section {section}: {start}, {via}");
    }
}

/// `parse-ok`, `silent` or a code.
fn judge(bytes: &[u8]) -> String {
    let refusal = match parse(bytes) {
        // Nobody waits for these responses, so the transaction layer drops them.
        Ok(Message::Response(_)) => None,
        Ok(Message::Request(request)) => match check(&request, &PHONE) {
            Ok(()) => return "parse-ok".to_owned(),
            Err(response) => Some(response),
        },
        Err(failure) => failure.response,
    };
    refusal.map_or("silent".to_owned(), |response| {
        assert!(
            echoes_a_fault(&response) || parse(&response.to_bytes()).is_ok(),
            "our answer is itself malformed"
        );
        response.code.as_u16().to_string()
    })
}

/// Answers copy five fields as they came, so an answer to faults in these is itself no model.
fn echoes_a_fault(response: &Response) -> bool {
    let headers = &response.headers;
    headers.vias().is_err()
        || headers.from().is_err()
        || headers.to().is_err()
        || headers.call_id().is_err()
        || headers.cseq().is_err()
}

fn request(file: &str) -> Request {
    match parse(&read(file)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{file}: {other:?}"),
    }
}

fn read(file: &str) -> Vec<u8> {
    fs::read(root().join("rfc4475").join(file)).expect("the message stands in the set")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/torture")
}

fn index() -> Vec<Case> {
    let text = fs::read_to_string(root().join("INDEX.md")).expect("the index stands beside the set");
    let list =
        |cell: &str| cell.split('/').map(|item| item.trim().to_owned()).filter(|item| item != "-").collect();
    let rows = text.lines().filter(|line| line.starts_with("| 4475 |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        Case {
            file: cells[2].to_owned(),
            wire: cells[4].to_owned(),
            strict: list(cells[5]),
            tolerated: list(cells[6]),
        }
    })
    .collect()
}
