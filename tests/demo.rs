//! The first steps of a newcomer: `tandem demo`, its phone page and its answering machines.

mod support;

use serde_json::json;
use support::browser::Account;
use support::pattern::{self, PAGE_MARK, Seen};
use support::scene::PAGE_TONE;
use support::sound::moment;
use support::websocket::WebSocket;
use support::{Bench, House, Tone, Web, fairly, secs};

/// The account `user` of the demo's registrar.
fn account(user: &str) -> Account {
    Account {
        login: user.into(),
        password: format!("demo{user}"),
        domain: "127.0.0.1".into(),
        proxy: "127.0.0.1".into(),
        port: 5070,
        register: true,
    }
}

/// Calls a machine for four seconds and hears `tone`.
fn the_page_hears(machine: &str, tone: Tone) {
    let bench = Bench::new();
    let house = House::demo(&bench);
    let web = Web::start(&bench);
    let page = web.page("1001", PAGE_TONE);
    page.connect_and_wait(&house, &account("1001"));
    let call = page.call(machine);
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(4));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    let heard = page.heard(&call).between(answered.at - 500.0, ended_at);
    println!("{:?}", heard.assert_tone_since(tone, answered.at));
}

#[test]
fn the_page_calls_echo_and_hears_itself() {
    fairly(|| the_page_hears("echo", PAGE_TONE));
}

#[test]
fn the_page_calls_tone_and_hears_440_hz() {
    fairly(|| the_page_hears("tone", Tone::of(440)));
}

/// Calls a machine with a camera for four seconds; what the page heard as a tone, and what it saw.
fn the_page_sees(machine: &str, tone: Tone) -> Vec<Seen> {
    let bench = Bench::new();
    let mut house = House::demo(&bench);
    let web = Web::start(&bench);
    let page = web.page_with_camera("1001", PAGE_TONE, PAGE_MARK, (320, 240));
    page.connect_and_wait(&house, &account("1001"));
    let call = page.call_with(machine, json!({ "video": { "width": 320, "height": 240, "frameRate": 15 } }));
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(4));
    assert_eq!(house.metric("tandem_transcoders_active", "from=\"H264\""), 0.0);
    let (seen, heard) = (page.seen(&call), page.heard(&call));
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    heard.between(answered.at + 1000.0, answered.at + 3500.0).assert_tone(tone);
    println!(
        "{machine}: {} pictures, the first {:.0} ms after the answer",
        seen.len(),
        seen[0].at - answered.at
    );
    house.assert_no_call_left(secs(5));
    house.assert_well();
    seen
}

#[test]
fn the_page_calls_video_and_sees_a_picture_that_moves() {
    fairly(|| {
        let seen = the_page_sees("video", Tone::of(440));
        // The ball goes round once in four seconds.
        let mut places: Vec<usize> = seen.iter().map(|picture| picture.brightest).collect();
        places.sort_unstable();
        places.dedup();
        assert!(seen.len() >= 25 && places.len() >= 4, "{} pictures, bright at {places:?}", seen.len());
        assert_eq!((seen[0].width, seen[0].height), (320, 240));
    });
}

#[test]
fn the_page_calls_echo_and_sees_itself() {
    fairly(|| {
        pattern::assert_moving(&the_page_sees("echo", PAGE_TONE), PAGE_MARK, 20);
    });
}

#[test]
fn the_machines_that_do_not_answer_say_why() {
    let bench = Bench::new();
    let house = House::demo(&bench);
    let mut socket = WebSocket::open(house.web);
    socket.send(
        "connection",
        json!({
            "appKey": "defaultApp", "mediaProviders": ["WebRTC"], "clientVersion": "2.0", "sipLogin": "1002",
            "sipAuthenticationName": "1002", "sipPassword": "demo1002", "sipDomain": "127.0.0.1",
            "sipOutboundProxy": "127.0.0.1", "sipPort": "5070", "sipRegisterRequired": true,
        }),
    );
    socket.expect("registered", secs(5));
    let call = |id: &str, callee: &str| {
        json!({
            "callId": id, "incoming": false, "hasVideo": false, "hasAudio": true, "status": "PENDING",
            "mediaProvider": "WebRTC", "sdp": support::websocket::offer(), "callee": callee,
        })
    };
    socket.send("call", call("busy-0001", "busy"));
    assert_eq!(socket.expect("finish", secs(3))["sipStatus"], 486);
    socket.send("call", call("noanswer-0001", "noanswer"));
    socket.expect("ring", secs(3));
    socket.send("hangup", json!({ "callId": "noanswer-0001" }));
    socket.expect("finish", secs(3));
    socket.send("call", call("nobody-0001", "4711"));
    assert_eq!(socket.expect("finish", secs(3))["sipStatus"], 404);
}

