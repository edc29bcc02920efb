//! Settings as users write them.
use std::io::Write as _;

use actors::handle::VideoFormat;

use super::*;

/// Loads `file` with `variables`; the errors as text.
fn load(file: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let path = std::env::temp_dir().join(format!("tandem-settings-{:?}.toml", std::thread::current().id()));
    std::fs::File::create(&path).unwrap().write_all(file.as_bytes()).unwrap();
    let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = Settings::load(Some(&path), owned).map_err(|error| error.to_string());
    std::fs::remove_file(&path).unwrap();
    settings
}

/// `file` and `variables` are refused with one line that holds all of `words`.
fn refuse(file: &str, variables: &[(&str, &str)], words: &[&str]) {
    let text = load(file, variables).expect_err(file);
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "{text:?} should hold {word:?}");
    }
}

#[test]
fn every_key_of_the_built_in_file_is_read() {
    let mut reader = Reader::new(Layers::defaults());
    Settings::read(&mut reader, Vec::new());
    assert_eq!(reader.left(), Vec::<String>::new());
    reader.finish().unwrap();
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = load("", &[]).unwrap();
    assert_eq!(settings.web.listen, ["0.0.0.0:8080".parse().unwrap()]);
    assert_eq!(settings.rest.listen, ["127.0.0.1:8081".parse().unwrap()]);
    assert_eq!(settings.web.ping_interval, Duration::from_secs(5));
    assert_eq!(settings.web.ping_probes, 10);
    assert_eq!(settings.switch.media.rtp_ports, (20_000, 29_999));
    assert_eq!(settings.switch.no_answer, Duration::from_secs(180));
    assert_eq!(settings.switch.max_duration, None);
}

#[test]
fn a_longest_duration_of_zero_is_none() {
    let longest = |text| load(text, &[]).unwrap().switch.max_duration;
    assert_eq!(longest("calls.max_duration_s = 7200"), Some(Duration::from_secs(7200)));
    assert_eq!(longest("calls.max_duration_s = 0"), None);
}

#[test]
fn a_file_beats_the_defaults_and_a_variable_beats_the_file() {
    let file = "keep_alive.probes = 3\n[media]\nlanes = 2\nwebrtc_port = 31000\n";
    let settings = load(file, &[("TANDEM_MEDIA__LANES", "4"), ("PATH", "/bin")]).unwrap();
    assert_eq!(settings.switch.media.lanes, 4);
    assert_eq!(settings.switch.media.webrtc_port, 31_000);
    assert_eq!(settings.web.ping_probes, 3);
}

#[test]
fn lists_come_by_commas_and_an_empty_variable_is_an_empty_list() {
    let settings = load("", &[("TANDEM_CODECS", "alaw, ulaw"), ("TANDEM_WEB__ALLOWED_ORIGINS", "")]).unwrap();
    assert_eq!(settings.switch.media.audio_codecs.len(), 2);
    assert_eq!(settings.web.allowed_origins, []);
    let listen = load("listen.web = [\"127.0.0.1:80\", \"[::1]:80\"]", &[]).unwrap().web.listen;
    assert_eq!(listen, load("", &[("TANDEM_LISTEN__WEB", "127.0.0.1:80,[::1]:80")]).unwrap().web.listen);
    assert_eq!(load("listen.web_tls = \"\"", &[]).unwrap().web.listen_tls, []);
}

#[test]
fn codecs_for_sip_keep_their_order_and_lose_what_is_excluded() {
    use actors::handle::CodecId::{G722, G729, Opus, Pcma, Pcmu, SpeexNarrow, SpeexWide};
    let media = |file: &str| load(file, &[]).unwrap().switch.media;
    let default = media("");
    assert_eq!(
        (default.audio_codecs, default.telephone_events),
        (vec![Opus, Pcma, Pcmu, G729, SpeexWide, G722], true)
    );
    let ordered = media("codecs = [\"ulaw\", \"opus\", \"ulaw\", \"h264\"]");
    assert_eq!((ordered.audio_codecs, ordered.telephone_events), (vec![Pcmu, Opus], false));
    let excluded = media("codecs_exclude_sip = [\"opus\", \"telephone-event\", \"flv\"]");
    assert_eq!(
        (&excluded.audio_codecs, excluded.telephone_events),
        (&vec![Pcma, Pcmu, G729, SpeexWide, G722], false)
    );
    assert_eq!(media("codecs = [\"speex8\", \"speex16\"]").audio_codecs, [SpeexNarrow, SpeexWide]);
    assert_eq!(excluded.browser_codecs(), [Opus, G722, Pcmu, Pcma], "the page's side is not SIP");
}

