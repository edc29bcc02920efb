//! Descriptions that mean well and look odd: lines twice, refused or out of place, any payload type, codecs that change.

use proptest::prelude::*;

use super::*;

#[test]
fn rq31_of_two_lines_alike_one_is_taken_and_the_other_refused() {
    for offer in
        ["m=audio_4000_RTP/AVP_8 m=audio_4000_RTP/AVPF_8", "m=audio_4000_RTP/AVPF_8 m=audio_4000_RTP/AVP_8"]
    {
        let mut ours = OfferAnswer::new(1);
        ours.receive_offer(remote(offer)).unwrap();
        let (answer, agreed) = ours.answer(&local()).unwrap();
        let ports: Vec<u16> = answer.media.iter().map(|media| media.port).collect();
        assert_eq!((ports, agreed.audio.unwrap().line), (vec![20000, 0], 0), "{offer}");
    }
}

#[test]
fn rq31_an_answer_may_change_the_profile_as_far_as_the_policy_goes() {
    for (profile, want) in [
        ("RTP/AVP", Ok(())),
        ("RTP/AVPF", Ok(())),
        ("RTP/SAVP", Err(OfferAnswerError::Protocol("RTP/SAVP".into()))),
        ("RTP/SAVPF", Err(OfferAnswerError::Protocol("RTP/SAVPF".into()))),
        ("UDP/TLS/RTP/SAVPF", Err(OfferAnswerError::Protocol("UDP/TLS/RTP/SAVPF".into()))),
    ] {
        let mut ours = OfferAnswer::new(1);
        ours.make_offer(&local()).unwrap();
        let got = ours.receive_answer(&remote(&format!("m=audio_4000_{profile}_8"))).map(|_| ());
        assert_eq!(got, want, "{profile}");
    }
}

#[test]
fn rq31_an_answer_with_its_lines_out_of_place_is_understood() {
    for (answer, want) in [
        (
            "m=video_0_RTP/AVP_96 m=audio_4000_RTP/AVP_8",
            "8 PCMA/8000 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv",
        ),
        (
            "m=audio_4000_RTP/AVP_0 m=video_0_RTP/AVP_96",
            "0 PCMU/8000 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv",
        ),
        (
            "m=audio_4000_RTP/AVP_0 m=audio_4002_RTP/AVP_8",
            "0 PCMU/8000 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv",
        ),
    ] {
        let mut ours = OfferAnswer::new(1);
        ours.make_offer(&local()).unwrap();
        assert_eq!(show(&ours.receive_answer(&remote(answer)).unwrap()), want, "{answer}");
    }
    for refused in
        ["m=audio_0_RTP/AVP_8", "m=video_4000_RTP/AVP_96", "m=video_4000_RTP/AVP_96 m=audio_0_RTP/AVP_8", ""]
    {
        let mut ours = OfferAnswer::new(1);
        ours.make_offer(&local()).unwrap();
        assert_eq!(ours.receive_answer(&remote(refused)), Err(OfferAnswerError::NoAudio), "{refused}");
    }
}

/// What we send to the far side after each of its offers, in one dialog.
fn follow(offers: &[(&str, &str)]) {
    let mut ours = OfferAnswer::new(1);
    for (offer, want) in offers {
        ours.receive_offer(remote(offer)).unwrap();
        let (_, agreed) = ours.answer(&local()).unwrap();
        let audio = agreed.audio.unwrap();
        assert_eq!(format!("{} {}", audio.send.payload_type, audio.send), *want, "{offer}");
    }
}

#[test]
fn rq31_a_later_offer_may_change_codec_order_and_numbers() {
    follow(&[
        ("m=audio_4000_RTP/AVP_0_8", "8 PCMA/8000"),
        ("m=audio_4000_RTP/AVP_0", "0 PCMU/8000"),
        ("m=audio_4000_RTP/AVP_96_0 a=rtpmap:96_opus/48000/2", "96 opus/48000/2"),
        ("m=audio_4000_RTP/AVP_0_120 a=rtpmap:120_opus/48000/2", "120 opus/48000/2"),
        ("m=audio_4000_RTP/AVP_96_8 a=rtpmap:96_telephone-event/8000", "8 PCMA/8000"),
    ]);
}

#[test]
fn rq31_an_answer_to_our_re_invite_may_choose_another_codec() {
    let mut ours = OfferAnswer::new(1);
    for (answer, want) in [
        ("m=audio_4000_RTP/AVP_0", "PCMU/8000"),
        ("m=audio_4000_RTP/AVP_8_0", "PCMA/8000"),
        ("m=audio_4000_RTP/AVP_100_8 a=rtpmap:100_opus/48000/2", "opus/48000/2"),
    ] {
        ours.make_offer(&local()).unwrap();
        assert_eq!(ours.receive_answer(&remote(answer)).unwrap().audio.unwrap().send.to_string(), want);
    }
}

/// Three different dynamic numbers.
fn numbers() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::subsequence((96..=127u8).collect::<Vec<_>>(), 3).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rq31_any_dynamic_numbers_are_mirrored_and_kept(first in numbers(), second in numbers()) {
        let mut ours = OfferAnswer::new(1);
        for numbers in [&first, &second] {
            let (opus, fast, slow) = (numbers[0], numbers[1], numbers[2]);
            ours.receive_offer(remote(&format!(
                "m=audio_4000_RTP/AVP_{slow}_{opus}_8_{fast} a=rtpmap:{opus}_opus/48000/2 a=rtpmap:{fast}_telephone-event/48000 \
                 a=rtpmap:{slow}_telephone-event/8000"
            ))).unwrap();
            let (answer, agreed) = ours.answer(&local()).unwrap();
            let audio = agreed.audio.unwrap();
            prop_assert_eq!(audio.send.payload_type, opus);
            prop_assert_eq!(audio.send_events.map(|events| events.payload_type), Some(fast));
            let answered: Vec<u8> = answer.media[0].formats.iter().map(|format| format.payload_type).collect();
            prop_assert_eq!(answered, [opus, 8, fast, slow]);
        }
        // Our own offer gives every codec the number that it has had last, and no number twice.
        let offer = ours.make_offer(&local()).unwrap();
        let formats = &offer.media[0].formats;
        prop_assert_eq!(formats[0].payload_type, second[0]);
        let mut given: Vec<u8> = formats.iter().map(|format| format.payload_type).collect();
        given.sort_unstable();
        let count = given.len();
        given.dedup();
        prop_assert_eq!(given.len(), count);
    }
}
