//! Requests within a dialog: routes, targets, numbers.

use super::*;

/// Request-URI, Route values and next hop of the next request.
fn check_route(dialog: &mut Dialog, uri: &str, routes: &[&str], next_hop: &str) {
    let request = dialog.request(Method::Bye);
    assert_eq!(request.uri.to_string(), uri);
    let got: Vec<_> = request.headers.routes().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(got, routes);
    assert_eq!(dialog.next_hop().to_string(), next_hop);
}

/// RFC 3261 §12.1.1, §12.1.2, §12.2.1.1.
#[test]
fn loose_routers_stand_in_route_and_the_target_in_front() {
    let record = "Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>";
    let (p1, p2) = ("<sip:p1.example;lr>", "<sip:p2.example;lr>");
    check_route(&mut alice(record), "sip:bob@192.0.2.2", &[p1, p2], "sip:p1.example;lr");
    check_route(&mut bob(record), "sip:alice@192.0.2.1", &[p2, p1], "sip:p2.example;lr");
    check_route(&mut alice(""), "sip:bob@192.0.2.2", &[], "sip:bob@192.0.2.2");
}

#[test]
fn a_strict_router_gets_the_request_uri_and_the_target_comes_last() {
    let record = "Record-Route: <sip:p1.example?x=y>\nRecord-Route: <sip:p2.example;lr>";
    check_route(
        &mut bob(record),
        "sip:p1.example",
        &["<sip:p2.example;lr>", "<sip:alice@192.0.2.1>"],
        "sip:p1.example?x=y",
    );
}

#[test]
fn both_sides_name_the_dialog_alike() {
    let (alice, bob) = (alice(""), bob(""));
    assert_eq!((alice.id().local_tag.as_str(), alice.id().remote_tag.as_str()), ("alice", "bob"));
    assert_eq!((bob.id().local_tag.as_str(), bob.id().remote_tag.as_str()), ("bob", "alice"));
    assert_eq!(DialogId::of_request(&from_alice("BYE", 11, "")).unwrap(), *bob.id());
    assert!(alice.is_confirmed() && bob.is_confirmed());
}

#[test]
fn requests_count_up_and_carry_tags_and_contact_where_it_matters() {
    let mut alice = alice("");
    let bye = alice.request(Method::Bye);
    assert_eq!((number(&bye), bye.headers.has(&HeaderName::Contact)), (11, false));
    let update = alice.request(Method::Update);
    assert_eq!(
        (number(&update), update.headers.get(&HeaderName::Contact)),
        (12, Some("<sip:alice@192.0.2.1>"))
    );
    assert_eq!(update.headers.from().unwrap().tag(), Some("alice"));
    assert_eq!(update.headers.to().unwrap().tag(), Some("bob"));
    assert_eq!(number(&bob("").request(Method::Bye)), 1, "each side counts for itself");
}

#[test]
fn the_ack_has_the_number_the_credentials_and_the_body_of_its_invite() {
    let mut alice = alice("Record-Route: <sip:p.example;lr>");
    let mut reinvite = alice.request(Method::Invite);
    reinvite.headers.push_text(HeaderName::ProxyAuthorization, "Digest x=y").unwrap();
    alice.request(Method::Info);
    let ack = alice.ack(&reinvite, Some("v=0".into()));
    assert_eq!(ack.headers.cseq().unwrap().to_string(), "11 ACK");
    assert_eq!(ack.headers.get(&HeaderName::ProxyAuthorization), Some("Digest x=y"));
    assert_eq!(ack.headers.routes().unwrap().len(), 1);
    assert_eq!(
        (&ack.body[..], ack.headers.content_type().unwrap().as_deref()),
        (&b"v=0"[..], Some("application/sdp"))
    );
}

#[test]
fn a_2xx_that_comes_again_gets_the_same_ack_again() {
    let mut alice = alice("");
    let ok = response(200, "bob", "Contact: <sip:bob@192.0.2.2>");
    assert_eq!(alice.repeated_ack(&ok), None);
    let ack = alice.ack(&invite(""), None);
    assert_eq!(alice.repeated_ack(&ok), Some(&ack));
    assert_eq!(alice.repeated_ack(&response(183, "bob", "")), None);
    let mut of_bye = ok.clone();
    of_bye.headers.set_text(HeaderName::CSeq, "10 BYE").unwrap();
    assert_eq!(alice.repeated_ack(&of_bye), None);
}

#[test]
fn a_request_tried_again_keeps_everything_but_its_number() {
    let mut alice = alice("");
    let mut first = alice.request(Method::Invite).with_body("application/sdp", "v=0");
    first.headers.push_text("X-A".parse().unwrap(), "1").unwrap();
    first.headers.push_text("X-A".parse().unwrap(), "2").unwrap();
    first.headers.push_text(HeaderName::Via, "SIP/2.0/UDP a;branch=z9hG4bKold").unwrap();
    let again = alice.again(&first);
    assert_eq!(number(&again), number(&first) + 1);
    assert_eq!((again.headers.has(&HeaderName::Via), again.body), (false, first.body.clone()));
    assert_eq!(again.headers.all(&"X-A".parse().unwrap()).count(), 2);
    assert_eq!(again.headers.len(), first.headers.len() - 1);
}

