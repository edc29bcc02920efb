//! Which pictures are agreed with a page, and how our side of them is written.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use actors::browser::rtc::{Certificate, Peer, PeerConfig};
use actors::browser::sdp::{Agreed, Description, Direction};
use actors::lanes::LocalAddress;
use actors::vocabulary::{AudioFormat, MediaFormat, VideoLine};
use codecs::CodecId::{Opus, Pcmu};
use codecs::VideoFormat::{self, Vp8};

const OFFER: &str = include_str!("sdp/offer-video.sdp");
const OFFER_RECVONLY: &str = include_str!("sdp/offer-recvonly.sdp");
const ANSWER: &str = include_str!("sdp/incoming-answer-video.sdp");

/// `42e01f 1`: profile-level-id and packetization-mode.
fn h264(text: &str) -> VideoFormat {
    let (id, mode) = text.split_once(' ').unwrap();
    let fmtp = format!("level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={id}");
    VideoFormat::from_sdp("H264", 90_000, Some(&fmtp)).unwrap()
}

fn sound() -> MediaFormat {
    AudioFormat { codec: Pcmu, ptime_ms: 20, telephone_event: true }.into()
}

fn far(format: VideoFormat) -> MediaFormat {
    let direction = Direction::SendRecv;
    let line = VideoLine { takes: format, sends: format, direction, limit: None };
    MediaFormat { video: Some(line), ..sound() }
}

fn config(video: &[VideoFormat]) -> PeerConfig {
    let address = "198.51.100.7:30000".parse().unwrap();
    let local = vec![LocalAddress { bound: address, advertised: address }];
    PeerConfig {
        local,
        certificate: Certificate::generate(),
        audio: vec![Opus, Pcmu],
        video: video.to_vec(),
        stands_in: false,
    }
}

fn answered(offer: &str, wanted: &[VideoFormat], far: Option<&MediaFormat>) -> (Agreed, String) {
    let offer = Description::parse(offer).unwrap();
    let (peer, text) = Peer::answer(&offer, &config(wanted), far, Instant::now()).unwrap();
    (peer.agreed().clone(), text)
}

/// The lines of the video section.
fn section(sdp: &str) -> Vec<&str> {
    let video = &sdp[sdp.find("m=video").unwrap()..];
    video
        .lines()
        .enumerate()
        .take_while(|(index, line)| *index == 0 || !line.starts_with("m="))
        .map(|(_, line)| line)
        .collect()
}

fn with<'a>(lines: &[&'a str], start: &str) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line.strip_prefix(start)).collect()
}

/// The same offer with other payload numbers, as another run of the browser has them.
fn renumbered(offer: &str, number: impl Fn(u8) -> u8) -> String {
    let (sound, pictures) = offer.split_at(offer.find("m=video").unwrap());
    let other = |text: &str| text.parse().map_or(text.to_owned(), |old| number(old).to_string());
    let line = |line: &str| {
        if let Some(formats) = line.strip_prefix("m=video 9 UDP/TLS/RTP/SAVPF ") {
            let formats: Vec<String> = formats.split(' ').map(other).collect();
            return format!("m=video 9 UDP/TLS/RTP/SAVPF {}", formats.join(" "));
        }
        let line = match line.split_once("apt=") {
            Some((start, apt)) => format!("{start}apt={}", other(apt)),
            None => line.to_owned(),
        };
        for name in ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"] {
            if let Some((old, rest)) = line.strip_prefix(name).and_then(|rest| rest.split_once(' ')) {
                return format!("{name}{} {rest}", other(old));
            }
        }
        line
    };
    pictures.lines().fold(sound.to_owned(), |text, next| text + &line(next) + "\r\n")
}

/// The numbers of [`OFFER`] in another order.
fn the_other_way_round(old: u8) -> u8 {
    let formats = section(OFFER)[0].split(' ').skip(3).map(|number| number.parse().unwrap());
    let numbers: Vec<u8> = formats.collect();
    let place = numbers.iter().position(|number| *number == old);
    place.map_or(old, |place| numbers[numbers.len() - 1 - place])
}

