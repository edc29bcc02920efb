//! What pages write is read leniently; what we write is always our own, well formed and complete.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use actors::browser::rtc::{Certificate, Peer, PeerConfig};
use actors::browser::sdp::{Agreed, Description, SdpError};
use actors::lanes::LocalAddress;
use codecs::CodecId::{self, Opus, Pcma, Pcmu};
use codecs::VideoFormat;
use codecs::video::H264Format;
use proptest::prelude::*;

const OFFER_AUDIO: &str = include_str!("sdp/offer-audio.sdp");
const OFFER_VIDEO: &str = include_str!("sdp/offer-video.sdp");
const OFFER_RECVONLY: &str = include_str!("sdp/offer-recvonly.sdp");
const OFFER_STRIPPED: &str = include_str!("sdp/offer-stripped.sdp");
const ANSWER_AUDIO: &str = include_str!("sdp/incoming-answer-audio.sdp");
const ANSWER_VIDEO: &str = include_str!("sdp/incoming-answer-video.sdp");
const ALL: [&str; 6] = [OFFER_AUDIO, OFFER_VIDEO, OFFER_RECVONLY, OFFER_STRIPPED, ANSWER_AUDIO, ANSWER_VIDEO];

fn config(audio: &[CodecId]) -> PeerConfig {
    let address = |text: &str| text.parse().unwrap();
    let local = |bound: &str, advertised: &str| LocalAddress {
        bound: address(bound),
        advertised: address(advertised),
    };
    let local = vec![
        local("10.0.0.5:30000", "198.51.100.7:30000"),
        local("10.9.0.5:30000", "198.51.100.7:30000"),
        local("[2001:db8::5]:30000", "[2001:db8::5]:30000"),
    ];
    PeerConfig {
        local,
        certificate: Certificate::generate(),
        audio: audio.to_vec(),
        video: vec![],
        stands_in: false,
    }
}

fn answered(offer: &str, audio: &[CodecId]) -> Result<(Agreed, String), SdpError> {
    let (peer, text) = Peer::answer(&Description::parse(offer)?, &config(audio), None, Instant::now())?;
    Ok((peer.agreed().clone(), text))
}

/// A client on our own machine names loopback, and may have nothing else; to others it would mean their own machine.
#[test]
fn loopback_is_told_only_to_a_client_that_names_it() {
    let here: std::net::SocketAddr = "127.0.0.1:30000".parse().unwrap();
    let mut config = config(&[CodecId::Opus]);
    config.local.push(LocalAddress { bound: here, advertised: here });
    let told = |offer: &str| {
        let (_, text) =
            Peer::answer(&Description::parse(offer).unwrap(), &config, None, Instant::now()).unwrap();
        lines(&text, "a=candidate:").iter().any(|line| line.contains(" 127.0.0.1 30000 "))
    };
    assert!(!told(OFFER_AUDIO));
    let names = |ip: &str| format!("{OFFER_AUDIO}a=candidate:1 1 udp 2130706431 {ip} 40000 typ host\r\n");
    assert!(told(&names("127.0.0.1")) && !told(&names("10.0.0.9")) && !told(&names("3ac1.local")));
}

fn lines<'a>(sdp: &'a str, start: &str) -> Vec<&'a str> {
    sdp.lines().filter_map(|line| line.strip_prefix(start)).collect()
}

/// The rules of the WebSDK and of RFC 8866 that hold for all that we write.
fn well_formed(sdp: &str, media: usize) {
    assert!(sdp.ends_with("\r\n") && !sdp.replace("\r\n", "").contains(['\r', '\n']), "{sdp:?}");
    for line in sdp.lines() {
        let (kind, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?} in {sdp}"));
        assert!(
            kind.len() == 1 && "vostacmb".contains(kind) && !value.is_empty() && line.len() < 1_000,
            "{line:?}"
        );
        assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
    }
    assert_eq!(lines(sdp, "m=").len(), media, "{sdp}");
    assert_eq!(lines(sdp, "a=ice-lite").len(), 1);
    assert!(lines(sdp, "a=group:").len() <= 1);
    let streams: Vec<_> = lines(sdp, "a=msid:").iter().map(|msid| msid.split(' ').next().unwrap()).collect();
    assert!(streams.windows(2).all(|pair| pair[0] == pair[1]), "one stream id: {sdp}");
    let candidates = lines(sdp, "a=candidate:");
    assert_eq!(candidates.len(), 2, "each advertised address once: {sdp}");
    assert!(!sdp.contains("10.0.0.5") && !sdp.contains("10.9.0.5"), "a bound address leaked: {sdp}");
}

