//! Requests outside dialogs.

use super::*;
use crate::message::SipUri;

fn sip(text: &str) -> SipUri {
    text.parse::<Uri>().unwrap().as_sip().unwrap().clone()
}

fn profile() -> Profile {
    Profile {
        address: sip("sip:1001@pbx.example"),
        display_name: Some("Alice".into()),
        contact: NameAddr::new(sip("sip:1001@192.0.2.1:5060")),
        route: vec![],
        user_agent: "Tandem".into(),
        methods: vec![Method::Invite, Method::Ack, Method::Bye],
        extensions: vec!["timer".into()],
    }
}

fn ids() -> Ids {
    Ids { call_id: "c1".into(), tag: "t1".into(), cseq: 1 }
}

fn text(request: &Request) -> String {
    String::from_utf8(request.to_bytes().to_vec()).unwrap()
}

fn domain() -> HostPort {
    "pbx.example:5070".parse().unwrap()
}

#[test]
fn an_invite_reads_so() {
    let callee = callee_uri("1002", &domain()).unwrap();
    let params = InviteParams {
        callee: &callee,
        display_name: Some("Al \"the\" <Ice>"),
        sdp: Some("v=0\r\n".into()),
        ids: &ids(),
    };
    let want = "INVITE sip:1002@pbx.example:5070 SIP/2.0|Max-Forwards: 70|From: \"Al \\\"the\\\" <Ice>\" <sip:1001@pbx.example>;tag=t1|\
        To: <sip:1002@pbx.example:5070>|Call-ID: c1|CSeq: 1 INVITE|Allow: INVITE, ACK, BYE|Supported: timer|User-Agent: Tandem|\
        Contact: <sip:1001@192.0.2.1:5060>|Content-Type: application/sdp|Content-Length: 5||v=0|";
    assert_eq!(text(&profile().invite(&params).unwrap()), want.replace('|', "\r\n"));
}

#[test]
fn an_invite_without_offer_has_no_body_and_the_profiles_name() {
    let callee = callee_uri("1002", &domain()).unwrap();
    let invite = profile()
        .invite(&InviteParams { callee: &callee, display_name: None, sdp: None, ids: &ids() })
        .unwrap();
    assert!(invite.body.is_empty() && !invite.headers.has(&HeaderName::ContentType));
    assert_eq!(invite.headers.from().unwrap().display_name(), Some("Alice"));
}

#[test]
fn a_register_goes_to_the_domain_and_says_for_how_long() {
    let mut profile = profile();
    profile.address = sip("sip:1001@pbx.example;transport=tcp");
    profile.contact.params.set_quoted("+sip.instance", "<urn:uuid:1>").unwrap();
    let register = text(&profile.register(&RegisterParams { expires: 600, ids: &ids().next() }).unwrap());
    assert!(register.starts_with("REGISTER sip:pbx.example;transport=tcp SIP/2.0\r\n"), "{register}");
    for line in [
        "To: <sip:1001@pbx.example;transport=tcp>",
        "CSeq: 2 REGISTER",
        "Contact: <sip:1001@192.0.2.1:5060>;+sip.instance=\"<urn:uuid:1>\";expires=600",
        "Expires: 600",
    ] {
        assert!(register.contains(&format!("\r\n{line}\r\n")), "{line} in {register}");
    }
}

#[test]
fn preloaded_routers_stand_in_route_as_loose_ones() {
    let mut profile = profile();
    profile.route = vec![sip("sip:edge.example:5080;transport=tcp"), sip("sip:orig@core.example;lr")];
    let options = profile.options(&"sip:pbx.example".parse().unwrap(), &ids()).unwrap();
    let routes: Vec<&str> = options.headers.all(&HeaderName::Route).collect();
    assert_eq!(routes, ["<sip:edge.example:5080;transport=tcp;lr>", "<sip:orig@core.example;lr>"]);
    assert_eq!(options.uri.to_string(), "sip:pbx.example");
    assert_eq!(profile.next_hop(&options).to_string(), "sip:edge.example:5080;transport=tcp");
    profile.route.clear();
    assert_eq!(profile.next_hop(&options).to_string(), "sip:pbx.example");
}

