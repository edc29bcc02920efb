//! Digits over a link that loses packets, from pages with telephone-events of either clock or both (RQ10), and at the 16 kHz of Speex.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::net::UdpSocket;
use std::time::Duration;
use support::browser::Account;
use support::kamailio::{DOMAIN, password};
use support::rtp::Rtp;
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::stage::BadCable;
use support::tls::{Claim, certificate};
use support::websocket::{WebSocket, offer};
use support::{Bench, House, Linphone, Web, Wiretap, baresip, fairly, house, kamailio, secs, sipp, wait_for};

/// What `DigitSender` needs for one, with the pause behind it.
const DIGIT_MS: u64 = 240;

/// Sound and keys share one row of numbers without a gap.
#[track_caller]
fn assert_unbroken(stream: &[Rtp]) {
    assert!(stream.len() > 50, "{} packets", stream.len());
    for pair in stream.windows(2) {
        assert_eq!(pair[0].ssrc, pair[1].ssrc, "the source changed within a call");
        assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1, "a number is missing");
    }
}

#[test]
fn rq10_every_digit_arrives_once_at_3_percent_loss() {
    let count = if std::env::var_os("TANDEM_SOAK").is_some() { 1000 } else { 40 };
    // Every digit beside every other, the same twice too.
    let all = "0123456789*#ABCD".as_bytes();
    let digits: String = (0..count).map(|n| char::from(all[(n * n / 16 + n) % 16])).collect();
    fairly(|| {
        let bench = Bench::new();
        let cable = BadCable::new(&bench);
        let pbx = kamailio::Plan::new().inside(&cable.here, BadCable::HERE).start(&bench);
        let phone = baresip::Plan::new("1002", PHONE_TONE).auto_answer();
        let phone = phone.inside(&cable.there, BadCable::THERE).start(&bench, &pbx);
        let house = house::Plan::new().inside(&cable.here, BadCable::HERE).start(&bench);
        let web = Web::start_in(&bench, Some(&cable.here));
        let page = web.page("1001", PAGE_TONE);
        page.connect_with(&house.url(), &Account::at(&pbx, "1001"), json!({}));
        page.wait_session("REGISTERED", secs(10));
        let sent = Wiretap::on(&bench, "lan0", Some(&cable.here));
        let arrived = Wiretap::on(&bench, "lan0", Some(&cable.there));
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        cable.set(3, 10);
        for some in digits.as_bytes().chunks(40) {
            page.press(&call, json!(str::from_utf8(some).unwrap()), "RFC2833");
            std::thread::sleep(Duration::from_millis(some.len() as u64 * DIGIT_MS + 100));
        }
        cable.set(0, 0);
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(5));

        let (sent, arrived) = (sent.stop().rtp_to(phone.rtp), arrived.stop());
        assert_unbroken(&sent);
        let lost = 1.0 - arrived.rtp_to(phone.rtp).len() as f64 / sent.len() as f64;
        let keys = arrived.keys_to(phone.rtp, 101);
        println!("{} digits, {:.1} % of {} packets lost", keys.len(), lost * 100.0, sent.len());
        assert!(lost > 0.01, "the cable lost {lost}");
        assert_eq!(keys.iter().map(|key| key.digit).collect::<String>(), digits);
        // 160 ms of 8 kHz; of a key whose three last packets are all lost a little less is known.
        let whole = keys.iter().filter(|key| key.duration == 1280).count();
        assert!(keys.iter().all(|key| key.duration <= 1280) && whole * 100 >= keys.len() * 98, "{keys:?}");
    });
}

