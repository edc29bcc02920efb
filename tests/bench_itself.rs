//! The bench proves itself before it proves anything else: peers against each other, without Tandem.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use support::baresip;
use support::kamailio::{self, DOMAIN};
use support::process::Start;
use support::sipp;
use support::stage::{Nat, ThreeCards};
use support::{Baresip, Bench, Kamailio, Media, Recording, Sipp, Tone, Web, Wiretap, secs};

#[test]
fn a_gap_a_wrong_tone_and_a_wrong_level_are_noticed() {
    let tone = Tone::of(440);
    let whole = Recording { rate: 8000, samples: tone.samples(8000, 3.0), started_at: 0.0 };
    let found = whole.assert_tone_since(tone, 0.0);
    assert!(
        (found.hz - 440.0).abs() < 1.0 && (found.dbfs + 12.0).abs() < 0.1 && found.gap_ms == 0.0,
        "{found:?}"
    );
    assert!(whole.find(Tone::of(460)).is_none());

    for silent_ms in [10, 30, 50, 100, 300] {
        let mut holed = whole.clone();
        holed.samples[8000..8000 + silent_ms * 8].fill(0.0);
        let gap = holed.find(tone).unwrap().gap_ms;
        assert!((gap - silent_ms as f64).abs() <= 10.0, "{silent_ms} ms were measured as {gap}");
    }
    let wide = Recording { rate: 48000, samples: tone.samples(48000, 2.0), started_at: 0.0 };
    assert!((wide.assert_tone(tone).hz - 440.0).abs() < 1.0);
}