fn check_callee(callee: &str, want: Result<&str, &str>) {
    let got = callee_uri(callee, &domain());
    if let Err(error) = &got {
        assert_eq!(error.field, "callee");
    }
    assert_eq!(
        got.map(|uri| uri.to_string()).map_err(|error| error.problem),
        want.map(str::to_owned),
        "{callee:?}"
    );
}

#[test]
fn people_dial_numbers_names_addresses_and_uris() {
    check_callee("1002", Ok("sip:1002@pbx.example:5070"));
    check_callee(" +49 30 1234#* ", Ok("sip:+49%2030%201234%23*@pbx.example:5070"));
    check_callee("bob@b.example", Ok("sip:bob@b.example"));
    check_callee("SIP:bob@b.example;transport=tcp", Ok("sip:bob@b.example;transport=tcp"));
    check_callee("sips:bob@b.example", Ok("sips:bob@b.example"));
    check_callee("tel:+49-30-123", Ok("sip:+4930123@pbx.example:5070;user=phone"));
    check_callee("Zoë", Ok("sip:Zo%C3%AB@pbx.example:5070"));
    check_callee("1002;user=phone", Ok("sip:1002%3Buser=phone@pbx.example:5070"));
    check_callee("a:b", Ok("sip:a%3Ab@pbx.example:5070"));
}

#[test]
fn a_callee_can_bring_neither_headers_nor_lines() {
    check_callee("sip:bob@b.example?Route=%3Csip:evil%3E", Ok("sip:bob@b.example"));
    check_callee("sip:bob@b.example;method=REGISTER", Ok("sip:bob@b.example"));
    check_callee("1002\r\nVia: x", Err("holds a control character"));
    check_callee("sip:bob@b.example\r\n", Ok("sip:bob@b.example"));
    check_callee("bob@b.example>\u{7f}", Err("holds a control character"));
    check_callee("bob@b example", Err("is no address"));
    check_callee("bob@b.example>,<sip:evil", Err("is no address"));
    check_callee("", Err("is empty"));
    check_callee("  ", Err("is empty"));
    check_callee(&"1".repeat(256), Err("is too long"));
}

/// Every text field of a request, with text that tries to add a line.
#[test]
fn no_field_can_add_a_line() {
    let evil = "x\r\nRoute: <sip:evil>";
    let target: Uri = "sip:b.example".parse().unwrap();
    let error = |change: &dyn Fn(&mut Profile, &mut Ids)| {
        let (mut profile, mut ids) = (profile(), ids());
        change(&mut profile, &mut ids);
        profile.options(&target, &ids).unwrap_err().field
    };
    assert_eq!(error(&|profile, _| profile.display_name = Some(evil.into())), "display name");
    assert_eq!(error(&|profile, _| profile.display_name = Some("x".repeat(256))), "display name");
    assert_eq!(error(&|profile, _| profile.user_agent = evil.into()), "header value");
    assert_eq!(error(&|profile, _| profile.extensions = vec![evil.into()]), "header value");
    assert_eq!(error(&|_, ids| ids.call_id = evil.into()), "Call-ID");
    assert_eq!(error(&|_, ids| ids.tag = evil.into()), "tag");
}

#[test]
fn fresh_ids_differ_and_a_next_try_counts_up() {
    let (one, two) = (Ids::random(), Ids::random());
    assert!(one.call_id != two.call_id && one.tag != two.tag);
    let mut first = profile().options(&"sip:b.example".parse().unwrap(), &one).unwrap();
    first.headers.push_text(HeaderName::Via, "SIP/2.0/UDP a;branch=z9hG4bKold").unwrap();
    let again = first.again();
    assert_eq!((number(&again), again.headers.has(&HeaderName::Via)), (2, false));
    assert_eq!(again.headers.call_id().unwrap(), one.call_id);
}