/// Takes the telephone-events of one clock out of what the page offers, and keeps its peer connection at hand.
fn offer_without(clock: &str) -> String {
    format!(
        "(() => {{
            const make = RTCPeerConnection.prototype.createOffer;
            RTCPeerConnection.prototype.createOffer = async function (...args) {{
                window.peer = this;
                const offer = await make.apply(this, args);
                const rows = [...offer.sdp.matchAll(/a=rtpmap:(\\d+) telephone-event\\/(\\d+)/g)];
                const out = rows.filter(row => row[2] === '{clock}').map(row => row[1]);
                const lines = offer.sdp.split('\\r\\n')
                    .filter(line => !out.some(number => line.match('^a=(rtpmap|fmtp):' + number + ' ')))
                    .map(line => line.startsWith('m=audio ')
                        ? line.split(' ').filter((word, i) => i < 3 || !out.includes(word)).join(' ') : line);
                return {{ type: offer.type, sdp: lines.join('\\r\\n') }};
            }};
        }})()"
    )
}

#[test]
fn rq10_digits_come_from_pages_with_events_of_either_clock_or_both() {
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.ready_phone();
        for without in ["none", "48000", "8000"] {
            let page = scene.web.page(&format!("1001-{without}"), PAGE_TONE);
            page.eval(&offer_without(without));
            page.connect_and_wait(&scene.house, &Account::at(&scene.pbx, "1001"));
            let wire = scene.wiretap();
            let call = page.call("1002");
            page.wait_call(&call, "ESTABLISHED", secs(5));
            std::thread::sleep(secs(1));
            page.press(&call, json!("12#"), "RFC2833");
            std::thread::sleep(secs(1));
            // Keys that the browser plays into its own stream.
            page.eval(
                "peer.getSenders().find(s => s.track && s.track.kind === 'audio').dtmf.insertDTMF('347', 120, 80)",
            );
            std::thread::sleep(secs(2));
            page.hang_up(&call);
            page.wait_call(&call, "FINISH", secs(3));
            let wire = wire.stop();
            let keys = wire.keys_to(phone.rtp, 101);
            let told: String = keys.iter().map(|key| key.digit).collect();
            assert_eq!(told, "12#347", "page without telephone-events of {without} Hz");
            assert!(keys.iter().all(|key| key.duration == 1280), "{keys:?}");
            assert_unbroken(&wire.rtp_to(phone.rtp));
            page.close();
        }
    });
}

/// A page without sound that hears of digits.
fn listening_page(house: &House, account: &Value) -> WebSocket {
    let mut page = WebSocket::open(house.web);
    let mut connection = json!({ "appKey": "defaultApp", "sipDomain": DOMAIN, "tandemEvents": ["dtmf"] });
    connection.as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
    page.send("connection", connection);
    page
}

/// A packet of a digit that began with this timestamp, under payload type 100.
fn event_packet(digit: u8, sequence: u16, timestamp: u32, ticks: u16, end: bool) -> Vec<u8> {
    let mut packet = vec![0x80, 100 | u8::from(sequence == 0) << 7];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([7; 4]);
    packet.extend([digit, u8::from(end) << 7 | 10]);
    packet.extend(ticks.to_be_bytes());
    packet
}