#[test]
fn the_answer_is_whole_and_every_line_of_it_is_known_to_both_ends() {
    let (agreed, sdp) = answered(OFFER, &[h264("42e01f 1"), Vp8], None);
    let lines = section(&sdp);
    assert_eq!(lines[0], "m=video 30000 UDP/TLS/RTP/SAVPF 108 96 109 97");
    let numbered = [
        "rtpmap:108 H264/90000",
        "fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "rtcp-fb:108 nack",
        "rtcp-fb:108 nack pli",
        "rtcp-fb:108 ccm fir",
        "rtcp-fb:108 goog-remb",
        "rtpmap:109 rtx/90000",
        "fmtp:109 apt=108",
        "rtpmap:96 VP8/90000",
        "rtcp-fb:96 nack",
        "rtcp-fb:96 nack pli",
        "rtcp-fb:96 ccm fir",
        "rtcp-fb:96 goog-remb",
        "rtpmap:97 rtx/90000",
        "fmtp:97 apt=96",
    ];
    let about_numbers =
        |line: &&&str| ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().any(|start| line.starts_with(start));
    let found: Vec<_> = lines.iter().filter(about_numbers).map(|line| &line[2..]).collect();
    assert_eq!(found, numbered);
    assert_eq!(with(&lines, "a=extmap:"), ["4 urn:ietf:params:rtp-hdrext:sdes:mid"]);
    assert_eq!(with(&lines, "a=mid:"), ["1"]);
    assert_eq!(with(&lines, "a=msid:"), ["tandem tandem-video"]);
    assert!(sdp.contains("a=msid:tandem tandem-audio\r\n") && sdp.contains("a=group:BUNDLE 0 1\r\n"));
    let group: Vec<_> = with(&lines, "a=ssrc-group:FID ")[0].split(' ').collect();
    let ssrcs = with(&lines, "a=ssrc:");
    assert_eq!(ssrcs, [format!("{} cname:tandem", group[0]), format!("{} cname:tandem", group[1])]);
    for same in ["a=sendrecv", "a=rtcp-mux", "a=setup:passive"] {
        assert!(lines.contains(&same), "{same} in {sdp}");
    }
    let transport = |line: &&&str| line.starts_with("a=ice-") || line.starts_with("a=fingerprint");
    let first = &sdp[..sdp.find("m=video").unwrap()];
    assert!(lines.iter().filter(transport).all(|line| first.contains(*line)), "one transport: {sdp}");
    let video = agreed.video.unwrap();
    assert_eq!(video.line(), far(h264("42e01f 1")).video.unwrap());
}

/// A browser may send pictures as the camera lies, and say in a header extension which way up they are, only if both descriptions have that
/// extension. Ours never has, whatever becomes of the pictures: so they come upright, for phones and for our decoder.
#[test]
fn rq19_a_page_that_could_send_its_pictures_unturned_is_not_let() {
    assert!(OFFER.contains("urn:3gpp:video-orientation"), "a browser offers it");
    let (h264, high) = (h264("42e01f 1"), h264("640028 1"));
    for far_side in [Some(far(Vp8)), Some(far(h264)), Some(far(high)), Some(sound()), None] {
        let (agreed, sdp) = answered(OFFER, &[h264, Vp8], far_side.as_ref());
        assert!(!sdp.contains("orientation"), "passed or transcoded: {sdp}");
        assert_eq!(agreed.video.is_some(), far_side.is_none_or(|far| far.video.is_some()));
    }
    let (_, offer) = Peer::offer(&config(&[h264, Vp8]), Instant::now());
    assert!(!offer.contains("orientation"), "{offer}");
}

