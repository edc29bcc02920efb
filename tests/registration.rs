//! Accounts at the PBX: accepted, refused, lost and found.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::browser::Account;
use support::relay::Relay;
use support::scene::{PAGE_TONE, Scene};
use support::websocket::{Frame, WebSocket};
use support::{Bench, House, Kamailio, Wiretap, house, kamailio, secs, sipp};

/// The `connection` frame of an account, as the SDK sends it.
fn connection(login: &str, password: &str, domain: &str, proxy: &str, port: u16) -> Value {
    json!({
        "appKey": "defaultApp", "mediaProviders": ["WebRTC"], "clientVersion": "2.0", "clientOSVersion": "bench",
        "clientBrowserVersion": "bench", "msePacketizationVersion": 2, "sipLogin": login, "sipAuthenticationName": login,
        "sipPassword": password, "sipDomain": domain, "sipOutboundProxy": proxy, "sipPort": port, "sipRegisterRequired": true,
    })
}

fn connect(house: &House, pbx: &Kamailio, login: &str, password: &str) -> WebSocket {
    let mut socket = WebSocket::open(house.web);
    socket.send("connection", connection(login, password, kamailio::DOMAIN, &pbx.address, pbx.port));
    socket
}

/// Expects `fail` of the registration; gives when it came.
#[track_caller]
fn expect_fail(socket: &mut WebSocket, limit: Duration) -> (f64, Value) {
    let fail = socket.expect_where("fail", limit, |data| data["apiMethod"] == "RegistrationStatusEvent");
    assert_eq!(fail["status"], "FAILED", "{fail}");
    (support::now_ms(), fail)
}

#[track_caller]
fn expect_close(socket: &mut WebSocket, code: u16) {
    let end = Instant::now() + secs(2);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match socket.next(left) {
            Some(Frame::Close(closed)) => return assert_eq!(closed, code),
            Some(Frame::Text(_)) => {}
            None => break,
        }
    }
    panic!("the socket stays open");
}

#[test]
fn an_account_registers_and_unregisters() {
    let scene = Scene::new();
    let page = scene.page();
    assert!(scene.pbx.count("REGISTER") >= 2, "challenged once");
    assert!((scene.house.metric("tandem_registrations_active", "") - 1.0).abs() < 0.1);
    page.disconnect();
    page.wait_session("DISCONNECTED", secs(3));
    scene.house.wait_metric("tandem_registrations_active", 0.0, secs(5));
    support::wait_for("the un-REGISTER", secs(5), || {
        scene
            .pbx
            .requests()
            .iter()
            .any(|r| r.starts_with("REGISTER") && r.ends_with("expires=0"))
            .then_some(())
    });
}

#[test]
fn an_account_registers_with_sha_256() {
    let scene = Scene::with(kamailio::Plan::new().algorithm("SHA-256"), house::Plan::new());
    scene.page();
}

#[test]
fn a_wrong_password_fails_and_closes_within_100_ms() {
    let scene = Scene::new();
    let wire = scene.wiretap();
    let page = scene.web.page("wrong", PAGE_TONE);
    page.connect(&scene.house, &Account { password: "guessed".into(), ..Account::at(&scene.pbx, "1001") });
    let warned = page.wait_session("WARN", secs(5));
    assert_eq!(warned.body["detail"]["apiMethod"], "RegistrationStatusEvent", "{warned:?}");
    let closed = page.wait_session("DISCONNECTED", secs(2));
    let refused = wire
        .stop()
        .sip_from(scene.pbx.port)
        .into_iter()
        .rfind(|(_, m)| m.starts_with("SIP/2.0 401"))
        .unwrap()
        .0;
    assert!(closed.at - refused <= 150.0, "closed {:.0} ms after the last 401", closed.at - refused); // 50 for the browser
    assert!(scene.pbx.count("REGISTER") <= 2, "at most two tries, or the PBX locks the account");
}

