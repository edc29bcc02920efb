//! Digits over a link that loses packets, and from pages with telephone-events of either clock or both (RQ10).

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::time::Duration;
use support::browser::Account;
use support::rtp::Rtp;
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::stage::BadCable;
use support::{Bench, Web, Wiretap, baresip, fairly, house, kamailio, secs};

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
