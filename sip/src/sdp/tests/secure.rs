//! SRTP with keys in SDP: who offers what, what is answered, what is refused.

use SrtpPolicy::{Off, Optional, Required};

use super::*;

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const OTHER: &str = "MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm";
const KEY_28: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";
const KEY_44: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=";
const POLICIES: [SrtpPolicy; 3] = [Off, Optional, Required];

fn with(policy: SrtpPolicy) -> LocalMedia {
    LocalMedia { srtp: policy, ..local() }
}

/// A remote description in the terse style; `C80` and its kin stand for `a=crypto` lines.
fn secure(lines: &str) -> Session {
    let crypto = |tag: u32, suite: &str, key: &str| format!("a=crypto:{tag}~{suite}~inline:{key}");
    let lines = lines
        .replace("C80", &crypto(1, "AES_CM_128_HMAC_SHA1_80", KEY))
        .replace("C32", &crypto(2, "AES_CM_128_HMAC_SHA1_32", KEY))
        .replace("G128", &crypto(7, "AEAD_AES_128_GCM", KEY_28))
        .replace("G256", &crypto(9, "AEAD_AES_256_GCM", KEY_44))
        .replace("NEW80", &crypto(1, "AES_CM_128_HMAC_SHA1_80", OTHER))
        .replace("MKI80", &crypto(1, "AES_CM_128_HMAC_SHA1_80", &format!("{KEY}|2^31|1:4")))
        .replace("F8", &crypto(3, "F8_128_HMAC_SHA1_80", KEY))
        .replace("BAD80", &crypto(1, "AES_CM_128_HMAC_SHA1_80", "tooshort"));
    remote(&lines)
}

/// The live audio line in short: `index profile tag:suite …`.
fn shown(session: &Session) -> String {
    let (index, media) = session.media.iter().enumerate().find(|(_, media)| media.port != 0).unwrap();
    let crypto: String =
        media.crypto.iter().map(|line| format!(" {}:{}", line.tag, line.suite.name())).collect();
    format!("{index} {}{crypto}", media.protocol)
}

/// What we answer under each policy, in the order off, optional, required.
fn check_answers(offer: &str, want: [&str; 3]) {
    for (policy, want) in POLICIES.into_iter().zip(want) {
        let mut ours = OfferAnswer::new(1);
        ours.receive_offer(secure(offer)).unwrap();
        let got = match ours.answer(&with(policy)) {
            Err(error) => {
                assert_eq!(error.status(), 488);
                format!("{error:?}").split('(').next().unwrap_or_default().to_owned()
            }
            Ok((answer, agreed)) => {
                assert_eq!(parse(&answer.to_string()), answer, "what we write we read");
                let live = answer.media.iter().find(|media| media.port != 0).unwrap();
                let keys = agreed.audio.unwrap().srtp;
                assert_eq!(keys.as_ref().map(|keys| &keys.send), live.crypto.first().map(|line| &line.key));
                shown(&answer)
            }
        };
        assert_eq!(got, want, "{policy:?}: {offer}");
    }
}

#[test]
fn rq31_offers_of_every_profile_are_answered_in_kind_or_refused() {
    let s80 = "AES_CM_128_HMAC_SHA1_80";
    let plain = ["0 RTP/AVP", "0 RTP/AVP", "NoCrypto"];
    check_answers("m=audio_4000_RTP/AVP_8", plain);
    check_answers("m=audio_4000_RTP/AVPF_8", ["0 RTP/AVPF", "0 RTP/AVPF", "NoCrypto"]);
    let (savp, avp) = (format!("0 RTP/SAVP 1:{s80}"), format!("0 RTP/AVP 1:{s80}"));
    check_answers("m=audio_4000_RTP/SAVP_8 C80", ["Protocol", &savp, &savp]);
    check_answers("m=audio_4000_RTP/SAVP_8 F8 BAD80 C80 C32", ["Protocol", &savp, &savp]);
    check_answers("m=audio_4000_RTP/SAVP_8 MKI80", ["Protocol", &savp, &savp]);
    check_answers("m=audio_4000_RTP/AVP_8 C80", ["0 RTP/AVP", &avp, &avp]);
    check_answers("m=audio_4000_RTP/AVP_8 F8", plain);
    check_answers("m=audio_4000_RTP/SAVP_8", ["Protocol", "NoCrypto", "NoCrypto"]);
    check_answers("m=audio_4000_RTP/SAVP_8 F8 BAD80", ["Protocol", "NoCrypto", "NoCrypto"]);
    for (keys, suite) in [
        ("C80", "1:AES_CM_128_HMAC_SHA1_80"),
        ("C32", "2:AES_CM_128_HMAC_SHA1_32"),
        ("G128", "7:AEAD_AES_128_GCM"),
        ("G256", "9:AEAD_AES_256_GCM"),
    ] {
        let savpf = format!("0 RTP/SAVPF {suite}");
        check_answers(&format!("m=audio_4000_RTP/SAVPF_8 {keys} MKI80"), ["Protocol", &savpf, &savpf]);
        let avpf = format!("0 RTP/AVPF {suite}");
        check_answers(&format!("m=audio_4000_RTP/AVPF_8 {keys}"), ["0 RTP/AVPF", &avpf, &avpf]);
    }
    check_answers("m=audio_4000_UDP/TLS/RTP/SAVPF_8 C80", ["Protocol"; 3]);
    check_answers("m=audio_4000_RTP/SAVP_3 C80", ["Protocol", "NoCommonCodec", "NoCommonCodec"]);
}