#[test]
fn opus_is_encoded_as_the_settings_say_and_by_default_as_the_codec_says() {
    let encoding = |file: &str| load(file, &[]).unwrap().switch.media.encoding;
    assert_eq!(encoding(""), Default::default());
    let work = "complexity = 9\ncomplexity_telephone = 2";
    let rest = "bitrate = 32000\nfec = false\nexpected_loss = 3\ndtx = true";
    let opus = encoding(&format!("[opus]\n{work}\n{rest}")).opus;
    assert_eq!((opus.complexity, opus.complexity_telephone), (9, 2));
    assert_eq!((opus.bitrate, opus.fec, opus.expected_loss, opus.dtx), (32_000, false, 3, true));
}

#[test]
fn video_is_offered_in_the_order_of_the_codecs_and_h264_once_for_each_profile() {
    let video = |file: &str| load(file, &[]).unwrap().switch.media.video;
    let offered = |file: &str| {
        let one =
            |format: &VideoFormat| format!("{} {}", format.codec().name(), format.fmtp().unwrap_or_default());
        video(file)
            .sip
            .iter()
            .map(one)
            .map(|text| text.replace("level-asymmetry-allowed=1;", ""))
            .collect::<Vec<_>>()
    };
    let (base_1, base_0, high, vp8) = (
        "H264 packetization-mode=1;profile-level-id=42e01f",
        "H264 packetization-mode=0;profile-level-id=42e01f",
        "H264 packetization-mode=1;profile-level-id=640028",
        "VP8 ",
    );
    assert_eq!(offered(""), [base_1, high, base_0, vp8]);
    assert_eq!(offered("proxy_use_h264_packetization_mode_1_only = false"), [base_0, base_1, high, vp8]);
    assert_eq!(
        offered("codecs = [\"vp8\", \"opus\", \"h264\", \"vp8\"]\nprofiles = [\"42e01f\"]"),
        [vp8, base_1, base_0]
    );
    assert_eq!(offered("codecs_exclude_sip = [\"h264\"]"), [vp8]);
    assert!(offered("codecs = [\"opus\"]").is_empty());
    assert_eq!(video("").encoding, Default::default());
    let encoding =
        video("[video]\nbitrate = 300000\nmax_width = 320\nmax_height = 240\nmax_fps = 15\nvp8_speed = 12")
            .encoding;
    assert_eq!(
        (encoding.bitrate, encoding.max_size, encoding.max_fps, encoding.vp8_speed),
        (300_000, (320, 240), 15, 12)
    );
}

#[test]
fn an_unknown_key_is_refused_with_file_line_key_and_value() {
    refuse("\n[media]\nlane = 3\n", &[], &[".toml:3: ", "media.lane", "3", "no such setting"]);
    refuse("colour = \"red\"", &[], &[".toml:1: ", "colour", "red"]);
    refuse("[nothing]\na = 1", &[], &[".toml:1: ", "nothing"]);
    refuse("", &[("TANDEM_MEDIA__LANE", "3")], &["TANDEM_MEDIA__LANE", "media.lane", "3"]);
}

#[test]
fn a_value_of_the_wrong_type_or_out_of_range_is_refused() {
    refuse("[media]\n\nlanes = \"two\"", &[], &[".toml:3: ", "media.lanes", "two", "whole number"]);
    refuse("media.lanes = 2.5", &[], &["media.lanes", "2.5"]);
    refuse("media.lanes = 65", &[], &["65", "between 0 and 64"]);
    refuse("media.webrtc_port = 70000", &[], &["media.webrtc_port", "70000", "65535"]);
    refuse("allow_outside_codecs = 1", &[], &["allow_outside_codecs", "true or false"]);
    refuse("media.answer_audio = \"later\"", &[], &["later", "at_once, on_sip_sdp"]);
    refuse("listen.sip = \"5060\"", &[], &["listen.sip", "5060", "address with a port"]);
    refuse("codecs = [\"opus\", \"mp3\"]", &[], &["codecs", "mp3", "telephone-event", "speex16"]);
    refuse("security.sip_target_deny = [\"private\"]", &[], &["sip_target_deny", "private"]);
    refuse("web.allowed_origins = [\"shop.example\"]", &[], &["allowed_origins", "shop.example"]);
    refuse("media.hold_music_file = \"/nowhere.wav\"", &[], &["hold_music_file", "No such file"]);
    refuse("media.hold_music_file = \"Cargo.toml\"", &[], &["hold_music_file", "Cargo.toml", "no WAV file"]);
    refuse("media.ring_back = \"xx\"", &[], &["media.ring_back", "xx", "empty, or a country", "de, dk"]);
    refuse("", &[("TANDEM_ALLOW_OUTSIDE_CODECS", "yes")], &["TANDEM_ALLOW_OUTSIDE_CODECS", "yes"]);
    refuse("profiles = [\"42e0\"]", &[], &["profiles", "42e0"]);
    refuse("profiles = [\"010203\"]", &[], &["profiles", "010203", "profile-level-id"]);
    refuse("video.bitrate = 5", &[], &["video.bitrate", "5", "20000"]);
    refuse("video.max_fps = 61", &[], &["video.max_fps", "61"]);
    refuse("opus.complexity = 11", &[], &["opus.complexity", "11", "between 0 and 10"]);
    refuse("opus.complexity_telephone = 11", &[], &["opus.complexity_telephone", "11"]);
    refuse("opus.bitrate = 64", &[], &["opus.bitrate", "64", "6000"]);
    refuse("opus.expected_loss = 101", &[], &["opus.expected_loss", "101"]);
    refuse("opus.dtx = 1", &[], &["opus.dtx", "true or false"]);
    refuse("media.lanes = \n", &[], &[".toml:1: ", "media.lanes"]);
}