#[test]
fn the_answer_lists_what_we_want_first_with_the_pages_numbers() {
    let check = |audio: &[CodecId], formats: &str, first: CodecId| {
        let (agreed, sdp) = answered(OFFER_AUDIO, audio).unwrap();
        well_formed(&sdp, 1);
        assert_eq!(lines(&sdp, "m="), [format!("audio 30000 UDP/TLS/RTP/SAVPF {formats}")]);
        assert_eq!(agreed.audio[0].codec, first);
        for format in formats.split(' ') {
            assert_eq!(lines(&sdp, &format!("a=rtpmap:{format} ")).len(), 1, "{format} has its rtpmap");
        }
    };
    check(&[Opus, Pcmu, Pcma], "111 0 8 110 126", Opus);
    check(&[Pcma, Opus], "8 111 110 126", Pcma);
    check(&[Pcmu], "0 126", Pcmu);
    check(&[Opus], "111 110", Opus);
    check(&[Opus, Opus], "111 110", Opus);
    let (_, sdp) = answered(OFFER_AUDIO, &[Opus]).unwrap();
    assert_eq!(lines(&sdp, "a=fmtp:111 "), ["useinbandfec=1"]);
    assert_eq!(lines(&sdp, "a=setup:"), ["passive"]);
    assert_eq!(lines(&sdp, "a=mid:"), ["0"]);
    assert_eq!(lines(&sdp, "a=group:"), ["BUNDLE 0"]);
    for wanted in ["a=rtcp-mux", "a=sendrecv", "a=end-of-candidates"] {
        assert!(sdp.lines().any(|line| line == wanted), "{wanted} in {sdp}");
    }
}

#[test]
fn offered_video_is_answered_inactive_so_that_sound_is_heard() {
    let (agreed, sdp) = answered(OFFER_VIDEO, &[Opus]).unwrap();
    well_formed(&sdp, 2);
    assert!(agreed.video_offered);
    assert_eq!(lines(&sdp, "a=group:"), ["BUNDLE 0 1"]);
    assert_eq!(lines(&sdp, "m=video "), ["9 UDP/TLS/RTP/SAVPF 96"]);
    assert_eq!(lines(&sdp, "a=inactive").len(), 1);
    assert_eq!(lines(&sdp, "a=msid:").len(), 1);
    let no_known_video = OFFER_VIDEO.replace("VP8/90000", "XX/90000").replace("H264/90000", "YY/90000");
    let (_, sdp) = answered(&no_known_video, &[Opus]).unwrap();
    assert_eq!(lines(&sdp, "m=video "), ["0 UDP/TLS/RTP/SAVPF 96"]);
    assert_eq!(lines(&sdp, "a=group:"), ["BUNDLE 0"]);
    let (_, sdp) = answered(&OFFER_VIDEO.replace("a=group:BUNDLE 0 1\r\n", ""), &[Opus]).unwrap();
    assert_eq!(lines(&sdp, "m=video "), ["0 UDP/TLS/RTP/SAVPF 96"]);
    assert_eq!(lines(&sdp, "a=group:").len(), 0);
}

#[test]
fn a_page_that_only_listens_or_only_speaks_is_answered_the_other_way_round() {
    let check = |offer: &str, direction: &str, streams: usize| {
        let (agreed, sdp) = answered(offer, &[Opus]).unwrap();
        assert_eq!(lines(&sdp, &format!("a={direction}")).len(), 1, "{sdp}");
        assert_eq!(lines(&sdp, "a=msid:").len(), streams);
        agreed
    };
    let listens = check(OFFER_RECVONLY, "sendonly", 1);
    assert!(!listens.page_sends && listens.page_receives);
    let speaks = check(&OFFER_AUDIO.replace("a=sendrecv", "a=sendonly"), "recvonly", 0);
    assert!(speaks.page_sends && !speaks.page_receives);
}

#[test]
fn the_debris_of_strip_codecs_is_read() {
    assert!(OFFER_STRIPPED.contains("63 0 8 13 \n"), "the file still has its blank and its bare LF");
    let (agreed, sdp) = answered(OFFER_STRIPPED, &[Opus, Pcma, Pcmu]).unwrap();
    well_formed(&sdp, 1);
    assert_eq!(agreed.audio.iter().map(|numbered| numbered.codec).collect::<Vec<_>>(), [Pcma, Pcmu]);
    assert!(agreed.telephone_events.is_empty(), "what was stripped is not answered");
    assert_eq!(lines(&sdp, "m="), ["audio 30000 UDP/TLS/RTP/SAVPF 8 0"]);
}

