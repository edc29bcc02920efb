//! After each end no actor, port, timer or registration remains, and a thousand calls leave the process as it was.

mod support;

use serde_json::json;
use std::time::{Duration, Instant};
use support::house::Size;
use support::scene::Scene;
use support::websocket::{WebSocket, offer};
use support::{Bench, House, house, kamailio, secs, sipp};

/// Everything that must be back where it was.
#[track_caller]
fn assert_nothing_left(house: &House, ports_free: f64) {
    house.assert_no_call_left(secs(10));
    for (name, value) in [
        ("tandem_ws_sessions_active", 0.0),
        ("tandem_registrations_active", 0.0),
        ("tandem_actors_alive{actor=\"session\"}", 0.0),
        ("tandem_actors_alive{actor=\"registration\"}", 0.0),
        ("tandem_ports_free", ports_free),
    ] {
        house.wait_metric(name, value, secs(10));
    }
}

#[test]
fn a_real_call_leaves_nothing() {
    let scene = Scene::new();
    let ports = scene.house.metric("tandem_ports_free", "");
    let _phone = scene.ready_phone();
    let page = scene.page();
    for _ in 0..2 {
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(1));
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
    }
    page.close();
    assert_nothing_left(&scene.house, ports);
}

#[test]
fn a_page_that_vanishes_while_it_rings_leaves_nothing() {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_ring");
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let ports = scene.house.metric("tandem_ports_free", "");
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "RING", secs(5));
    page.close();
    phone.assert_passed(secs(10));
    assert_nothing_left(&scene.house, ports);
}

/// Calls one after the other, `width` at a time; each is answered and hung up by the page.
fn short_calls(house: &House, phone: u16, count: usize, width: usize) {
    let threads: Vec<_> = (0..width)
        .map(|lane| {
            let web = house.web;
            std::thread::spawn(move || {
                let mut socket = WebSocket::session(web, &format!("20{lane:02}"), "127.0.0.1", phone);
                for n in 0..count / width {
                    let id = format!("{lane:08}-{n:04}-11f1-8df6-5df796382668");
                    let call = json!({
                        "callId": id, "incoming": false, "hasVideo": false, "hasAudio": true, "status": "PENDING",
                        "mediaProvider": "WebRTC", "sdp": offer(), "callee": "2001",
                    });
                    socket.send("call", call);
                    socket.expect_where("talk", secs(10), |data| data["callId"] == id.as_str());
                    socket.send("hangup", json!({ "callId": id }));
                    socket.expect_where("finish", secs(10), |data| data["callId"] == id.as_str());
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("every call of the thread ended well"));
}

#[test]
fn a_thousand_short_calls_leave_memory_descriptors_and_ports_where_they_were() {
    let bench = Bench::new();
    let count = if std::env::var_os("TANDEM_SOAK").is_some() { 10_000 } else { 1000 };
    let plan = sipp::Plan::new("uas_answer_at_once").calls(2 * count as u32, 100).limit(secs(600));
    let mut phone = plan.start(&bench);
    // Over 400 calls a second: with the 200 ms of the other tests, all of a hundred pairs would rest at once.
    let house = house::Plan::new().set("media.port_rest_ms", "20").start(&bench);
    let ports = house.metric("tandem_ports_free", "");
    // As many calls first: what the allocator keeps of them for later is no leak, what comes on top of it would be.
    short_calls(&house, phone.port, count, 10);
    assert_nothing_left(&house, ports);
    let before = settled(&house);

    let started = Instant::now();
    short_calls(&house, phone.port, count, 10);
    println!("{count} calls in {:.1} s", started.elapsed().as_secs_f64());
    assert_nothing_left(&house, ports);
    let after = settled(&house);
    println!("before {before:?}\nafter  {after:?}");
    phone.assert_passed(secs(40));

    assert!(
        after.descriptors <= before.descriptors + 2,
        "descriptors: {} → {}",
        before.descriptors,
        after.descriptors
    );
    assert!(
        after.udp_sockets <= before.udp_sockets,
        "UDP sockets: {} → {}",
        before.udp_sockets,
        after.udp_sockets
    );
    assert!(after.threads <= before.threads, "threads: {} → {}", before.threads, after.threads);
    let grown = after.memory_kib.saturating_sub(before.memory_kib);
    assert!(grown <= 512 + count, "memory grew by {grown} KiB in {count} calls: more than a KiB a call");
}

/// Waits until transactions (32 s of RFC 3261) and resting ports are over.
fn settled(house: &House) -> Size {
    std::thread::sleep(Duration::from_secs(35));
    house.size()
}
