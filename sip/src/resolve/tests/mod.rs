//! Whole resolutions against a small DNS in a table.

use proptest::prelude::*;

use super::*;
use crate::message::{SipUri, Transport, Uri};

/// A zone as lines: `NAPTR name order pref service replacement`, `SRV name prio weight port target`, `A name address`,
/// `AAAA name address`, `FAIL question name`.
fn look_up(zone: &str, question: &Question) -> Answer {
    let (kind, name) = match question {
        Question::Naptr(name) => ("NAPTR", name),
        Question::Srv(name) => ("SRV", name),
        Question::A(name) => ("A", name),
        Question::Aaaa(name) => ("AAAA", name),
    };
    let rows: Vec<Vec<&str>> = zone.lines().map(|line| line.split_whitespace().collect()).collect();
    if rows.iter().any(|row| row.len() == 3 && row[0] == "FAIL" && row[1] == kind && row[2] == name) {
        return Answer::Failed;
    }
    let found: Vec<&[&str]> = rows
        .iter()
        .filter(|row| row.len() > 2 && row[0] == kind && row[1] == name)
        .map(|row| &row[2..])
        .collect();
    if found.is_empty() {
        return Answer::Missing;
    }
    match question {
        Question::Naptr(_) => Answer::Naptr(found.iter().map(|row| naptr(row)).collect()),
        Question::Srv(_) => Answer::Srv(found.iter().map(|row| srv(row)).collect()),
        Question::A(_) => Answer::A(found.iter().map(|row| row[0].parse().unwrap()).collect()),
        Question::Aaaa(_) => Answer::Aaaa(found.iter().map(|row| row[0].parse().unwrap()).collect()),
    }
}

fn naptr(row: &[&str]) -> Naptr {
    Naptr {
        order: row[0].parse().unwrap(),
        preference: row[1].parse().unwrap(),
        flags: "S".into(),
        service: row[2].into(),
        replacement: row[3].into(),
    }
}

fn srv(row: &[&str]) -> Srv {
    let number = |place: usize| row[place].parse().unwrap();
    Srv { priority: number(0), weight: number(1), port: number(2), target: row[3].into() }
}

fn sip(uri: &str) -> SipUri {
    uri.parse::<Uri>().unwrap().as_sip().unwrap().clone()
}

/// Runs to the end; counts the questions.
fn run(target: Target, transports: &[Transport], families: Families, zone: &str) -> (String, usize) {
    let mut resolution = Resolution::new(target, transports, families);
    let mut asked = 0;
    loop {
        match resolution.step() {
            Step::Ask(questions) => {
                assert!(!questions.is_empty(), "stuck without an open question");
                for question in questions {
                    asked += 1;
                    resolution.answer(&question, look_up(zone, &question), &mut |_| 0);
                }
            }
            Step::Done(hops) => {
                let shown: Vec<_> =
                    hops.iter().map(|hop| format!("{} {}", hop.transport, hop.address)).collect();
                return (shown.join(", "), asked);
            }
            Step::Failed(error) => return (error.to_string(), asked),
        }
    }
}

const ALL: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

fn check(uri: &str, zone: &str, want: &str) {
    let target = Target::of_uri(&sip(uri)).unwrap();
    assert_eq!(run(target, &ALL, Families::V4First, zone).0, want, "{uri}");
}

#[test]
fn an_address_needs_no_dns() {
    check("sip:192.0.2.1", "", "UDP 192.0.2.1:5060");
    check("sip:192.0.2.1:5070;transport=tcp", "", "TCP 192.0.2.1:5070");
    check("sips:192.0.2.1", "", "TLS 192.0.2.1:5061");
    check("sips:192.0.2.1;transport=tcp", "", "TLS 192.0.2.1:5061");
    check("sip:a@[2001:db8::1]", "", "UDP [2001:db8::1]:5060");
    check("sip:example.com;maddr=192.0.2.9", "", "UDP 192.0.2.9:5060");
}

#[test]
fn a_port_means_plain_addresses() {
    let zone =
        "A pbx.example 192.0.2.1\nAAAA pbx.example 2001:db8::1\nSRV _sip._udp.pbx.example 1 1 5099 other";
    check("sip:pbx.example:5060", zone, "UDP 192.0.2.1:5060, UDP [2001:db8::1]:5060");
    check("sip:pbx.example:5080;transport=tls", zone, "TLS 192.0.2.1:5080, TLS [2001:db8::1]:5080");
    check("sips:pbx.example:5080", zone, "TLS 192.0.2.1:5080, TLS [2001:db8::1]:5080");
}