#[test]
fn odd_but_usable_descriptions_are_taken() {
    let with = |from: &str, to: &str| {
        let changed = OFFER_AUDIO.replace(from, to);
        assert_ne!(changed, OFFER_AUDIO, "{from:?} is in the offer");
        answered(&changed, &[Opus, Pcmu]).unwrap_or_else(|error| panic!("{from:?} as {to:?}: {error}"))
    };
    with("\r\n", "\n");
    with("\r\n", " \r\n");
    with("\r\n", "\n\n");
    with("a=group:BUNDLE 0\r\n", "");
    with("sha-256", "SHA-256");
    with("UDP/TLS/RTP/SAVPF", "udp/tls/rtp/savpf");
    with("a=mid:0\r\n", "");
    with("a=mid:0", "a=mid:a_very-long.mid+of~forty_characters_or_so!");
    with("a=ice-ufrag:Zcae", &format!("a=ice-ufrag:{}", "u".repeat(256)));
    with("a=ice-pwd:qbDe9527UjSEim9ovtRZHQwH", &format!("a=ice-pwd:{}", "p".repeat(256)));
    with("a=rtpmap:0 PCMU/8000\r\n", "");
    with("opus/48000/2", "OPUS/48000/2");
    with("a=ssrc:", "a=ssrk:");
    with("t=0 0", "t=0 0\r\nz=unknown\r\nnot a line\r\n=\r\nxyz=1\r\na=\r\na=:\r\na=rtpmap\r\na=fmtp:111");
    let candidates: String = (0..500)
        .map(|n| {
            format!("a=candidate:{n} 1 udp 1 169.254.0.{} 9 typ host\r\na=candidate:x {n}.local\r\n", n % 256)
        })
        .collect();
    with("a=setup", &format!("{candidates}a=setup"));
    let (agreed, _) = with("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/48000");
    assert_eq!(agreed.audio[0].codec, Pcmu, "opus without /2 is another codec");
    let (agreed, _) =
        with("useinbandfec=1", "stereo=1;usedtx=1;maxaveragebitrate=24000;maxplaybackrate=16000");
    let opus = agreed.audio[0].opus;
    assert!(opus.stereo && opus.dtx && !opus.in_band_fec);
    assert_eq!((opus.max_average_bitrate, opus.max_playback_rate), (Some(24_000), Some(16_000)));
}

#[test]
fn unusable_descriptions_are_refused_by_name() {
    let check = |from: &str, to: &str, expected: SdpError| {
        assert_eq!(
            answered(&OFFER_AUDIO.replace(from, to), &[Opus]).err(),
            Some(expected),
            "{from:?} as {to:?}"
        );
    };
    let refused =
        OFFER_AUDIO.replace("m=audio 9", "m=audio 0").replace("a=group:BUNDLE 0", "a=group:BUNDLE 1");
    assert_eq!(answered(&refused, &[Opus]).err(), Some(SdpError::NoAudio));
    check("v=0", "w=0", SdpError::NotSdp);
    check("m=audio", "m=image", SdpError::NoAudio);
    check("UDP/TLS/RTP/SAVPF", "RTP/AVP", SdpError::NotSecure);
    check("SAVPF 111 63 9 0 8 13 110 126", "SAVPF", SdpError::NoCommonCodec);
    check("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 9 0 8", SdpError::NoCommonCodec);
    check("a=rtcp-mux\r\n", "", SdpError::Missing("rtcp-mux"));
    check("a=ice-ufrag", "a=x", SdpError::Missing("ice-ufrag"));
    check("a=ice-pwd", "a=x", SdpError::Missing("ice-pwd"));
    check("a=ice-ufrag:Zcae", "a=ice-ufrag:Zc", SdpError::Malformed("ice-ufrag"));
    check("a=ice-ufrag:Zcae", "a=ice-ufrag:Zc:ae", SdpError::Malformed("ice-ufrag"));
    check("a=ice-ufrag:Zcae", &format!("a=ice-ufrag:{}", "u".repeat(257)), SdpError::Malformed("ice-ufrag"));
    check("a=ice-pwd:q", "a=ice-pwd:\u{e9}", SdpError::Malformed("ice-pwd"));
    check("a=fingerprint", "a=x", SdpError::Missing("fingerprint"));
    check("sha-256", "sha-1", SdpError::FingerprintHash);
    check("94:D2", "94:", SdpError::Malformed("fingerprint"));
    check("94:D2", "94:D2:00", SdpError::Malformed("fingerprint"));
    check("a=setup:actpass", "a=setup:holdconn", SdpError::Malformed("setup"));
    check("t=0 0", "t=0 0\r\na=ice-lite", SdpError::IceLite);
    let many = format!("{OFFER_AUDIO}{}", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n".repeat(32));
    assert_eq!(answered(&many, &[Opus]).err(), Some(SdpError::TooManyMedia));
    let long = format!("{OFFER_AUDIO}{}", "a".repeat(64 * 1024));
    assert_eq!(answered(&long, &[Opus]).err(), Some(SdpError::TooLong(long.len())));
    assert_eq!(answered("", &[Opus]).err(), Some(SdpError::NotSdp));
}

#[test]
fn other_m_lines_keep_their_place_and_are_refused() {
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n";
    let offer = OFFER_VIDEO.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 2 0 1").replacen(
        "m=audio",
        &format!("{data}m=audio"),
        1,
    );
    let (_, sdp) = answered(&offer, &[Opus]).unwrap();
    well_formed(&sdp, 3);
    assert_eq!(lines(&sdp, "m=application "), ["0 UDP/DTLS/SCTP webrtc-datachannel"]);
    assert!(sdp.find("m=application").unwrap() < sdp.find("m=audio").unwrap());
    assert_eq!(lines(&sdp, "a=group:"), ["BUNDLE 0 1"]);
}

