//! SIP over TCP: asked for by the URI, and taken for messages too big for a datagram (RFC 3261 18.1.1).

mod support;

use serde_json::json;
use support::browser::Account;
use support::scene::{self, PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::{Bench, House, Web, baresip, fairly, house, kamailio, secs, sipp};

#[test]
fn an_account_registers_and_calls_over_tcp() {
    fairly(|| {
        let scene = Scene::new();
        let phone = baresip::Plan::new("1002", PHONE_TONE)
            .transport("tcp")
            .auto_answer()
            .start(&scene.bench, &scene.pbx);
        let page = scene.web.page("1001", PAGE_TONE);
        let proxy = format!("{};transport=tcp", scene.pbx.address);
        page.connect_and_wait(&scene.house, &Account { proxy, ..Account::at(&scene.pbx, "1001") });
        let wire = scene.wiretap();
        let call = page.call("1002");
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(3));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        let wire = wire.stop();
        assert_eq!(wire.sip(scene.house.sip).len(), 0, "not one SIP datagram of the house");
        assert!(scene.pbx.requests().iter().any(|r| r.starts_with("INVITE") && r.contains("from tcp:")));
        scene::assert_both_heard(&page, &call, &phone, &wire, (answered.at, ended_at));
    });
}

#[test]
fn a_call_to_an_account_on_tcp_comes_over_its_connection() {
    let scene = Scene::new();
    let phone = scene.phone();
    let page = scene.web.page("1001", PAGE_TONE);
    let proxy = format!("{};transport=tcp", scene.pbx.address);
    page.connect_and_wait(&scene.house, &Account { proxy, ..Account::at(&scene.pbx, "1001") });
    phone.dial("1001");
    let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
    page.answer(&call);
    page.wait_call(&call, "ESTABLISHED", secs(5));
    phone.hang_up();
    page.wait_call(&call, "FINISH", secs(3));
}

#[test]
fn an_invite_too_big_for_a_datagram_goes_over_tcp() {
    let scene = Scene::with(kamailio::Plan::new(), house::Plan::new());
    let _phone = scene.ready_phone();
    let page = scene.page();
    let lines: Vec<String> = (0..20).map(|n| format!("a=x-filler-{n}:{}", "0123456789".repeat(5))).collect();
    let call = page.call_with("1002", json!({ "sipSDP": lines }));
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
    let lines: Vec<String> = (0..20).map(|n| format!("a=x-filler-{n}:{}", "0123456789".repeat(5))).collect();
    let call = page.call_with("2001", json!({ "sipSDP": lines }));
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
}

#[test]
fn a_scripted_phone_on_tcp_is_called_by_its_uri() {
    let bench = Bench::new();
    let mut phone = sipp::Plan::new("uas_answer").tcp().start(&bench);
    let house = House::start(&bench);
    let web = Web::start(&bench);
    let page = web.page("alone", PAGE_TONE);
    let proxy = "127.0.0.1;transport=tcp".into();
    page.connect_and_wait(&house, &Account { proxy, ..Account::direct("2009", "127.0.0.1", phone.port) });
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
    page.heard(&call).find(PAGE_TONE).expect("the phone sends the sound back");
}