#[test]
fn a_peer_that_will_not_end_is_killed_with_its_workers() {
    let bench = Bench::new();
    let script = "trap '' TERM; sleep 600 & echo worker $!; wait; sleep 600";
    let mut peer = Start::new("stubborn", "sh", &bench.path("peer.log"), None).args(["-c", script]).spawn();
    peer.wait_for_log("worker", secs(5));
    let worker = peer.log().split_whitespace().last().unwrap().to_owned();
    assert_eq!(peer.stop(Duration::from_millis(300)).signal(), Some(9));
    // Nobody waits for an orphan's end but init, which may take its time: a zombie is dead enough.
    support::wait_for("the end of the worker", secs(5), || {
        let state = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
}

/// Two phones, a PBX, a tone each way.
fn two_phones_hear_each_other(media: Media) {
    let bench = Bench::new();
    let pbx = kamailio::Plan::new().media(media).start(&bench);
    let (low, high) = (Tone::of(440), Tone::of(1000));
    let caller = Baresip::start(&bench, &pbx, "1001", low);
    let called = baresip::Plan::new("1002", high).auto_answer().start(&bench, &pbx);
    let wire = Wiretap::start(&bench);

    caller.dial("1002");
    let answered = caller.wait("CALL_ESTABLISHED", secs(5));
    std::thread::sleep(secs(3));
    caller.hang_up();
    called.wait("CALL_CLOSED", secs(5));

    let wire = wire.stop();
    for (phone, tone) in [(&caller, high), (&called, low)] {
        let found = wire.heard(phone.rtp).assert_tone_since(tone, answered.at);
        phone.decoded().assert_tone(tone);
        println!("first sound after {:.0} ms, {found:?}", found.first_at - answered.at);
        let relayed = wire
            .rtp_to(phone.rtp)
            .iter()
            .all(|p| (pbx.relay_ports.0..=pbx.relay_ports.1).contains(&p.from.port()));
        assert_eq!(relayed, media == Media::Relayed);
    }
}

#[test]
fn two_phones_hear_each_other_directly() {
    two_phones_hear_each_other(Media::Direct);
}

#[test]
fn two_phones_hear_each_other_through_the_relay() {
    two_phones_hear_each_other(Media::Relayed);
}

#[test]
fn keys_of_a_phone_are_seen_once_each() {
    let bench = Bench::new();
    let pbx = Kamailio::start(&bench);
    let caller = Baresip::start(&bench, &pbx, "1001", Tone::of(440));
    let called = baresip::Plan::new("1002", Tone::of(1000)).auto_answer().start(&bench, &pbx);
    let wire = Wiretap::start(&bench);
    caller.dial("1002");
    caller.wait("CALL_ESTABLISHED", secs(5));
    caller.press("15#");
    caller.hang_up();
    called.wait("CALL_CLOSED", secs(5));
    let digits: String = wire.stop().keys_to(called.rtp, 101).iter().map(|key| key.digit).collect();
    assert_eq!(digits, "15#");
}

/// One scenario calls, another answers, through the PBX.
fn scenarios_fit(calling: &str, called: &str) {
    let bench = Bench::new();
    let plan = sipp::Plan::new(called).key("code", "486").key("reason", "Busy Here");
    let mut called = plan.start(&bench);
    let pbx = kamailio::Plan::new().route("2001", &called.target()).start(&bench);
    let mut caller = sipp::Plan::new(calling).calling("2001", DOMAIN, &pbx.proxy(), "trunk").start(&bench);
    caller.assert_passed(secs(20));
    called.assert_passed(secs(20));
}

#[test]
fn a_scripted_caller_hangs_up() {
    scenarios_fit("uac_hang_up", "uas_answer");
}

#[test]
fn a_scripted_phone_hangs_up() {
    scenarios_fit("uac_call", "uas_hang_up");
}

#[test]
fn a_scripted_phone_refuses() {
    scenarios_fit("uac_refused", "uas_reject");
}

#[test]
fn a_scripted_phone_rings_and_refuses() {
    scenarios_fit("uac_refused", "uas_ring_reject");
}

#[test]
fn a_scripted_caller_cancels() {
    scenarios_fit("uac_cancel", "uas_ring");
}

/// baresip calls a scenario and is the measure of what the scenario does.
fn a_phone_calls(scenario: &str, tcp: bool, seconds: u64) -> Vec<String> {
    a_phone_meets(sipp::Plan::new(scenario), tcp, seconds)
}

fn a_phone_meets(plan: sipp::Plan, tcp: bool, seconds: u64) -> Vec<String> {
    let bench = Bench::new();
    let mut called = if tcp { plan.tcp().start(&bench) } else { plan.start(&bench) };
    let target = if tcp { format!("{};transport=tcp", called.target()) } else { called.target() };
    let pbx = kamailio::Plan::new().route("2001", &target).start(&bench);
    let caller = Baresip::start(&bench, &pbx, "1001", Tone::of(440));
    caller.dial("2001");
    caller.wait("CALL_ESTABLISHED", secs(5));
    std::thread::sleep(secs(seconds));
    caller.hang_up();
    called.assert_passed(secs(10));
    caller.decoded().find(Tone::of(440)).expect("the scenario sends the sound back");
    caller.events().into_iter().map(|event| event.name).collect()
}

#[test]
fn a_scripted_phone_answers_and_echoes() {
    a_phone_calls("uas_answer", false, 2);
}

#[test]
fn a_scripted_phone_answers_over_tcp() {
    a_phone_calls("uas_answer", true, 2);
}

#[test]
fn a_scripted_phone_holds_and_resumes() {
    a_phone_meets(sipp::Plan::holding("sendonly", "127.0.0.1", 2000), false, 6);
}

#[test]
fn a_scripted_phone_holds_as_in_rfc_2543() {
    a_phone_meets(sipp::Plan::holding("inactive", "0.0.0.0", 2000), false, 6);
}

#[test]
fn a_scripted_phone_asks_for_an_offer_in_the_call() {
    a_phone_calls("uas_reinvite_without_offer", false, 3);
}

#[test]
fn a_scripted_caller_lets_the_other_side_offer() {
    let bench = Bench::new();
    let pbx = Kamailio::start(&bench);
    let called = baresip::Plan::new("1002", Tone::of(1000)).auto_answer().start(&bench, &pbx);
    let mut caller =
        sipp::Plan::new("uac_without_offer").calling("1002", DOMAIN, &pbx.proxy(), "trunk").start(&bench);
    called.wait("CALL_ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    called.hang_up();
    caller.assert_passed(secs(10));
    called.decoded().find(Tone::of(1000)).expect("the scenario sends the sound back");
}

#[test]
fn a_browser_hears_its_own_microphone_through_webrtc() {
    let bench = Bench::new();
    let web = Web::start(&bench);
    let (first, second) = (web.page("first", Tone::of(880)), web.page("second", Tone::of(1320)));
    for page in [&first, &second] {
        page.run("loopback", serde_json::json!([]));
    }
    std::thread::sleep(secs(4));
    for (page, tone) in [(&first, Tone::of(880)), (&second, Tone::of(1320))] {
        let heard = page.heard("loopback");
        println!("{:?}", heard.assert_tone(tone));
    }
}

#[test]
fn a_failed_scenario_is_noticed() {
    let bench = Bench::new();
    let mut called = sipp::Plan::new("uas_answer").limit(secs(1)).start(&bench);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| called.assert_passed(secs(5))));
    assert!(failed.is_err());
    let _: &Sipp = &called;
}

#[test]
fn a_machine_behind_one_to_one_nat_is_reached_by_its_public_address() {
    let (bench, stage) = (Bench::new(), Nat::new());
    let pbx = kamailio::Plan::new().inside(&stage.cloud, Nat::PRIVATE).start(&bench);
    let options = "OPTIONS sip:pbx.test SIP/2.0\\r\\nVia: SIP/2.0/TCP 203.0.113.10;branch=z9hG4bK1;rport\\r\\nMax-Forwards: 70\\r\\n\
                   From: <sip:a@b>;tag=1\\r\\nTo: <sip:pbx.test>\\r\\nCall-ID: 1\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n";
    let ask = format!(
        "exec 3<>/dev/tcp/{}/{}; printf '{options}' >&3; timeout 2 head -1 <&3 | grep -q 'SIP/2.0 200'",
        Nat::PUBLIC,
        pbx.port
    );
    stage.net.run("bash", &["-c", &ask]);
}

#[test]
fn phones_a_browser_and_a_wiretap_work_in_a_namespace() {
    let (bench, stage) = (Bench::new(), ThreeCards::new());
    let pbx = kamailio::Plan::new().inside(&stage.here, ThreeCards::HERE).start(&bench);
    let caller =
        baresip::Plan::new("1001", Tone::of(440)).inside(&stage.here, ThreeCards::HERE).start(&bench, &pbx);
    let plan = baresip::Plan::new("1002", Tone::of(1000)).auto_answer();
    let called = plan.inside(&stage.there, ThreeCards::HOUSE).start(&bench, &pbx);
    let wire = Wiretap::on(&bench, "lan0", Some(&stage.here));
    caller.dial("1002");
    let answered = caller.wait("CALL_ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    caller.hang_up();
    called.wait("CALL_CLOSED", secs(5));
    wire.stop().heard(called.rtp).assert_tone_since(Tone::of(440), answered.at);

    let web = Web::start_in(&bench, Some(&stage.here));
    let page = web.page("inside", Tone::of(880));
    page.run("loopback", serde_json::json!([]));
    std::thread::sleep(secs(2));
    page.heard("loopback").assert_tone(Tone::of(880));
}