#[test]
fn our_offer_has_what_a_page_needs_and_takes_the_answers_of_pages() {
    let config = config(&[Opus, Pcmu, Pcma]);
    let (mut peer, offer) = Peer::offer(&config, Instant::now());
    well_formed(&offer, 1);
    assert_eq!(lines(&offer, "m="), ["audio 30000 UDP/TLS/RTP/SAVPF 111 0 8 110 126"]);
    assert_eq!(lines(&offer, "a=setup:"), ["actpass"]);
    peer.accept_answer(&Description::parse(ANSWER_AUDIO).unwrap(), Instant::now()).unwrap();
    assert_eq!(peer.agreed().audio.len(), 3);
    let again = peer.accept_answer(&Description::parse(ANSWER_AUDIO).unwrap(), Instant::now());
    assert!(matches!(again, Err(SdpError::AnswerMismatch(_))));
    let check = |answer: String, expected: Option<usize>| {
        let (mut peer, _) = Peer::offer(&config, Instant::now());
        let taken = peer.accept_answer(&Description::parse(&answer).unwrap(), Instant::now());
        assert_eq!(taken.is_ok().then(|| peer.agreed().audio.len()), expected, "{answer}");
    };
    check(ANSWER_AUDIO.replace("SAVPF 111 63 9 0 8", "SAVPF 8 63 9"), Some(1));
    check(ANSWER_AUDIO.replace("SAVPF 111 63 9 0 8", "SAVPF 63 9"), None);
    check(ANSWER_AUDIO.replace("a=mid:0", "a=mid:7"), None);
    check(ANSWER_AUDIO.replace("111", "112"), Some(2));
}

#[test]
fn secrets_are_fresh_for_each_peer_and_never_printed() {
    let (first, second) =
        (answered(OFFER_AUDIO, &[Opus]).unwrap().1, answered(OFFER_AUDIO, &[Opus]).unwrap().1);
    for start in ["a=ice-ufrag:", "a=ice-pwd:", "a=ssrc:", "o="] {
        assert_ne!(lines(&first, start), lines(&second, start), "{start}");
    }
    assert_eq!(lines(&first, "a=ice-pwd:")[0].len(), 24);
    let debug = format!("{:?} {:?}", Description::parse(OFFER_AUDIO).unwrap(), config(&[Opus]));
    assert!(!debug.contains("qbDe9527UjSEim9ovtRZHQwH"), "{debug}");
}

/// Bytes cut out, doubled, overwritten, lines moved about.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (
        0_usize..7_000,
        0_usize..60,
        prop::sample::select(vec![
            "",
            "\n",
            "\r",
            ":",
            "=",
            " ",
            "0",
            "99999999999",
            "m=audio",
            "a=mid:",
            "\u{0}",
            "é",
            "/",
        ]),
    );
    (0..ALL.len(), prop::collection::vec(edit, 1..8), any::<bool>()).prop_map(|(which, edits, doubled)| {
        let mut text = ALL[which].to_owned();
        for (at, length, with) in edits {
            let floor = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let (start, end) = (floor(at), floor(at + length));
            text.replace_range(start..end, with);
        }
        if doubled { format!("{text}{text}") } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_description_makes_us_panic_or_write_a_broken_line(text in mutated()) {
        let video = vec![VideoFormat::Vp8, VideoFormat::H264(H264Format::BROWSER)];
        let config = PeerConfig { video, ..config(&[Opus, Pcmu, Pcma]) };
        if let Ok(description) = Description::parse(&text) {
            if let Ok((_, answer)) = Peer::answer(&description, &config, None, Instant::now()) {
                let media = text.split(['\r', '\n']).filter(|line| line.trim().starts_with("m=")).count();
                well_formed(&answer, media);
            }
            let (mut peer, _) = Peer::offer(&config, Instant::now());
            let _ = peer.accept_answer(&description, Instant::now());
        }
    }
}
