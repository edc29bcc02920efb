//! Whatever arrives: no panic, answers as long as their offers, versions and lines that only grow.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    WeOffer { refused: bool, ports: u8, answer_hold: u8, keys: u8 },
    TheyOffer { more_lines: u8, ports: u8, hold: u8, keys: u8 },
    Hold(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (any::<bool>(), any::<u8>(), 0..4u8, 0..4u8).prop_map(|(refused, ports, answer_hold, keys)| {
            Step::WeOffer { refused, ports, answer_hold, keys }
        }),
        (0..3u8, any::<u8>(), 0..4u8, 0..4u8).prop_map(|(more_lines, ports, hold, keys)| {
            Step::TheyOffer { more_lines, ports, hold, keys }
        }),
        any::<bool>().prop_map(Step::Hold),
    ];
    proptest::collection::vec(step, 0..20)
}

const DIRECTIONS: [&str; 4] = ["sendrecv", "sendonly", "recvonly", "inactive"];
const KINDS: [&str; 4] = ["audio", "video", "audio", "image"];

/// Profile and `a=crypto` of their lines: plain, plain with keys, secure, secure with keys that nobody knows.
const SECURITY: [(&str, &str); 4] = [
    ("RTP/AVP", ""),
    ("RTP/AVP", "a=crypto:1~AES_CM_128_HMAC_SHA1_80~inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"),
    ("RTP/SAVP", "a=crypto:9~AEAD_AES_128_GCM~inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="),
    ("RTP/SAVP", "a=crypto:1~F8_128_HMAC_SHA1_80~inline:abc"),
];

/// A description with this many lines of fixed kinds; a bit of `ports` switches a line off.
fn their_offer(lines: usize, ports: u8, hold: u8, keys: u8) -> Session {
    let (profile, crypto) = SECURITY[usize::from(keys)];
    let media: String = (0..lines)
        .map(|line| {
            let port = if ports >> (line % 8) & 1 == 0 { 0 } else { 4000 + line * 2 };
            let kind = KINDS[line % 4];
            let formats = if kind == "video" { "34" } else { "0_8" };
            format!("m={kind}_{port}_{profile}_{formats} a={} {crypto} ", DIRECTIONS[usize::from(hold)])
        })
        .collect();
    remote(&media)
}

/// What must hold for every description that we send.
struct Watch {
    version: u64,
    text: String,
    kinds: Vec<MediaKind>,
}

impl Watch {
    fn sent(&mut self, session: &Session) {
        let text = session.to_string();
        let version = session.origin.version;
        let changed = without_origin(&text) != without_origin(&self.text);
        assert_eq!(version, self.version + u64::from(changed), "one step per change");
        let kinds: Vec<_> = session.media.iter().map(|media| media.kind.clone()).collect();
        assert!(
            kinds.starts_with(&self.kinds),
            "lines keep number and order: {:?} then {kinds:?}",
            self.kinds
        );
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let live = session.media.iter().filter(|media| media.kind == kind && media.port != 0);
            assert!(live.count() <= 1, "{text}");
        }
        *self = Self { version, text, kinds };
    }
}

fn without_origin(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("o=")).collect()
}

