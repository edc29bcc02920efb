//! Behaviour of dialogs, with messages as text.

mod builders;
mod forking;
mod properties;
mod sequence;
mod session_timing;
mod waiting;

use super::*;
use crate::message::{
    HeaderName, HostPort, Message, Method, NameAddr, Request, Response, StatusCode, Uri, parse,
};

/// An INVITE from Alice to Bob, with more header lines.
fn invite(more: &str) -> Request {
    request(
        "INVITE sip:bob@b.example SIP/2.0",
        &format!(
            "From: Alice <sip:alice@a.example>;tag=alice\nTo: <sip:bob@b.example>\nCall-ID: c1\nCSeq: 10 INVITE\nContact: <sip:alice@192.0.2.1>\n{more}"
        ),
    )
}

/// Bob's answer to it; `to` is his tag, with what follows it.
fn response(code: u16, tag: &str, more: &str) -> Response {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let text = format!(
        "SIP/2.0 {code} X\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\nFrom: Alice <sip:alice@a.example>;tag=alice\n\
         To: <sip:bob@b.example>{tag}\nCall-ID: c1\nCSeq: 10 INVITE\n{more}\n\n"
    );
    match parse(text.replace("\n\n\n", "\n\n").replace('\n', "\r\n").as_bytes()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn request(start: &str, headers: &str) -> Request {
    let text =
        format!("{start}\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\nMax-Forwards: 70\n{headers}\n\n");
    match parse(text.replace("\n\n\n", "\n\n").replace('\n', "\r\n").as_bytes()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// A request of Alice within the dialog, as Bob gets it.
fn from_alice(method: &str, cseq: u32, more: &str) -> Request {
    request(
        &format!("{method} sip:bob@192.0.2.2 SIP/2.0"),
        &format!(
            "From: <sip:alice@a.example>;tag=alice\nTo: <sip:bob@b.example>;tag=bob\nCall-ID: c1\nCSeq: {cseq} {method}\n{more}"
        ),
    )
}

fn bobs_contact() -> NameAddr {
    NameAddr::new("sip:bob@192.0.2.2".parse::<Uri>().unwrap())
}

/// Alice's side of an answered call.
fn alice(more: &str) -> Dialog {
    Dialog::uac(&invite(""), &response(200, "bob", &format!("Contact: <sip:bob@192.0.2.2>\n{more}"))).unwrap()
}

/// Bob's side of it.
fn bob(more: &str) -> Dialog {
    let mut dialog = Dialog::uas(&invite(more), "bob", bobs_contact()).unwrap();
    dialog.answered(StatusCode::OK);
    dialog
}

fn number(request: &Request) -> u32 {
    request.headers.cseq().unwrap().number
}