/// A registrar that answers so: `fail` and close 1000 within 100 ms of the response.
fn refused_for_good(scenario: &str, code: u16) {
    let bench = Bench::new();
    let plan = sipp::Plan::new(scenario).key("code", &code.to_string()).key("reason", "No");
    let registrar = plan.start(&bench);
    let house = House::start(&bench);
    let wire = Wiretap::start(&bench);
    let mut socket = WebSocket::open(house.web);
    socket.send("connection", connection("1001", "x", "pbx.test", "127.0.0.1", registrar.port));
    let (failed, fail) = expect_fail(&mut socket, secs(5));
    assert_eq!(fail["sipStatus"], code);
    expect_close(&mut socket, 1000);
    let answered = wire.stop().sip_from(registrar.port).last().unwrap().0;
    assert!(failed - answered <= 100.0, "fail came {:.0} ms after {code}", failed - answered);
}

#[test]
fn a_403_fails_and_closes() {
    refused_for_good("registrar_refuse", 403);
}

#[test]
fn a_404_fails_and_closes() {
    refused_for_good("registrar_refuse", 404);
}

#[test]
fn a_second_401_fails_and_closes() {
    refused_for_good("registrar_challenge_for_ever", 401);
}

#[test]
fn a_503_fails_within_five_seconds_and_the_socket_stays() {
    let bench = Bench::new();
    let registrar = sipp::Plan::new("registrar_refuse")
        .key("code", "503")
        .key("reason", "Busy")
        .calls(20, 10)
        .start(&bench);
    let house = House::start(&bench);
    let mut socket = WebSocket::open(house.web);
    socket.send("connection", connection("1001", "x", "pbx.test", "127.0.0.1", registrar.port));
    expect_fail(&mut socket, secs(5));
    socket.assert_alive();
}

#[test]
fn a_name_that_does_not_resolve_fails_within_five_seconds_and_the_socket_stays() {
    let bench = Bench::new();
    let house = House::start(&bench);
    let mut socket = WebSocket::open(house.web);
    socket.send("connection", connection("1001", "x", "nowhere.invalid", "nowhere.invalid", 5060));
    expect_fail(&mut socket, secs(5));
    socket.assert_alive();
}

#[test]
fn a_pbx_that_is_down_fails_within_five_seconds_and_is_found_when_it_is_back() {
    let bench = Bench::new();
    let mut pbx = Kamailio::start(&bench);
    let house = House::start(&bench);
    pbx.go_down();
    let mut socket = connect(&house, &pbx, "1001", "pw1001");
    socket.expect("getUserData", secs(1));
    expect_fail(&mut socket, secs(5));
    socket.assert_alive();
    pbx.come_back();
    socket.expect("registered", secs(40));
}

#[test]
fn a_silent_pbx_fails_within_five_seconds() {
    let bench = Bench::new();
    let house = House::start(&bench);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut socket = WebSocket::open(house.web);
    let port = silent.local_addr().unwrap().port();
    socket.send("connection", connection("1001", "x", "pbx.test", "127.0.0.1", port));
    expect_fail(&mut socket, secs(5));
    socket.assert_alive();
}

#[test]
fn a_registration_is_refreshed_before_it_runs_out() {
    let bench = Bench::new();
    let pbx = kamailio::Plan::new().max_expires(6).start(&bench);
    let house = House::start(&bench);
    let wire = Wiretap::start(&bench);
    let mut socket = connect(&house, &pbx, "1001", "pw1001");
    socket.expect("registered", secs(5));
    std::thread::sleep(secs(15));
    let messages = wire.stop().sip_from(pbx.port);
    let granted: Vec<f64> = messages
        .iter()
        .filter(|(_, m)| m.starts_with("SIP/2.0 200") && m.contains("REGISTER"))
        .map(|(at, _)| *at)
        .collect();
    assert!(granted.len() >= 3, "{} grants in 15 s of 6 s each", granted.len());
    assert!(granted.windows(2).all(|pair| pair[1] - pair[0] < 6000.0), "{granted:?}");
    let contacts =
        messages.iter().filter(|(_, m)| m.contains("REGISTER")).map(|(_, m)| m.matches("Contact:").count());
    assert!(contacts.max() <= Some(1), "one account, one contact");
    // `registered` once a socket, not at every refresh.
    assert_eq!(socket.next(Duration::from_millis(300)), None);
}