#[test]
fn what_the_far_side_speaks_comes_first_whatever_its_number() {
    let wanted = [h264("42e01f 1"), Vp8];
    let check = |wanted: &[VideoFormat], far: &MediaFormat, expected: &str| {
        for number in [|old| old, the_other_way_round] as [fn(u8) -> u8; 2] {
            let (agreed, sdp) = answered(&renumbered(OFFER, number), wanted, Some(far));
            let lines = section(&sdp);
            let first: u8 = lines[0].split(' ').nth(3).unwrap().parse().unwrap();
            let name = with(&lines, &format!("a=rtpmap:{first} "))[0];
            let fmtp =
                with(&lines, &format!("a=fmtp:{first} ")).concat().replace("level-asymmetry-allowed=1;", "");
            assert_eq!(format!("{name} {fmtp}").trim(), expected);
            let rtx = agreed.video.as_ref().unwrap().first().rtx.unwrap();
            assert_eq!(with(&lines, &format!("a=fmtp:{rtx} ")), [format!("apt={first}")]);
            assert_eq!(agreed.payload_type(agreed.kind(first).unwrap()), Some(first));
            assert!(agreed.is_rtx(rtx) && agreed.kind(rtx).is_none());
        }
    };
    let mode = |mode: u8, id: &str| format!("H264/90000 packetization-mode={mode};profile-level-id={id}");
    check(&wanted, &far(Vp8), "VP8/90000");
    check(&wanted, &far(h264("42e01f 1")), &mode(1, "42e01f"));
    check(&wanted, &far(h264("42e01f 0")), &mode(0, "42e01f"));
    check(&wanted, &far(h264("42001f 1")), &mode(1, "42001f"));
    // Phones that say 42801F send what browsers take.
    check(&wanted, &far(h264("42801F 0")), &mode(0, "42001f"));
    // The page is told to keep to the level of the phone.
    check(&wanted, &far(h264("42e00d 1")), &mode(1, "42e00d"));
    // What nobody wants is not answered, even if the far side has it; then our own order counts.
    check(&wanted, &far(h264("4d001f 1")), &mode(1, "42e01f"));
    check(&[Vp8, h264("42e01f 0")], &far(h264("4d001f 1")), "VP8/90000");
    check(&[Vp8, h264("4d001f 1")], &far(h264("4d001f 0")), &mode(0, "4d001f"));
}

#[test]
fn a_page_sends_at_the_level_of_the_far_side_and_takes_its_own() {
    let (agreed, _) = answered(OFFER, &[h264("42e01f 1")], Some(&far(h264("42e00d 1"))));
    let line = agreed.video.unwrap().line();
    assert_eq!((line.takes, line.sends), (h264("42e01f 1"), h264("42e00d 1")));
    // Where the page wants one level both ways, the lower one it is.
    let one_level = OFFER.replace("level-asymmetry-allowed=1;", "");
    let (_, sdp) = answered(&one_level, &[h264("42e028 1")], None);
    assert!(sdp.contains("a=fmtp:108 packetization-mode=1;profile-level-id=42e01f\r\n"), "{sdp}");
}

#[test]
fn without_pictures_of_the_far_side_or_a_wish_of_ours_video_is_inactive() {
    let inactive = |offer: &str, wanted: &[VideoFormat], far: Option<&MediaFormat>| {
        let (agreed, sdp) = answered(offer, wanted, far);
        assert!(agreed.video.is_none() && agreed.video_offered);
        let lines = section(&sdp);
        assert!(lines.contains(&"a=inactive") && with(&lines, "a=msid:").is_empty(), "{sdp}");
        assert!(sdp.contains("a=group:BUNDLE 0 1\r\n"), "{sdp}");
    };
    inactive(OFFER, &[Vp8], Some(&sound()));
    inactive(OFFER, &[], Some(&far(Vp8)));
    inactive(&OFFER.replace("H264/90000", "H265/90000"), &[h264("42e01f 1")], None);
    inactive(OFFER, &[h264("640028 1")], None);
}

#[test]
fn where_a_still_picture_stands_in_the_page_gets_pictures_whatever_the_far_side_has() {
    let offer = Description::parse(OFFER).unwrap();
    let config = PeerConfig { stands_in: true, ..config(&[h264("42e01f 1"), Vp8]) };
    let agreed = |far: &MediaFormat| {
        let (peer, text) = Peer::answer(&offer, &config, Some(far), Instant::now()).unwrap();
        assert!(section(&text).contains(&"a=sendrecv"), "{text}");
        peer.agreed().video.clone().unwrap()
    };
    let none = agreed(&sound());
    assert!(none.page_sends && none.page_receives, "the far side may have pictures later");
    assert_eq!(none.first().page.codec(), h264("42e01f 1").codec(), "in our order");
    let mut inactive = far(Vp8);
    inactive.video.as_mut().unwrap().direction = Direction::Inactive;
    assert_eq!(agreed(&inactive).first().page, Vp8);

    let sends = OFFER.replace("a=sendrecv", "a=sendonly");
    let sends = Description::parse(&sends).unwrap();
    let (peer, _) = Peer::answer(&sends, &config, Some(&sound()), Instant::now()).unwrap();
    assert!(!peer.agreed().video.as_ref().unwrap().page_receives, "it wants to see nothing");
}

