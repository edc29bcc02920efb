//! Calls in every codec: linphone at the other end, or a scripted phone with payload types of its own.

mod support;

use std::process::Command;

use codecs::CodecId::{self, G729, Opus, Pcma, Pcmu, SpeexNarrow, SpeexWide};
use support::handset::Handset;
use support::kamailio::DOMAIN;
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::tls::{Claim, certificate};
use support::{Bench, Linphone, Page, Sipp, fairly, house, kamailio, secs, sipp};

/// linphone is offered one codec, and both hear each other in it.
fn linphone_speaks(setting: &str, codec: CodecId) {
    let bench = Bench::new();
    let (_, files) = certificate(&bench.subfolder("certificates"), Claim { names: &[DOMAIN], until: 2090 });
    let house = house::Plan::new()
        .set("sip.srtp", "\"required\"")
        .set("codecs", &format!("[\"opus\", \"{setting}\", \"telephone-event\"]"))
        .set("codecs_exclude_sip", "[\"opus\"]");
    let scene = Scene::on(bench, kamailio::Plan::new().tls(files), house);
    let spec = codec.spec();
    let only = (spec.name, spec.clock_rate);
    let phone = Linphone::start_with(&scene.bench, &scene.pbx, "1002", PHONE_TONE, true, Some(only));
    let page = scene.page();
    let wire = scene.wiretap();
    let call = page.call("1002");
    let answered = page.wait_call(&call, "ESTABLISHED", secs(10));
    std::thread::sleep(secs(4));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    page.heard(&call).between(answered.at + 1000.0, ended_at).assert_tone(PHONE_TONE);
    let packets = wire.stop().rtp_to(phone.rtp);
    let others = packets.iter().filter(|packet| packet.kind != spec.payload_type).count();
    assert!(packets.len() > 100 && others == 0, "{} packets, {others} of another type", packets.len());
    // In its first second it fits its jitter buffer, which may be heard.
    let heard = phone.heard().between(1000.0, f64::MAX);
    let found = heard.find(PAGE_TONE).expect("linphone hears the page");
    println!("{setting}: linphone heard {found:?}");
    assert!(found.last_at - found.first_at > 2000.0 && found.gap_ms <= 60.0, "{found:?}: {heard}");
}

#[test]
fn linphone_and_page_hear_each_other_in_g729() {
    fairly(|| linphone_speaks("g729", G729));
}

#[test]
fn linphone_and_page_hear_each_other_in_wide_speex() {
    fairly(|| linphone_speaks("speex16", SpeexWide));
}

#[test]
fn linphone_and_page_hear_each_other_in_narrow_speex() {
    fairly(|| linphone_speaks("speex8", SpeexNarrow));
}

/// A phone calls the page and offers `first`; after `talk_ms` it offers `second` instead, under numbers of its own. Both are on the line when this returns.
fn called<'a>(
    scene: &'a Scene,
    handset: &Handset,
    types: [(u8, CodecId); 2],
    talk_ms: u32,
) -> (Page<'a>, String, Sipp) {
    let formats = types.map(|(number, codec)| format!("RTP/AVP {number}\na=rtpmap:{number} {codec}"));
    let page = scene.page();
    let caller = sipp::Plan::new("uac_codecs")
        .calling("1001", DOMAIN, &scene.pbx.proxy(), "trunk")
        .key("rtp_port", &handset.port.to_string())
        .key("first", &formats[0])
        .key("second", &formats[1])
        .key("talk_ms", &talk_ms.to_string())
        .start(&scene.bench);
    let incoming = page.wait_incoming(0, secs(5));
    let call = incoming.body["callId"].as_str().expect("a call id").to_owned();
    page.answer(&call);
    (page, call, caller)
}