#[test]
fn rq31_of_a_secure_and_a_plain_line_the_policy_takes_one() {
    let both = "m=audio_4000_RTP/SAVP_8 C80 m=audio_4000_RTP/AVP_8";
    let savp = "0 RTP/SAVP 1:AES_CM_128_HMAC_SHA1_80";
    check_answers(both, ["1 RTP/AVP", savp, savp]);
    let savp = "1 RTP/SAVP 1:AES_CM_128_HMAC_SHA1_80";
    check_answers("m=audio_4000_RTP/AVP_8 m=audio_4002_RTP/SAVP_8 C80", ["0 RTP/AVP", savp, savp]);
    check_answers(
        "m=audio_4000_RTP/SAVP_8 F8 m=audio_4000_RTP/AVP_8",
        ["1 RTP/AVP", "1 RTP/AVP", "NoCrypto"],
    );
    let feedback = "m=audio_4000_RTP/AVP_8 m=video_4002_RTP/SAVPF_96 C80";
    check_answers(feedback, ["0 RTP/AVP", "0 RTP/AVP", "NoCrypto"]);
}

/// What we offer, and what a peer's answer to it means.
fn check_answered(policy: SrtpPolicy, offer: &str, answer: &str, want: &str) {
    let mut ours = OfferAnswer::new(1);
    assert_eq!(shown(&ours.make_offer(&with(policy)).unwrap()), offer);
    let got = match ours.receive_answer(&secure(answer)) {
        Ok(agreed) => agreed.audio.unwrap().srtp.map_or("plain".into(), |keys| keys.suite.name().to_owned()),
        Err(error) => format!("{error:?}").split('(').next().unwrap_or_default().to_owned(),
    };
    assert_eq!(got, want, "{policy:?}: {answer}");
}

#[test]
fn rq31_an_answer_must_keep_the_policy_and_name_a_suite_that_was_offered() {
    let two = "1:AES_CM_128_HMAC_SHA1_80 2:AEAD_AES_256_GCM";
    let (avp, savp) = (format!("0 RTP/AVP {two}"), format!("0 RTP/SAVP {two}"));
    let s80 = "AES_CM_128_HMAC_SHA1_80";
    check_answered(Off, "0 RTP/AVP", "m=audio_4000_RTP/AVP_8", "plain");
    check_answered(Off, "0 RTP/AVP", "m=audio_4000_RTP/AVP_8 C80", "plain");
    check_answered(Off, "0 RTP/AVP", "m=audio_4000_RTP/SAVP_8 C80", "Protocol");
    check_answered(Optional, &avp, "m=audio_4000_RTP/AVP_8", "plain");
    check_answered(Optional, &avp, "m=audio_4000_RTP/AVP_8 F8", "plain");
    check_answered(Optional, &avp, "m=audio_4000_RTP/AVP_8 C80", s80);
    check_answered(Optional, &avp, "m=audio_4000_RTP/SAVP_8 C80", s80);
    check_answered(Optional, &avp, "m=audio_4000_RTP/SAVP_8", "NoCrypto");
    // Some phones answer with tags of their own.
    check_answered(Required, &savp, "m=audio_4000_RTP/SAVP_8 G256", "AEAD_AES_256_GCM");
    check_answered(Required, &savp, "m=audio_4000_RTP/SAVP_8 C32", "NoCrypto");
    check_answered(Required, &savp, "m=audio_4000_RTP/SAVP_8 G128", "NoCrypto");
    check_answered(Required, &savp, "m=audio_4000_RTP/AVP_8 C80", s80);
    check_answered(Required, &savp, "m=audio_4000_RTP/AVP_8", "NoCrypto");
    check_answered(Required, &savp, "m=audio_4000_RTP/SAVP_8 BAD80", "NoCrypto");
}