/// RFC 4733 §2.1: events have the clock of the stream.
#[test]
fn rq10_a_phone_with_nothing_but_wide_speex_gets_and_sends_digits_at_16_khz() {
    let bench = Bench::new();
    let house = House::start(&bench);
    let mut page = listening_page(&house, &json!({ "sipLogin": "1001", "sipRegisterRequired": false }));
    page.expect("getUserData", secs(5));
    let rtp = bench.rtp_ports();
    let sound = UdpSocket::bind(("127.0.0.1", rtp.0)).unwrap();
    sound.set_read_timeout(Some(secs(2))).unwrap();
    let wire = Wiretap::start(&bench);
    let formats =
        "RTP/AVP 97 100\na=rtpmap:97 speex/16000\na=rtpmap:100 telephone-event/16000\na=fmtp:100 0-15";
    let mut phone = sipp::Plan::new("uac_codecs")
        .calling("1001", DOMAIN, &format!("127.0.0.1:{}", house.sip), "trunk")
        .key("rtp_port", &rtp.0.to_string())
        .key("first", formats)
        .key("second", formats)
        .key("talk_ms", "1000")
        .start(&bench);
    let call = page.expect("notifyIncomingCall", secs(5))["callId"].clone();
    let frame: Value = serde_json::from_str(include_str!("frames/frame-answer-audio.json")).unwrap();
    page.send("answer", json!({ "callId": call, "incoming": true, "hasAudio": true, "hasVideo": false, "sdp": frame["data"][0]["sdp"] }));
    page.expect("talk", secs(5));
    page.send("sendDtmf", json!({ "callId": call, "dtmf": "5#", "type": "RFC2833" }));
    let (_, from) = sound.recv_from(&mut [0; 2048]).expect("our RTP");
    for (sequence, ticks, end) in [(0, 320, false), (1, 640, false), (2, 2560, true), (3, 2560, true)] {
        sound.send_to(&event_packet(7, sequence, 32_000, ticks, end), from).unwrap();
    }
    assert_eq!(page.expect("notifyDtmf", secs(2))["dtmf"], "7");
    phone.assert_passed(secs(10));
    page.expect("finish", secs(2));

    let stream = wire.stop().rtp_to(rtp);
    let keys = support::rtp::keys(&stream, 100);
    let told: Vec<_> = keys.iter().map(|key| (key.digit, key.duration, key.ends)).collect();
    assert_eq!(told, [('5', 2560, 3), ('#', 2560, 3)], "160 ms of 16 kHz");
    // Sound and digits are on one time line.
    let first = stream.iter().find(|packet| packet.kind == 97).expect("Speex");
    for begins in stream.iter().filter(|packet| packet.kind == 100 && packet.marker) {
        let ticks = f64::from(begins.timestamp.wrapping_sub(first.timestamp));
        assert!(
            (ticks / 16.0 - (begins.at - first.at)).abs() < 100.0,
            "{ticks} ticks in {} ms",
            begins.at - first.at
        );
    }
}

#[test]
fn rq10_linphone_gets_and_sends_digits_at_16_khz() {
    let bench = Bench::new();
    let (_, files) = certificate(&bench.subfolder("certificates"), Claim { names: &[DOMAIN], until: 2090 });
    let pbx = kamailio::Plan::new().tls(files).start(&bench);
    let house = house::Plan::new()
        .set("sip.srtp", "\"required\"")
        .set("codecs", "[\"opus\", \"speex16\", \"telephone-event\"]")
        .set("codecs_exclude_sip", "[\"opus\"]")
        .start(&bench);
    let mut phone = Linphone::start_with(&bench, &pbx, "1002", PHONE_TONE, true, Some(("speex", 16_000)));
    let account = json!({ "sipLogin": "1001", "sipAuthenticationName": "1001", "sipPassword": password("1001"),
        "sipOutboundProxy": pbx.address, "sipPort": pbx.port, "sipRegisterRequired": true });
    let mut page = listening_page(&house, &account);
    page.expect("registered", secs(5));
    let wire = Wiretap::start(&bench);
    page.send(
        "call",
        json!({ "callId": "c1", "incoming": false, "hasVideo": false, "hasAudio": true, "status": "PENDING",
        "mediaProvider": "WebRTC", "sdp": offer(), "callee": "1002" }),
    );
    page.expect("talk", secs(10));
    page.send("sendDtmf", json!({ "callId": "c1", "dtmf": "5", "type": "RFC2833" }));
    wait_for("linphone to hear a digit", secs(5), || phone.log().contains("Receiving dtmf 5").then_some(()));
    phone.press('7');
    assert_eq!(page.expect("notifyDtmf", secs(5))["dtmf"], "7");
    page.send("hangup", json!({ "callId": "c1" }));
    page.expect("finish", secs(3));
    // 109 is our telephone-event/16000: what SRTP hides is the payload alone.
    let wire = wire.stop();
    let is_event = |packet: &&Rtp| packet.kind == 109;
    assert!(wire.rtp_to(phone.rtp).iter().filter(is_event).count() >= 4);
    let theirs: Vec<Rtp> = wire.packets.iter().filter_map(support::rtp::parse).collect();
    let theirs = theirs.iter().filter(is_event).filter(|packet| packet.from.port() == phone.rtp.0);
    assert!(theirs.count() >= 4);
}
