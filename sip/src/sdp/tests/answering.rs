//! The far side offers, we answer.

use super::*;

/// Our answer's lines after `t=` for an offer, or why we refuse.
fn check(offer: &str, want: Result<&str, OfferAnswerError>) {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote(offer)).unwrap();
    let got = ours.answer(&local()).map(|(answer, _)| lines(&answer));
    assert_eq!(got, want.map(str::to_owned), "{offer}");
    assert!(!ours.owes_answer(), "answered or refused, the offer is done with");
}

/// What stands below `t=`, only m-lines and rtpmaps.
fn lines(answer: &Session) -> String {
    let text = answer.to_string();
    let kept = text.lines().filter(|line| line.starts_with("m=") || line.starts_with("a=rtpmap"));
    kept.collect::<Vec<_>>().join("|")
}

#[test]
fn an_answer_mirrors_the_offers_numbers_and_takes_our_order() {
    check(
        "m=audio_4000_RTP/AVP_0_8_107_100_18 a=rtpmap:107_OPUS/48000/2 a=rtpmap:100_telephone-event/8000",
        Ok(
            "m=audio 20000 RTP/AVP 107 8 0 100|a=rtpmap:107 opus/48000/2|a=rtpmap:8 PCMA/8000|a=rtpmap:0 PCMU/8000|a=rtpmap:100 telephone-event/8000",
        ),
    );
}

#[test]
fn one_audio_line_is_taken_and_all_others_get_port_zero() {
    check(
        "m=video_5000_RTP/AVP_96_97 a=rtpmap:96_VP8/90000 m=audio_4000_RTP/AVP_0 m=audio_4002_RTP/AVP_8 m=image_6000_udptl_t38 m=audio_0_RTP/AVP_3",
        Ok(
            "m=video 0 RTP/AVP 96|a=rtpmap:96 VP8/90000|m=audio 20000 RTP/AVP 0|a=rtpmap:0 PCMU/8000|m=audio 0 RTP/AVP 8|a=rtpmap:8 PCMA/8000|m=image 0 udptl t38|m=audio 0 RTP/AVP 3|a=rtpmap:3 GSM/8000",
        ),
    );
}

#[test]
fn an_answer_has_events_at_every_clock_that_the_codecs_of_both_have() {
    let mut ours = OfferAnswer::new(1);
    let offer = "m=audio_4000_RTP/AVP_96_97_98_99 a=rtpmap:96_speex/16000 a=rtpmap:97_telephone-event/48000 \
                 a=rtpmap:98_telephone-event/16000 a=rtpmap:99_telephone-event/8000";
    ours.receive_offer(remote(offer)).unwrap();
    let (answer, agreed) = ours.answer(&with_codecs(&["opus", "speex"])).unwrap();
    assert!(answer.to_string().contains("m=audio 20000 RTP/AVP 96 97 98 99\r\n"), "{answer}");
    let events = agreed.audio.unwrap().send_events.unwrap();
    assert_eq!((events.payload_type, events.clock), (98, 16_000));
    ours.receive_offer(remote("m=audio_4000_RTP/AVP_0_98 a=rtpmap:98_telephone-event/16000")).unwrap();
    let (answer, _) = ours.answer(&with_codecs(&["opus", "PCMU"])).unwrap();
    assert!(answer.to_string().contains("m=audio 20000 RTP/AVP 0\r\n"), "no codec of 16 kHz: {answer}");
}

#[test]
fn the_profile_is_echoed() {
    check("m=audio_4000_RTP/AVPF_0", Ok("m=audio 20000 RTP/AVPF 0|a=rtpmap:0 PCMU/8000"));
    check("m=audio_4000_rtp/avp_0", Ok("m=audio 20000 rtp/avp 0|a=rtpmap:0 PCMU/8000"));
}

#[test]
fn offers_without_a_way_to_talk_are_refused() {
    check("", Err(OfferAnswerError::NoAudio));
    check("m=audio_0_RTP/AVP_0", Err(OfferAnswerError::NoAudio));
    check("m=video_4000_RTP/AVP_34", Err(OfferAnswerError::NoAudio));
    check("m=audio_4000_RTP/AVP_18", Err(OfferAnswerError::NoCommonCodec));
    check("m=audio_4000_RTP/AVP", Err(OfferAnswerError::NoCommonCodec));
    check("m=audio_4000_RTP/SAVP_0", Err(OfferAnswerError::Protocol("RTP/SAVP".into())));
    check(
        "m=audio_4000_RTP/AVP_0 c=IN_IP4_phone.local",
        Err(OfferAnswerError::HostName("phone.local".into())),
    );
}

#[test]
fn an_offer_without_any_address_is_refused() {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(parse("v=0\r\nm=audio 4000 RTP/AVP 0\r\n")).unwrap();
    assert_eq!(ours.answer(&local()), Err(OfferAnswerError::NoAddress));
}

#[test]
fn a_look_ahead_shows_the_common_codecs_and_changes_nothing() {
    let offer = remote("m=audio_4000_RTP/AVP_0_96_8 a=rtpmap:96_opus/48000/2");
    let mut local = local();
    local.prefer = vec![codec("PCMU")];
    let names: Vec<_> =
        common_codecs(&offer, &local).unwrap().iter().map(|f| format!("{} {f}", f.payload_type)).collect();
    assert_eq!(names, ["0 PCMU/8000", "96 opus/48000/2", "8 PCMA/8000"]);
    assert_eq!(
        common_codecs(&remote("m=audio_4000_RTP/AVP_18"), &local),
        Err(OfferAnswerError::NoCommonCodec)
    );
}