#[test]
fn pictures_flow_where_both_ends_let_them() {
    let check = |offer: &str, far: Option<&MediaFormat>, attribute: &str, leg: Direction| {
        let (agreed, sdp) = answered(offer, &[Vp8], far);
        let (lines, line) = (section(&sdp), agreed.video.unwrap().line());
        assert!(lines.contains(&attribute), "{sdp}");
        assert_eq!(with(&lines, "a=msid:").len(), usize::from(leg.sends()), "{sdp}");
        assert_eq!(line.direction, leg);
    };
    let going = |direction: Direction| {
        let mut far = far(Vp8);
        far.video.as_mut().unwrap().direction = direction;
        far
    };
    let (start, end) = OFFER.split_at(OFFER.find("m=video").unwrap());
    let offering = |direction: &str| format!("{start}{}", end.replace("a=sendrecv", direction));
    check(OFFER, None, "a=sendrecv", Direction::SendRecv);
    check(&offering("a=sendonly"), None, "a=recvonly", Direction::RecvOnly);
    check(&offering("a=recvonly"), None, "a=sendonly", Direction::SendOnly);
    check(OFFER_RECVONLY, None, "a=sendonly", Direction::SendOnly);
    // A phone without a camera: pictures that are promised and do not come would keep the page's sound muted. One that takes none for now
    // may take some later, when the page cannot be asked any more.
    check(OFFER, Some(&going(Direction::SendOnly)), "a=recvonly", Direction::RecvOnly);
    check(OFFER, Some(&going(Direction::RecvOnly)), "a=sendrecv", Direction::SendRecv);
}

#[test]
fn a_limit_goes_to_the_page_and_one_of_the_page_to_the_call() {
    let mut slow = far(Vp8);
    slow.video.as_mut().unwrap().limit = Some(384_000);
    let (agreed, sdp) = answered(OFFER, &[Vp8], Some(&slow));
    assert_eq!(with(&section(&sdp), "b="), ["AS:384", "TIAS:384000"]);
    assert_eq!(agreed.video.unwrap().line().limit, None);
    let limited = |lines: &str| {
        let offer = OFFER.replace("a=mid:1\r\n", &format!("{lines}a=mid:1\r\n"));
        answered(&offer, &[Vp8], None).0.video.unwrap().line().limit
    };
    assert_eq!(limited("b=AS:500\r\n"), Some(500_000));
    assert_eq!(limited("b=AS:500\r\nb=TIAS:460000\r\n"), Some(460_000));
    assert_eq!(limited("b=AS:99999999\r\n"), Some(u32::MAX));
    for nothing in ["b=AS:0\r\n", "b=AS:-1\r\n", "b=RS:600\r\n", "b=AS\r\n"] {
        assert_eq!(limited(nothing), None, "{nothing}");
    }
}