#[test]
fn two_demo_accounts_call_each_other() {
    let bench = Bench::new();
    let house = House::demo(&bench);
    let web = Web::start(&bench);
    let (alice, bob) = (web.page("1001", PAGE_TONE), web.page("1002", Tone::of(440)));
    alice.connect_and_wait(&house, &account("1001"));
    bob.connect_and_wait(&house, &account("1002"));
    let call = alice.call("1002");
    let incoming = bob.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
    bob.answer(&incoming);
    alice.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(3));
    alice.hang_up(&call);
    bob.wait_call(&incoming, "FINISH", secs(3));
    alice.heard(&call).find(Tone::of(440)).expect("alice hears bob");
    bob.heard(&incoming).find(PAGE_TONE).expect("bob hears alice");
}

#[test]
fn the_demo_listens_on_loopback_only() {
    let bench = Bench::new();
    let mut house = House::demo(&bench);
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = std::fs::read_to_string(format!("/proc/{}/net/{table}", house.process().id())).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, port) = fields[1].split_once(':').unwrap();
            let port = u16::from_str_radix(port, 16).unwrap();
            // 0A: a listening TCP socket. UDP has no such state: its bound ports of ours are looked at.
            let ours = [8080, 8443, 8081, 5060, 5061, 5070, 30000, 30001].contains(&port);
            if ours && (table.starts_with("udp") || fields[3] == "0A") {
                let loopback = address == "0100007F" || address == "00000000000000000000000001000000";
                assert!(loopback, "port {port} of {table} listens on {address}");
            }
        }
    }
}

#[test]
fn the_phone_page_is_there_and_has_no_build_step() {
    let bench = Bench::new();
    let house = House::demo(&bench);
    let (code, html) = support::house::http_get(house.web, "/").expect("a page at /");
    assert_eq!(code, 200);
    assert!(html.contains("<html") || html.contains("<!doctype html"), "{html}");
    let (code, text) = house.get("/readyz").unwrap();
    assert_eq!(code, 200, "{text}");
}

#[test]
fn the_phone_page_signs_in_calls_echo_and_hears_itself() {
    fairly(|| {
        let bench = Bench::new();
        let house = House::demo(&bench);
        let web = Web::start(&bench);
        let home = format!("http://localhost:{}/", house.web);
        let page = web.page_with("newcomer", PAGE_TONE, json!({ "url": home }));
        let until = |what: &str, expression: &str| {
            support::wait_for(what, secs(10), || page.eval(expression).as_bool().filter(|yes| *yes));
        };
        // What a newcomer does: picks a suggested account, signs in, dials `echo`.
        until("the suggested accounts", "!!document.querySelector('#demo-accounts button')");
        page.eval("document.querySelector('#demo-accounts button').click()");
        page.eval("document.querySelector('#connect').click()");
        until("the end of signing in", "!document.querySelector('#call').disabled");
        page.eval("document.querySelector('#number').value = 'echo'");
        page.eval("document.querySelector('#call').click()");
        until("the timer of the call", "!document.querySelector('#timer').hidden");
        let hz = page.eval(STRONGEST).as_f64().unwrap_or_default();
        assert!((hz - PAGE_TONE.hz).abs() < 20.0, "the page hears {hz} Hz");

        page.eval("document.querySelector('#mute').click()");
        std::thread::sleep(secs(1));
        let hz = page.eval(STRONGEST).as_f64().unwrap_or_default();
        assert!((hz - PAGE_TONE.hz).abs() > 20.0, "a muted page hears itself");
        page.eval("document.querySelector('#mute').click()");

        page.eval("document.querySelector('#hangup').click()");
        until("the end of the call", "document.querySelector('#hangup').hidden");
        page.eval("document.querySelector('#disconnect').click()");
        until("the end of the session", "document.querySelector('#signed-in').hidden");
        assert!(!page.has(|event| event.kind == "page error"), "the page has an error");
    });
}

/// The strongest frequency in the page's remote sound, median of two seconds; 0 for silence.
const STRONGEST: &str = "(async () => {
    const context = new AudioContext(), analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    context.createMediaStreamSource(document.querySelector('#remote').srcObject).connect(analyser);
    await context.resume();
    const bins = new Float32Array(analyser.frequencyBinCount), found = [];
    for (let n = 0; n < 20; n++) {
        await new Promise(done => setTimeout(done, 100));
        analyser.getFloatFrequencyData(bins);
        const best = bins.reduce((best, level, bin) => level > bins[best] ? bin : best, 0);
        found.push(bins[best] < -60 ? 0 : best * context.sampleRate / analyser.fftSize);
    }
    await context.close();
    return found.sort((a, b) => a - b)[10];
})()";