#[test]
fn a_transport_means_srv_and_without_srv_the_name_itself() {
    let zone = "SRV _sip._tcp.example.com 1 0 5070 a.example.com.\nA a.example.com 192.0.2.1\nA example.com 192.0.2.9";
    check("sip:example.com;transport=tcp", zone, "TCP 192.0.2.1:5070");
    check("sip:example.com;transport=tls", zone, "TLS 192.0.2.9:5061");
    check("sip:example.com;transport=udp", zone, "UDP 192.0.2.9:5060");
}

const RFC_EXAMPLE: &str = "
    NAPTR example.com 50 50 SIPS+D2T _sips._tcp.example.com.
    NAPTR example.com 90 50 SIP+D2T  _sip._tcp.example.com.
    NAPTR example.com 100 50 SIP+D2U _sip._udp.example.com.
    NAPTR example.com 1 1 SIP+D2S    _sip._sctp.example.com.
    SRV _sips._tcp.example.com 0 1 5061 server1.example.com.
    SRV _sips._tcp.example.com 1 1 5061 server2.example.com.
    SRV _sip._udp.example.com 0 1 5060 server1.example.com.
    A server1.example.com 192.0.2.1
    A server2.example.com 192.0.2.2";

/// RFC 3263 §4.1.
#[test]
fn naptr_orders_the_transports() {
    check("sip:example.com", RFC_EXAMPLE, "TLS 192.0.2.1:5061, TLS 192.0.2.2:5061, UDP 192.0.2.1:5060");
    check("sips:example.com", RFC_EXAMPLE, "TLS 192.0.2.1:5061, TLS 192.0.2.2:5061");
    let target = Target::of_uri(&sip("sip:example.com")).unwrap();
    let (hops, asked) = run(target, &[Transport::Udp, Transport::Tcp], Families::V4Only, RFC_EXAMPLE);
    assert_eq!((hops.as_str(), asked), ("UDP 192.0.2.1:5060", 4), "NAPTR, two SRV, one A");
}

#[test]
fn without_naptr_every_transport_of_ours_is_tried_in_our_order() {
    let zone = "SRV _sip._tcp.example.com 1 0 5070 a.example.com\nSRV _sip._udp.example.com 1 0 5080 a.example.com\nA a.example.com 192.0.2.1";
    check("sip:example.com", zone, "UDP 192.0.2.1:5080, TCP 192.0.2.1:5070");
}

#[test]
fn a_bare_host_is_found_without_any_service_record() {
    check("sip:pbx.example", "A pbx.example 192.0.2.1", "UDP 192.0.2.1:5060");
    check("sips:pbx.example", "A pbx.example 192.0.2.1", "TLS 192.0.2.1:5061");
    let target = Target::of_uri(&sip("sip:pbx.example")).unwrap();
    assert_eq!(
        run(target, &[Transport::Tcp], Families::V4Only, "A pbx.example 192.0.2.1").0,
        "TCP 192.0.2.1:5060"
    );
}

#[test]
fn families_are_asked_and_ordered_as_told() {
    let zone = "A h.example 192.0.2.1\nAAAA h.example 2001:db8::1";
    for (families, want) in [
        (Families::V4First, "UDP 192.0.2.1:5060, UDP [2001:db8::1]:5060"),
        (Families::V6First, "UDP [2001:db8::1]:5060, UDP 192.0.2.1:5060"),
        (Families::V4Only, "UDP 192.0.2.1:5060"),
        (Families::V6Only, "UDP [2001:db8::1]:5060"),
    ] {
        let target = Target::of_uri(&sip("sip:h.example:5060")).unwrap();
        assert_eq!(run(target, &ALL, families, zone).0, want);
    }
    let target = Target::of_uri(&sip("sip:192.0.2.1")).unwrap();
    assert_eq!(run(target, &ALL, Families::V6Only, "").0, "address family of 192.0.2.1 is not enabled");
}

#[test]
fn failures_name_the_host_and_say_whether_to_try_later() {
    check("sip:nowhere.example", "", "host nowhere.example not found");
    check("sip:nowhere.example:5060", "", "host nowhere.example not found");
    check(
        "sip:slow.example",
        "FAIL A slow.example\nFAIL AAAA slow.example",
        "no answer from DNS for host slow.example",
    );
    check("sip:slow.example", "FAIL NAPTR slow.example", "no answer from DNS for host slow.example");
    check(
        "sip:none.example;transport=udp",
        "SRV _sip._udp.none.example 0 0 0 .",
        "domain none.example offers no SIP service",
    );
}

#[test]
fn resolvers_that_drop_naptr_and_srv_do_no_harm() {
    let zone = "FAIL NAPTR h.example\nFAIL SRV _sip._udp.h.example\nFAIL SRV _sips._tcp.h.example\nA h.example 192.0.2.1\nFAIL AAAA h.example";
    check("sip:h.example", zone, "UDP 192.0.2.1:5060");
}