#[test]
fn sip_over_tls_takes_pins_as_openssl_prints_them() {
    let pin = "AB:".repeat(31) + "CD";
    let settings =
        load(&format!("sip_use_tls = true\nsip.tls_pin_sha256 = \"{pin}, {}\"", "0f".repeat(32)), &[]);
    let tls = settings.unwrap().switch.sip.tls;
    assert_eq!(tls.pins.iter().map(ToString::to_string).next(), Some(pin));
    assert_eq!((tls.pins.len(), tls.only), (2, true));
    assert!(load("sip.tls_alpn = [\"pbx.example=sip\", \"*=sip/2\"]", &[]).is_ok());
    refuse("sip.tls_alpn = \"sip\"", &[], &["tls_alpn", "host=protocol"]);
    refuse("sip.tls_pin_sha256 = \"abcd\"", &[], &["tls_pin_sha256", "abcd", "64 hexadecimal digits"]);
    refuse("sip.tls_key_file = \"Cargo.toml\"", &[], &["sip.tls_certificate_file", "sip.tls_key_file"]);
    refuse("sip.tls_ca_file = \"/nowhere.pem\"", &[], &["tls_ca_file", "no such file"]);
}

#[test]
fn pages_may_be_let_add_headers_but_not_those_that_tandem_writes() {
    assert!(load("sip.page_headers = [\"X-*\", \"Subject\", \"P-Asserted-Identity\"]", &[]).is_ok());
    assert!(load("", &[("TANDEM_SIP__PAGE_HEADERS", "")]).is_ok());
    refuse(
        "sip.page_headers = [\"X-*\", \"Contact\"]",
        &[],
        &["sip.page_headers", "Contact", "Tandem alone"],
    );
    refuse("sip.page_headers = \"*\"", &[], &["sip.page_headers", "header name"]);
}

#[test]
fn all_errors_are_told_at_once() {
    let text = load("media.lanes = 65\nlog.format = \"xml\"\n", &[]).unwrap_err();
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    refuse("media.rtp_port_to = 19999", &[], &["media.rtp_port_to", "19999", "20000"]);
    refuse("listen.rest = \"0.0.0.0:8081\"", &[], &["listen.rest", "0.0.0.0:8081", "rest.token"]);
    let all = "codecs_exclude_sip = [\"opus\", \"alaw\", \"ulaw\", \"g722\", \"g729\", \"speex16\"]";
    refuse(all, &[], &["codecs", "speex8"]);
    assert!(load("listen.rest = \"0.0.0.0:8081\"\nrest.token = \"0123456789abcdef\"", &[]).is_ok());
}

#[test]
fn no_error_shows_a_secret() {
    let text = load("rest.token = \"hunter2\"", &[]).unwrap_err();
    assert!(text.contains("rest.token") && !text.contains("hunter2"), "{text}");
    assert!(
        !format!("{:?}", load("rest.token = \"0123456789abcdef\"", &[]).unwrap())
            .contains("0123456789abcdef")
    );
}

#[test]
fn the_demo_listens_on_loopback_alone_and_forbids_no_target() {
    let settings = Settings::demo([("TANDEM_LISTEN__WEB".into(), "127.0.0.1:18080".into())]).unwrap();
    let all =
        [&settings.web.listen, &settings.web.listen_tls, &settings.rest.listen, &settings.switch.sip.listen];
    assert!(all.iter().all(|list| list.iter().all(|address| address.ip().is_loopback())));
    assert_eq!(settings.web.listen[0].port(), 18_080);
}

#[test]
fn somebody_elses_variable_is_only_mentioned() {
    assert_eq!(load("", &[("TANDEM_HOME", "/opt/tandem")]).unwrap().strange_variables, ["TANDEM_HOME"]);
}