#[test]
fn a_registration_survives_an_outage_of_the_pbx() {
    let bench = Bench::new();
    let mut pbx = kamailio::Plan::new().max_expires(6).start(&bench);
    let house = House::start(&bench);
    let mut socket = connect(&house, &pbx, "1001", "pw1001");
    socket.expect("registered", secs(5));
    pbx.go_down();
    std::thread::sleep(secs(10));
    let before = pbx.count("REGISTER");
    pbx.come_back();
    support::wait_for("the account at the new PBX", secs(40), || {
        (pbx.count("REGISTER") >= before + 2).then_some(())
    });
    house.wait_metric("tandem_registrations_active", 1.0, secs(5));
    socket.assert_alive();
}

#[test]
fn rq24_the_account_is_back_within_five_seconds_after_the_network_was_cut_without_a_sign() {
    let bench = Bench::new();
    let pbx = kamailio::Plan::new().max_expires(20).start(&bench);
    let house = House::start(&bench);
    let cable = Relay::to(&pbx.proxy());
    let mut socket = WebSocket::open(house.web);
    socket.send("connection", connection("1001", "pw1001", kamailio::DOMAIN, "127.0.0.1", cable.port));
    socket.expect("registered", secs(5));
    cable.passes(false);
    let cut = if std::env::var_os("TANDEM_SOAK").is_some() { 120 } else { 55 }; // past the end of the first REGISTER's 32 s
    let end = Instant::now() + secs(cut);
    let (_, fail) = expect_fail(&mut socket, secs(21));
    assert!(fail["sipStatus"].is_null(), "nobody said anything: {fail}");
    while Instant::now() < end {
        let frame = socket.next(end.saturating_duration_since(Instant::now()));
        assert_eq!(frame, None, "once is enough");
    }
    house.wait_metric("tandem_registrations_active", 0.0, secs(1));
    cable.passes(true);
    let back = Instant::now();
    socket.expect("registered", secs(5));
    println!("registered {:.1} s after the network was back", back.elapsed().as_secs_f64());
    house.wait_metric("tandem_registrations_active", 1.0, secs(1));
}

#[test]
fn keep_alives_hold_the_way_to_the_pbx_open_while_a_page_is_there() {
    let bench = Bench::new();
    let pbx = Kamailio::start(&bench);
    let house = house::Plan::new().set("sip.keep_alive_s", "1").start(&bench);
    let mut sockets: Vec<WebSocket> =
        ["1001", "1003"].map(|user| connect(&house, &pbx, user, &kamailio::password(user))).into();
    for socket in &mut sockets {
        socket.expect("registered", secs(5));
    }
    let seen = |seconds| {
        let wire = Wiretap::start(&bench);
        std::thread::sleep(secs(seconds));
        let packets = wire.stop().packets;
        let pings = packets.iter().filter(|p| p.from.port() == house.sip && p.to.port() == pbx.port);
        pings.filter(|p| p.payload == b"\r\n\r\n").count()
    };
    let pings = seen(5);
    assert!((4..=6).contains(&pings), "{pings} keep-alives in 5 s, for both accounts together");
    drop(sockets);
    house.wait_metric("tandem_registrations_active", 0.0, secs(6));
    assert_eq!(seen(3), 0);
}

#[test]
fn a_malformed_account_is_refused_within_100_ms() {
    let bench = Bench::new();
    let house = House::start(&bench);
    for (login, domain) in [
        ("10 01", "pbx.test"),
        ("<1001>", "pbx.test"),
        ("1001\r\nX-Evil: 1", "pbx.test"),
        ("1001\u{0}", "pbx.test"),
        ("1001", "pbx test"),
        ("1001", "pbx.test>"),
        ("1001", "pbx.test\r\nVia: x"),
        ("", "pbx.test"),
        ("1001", ""),
    ] {
        let mut socket = WebSocket::open(house.web);
        let sent = Instant::now();
        socket.send("connection", connection(login, "x", domain, "127.0.0.1", 5999));
        socket.expect("fail", secs(2));
        assert!(sent.elapsed() <= Duration::from_millis(100), "{login:?}@{domain:?}: {:?}", sent.elapsed());
    }
}

#[test]
fn a_second_page_of_the_account_registers_too() {
    let bench = Bench::new();
    let pbx = Kamailio::start(&bench);
    let house = House::start(&bench);
    let mut sockets: Vec<WebSocket> = (0..2).map(|_| connect(&house, &pbx, "1001", "pw1001")).collect();
    for socket in &mut sockets {
        socket.expect("registered", secs(5));
    }
}