#[test]
fn transports_that_we_do_not_speak_are_refused_by_name() {
    assert_eq!(
        Target::of_uri(&sip("sip:a.example;transport=sctp")),
        Err(ResolveError::Transport("sctp".into()))
    );
    assert_eq!(
        Target::of_uri(&sip("sips:a.example;transport=udp")),
        Err(ResolveError::Transport("udp".into()))
    );
    let tls = Target::of_uri(&sip("sips:a.example")).unwrap();
    assert_eq!(run(tls, &[Transport::Udp], Families::V4Only, "").0, "transport tls is not supported");
    let tcp = Target::of_uri(&sip("sip:192.0.2.1;transport=tcp")).unwrap();
    assert_eq!(run(tcp, &[Transport::Udp], Families::V4Only, "").0, "transport tcp is not supported");
}

#[test]
fn a_domain_with_endless_records_costs_a_bounded_number_of_questions() {
    let mut zone = String::new();
    for n in 0..500 {
        zone += &format!("NAPTR big.example {n} 1 SIP+D2U _sip._udp.{n}.big.example\n");
        zone += &format!("SRV _sip._udp.{}.big.example 1 1 {} h{n}.big.example\n", n % 8, 1000 + n);
        zone += &format!("A h{n}.big.example 192.0.2.{}\n", n % 250);
        zone += &format!("AAAA h0.big.example 2001:db8::{n}\n");
    }
    let (hops, asked) = run(Target::new("big.example".parse().unwrap()), &ALL, Families::V4First, &zone);
    assert_eq!((hops.split(", ").count(), asked), (32, 1 + 8 + 32));
}

#[test]
fn where_nothing_goes_in_plain_text_5060_means_5061() {
    for (uri, want) in [
        ("sip:192.0.2.1", "TLS 192.0.2.1:5061"),
        ("sip:192.0.2.1:5060", "TLS 192.0.2.1:5061"),
        ("sip:192.0.2.1:5070;transport=tls", "TLS 192.0.2.1:5070"),
        ("sip:a", "TLS 192.0.2.7:5071"),
    ] {
        let target = Target::of_uri(&sip(uri)).and_then(Target::over_tls).unwrap();
        let zone = "SRV _sips._tcp.a 1 1 5071 b\nSRV _sip._udp.a 1 1 5072 b\nA b 192.0.2.7";
        assert_eq!(run(target, &ALL, Families::V4First, zone).0, want, "{uri}");
    }
    let plain = Target::of_uri(&sip("sip:192.0.2.1;transport=udp")).and_then(Target::over_tls);
    assert_eq!(plain, Err(ResolveError::Transport("udp".into())));
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut resolution = Resolution::new(Target::new("h.example".parse().unwrap()), &ALL, Families::V4Only);
    let stray = Question::A("evil.example".into());
    resolution.answer(&stray, Answer::A(vec!["192.0.2.66".parse().unwrap()]), &mut |_| 0);
    let Step::Ask(questions) = resolution.step() else { panic!("asks NAPTR") };
    resolution.answer(&questions[0], Answer::A(vec!["192.0.2.66".parse().unwrap()]), &mut |_| 0);
    let Step::Ask(questions) = resolution.step() else { panic!("a wrong kind of answer is none: on to SRV") };
    assert_eq!(questions.len(), 3);
    assert_eq!(resolution.step(), Step::Ask(vec![]), "each question is handed out once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_resolution_ends(
        rows in proptest::collection::vec((0..4u8, 0..4u8, 0..4u8, 0..3u8, any::<bool>()), 0..12),
        uri in "(sip|sips):[a-d](:5070)?(;transport=(tcp|tls))?",
    ) {
        let names = ["a", "b", "_sip._udp.a", "_sips._tcp.b"];
        let zone: Vec<String> = rows
            .iter()
            .map(|&(kind, name, to, number, fails)| {
                let (name, to) = (names[usize::from(name)], names[usize::from(to)]);
                match (kind, fails) {
                    (0, false) => format!("NAPTR {name} {number} 1 SIP+D2T {to}"),
                    (1, false) => format!("SRV {name} {number} 1 {number} {to}"),
                    (2, false) => format!("A {name} 192.0.2.{number}"),
                    (3, false) => format!("AAAA {name} 2001:db8::{number}"),
                    (kind, _) => format!("FAIL {} {name}", ["NAPTR", "SRV", "A", "AAAA"][usize::from(kind)]),
                }
            })
            .collect();
        if let Ok(target) = Target::of_uri(&sip(&uri)) {
            run(target, &ALL, Families::V4First, &zone.join("\n"));
        }
    }
}