#[test]
fn pictures_that_do_not_travel_with_the_sound_are_refused() {
    let refused = |offer: &str| {
        let (agreed, sdp) = answered(offer, &[Vp8], None);
        assert!(agreed.video.is_none() && sdp.contains("m=video 0 "), "{sdp}");
    };
    refused(&OFFER.replace("a=group:BUNDLE 0 1\r\n", ""));
    refused(&OFFER.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"));
    refused(&OFFER.replace("m=video 9", "m=video 0").replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"));
}

#[test]
fn odd_video_lines_take_nothing_from_the_sound() {
    let check_offer = |offer: &str| {
        let (agreed, sdp) = answered(offer, &[Vp8, h264("42e01f 1")], None);
        assert_eq!(agreed.audio[0].codec, Opus, "{sdp}");
        let numbers = |video: actors::browser::sdp::AgreedVideo| -> Vec<_> {
            video.formats.iter().map(|numbered| (numbered.payload_type, numbered.rtx)).collect()
        };
        agreed.video.map(numbers)
    };
    let check = |from: &str, to: &str| {
        assert!(OFFER.contains(from));
        check_offer(&OFFER.replace(from, to))
    };
    assert_eq!(check("a=mid:1", "a=mid:0"), None, "one mid, two lines");
    let moved = |from: u8, to: u8| renumbered(OFFER, move |old| if old == from { to } else { old });
    assert_eq!(check_offer(&moved(96, 111)).unwrap(), [(108, Some(109))], "the number of Opus");
    assert_eq!(check_offer(&moved(97, 111)).unwrap()[0], (96, None));
    assert_eq!(check("a=fmtp:97 apt=96", "a=fmtp:97 apt=95").unwrap()[0], (96, None));
    assert_eq!(check("a=rtpmap:108 H264/90000", "a=rtpmap:108 H264/48000").unwrap()[1].0, 102);
    assert_eq!(
        check("packetization-mode=1;profile-level-id=42e01f", "packetization-mode=2;profile-level-id=42e01f")
            .unwrap()[1]
            .0,
        102
    );
    assert!(check("a=ssrc-group:FID 1789185449 3261628223", "a=ssrc-group:FID 1 2 3 x").is_some());
    assert!(
        check("a=ssrc-group:FID 1789185449 3261628223", "a=ssrc-group:FID 2484410171 2484410171").is_some()
    );
}

#[test]
fn feedback_is_what_both_ends_have() {
    let offer = OFFER.replace("a=rtcp-fb:96 nack\r\n", "").replace("a=rtcp-fb:96 goog-remb\r\n", "");
    let (_, sdp) = answered(&offer, &[Vp8], None);
    assert_eq!(with(&section(&sdp), "a=rtcp-fb:"), ["96 nack pli", "96 ccm fir"]);
    let bare: String = OFFER
        .lines()
        .filter(|line| !line.starts_with("a=rtcp-fb:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let all = bare.replacen("a=mid:1\r\n", "a=mid:1\r\na=rtcp-fb:* CCM FIR\r\n", 1);
    let (_, sdp) = answered(&all, &[Vp8], None);
    assert_eq!(with(&section(&sdp), "a=rtcp-fb:"), ["96 ccm fir"], "for every number");
}

#[test]
fn our_offer_has_both_modes_and_takes_what_pages_answer() {
    let config = config(&[h264("42e01f 1"), Vp8]);
    let (_, offer) = Peer::offer(&config, Instant::now());
    let lines = section(&offer);
    assert_eq!(lines[0], "m=video 30000 UDP/TLS/RTP/SAVPF 96 98 100 97 99 101");
    let fmtp =
        |mode: u8| format!("level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id=42e01f");
    assert_eq!(with(&lines, "a=fmtp:96 "), [fmtp(1)]);
    assert_eq!(with(&lines, "a=fmtp:98 "), [fmtp(0)]);
    assert_eq!(with(&lines, "a=rtpmap:100 "), ["VP8/90000"]);
    assert!(offer.contains("a=group:BUNDLE 0 1\r\n") && lines.contains(&"a=sendrecv"), "{offer}");
    assert_eq!(with(&lines, "a=msid:"), ["tandem tandem-video"]);

    let head = |answer: &str| answer[..answer.find("a=rtpmap:96 VP8").unwrap()].to_owned();
    let agreed = |answer: &str| {
        let (mut peer, _) = Peer::offer(&config, Instant::now());
        peer.accept_answer(&Description::parse(answer).unwrap(), Instant::now()).unwrap();
        peer.agreed().video.clone()
    };
    let all = "96 97 102 103 104 107 108 109 114 115 116 117 39 40 45 46 98 99 100 101 118 119 120";
    let answer = |formats: &str, lines: &str| head(ANSWER).replace(all, formats) + lines;
    let vp8 = "a=rtpmap:100 VP8/90000\r\na=rtcp-fb:100 nack pli\r\na=rtpmap:101 rtx/90000\r\na=fmtp:101 apt=100\r\n";
    let video = agreed(&answer("100 101", vp8)).unwrap();
    assert_eq!((video.first().page, video.first().payload_type, video.first().rtx), (Vp8, 100, Some(101)));
    assert!(video.first().feedback.pli && !video.first().feedback.nack);
    let mode_0 = format!("a=rtpmap:98 H264/90000\r\na=fmtp:98 {}\r\n", fmtp(0).replace("42e01f", "42e00d"));
    let video = agreed(&answer("98", &mode_0)).unwrap();
    assert_eq!(video.first().rtx, None, "the page has none");
    assert_eq!((video.line().takes, video.line().sends), (h264("42e00d 0"), h264("42e01f 0")));
    // Other numbers than ours, another profile, refused, inactive: no pictures, but sound.
    assert_eq!(agreed(ANSWER), None);
    assert_eq!(agreed(&answer("98", &mode_0.replace("42e0", "4d00"))), None);
    assert_eq!(
        agreed(&answer("100", vp8).replace("m=video 9", "m=video 0").replace("BUNDLE 0 1", "BUNDLE 0")),
        None
    );
    assert_eq!(agreed(&answer("100", vp8).replace("a=sendrecv", "a=inactive")), None);
    assert_eq!(agreed(&answer("100", vp8).replace("a=mid:1", "a=mid:2")), None);
}