fn codec_changes(types: [(u8, CodecId); 2]) {
    let all = "[\"opus\", \"alaw\", \"g729\", \"speex16\"]";
    let scene = Scene::with(kamailio::Plan::new(), house::Plan::new().set("codecs", all));
    let handset = Handset::start(&scene.bench, PHONE_TONE, &types);
    let (page, call, mut caller) = called(&scene, &handset, types, 3000);
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
    page.wait_call(&call, "FINISH", secs(10));
    let ended_at = moment();
    caller.assert_passed(secs(5));
    let heard = page.heard(&call).between(answered.at + 1000.0, ended_at - 500.0);
    let found = heard.find(PHONE_TONE).expect("the page hears the phone");
    println!("{types:?}: the page heard {found:?}");
    assert!(found.gap_ms <= 100.0, "a gap of {:.0} ms: {heard}", found.gap_ms);
    assert!(found.last_at - found.first_at > 4000.0, "{heard}");
    assert_eq!(handset.types(), types.map(|(number, _)| number), "no packet under another number");
    for (number, codec) in types {
        let heard = handset.heard(number, codec);
        let found = heard.between(heard.started_at + 500.0, f64::MAX).find(PAGE_TONE);
        let found = found.unwrap_or_else(|| panic!("{codec} under {number}: {heard}"));
        assert!(found.last_at - found.first_at > 2000.0, "{codec} under {number}: {heard}");
    }
}

#[test]
fn rq08_wide_speex_becomes_opus_within_a_call_under_odd_numbers() {
    fairly(|| codec_changes([(119, SpeexWide), (97, Opus)]));
}

#[test]
fn rq08_g729_becomes_a_law_within_a_call_under_odd_numbers() {
    fairly(|| codec_changes([(105, G729), (126, Pcma)]));
}

/// The phone says that it is silent, and is: the page hears noise in the meantime, and the tone again behind it.
fn silence_is_heard(codec: CodecId, number: u8, silence: (u8, &[u8])) {
    let scene = Scene::new();
    let types = [(number, codec); 2];
    let handset = Handset::start(&scene.bench, PHONE_TONE, &types);
    let (page, call, mut caller) = called(&scene, &handset, types, 3500);
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    let silent_at = moment();
    handset.fall_silent(silence.0, silence.1, secs(2));
    page.wait_call(&call, "FINISH", secs(10));
    let ended_at = moment();
    caller.assert_passed(secs(5));
    let heard = page.heard(&call);
    heard.between(answered.at + 1000.0, silent_at).assert_tone(PHONE_TONE);
    let noise = heard.between(silent_at + 600.0, silent_at + 1900.0);
    println!("{codec}: {noise}");
    noise.assert_never_silent();
    assert!(noise.find(PHONE_TONE).is_none_or(|found| found.dbfs < PHONE_TONE.dbfs - 10.0), "{noise}");
    heard.between(silent_at + 2400.0, ended_at - 500.0).assert_tone(PHONE_TONE);
}

#[test]
fn rq11_the_page_hears_the_noise_of_a_silence_frame_of_g729() {
    fairly(|| silence_is_heard(G729, 18, (18, &[0, 12 << 1])));
}

#[test]
fn the_page_hears_comfort_noise_that_nobody_agreed_to() {
    fairly(|| silence_is_heard(Pcmu, 0, (13, &[35])));
}

#[test]
fn without_its_library_g729_is_offered_to_nobody_and_check_says_so() {
    let bench = Bench::new();
    let settings = bench.path("tandem.toml");
    std::fs::write(&settings, "").unwrap();
    let library = "/usr/lib/x86_64-linux-gnu/libbcg729.so.0";
    let check = |before: &str| {
        let script = format!("{before} exec {} check --config {}", house::program(), settings.display());
        let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = check(&format!("mount --bind /dev/null {library} &&"));
    let lines: Vec<_> = said.lines().filter(|line| line.contains("g729")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("codecs names g729") && lines[0].contains("libbcg729-0"), "{said}");
    assert!(!check("").contains("g729"), "with it there is nothing to say");
}
