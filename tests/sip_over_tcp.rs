//! SIP over TCP: where the DNS says so (RFC 3263), and for messages too big for a datagram (RFC 3261 18.1.1).

mod support;

use serde_json::{Value, json};
use std::net::Ipv4Addr;
use support::browser::Account;
use support::dns::{self, Record};
use support::kamailio::DOMAIN;
use support::pcap::Packet;
use support::scene::{self, PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::{Bench, House, Page, Web, baresip, fairly, house, kamailio, secs, sipp};

/// A scene whose PBX is found by NAPTR and SRV, which want TCP.
fn scene_with_dns() -> Scene {
    let bench = Bench::new();
    let (dns, sip) = (bench.port(), bench.port());
    dns::serve(
        dns,
        vec![
            Record::Naptr(DOMAIN, "SIP+D2T", "_sip._tcp.pbx.test"),
            Record::Srv("_sip._tcp.pbx.test", sip, "one.pbx.test"),
            Record::A("one.pbx.test", Ipv4Addr::LOCALHOST),
        ],
    );
    let house = house::Plan::new().set("sip.dns_servers", &format!("[\"127.0.0.1:{dns}\"]"));
    let house = house.set("sip.keep_alive_s", "2");
    Scene::on(bench, kamailio::Plan::new().at_port(sip), house)
}

/// The page of 1001, which names nothing but its domain.
fn page_at_the_domain(scene: &Scene) -> Page<'_> {
    let page = scene.web.page("1001", PAGE_TONE);
    let account = Account { proxy: DOMAIN.into(), port: 0, ..Account::at(&scene.pbx, "1001") };
    page.connect_and_wait(&scene.house, &account);
    page
}

#[test]
fn an_account_registers_and_calls_over_tcp() {
    fairly(|| {
        let scene = scene_with_dns();
        let phone = baresip::Plan::new("1002", PHONE_TONE).transport("tcp").auto_answer();
        let phone = phone.start(&scene.bench, &scene.pbx);
        let page = page_at_the_domain(&scene);
        let wire = scene.wiretap();
        let call = page.call("1002");
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(3));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        let wire = wire.stop();
        assert_eq!(wire.sip(scene.house.sip).len(), 0, "not one SIP datagram of the house");
        let requests = scene.pbx.requests();
        assert!(requests.iter().any(|r| r.starts_with("INVITE") && r.contains("from tcp:")), "{requests:#?}");
        scene::assert_both_heard(&page, &call, &phone, &wire, (answered.at, ended_at));
    });
}

#[test]
fn a_pbx_on_tcp_answers_the_keep_alives_of_its_accounts() {
    let scene = scene_with_dns();
    let _page = page_at_the_domain(&scene);
    let wire = scene.wiretap();
    std::thread::sleep(secs(6));
    let packets = wire.stop().packets;
    let count = |out: bool, payload: &[u8]| {
        let port = |p: &Packet| if out { p.to.port() } else { p.from.port() };
        packets.iter().filter(|p| p.tcp && port(p) == scene.pbx.port && p.payload == payload).count()
    };
    let (pings, pongs) = (count(true, b"\r\n\r\n"), count(false, b"\r\n"));
    assert!(pings >= 2 && pongs >= 2, "{pings} keep-alives, {pongs} answers");
    assert_eq!(scene.pbx.count("REGISTER"), 2, "the way was never lost");
}

#[test]
fn a_call_to_an_account_on_tcp_reaches_it() {
    let scene = scene_with_dns();
    let phone = scene.phone();
    let page = page_at_the_domain(&scene);
    phone.dial("1001");
    let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
    page.answer(&call);
    page.wait_call(&call, "ESTABLISHED", secs(5));
    phone.hang_up();
    page.wait_call(&call, "FINISH", secs(3));
}

/// Lines that lift an INVITE above 1,300 bytes.
fn many_lines() -> Value {
    let lines = (0..12).map(|n| format!("a=x-filler-{n}:{}", "0123456789".repeat(10)));
    json!({ "sipSDP": lines.collect::<Vec<_>>() })
}

#[test]
fn an_invite_too_big_for_a_datagram_goes_over_tcp() {
    let scene = Scene::new();
    let _phone = scene.ready_phone();
    let page = scene.page();
    let call = page.call_with("1002", many_lines());
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    let invites: Vec<String> = scene.pbx.requests().into_iter().filter(|r| r.starts_with("INVITE")).collect();
    assert!(!invites.is_empty() && invites.iter().all(|r| r.contains("from tcp:")), "{invites:?}");
}

#[test]
fn a_big_invite_returns_to_udp_where_tcp_is_refused() {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_answer"); // UDP only
    let house = House::start(&bench);
    let web = Web::start(&bench);
    let page = web.page("alone", PAGE_TONE);
    page.connect_and_wait(&house, &Account::direct("2009", "127.0.0.1", phone.port));
    let call = page.call_with("2001", many_lines());
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
}

#[test]
fn a_phone_that_the_dns_puts_on_tcp_is_called_there() {
    fairly(|| {
        let bench = Bench::new();
        let mut phone = sipp::Plan::new("uas_answer").tcp().start(&bench);
        let dns = bench.port();
        let zone = vec![
            Record::Srv("_sip._tcp.phone.test", phone.port, "phone.test"),
            Record::A("phone.test", Ipv4Addr::LOCALHOST),
        ];
        dns::serve(dns, zone);
        let house =
            house::Plan::new().set("sip.dns_servers", &format!("[\"127.0.0.1:{dns}\"]")).start(&bench);
        let web = Web::start(&bench);
        let page = web.page("alone", PAGE_TONE);
        page.connect_and_wait(&house, &Account::direct("2009", "phone.test", 0));
        let call = page.call("2001");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        phone.assert_passed(secs(5));
        page.heard(&call).between(ended_at - 1000.0, ended_at).assert_tone(PAGE_TONE);
    });
}

/// The first SRV target by priority is not there (RFC 3263 §4.3). Over UDP nobody says so, and the transaction's 32 s pass: one of the long figures.
#[test]
fn a_phone_whose_first_server_is_down_is_called_at_the_second() {
    let ways: &[&str] = if std::env::var_os("TANDEM_SOAK").is_some() { &["tcp", "udp"] } else { &["tcp"] };
    for way in ways {
        let bench = Bench::new();
        let plan = sipp::Plan::new("uas_answer");
        let mut phone = if *way == "tcp" { plan.tcp() } else { plan }.start(&bench);
        let (dns, nobody) = (bench.port(), bench.port());
        let service: &str = format!("_sip._{way}.phone.test").leak();
        let zone = vec![
            Record::Srv(service, nobody, "phone.test"),
            Record::Srv(service, phone.port, "phone.test"),
            Record::A("phone.test", Ipv4Addr::LOCALHOST),
        ];
        dns::serve(dns, zone);
        let house =
            house::Plan::new().set("sip.dns_servers", &format!("[\"127.0.0.1:{dns}\"]")).start(&bench);
        let web = Web::start(&bench);
        let page = web.page("alone", PAGE_TONE);
        page.connect_and_wait(&house, &Account::direct("2009", "phone.test", 0));
        let asked = moment();
        let call = page.call("2001");
        let talk = page.wait_call(&call, "ESTABLISHED", secs(40));
        println!("{way}: answered after {:.0} ms", talk.at - asked);
        page.hang_up(&call);
        phone.assert_passed(secs(5));
    }
}