#[test]
fn keys_stay_over_hold_and_refresh_and_new_keys_of_theirs_are_taken() {
    let local = with(Required);
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(secure("m=audio_4000_RTP/SAVP_8 G128 C80")).unwrap();
    let (first, agreed) = ours.answer(&local).unwrap();
    let keys = agreed.audio.unwrap().srtp.unwrap();

    ours.set_held(true);
    let hold = ours.make_offer(&local).unwrap();
    assert_eq!(shown(&hold), "0 RTP/SAVP 7:AEAD_AES_128_GCM");
    assert_eq!(hold.media[0].crypto, first.media[0].crypto);
    let agreed = ours.receive_answer(&secure("m=audio_4000_RTP/SAVP_8 G128 a=recvonly")).unwrap();
    assert_eq!(agreed.audio.unwrap().srtp, Some(keys.clone()));

    ours.receive_offer(secure("m=audio_4000_RTP/SAVP_8 G128 C80")).unwrap();
    let refreshed = ours.answer(&local).unwrap().1.audio.unwrap().srtp;
    assert_eq!(refreshed, Some(keys.clone()));

    for offer in ["m=audio_4000_RTP/SAVP_8 C80", "m=audio_4000_RTP/SAVP_8 NEW80"] {
        ours.receive_offer(secure(offer)).unwrap();
        let next = ours.answer(&local).unwrap().1.audio.unwrap().srtp.unwrap();
        assert_eq!(next.suite, Suite::AesCm128HmacSha1_80);
        assert_ne!((&next.send, &next.receive), (&keys.send, &keys.receive));
    }
}

#[test]
fn a_later_offer_keeps_what_the_first_one_brought() {
    for (answer, want) in [
        ("m=audio_4000_RTP/AVP_8", "0 RTP/AVP"),
        ("m=audio_4000_RTP/AVP_8 G256", "0 RTP/AVP 2:AEAD_AES_256_GCM"),
    ] {
        let local = with(Optional);
        let mut ours = OfferAnswer::new(1);
        ours.make_offer(&local).unwrap();
        ours.receive_answer(&secure(answer)).unwrap();
        assert_eq!(shown(&ours.make_offer(&local).unwrap()), want);
    }
}

#[test]
fn two_sides_of_ours_agree_on_keys_crosswise() {
    for (caller, callee, secured) in [
        (Off, Off, Some(false)),
        (Off, Optional, Some(false)),
        (Off, Required, None),
        (Optional, Off, Some(false)),
        (Optional, Optional, Some(true)),
        (Optional, Required, Some(true)),
        (Required, Off, None),
        (Required, Optional, Some(true)),
        (Required, Required, Some(true)),
    ] {
        let (mut ours, mut theirs) = (OfferAnswer::new(1), OfferAnswer::new(2));
        let offer = ours.make_offer(&with(caller)).unwrap();
        theirs.receive_offer(parse(&offer.to_string())).unwrap();
        let Ok((answer, there)) = theirs.answer(&with(callee)) else {
            assert_eq!(secured, None, "{caller:?} {callee:?}");
            continue;
        };
        let here = ours.receive_answer(&parse(&answer.to_string())).unwrap().audio.unwrap().srtp;
        let there = there.audio.unwrap().srtp;
        assert_eq!(Some(here.is_some()), secured, "{caller:?} {callee:?}");
        if let (Some(here), Some(there)) = (here, there) {
            assert_eq!((here.send, here.receive), (there.receive, there.send));
        }
    }
}

#[test]
fn no_debug_output_of_a_description_shows_a_key() {
    let session = secure("m=audio_4000_RTP/SAVP_8 C80 F8 a=x");
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(session.clone()).unwrap();
    let shown = format!("{session:?}{:?}{ours:?}", ours.clone().answer(&with(Required)));
    assert!(!shown.contains(KEY) && !shown.contains("inline"), "{shown}");
}

#[test]
fn an_offer_with_keys_stays_small() {
    let mut ours = OfferAnswer::new(u64::from(u32::MAX));
    let size = ours.make_offer(&with(Required)).unwrap().to_string().len();
    assert!(size <= 640, "{size} bytes: with headers it must stay below the 1,300 of RFC 3261 §18.1.1");
}