#[test]
fn a_refresh_gets_the_same_answer_and_agreement_whatever_its_version_says() {
    let mut ours = OfferAnswer::new(1);
    let offer = remote("m=audio_4000_RTP/AVP_0_8");
    ours.receive_offer(offer.clone()).unwrap();
    let first = ours.answer(&local()).unwrap();
    for version in [1, 2] {
        let mut again = offer.clone();
        again.origin.version = version;
        ours.receive_offer(again).unwrap();
        assert_eq!(ours.answer(&local()).unwrap(), first);
    }
    let mut moved = offer;
    moved.media[0].port = 4002;
    ours.receive_offer(moved).unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    assert_eq!(answer, first.0, "nothing new on our side");
    assert_ne!(agreed, first.1, "changed without counting, but changed");
}

#[test]
fn the_version_grows_by_one_with_each_change_of_ours() {
    let mut ours = OfferAnswer::new(1);
    let version = |session: &Session| session.origin.version;
    assert_eq!(version(&ours.make_offer(&local()).unwrap()), 1);
    ours.receive_answer(&remote("m=audio_4000_RTP/AVP_0")).unwrap();
    assert_eq!(version(&ours.make_offer(&local()).unwrap()), 2, "in full");
    ours.drop_offer();
    assert_eq!(version(&ours.make_offer(&local()).unwrap()), 2, "the same again");
    ours.drop_offer();
    ours.set_held(true);
    assert_eq!(version(&ours.make_offer(&local()).unwrap()), 3);
    ours.drop_offer();
    ours.set_held(false);
    assert_eq!(version(&ours.make_offer(&local()).unwrap()), 4, "never the number of another text");
}

#[test]
fn offers_may_not_cross() {
    let mut ours = OfferAnswer::new(1);
    let offer = remote("m=audio_4000_RTP/AVP_0");
    assert_eq!(ours.receive_answer(&offer), Err(OfferAnswerError::NoOffer));
    assert_eq!(ours.answer(&local()), Err(OfferAnswerError::NoOffer));
    ours.make_offer(&local()).unwrap();
    assert_eq!(ours.receive_offer(offer.clone()).unwrap_err().status(), 491);
    assert_eq!(ours.make_offer(&local()), Err(OfferAnswerError::OfferPending));
    ours.receive_answer(&offer).unwrap();
    ours.receive_offer(offer.clone()).unwrap();
    assert_eq!(ours.receive_offer(offer.clone()).unwrap_err().status(), 500);
    assert_eq!(ours.make_offer(&local()), Err(OfferAnswerError::AnswerOwed));
    assert_eq!(ours.receive_answer(&offer), Err(OfferAnswerError::NoOffer));
    ours.answer(&local()).unwrap();
    assert_eq!(ours.receive_answer(&offer), Err(OfferAnswerError::NoOffer), "the last offer was theirs");
}

#[test]
fn a_refused_offer_leaves_what_was_agreed() {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote("m=audio_4000_RTP/AVP_0")).unwrap();
    let (_, agreed) = ours.answer(&local()).unwrap();
    ours.receive_offer(remote("m=audio_4000_RTP/AVP_18")).unwrap();
    assert!(ours.answer(&local()).is_err());
    assert_eq!(ours.agreed(), Some(&agreed));
}

#[test]
fn lines_stay_in_place_when_it_is_our_turn_to_offer() {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote(
        "m=video_5000_RTP/AVP_34 m=audio_4000_RTP/AVP_96 a=rtpmap:96_opus/48000/2 m=audio_4002_RTP/AVP_0",
    ))
    .unwrap();
    ours.answer(&local()).unwrap();
    let offer = ours.make_offer(&local()).unwrap();
    let shape: Vec<_> =
        offer.media.iter().map(|media| format!("{} {}", media.kind.as_str(), media.port)).collect();
    assert_eq!(shape, ["video 0", "audio 20000", "audio 0"]);
    assert_eq!(offer.media[1].formats[0].payload_type, 96, "opus keeps the number that the peer gave it");
}

#[test]
fn the_line_in_use_is_kept_though_another_would_do_as_well() {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote("m=audio_0_RTP/AVP_0 m=audio_4002_RTP/AVP_0")).unwrap();
    assert_eq!(ours.answer(&local()).unwrap().1.audio.unwrap().line, 1);
    ours.receive_offer(remote("m=audio_4000_RTP/AVP_0 m=audio_4002_RTP/AVP_0")).unwrap();
    assert_eq!(ours.answer(&local()).unwrap().1.audio.unwrap().line, 1);
    ours.receive_offer(remote("m=audio_4000_RTP/AVP_0 m=audio_0_RTP/AVP_0")).unwrap();
    assert_eq!(ours.answer(&local()).unwrap().1.audio.unwrap().line, 0);
}

#[test]
fn audio_may_be_switched_off_and_on_again() {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote("m=audio_4000_RTP/AVP_0")).unwrap();
    ours.answer(&local()).unwrap();
    ours.receive_offer(remote("m=audio_0_RTP/AVP_0")).unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    assert_eq!((answer.media[0].port, agreed.audio), (0, None));
    let offer = ours.make_offer(&local()).unwrap();
    assert_eq!(offer.media.len(), 1);
    assert!(ours.receive_answer(&remote("m=audio_4000_RTP/AVP_0")).unwrap().audio.is_some());
}