fn run(steps: Vec<Step>, srtp: SrtpPolicy, pictures: bool) {
    let video = pictures.then(|| video::local_video(vec![Format::new(34, "H263", 90_000, 1)]));
    let local = LocalMedia { srtp, video, ..local() };
    let mut ours = OfferAnswer::new(1);
    let mut watch = Watch { version: 0, text: String::new(), kinds: Vec::new() };
    let mut lines = 0;
    for step in steps {
        match step {
            Step::Hold(held) => ours.set_held(held),
            Step::WeOffer { refused, ports, answer_hold, keys } => {
                let offer = ours.make_offer(&local).unwrap();
                if refused {
                    ours.drop_offer();
                    let kinds = watch.kinds.clone();
                    watch.sent(&offer);
                    watch.kinds = kinds; // its lines never came to be, but its version is used up
                    continue;
                }
                watch.sent(&offer);
                lines = offer.media.len();
                let taken =
                    offer.media.iter().position(|media| media.kind == MediaKind::Audio && media.port != 0);
                let ports = ports | 1 << taken.unwrap();
                let answered = ours.receive_answer(&their_offer(lines, ports, answer_hold, keys));
                match answered {
                    Ok(agreed) => {
                        allowed(&agreed, srtp, keys);
                        assert!(agreed.video.is_none_or(|video| offer.media[video.line].port != 0));
                    }
                    Err(error) => {
                        // A later offer of ours has one suite only, which this answer may lack.
                        assert!(!permitted(srtp, keys) || error == OfferAnswerError::NoCrypto);
                        return; // the call ends
                    }
                }
            }
            Step::TheyOffer { more_lines, ports, hold, keys } => {
                let count = (lines + usize::from(more_lines)).min(8);
                let offer = their_offer(count, ports, hold, keys);
                ours.receive_offer(offer).unwrap();
                let Ok((answer, agreed)) = ours.answer(&local) else {
                    continue;
                };
                watch.sent(&answer);
                allowed(&agreed, srtp, keys);
                lines = count;
                assert_eq!(answer.media.len(), count);
                let live = |kind| answer.media.iter().position(|media| media.port != 0 && media.kind == kind);
                assert_eq!(agreed.audio.map(|stream| stream.line), live(MediaKind::Audio));
                assert_eq!(agreed.video.map(|stream| stream.line), live(MediaKind::Video));
            }
        }
    }
}

/// Whether a line with this security can be taken at all.
fn permitted(policy: SrtpPolicy, keys: u8) -> bool {
    match policy {
        SrtpPolicy::Off => keys < 2,
        SrtpPolicy::Optional => keys < 3,
        SrtpPolicy::Required => keys == 1 || keys == 2,
    }
}

/// No plain media where it must be encrypted, and none encrypted where it must not.
fn allowed(agreed: &Agreed, policy: SrtpPolicy, keys: u8) {
    for stream in agreed.audio.iter().chain(&agreed.video) {
        assert!(permitted(policy, keys));
        if policy != SrtpPolicy::Optional {
            assert_eq!(stream.srtp.is_some(), policy == SrtpPolicy::Required);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_and_versions_only_grow_and_the_policy_holds(
        steps in steps(), policy in 0..3usize, pictures: bool,
    ) {
        run(steps, [SrtpPolicy::Off, SrtpPolicy::Optional, SrtpPolicy::Required][policy], pictures);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Session::parse(&bytes);
    }

    #[test]
    fn sdp_like_text_never_panics_and_prints_stably(
        lines in proptest::collection::vec("[vosctmab]=[ -~\u{e9}]{0,40}|m=(audio|video) [0-9]{1,5} RTP/S?AVPF? [0-9 ]{0,12}|a=crypto:[0-9]{1,2} AES_CM_128_HMAC_SHA1_80 inline:([a-zA-Z0-9+/]{40})?[|;:=^ 0-9A-Za-z]{0,12}|a=(rtpmap|fmtp):[0-9]{1,3} [a-zA-Z/0-9]{0,12}|c=IN IP4 [0-9.]{1,15}", 0..20),
    ) {
        let text = format!("v=0\r\n{}", lines.join("\r\n"));
        if let Ok(session) = Session::parse(text.as_bytes()) {
            // An m-line without formats is printed with a 0, which then is PCMU: stable from the second time on.
            let printed = parse(&session.to_string()).to_string();
            let again = Session::parse(printed.as_bytes()).expect("what we print we can read");
            prop_assert_eq!(again.to_string(), printed);
            let mut ours = OfferAnswer::new(1);
            ours.receive_offer(session.clone()).unwrap();
            let _ = ours.answer(&video::local());
            ours.drop_offer();
            let _ = ours.make_offer(&video::local());
            let _ = ours.receive_answer(&session);
        }
    }
}