/// What Bob says to a request of Alice after her INVITE with number 10.
fn check_receive(dialog: &mut Dialog, method: &str, cseq: u32, want: Result<(), u16>) {
    let got = dialog
        .receive(&from_alice(method, cseq, "Contact: <sip:alice@192.0.2.1>"))
        .map_err(|error| error.status().as_u16());
    assert_eq!(got, want, "{method} {cseq}");
}

#[test]
fn requests_must_not_go_back_in_number() {
    let mut bob = bob("");
    check_receive(&mut bob, "INFO", 9, Err(500));
    check_receive(&mut bob, "ACK", 10, Ok(()));
    check_receive(&mut bob, "INFO", 4_294_967_295, Ok(()));
    check_receive(&mut bob, "BYE", 11, Err(500));
    assert_eq!(bob.receive(&from_alice("ACK", 11, "")), Err(DialogError::StrayAck));
    check_receive(&mut bob, "ACK", 10, Ok(()));
}

#[test]
fn the_first_request_of_the_one_called_may_have_any_number() {
    let mut alice = alice("");
    alice.receive(&from_alice("INFO", 4711, "")).unwrap();
    assert_eq!(alice.receive(&from_alice("INFO", 4710, "")), Err(DialogError::OldCSeq));
}

#[test]
fn one_invite_at_a_time() {
    let mut bob = bob("");
    check_receive(&mut bob, "INVITE", 11, Ok(()));
    check_receive(&mut bob, "INVITE", 12, Err(500));
    check_receive(&mut bob, "UPDATE", 13, Ok(()));
    bob.answered(StatusCode::OK);
    assert!(!bob.invite_is_open());
    bob.request(Method::Invite);
    assert!(bob.invite_is_open());
    check_receive(&mut bob, "INVITE", 14, Err(491));
    check_receive(&mut bob, "BYE", 15, Ok(()));
    bob.concluded(&Method::Bye, None).unwrap();
    assert!(bob.invite_is_open(), "the BYE did not end the INVITE");
    bob.concluded(&Method::Invite, None).unwrap();
    check_receive(&mut bob, "INVITE", 16, Ok(()));
}

#[test]
fn invite_and_update_move_the_target_and_others_do_not() {
    let moved = "Contact: <sip:alice@192.0.2.99>";
    let mut bob = bob("");
    bob.receive(&from_alice("INFO", 11, moved)).unwrap();
    assert_eq!(bob.remote_target().to_string(), "sip:alice@192.0.2.1");
    bob.receive(&from_alice("UPDATE", 12, moved)).unwrap();
    assert_eq!(bob.remote_target().to_string(), "sip:alice@192.0.2.99");
    let ok = response(200, "bob", "Contact: <sip:bob@192.0.2.77>");
    let mut alice = alice("");
    alice.concluded(&Method::Bye, Some(&ok)).unwrap();
    assert_eq!(alice.remote_target().to_string(), "sip:bob@192.0.2.2");
    alice.concluded(&Method::Invite, Some(&response(491, "bob", "Contact: <sip:bob@192.0.2.77>"))).unwrap();
    assert_eq!(alice.remote_target().to_string(), "sip:bob@192.0.2.2", "only a 2xx moves it");
    alice.concluded(&Method::Invite, Some(&ok)).unwrap();
    assert_eq!(alice.remote_target().to_string(), "sip:bob@192.0.2.77");
}

#[test]
fn responses_that_make_a_dialog_carry_tag_contact_and_record_route() {
    let invite = invite("Record-Route: <sip:p2.example;lr>\nRecord-Route: <sip:p1.example;lr>");
    let ringing = dialog_response(&invite, StatusCode::RINGING, "bob", &bobs_contact()).unwrap();
    assert_eq!(ringing.headers.to().unwrap().tag(), Some("bob"));
    assert_eq!(ringing.headers.get(&HeaderName::Contact), Some("<sip:bob@192.0.2.2>"));
    assert_eq!(ringing.headers.record_routes().unwrap().len(), 2);
    assert_eq!(Dialog::uac(&invite, &ringing).unwrap().next_hop().to_string(), "sip:p1.example;lr");
}

#[test]
fn what_makes_no_dialog_says_why() {
    let no_contact = response(200, "bob", "");
    assert!(matches!(Dialog::uac(&invite(""), &no_contact), Err(DialogError::NoContact)));
    assert!(matches!(Dialog::uac(&invite(""), &response(180, "", "")), Err(DialogError::NoTag)));
    let mut bare = invite("");
    bare.headers.remove(&HeaderName::Contact);
    assert_eq!(Dialog::uas(&bare, "bob", bobs_contact()).unwrap_err().status(), StatusCode::BAD_REQUEST);
    assert!(Dialog::uas(&invite(""), "b b", bobs_contact()).is_err());
    let tel = response(200, "bob", "Contact: <tel:+1>");
    assert!(matches!(Dialog::uac(&invite(""), &tel), Err(DialogError::NoContact)));
}

#[test]
fn a_peer_of_rfc_2543_without_tag_still_has_a_dialog() {
    let mut alice = Dialog::uac(&invite(""), &response(200, "", "Contact: <sip:bob@192.0.2.2>")).unwrap();
    assert_eq!(alice.id().remote_tag, "");
    assert_eq!(alice.request(Method::Bye).headers.to().unwrap().tag(), None);
}
