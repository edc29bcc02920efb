//! SIP over TLS: an account registers and calls both ways, and a PBX with a bad certificate gets nothing but is named.

mod support;

use serde_json::json;
use std::fs;
use std::net::Ipv4Addr;
use support::browser::{Account, Event};
use support::dns::{self, Record};
use support::kamailio::DOMAIN;
use support::process::Start;
use support::scene::{self, PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::tls::{Claim, certificate};
use support::websocket::WebSocket;
use support::{Bench, Page, baresip, fairly, house, kamailio, secs, wait_for};

/// A scene whose house speaks TLS alone, to a PBX with this certificate; `ca`: whether the house trusts its CA.
fn scene_with(claim: Claim, ca: bool) -> Scene {
    let bench = Bench::new();
    let dns = bench.port();
    dns::serve(dns, vec![Record::A(DOMAIN, Ipv4Addr::LOCALHOST)]);
    let (ca_file, files) = certificate(&bench.subfolder("certificates"), claim);
    let mut house = house::Plan::new()
        .set("sip.dns_servers", &format!("[\"127.0.0.1:{dns}\"]"))
        .set("sip_use_tls", "true");
    if ca {
        house = house.set("sip.tls_ca_file", &format!("\"{}\"", ca_file.display()));
    }
    Scene::on(bench, kamailio::Plan::new().tls(files), house)
}

const GOOD: Claim = Claim { names: &[DOMAIN], until: 2090 };

fn account(scene: &Scene) -> Account {
    Account { proxy: DOMAIN.into(), port: scene.pbx.tls_port, ..Account::at(&scene.pbx, "1001") }
}

fn page(scene: &Scene) -> Page<'_> {
    let page = scene.web.page("1001", PAGE_TONE);
    page.connect_and_wait(&scene.house, &account(scene));
    page
}

#[test]
fn an_account_registers_and_calls_over_tls() {
    fairly(|| {
        let scene = scene_with(GOOD, true);
        let phone = baresip::Plan::new("1002", PHONE_TONE).auto_answer().start(&scene.bench, &scene.pbx);
        let page = page(&scene);
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
        for method in ["REGISTER sip:pbx.test", "INVITE sip:1002", "BYE"] {
            let over_tls = |r: &String| r.starts_with(method) && r.contains("from tls:");
            assert!(requests.iter().any(over_tls), "{method}: {requests:#?}");
        }
        scene::assert_both_heard(&page, &call, &phone, &wire, (answered.at, ended_at));
    });
}

#[test]
fn a_call_to_an_account_on_tls_reaches_it_and_either_side_ends_it() {
    fairly(|| {
        let scene = scene_with(GOOD, true);
        let phone = scene.phone();
        let page = page(&scene);
        for (round, page_ends) in [true, false].into_iter().enumerate() {
            phone.dial("1001");
            let call = page.wait_incoming(round, secs(5)).body["callId"].as_str().unwrap().to_owned();
            page.answer(&call);
            page.wait_call(&call, "ESTABLISHED", secs(5));
            page.wait_heard(&call, PHONE_TONE, secs(3));
            if page_ends {
                page.hang_up(&call)
            } else {
                phone.hang_up()
            }
            page.wait_call(&call, "FINISH", secs(3));
        }
        let byes: Vec<String> =
            scene.pbx.requests().into_iter().filter(|request| request.starts_with("BYE")).collect();
        assert!(byes.iter().any(|bye| bye.contains("from tls:")), "the page's BYE: {byes:?}");
    });
}

/// A PBX with this certificate is refused within five seconds with `words`, and never hears who wanted to register.
#[track_caller]
fn refused(claim: Claim, ca: bool, words: &str) {
    let scene = scene_with(claim, ca);
    let page = scene.web.page("1001", PAGE_TONE);
    page.connect(&scene.house, &account(&scene));
    let told =
        |event: &Event| event.body["frame"]["message"] == "fail" && event.body.to_string().contains(words);
    let failed = page.wait("fail", secs(5), told, 0);
    println!("{}", failed.body);
    assert_eq!(scene.pbx.count("REGISTER"), 0);
    let log = scene.house.log();
    assert!(log.contains(words) && !log.contains("pw1001"), "{log}");
}

#[test]
fn a_pbx_with_an_expired_certificate_is_refused_and_the_page_is_told_why() {
    refused(Claim { until: 2021, ..GOOD }, true, "the certificate of pbx.test has expired");
}

#[test]
fn a_pbx_with_the_certificate_of_another_is_refused_and_the_page_is_told_why() {
    refused(
        Claim { names: &["other.test"], ..GOOD },
        true,
        "the certificate of pbx.test is for another name",
    );
}

#[test]
fn a_pbx_with_a_certificate_of_an_unknown_ca_is_refused_and_the_page_is_told_why() {
    refused(GOOD, false, "the certificate of pbx.test comes from an unknown issuer");
}

/// The protocol of ALPN, as OpenSSL sees it: a server that insists gets the one that is set for it, or the page hears why there is no connection.
#[test]
fn rq32_openssl_is_named_the_protocol_that_is_set_for_it() {
    for (named, registers) in [("pbx.test=sip", true), ("pbx.test=h2", false)] {
        let bench = Bench::new();
        let (dns, port) = (bench.port(), bench.port());
        dns::serve(dns, vec![Record::A(DOMAIN, Ipv4Addr::LOCALHOST)]);
        let (ca, (chain, key)) = certificate(&bench.subfolder("certificates"), GOOD);
        let log = bench.path("openssl.log");
        let (mut server, _input) = Start::new("openssl", "openssl", &log, None)
            .args(["s_server", "-accept", &port.to_string(), "-alpn", "sip"])
            .args(["-cert", &chain.to_string_lossy(), "-cert_chain", &chain.to_string_lossy()])
            .args(["-key", &key.to_string_lossy()])
            .spawn_talking();
        server.wait_bound(port, true, None, secs(5));
        let house = house::Plan::new()
            .set("sip.dns_servers", &format!("[\"127.0.0.1:{dns}\"]"))
            .set("sip_use_tls", "true")
            .set("sip.tls_ca_file", &format!("\"{}\"", ca.display()))
            .set("sip.tls_alpn", &format!("[\"{named}\"]"))
            .start(&bench);
        let mut page = WebSocket::open(house.web);
        page.send(
            "connection",
            json!({ "appKey": "defaultApp", "sipLogin": "1001", "sipAuthenticationName": "1001",
            "sipPassword": "secret", "sipDomain": DOMAIN, "sipPort": port, "sipRegisterRequired": true }),
        );
        if registers {
            let said = |what: &str| fs::read_to_string(&log).unwrap_or_default().contains(what);
            for words in ["ALPN protocols selected: sip", "Via: SIP/2.0/TLS "] {
                wait_for(words, secs(5), || said(words).then_some(()));
            }
        } else {
            let fail = page.expect("fail", secs(5));
            println!("{fail}");
            assert!(fail["info"].to_string().contains("TLS"), "{fail}");
        }
    }
}
