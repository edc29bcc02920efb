//! We offer, the far side answers.

use super::*;

/// The answer to our default offer, by what we agree or why not.
fn check(answer: &str, want: Result<&str, OfferAnswerError>) {
    let mut ours = OfferAnswer::new(1);
    ours.make_offer(&local()).unwrap();
    let got = ours.receive_answer(&remote(answer)).map(|agreed| show(&agreed));
    assert_eq!(got, want.map(str::to_owned), "{answer}");
}

#[test]
fn our_offer_is_small_and_reads_so() {
    let offer = OfferAnswer::new(42).make_offer(&local()).unwrap().to_string();
    let want = "v=0|o=- 42 1 IN IP4 203.0.113.5|s=-|c=IN IP4 203.0.113.5|t=0 0|m=audio 20000 RTP/AVP 111 8 0 110 101|\
        a=rtpmap:111 opus/48000/2|a=fmtp:111 useinbandfec=1|a=rtpmap:8 PCMA/8000|a=rtpmap:0 PCMU/8000|\
        a=rtpmap:110 telephone-event/48000|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|";
    assert_eq!(offer, want.replace('|', "\r\n"));
    assert!(offer.len() < 400, "{}", offer.len());
}

#[test]
fn a_long_codec_list_stays_far_below_the_datagram_limit() {
    let mut local = with_codecs(&["opus", "PCMA", "PCMU", "G722", "G729"]);
    for (number, clock) in [(97, 8000), (98, 16000), (99, 32000)] {
        local.codecs.push(Format::new(number, "speex", clock, 1).with_fmtp("vbr=on"));
    }
    let size = OfferAnswer::new(u64::MAX).make_offer(&local).unwrap().to_string().len();
    assert!(size <= 1200, "{size}");
}

#[test]
fn the_answerers_first_codec_is_sent_with_its_number() {
    check("m=audio_4000_RTP/AVP_0_8", Ok("0 PCMU/8000 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv"));
    check(
        "m=audio_4000_RTP/AVP_96_0 a=rtpmap:96_OPUS/48000/2",
        Ok("96 OPUS/48000/2 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv"),
    );
}

#[test]
fn a_dynamic_number_without_rtpmap_means_what_we_offered() {
    check(
        "m=audio_4000_RTP/AVP_111",
        Ok("111 opus/48000/2 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv"),
    );
}

#[test]
fn what_was_not_offered_is_not_taken() {
    check(
        "m=audio_4000_RTP/AVP_18_9_0",
        Ok("0 PCMU/8000 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv"),
    );
    check("m=audio_4000_RTP/AVP_18_9", Err(OfferAnswerError::NoCommonCodec));
    check("m=audio_4000_RTP/AVP", Err(OfferAnswerError::NoCommonCodec));
}

#[test]
fn useless_answers_say_why() {
    check("m=audio_0_RTP/AVP_0", Err(OfferAnswerError::NoAudio));
    check("", Err(OfferAnswerError::NoAudio));
    check("m=video_4000_RTP/AVP_34", Err(OfferAnswerError::NoAudio));
    check("m=audio_4000_RTP/SAVP_0", Err(OfferAnswerError::Protocol("RTP/SAVP".into())));
    check(
        "m=audio_4000_RTP/AVP_0 c=IN_IP4_media.example.com",
        Err(OfferAnswerError::HostName("media.example.com".into())),
    );
}

#[test]
fn a_host_name_in_c_can_be_resolved_and_tried_again() {
    let mut ours = OfferAnswer::new(1);
    ours.make_offer(&local()).unwrap();
    let mut answer = remote("m=audio_4000_RTP/AVP_0 c=IN_IP4_media.example.com a=rtcp:9_IN_IP4_192.0.2.77");
    assert!(ours.receive_answer(&answer).is_err());
    answer.resolve_host("media.example.com", "192.0.2.66".parse().unwrap());
    let audio = ours.receive_answer(&answer).unwrap().audio.unwrap();
    let addresses: Vec<String> = audio.addresses().map(|address| address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.66", "192.0.2.77"]);
}

#[test]
fn sloppy_answers_are_understood() {
    check("m=audio_4000_RTP/AVPF_0", Ok("0 PCMU/8000 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv"));
    check(
        "m=video_0_RTP/AVP_34 m=audio_4000_RTP/AVP_0",
        Ok("0 PCMU/8000 to 198.51.100.7:4000 rtcp 198.51.100.7:4001 sendrecv"),
    );
    check("m=audio_65535_RTP/AVP_0", Ok("0 PCMU/8000 to 198.51.100.7:65535 rtcp - sendrecv"));
}

#[test]
fn a_codec_that_needs_no_transcoding_wins_over_the_answerers_first() {
    let mut local = local();
    local.prefer = vec![codec("opus"), codec("PCMA")];
    let mut ours = OfferAnswer::new(1);
    ours.make_offer(&local).unwrap();
    let agreed = ours.receive_answer(&remote("m=audio_4000_RTP/AVP_0_8")).unwrap().audio.unwrap();
    assert_eq!(agreed.send.encoding, "PCMA");
    assert_eq!(agreed.receive.len(), 3, "the peer may still send any that we offered");
}

#[test]
fn events_go_out_with_the_clock_of_the_codec() {
    let answer = |codecs| {
        let mut ours = OfferAnswer::new(1);
        ours.make_offer(&local()).unwrap();
        let lines = format!(
            "m=audio_4000_RTP/AVP_{codecs} a=rtpmap:96_opus/48000/2 a=rtpmap:97_telephone-event/8000 a=rtpmap:98_telephone-event/48000"
        );
        let audio = ours.receive_answer(&remote(&lines)).unwrap().audio.unwrap();
        let received: Vec<u8> = audio.receive_events.iter().map(|format| format.payload_type).collect();
        assert_eq!(received, [110, 101], "ours");
        audio.send_events.map(|format| format.payload_type)
    };
    assert_eq!(answer("96_97_98"), Some(98));
    assert_eq!(answer("0_98_97"), Some(97));
    assert_eq!(answer("96_97"), Some(97), "another clock is better than none");
    assert_eq!(answer("0"), None);
}

/// RFC 4733 §2.1: events have the clock of the stream. An INVITE with room for two rows alone does not have this one behind Opus.
#[test]
fn wide_speex_gets_its_row_of_events_once_it_is_in_use() {
    let local = with_codecs(&["opus", "PCMA", "speex"]);
    let rows = |offer: &Session| {
        let events = offer.media[0].formats.iter().filter(|format| format.is_event());
        events.map(|format| (format.payload_type, format.clock)).collect::<Vec<_>>()
    };
    let mut ours = OfferAnswer::new(1);
    assert_eq!(rows(&ours.make_offer(&local).unwrap()), [(110, 48_000), (101, 8000)]);
    let answer = "m=audio_4000_RTP/AVP_97_101 a=rtpmap:97_speex/16000 a=rtpmap:101_telephone-event/8000";
    let agreed = ours.receive_answer(&remote(answer)).unwrap().audio.unwrap();
    assert_eq!(agreed.send_events.unwrap().clock, 8000);
    assert_eq!(rows(&ours.make_offer(&local).unwrap()), [(109, 16_000), (101, 8000)]);
    let answer = "m=audio_4000_RTP/AVP_97_98_101 a=rtpmap:97_speex/16000 a=rtpmap:98_telephone-event/16000 a=rtpmap:101_telephone-event/8000";
    let agreed = ours.receive_answer(&remote(answer)).unwrap().audio.unwrap();
    assert_eq!(agreed.send_events.map(|row| (row.payload_type, row.clock)), Some((98, 16_000)));
}

#[test]
fn a_later_answer_to_the_same_offer_is_taken_and_forks_have_one_state_each() {
    let mut first = OfferAnswer::new(1);
    first.make_offer(&local()).unwrap();
    let mut fork = first.clone();
    first.receive_answer(&remote("m=audio_4000_RTP/AVP_0")).unwrap();
    let agreed = first.receive_answer(&remote("m=audio_5000_RTP/AVP_8")).unwrap();
    assert_eq!(show(&agreed), "8 PCMA/8000 to 198.51.100.7:5000 rtcp 198.51.100.7:5001 sendrecv");
    assert!(fork.awaits_answer());
    fork.receive_answer(&remote("m=audio_6000_RTP/AVP_8")).unwrap();
    assert_eq!(first.agreed(), Some(&agreed));
}

#[test]
fn extra_lines_stand_between_c_and_t_in_order() {
    let mut local = local();
    local.extra_lines = ["b=AS:3000", "a=x:1", "b=TIAS:1"].map(|line| ExtraLine::new(line).unwrap()).to_vec();
    let offer = OfferAnswer::new(1).make_offer(&local).unwrap().to_string();
    assert!(offer.contains("c=IN IP4 203.0.113.5\r\nb=AS:3000\r\na=x:1\r\nb=TIAS:1\r\nt=0 0\r\n"), "{offer}");
}

#[test]
fn rtcp_ports_are_told_and_multiplexing_needs_both() {
    let mut local = LocalMedia { rtcp_port: 20000, rtcp_mux: true, ..local() };
    let mut ours = OfferAnswer::new(1);
    let offer = ours.make_offer(&local).unwrap().to_string();
    assert!(offer.contains("a=rtcp:20000\r\na=rtcp-mux\r\n"), "{offer}");
    let both = ours.receive_answer(&remote("m=audio_4000_RTP/AVP_0 a=rtcp-mux")).unwrap().audio.unwrap();
    assert_eq!((both.rtcp_mux, both.remote_rtcp), (true, both.remote_rtp));
    let one = ours.receive_answer(&remote("m=audio_4000_RTP/AVP_0 a=rtcp:4009")).unwrap().audio.unwrap();
    assert_eq!((one.rtcp_mux, one.remote_rtcp), (false, "198.51.100.7:4009".parse().ok()));
    local.rtcp_mux = false;
    let mut without = OfferAnswer::new(1);
    without.make_offer(&local).unwrap();
    assert!(
        !without
            .receive_answer(&remote("m=audio_4000_RTP/AVP_0 a=rtcp-mux"))
            .unwrap()
            .audio
            .unwrap()
            .rtcp_mux
    );
}

#[test]
fn the_packet_length_is_what_the_peer_wants_within_reason() {
    let ptime = |lines: &str| {
        let mut ours = OfferAnswer::new(1);
        ours.make_offer(&local()).unwrap();
        ours.receive_answer(&remote(&format!("m=audio_4000_RTP/AVP_0 {lines}"))).unwrap().audio.unwrap().ptime
    };
    assert_eq!(ptime(""), 20);
    assert_eq!(ptime("a=ptime:30"), 30);
    assert_eq!(ptime("a=ptime:60 a=maxptime:40"), 40);
    assert_eq!(ptime("a=ptime:0 a=maxptime:0"), 20);
    assert_eq!(ptime("a=ptime:65000"), 120);
    assert_eq!(ptime("a=ptime:1"), 10);
}

/// RFC 4856 §2.1.9, RFC 7261: what is not said means yes, and whoever says no is right. Strict comparers lose calls here.
#[test]
fn rq11_every_pair_of_annexb_stays_g729() {
    let parameters = [Some("annexb=yes"), Some("annexb=no"), None];
    for ours in parameters {
        for theirs in parameters {
            let mut local = with_codecs(&["G729", "PCMA"]);
            local.codecs[0].fmtp = ours.map(str::to_owned);
            let line = theirs.map_or(String::new(), |text| format!(" a=fmtp:18_{text}"));
            let theirs = remote(&format!("m=audio_4000_RTP/AVP_18_8 a=rtpmap:18_G729/8000{line}"));

            let mut offering = OfferAnswer::new(1);
            offering.make_offer(&local).unwrap();
            let agreed = offering.receive_answer(&theirs).unwrap();
            assert_eq!(agreed.audio.unwrap().send.to_string(), "G729/8000", "we {ours:?}, {theirs}");

            let mut answering = OfferAnswer::new(1);
            answering.receive_offer(theirs.clone()).unwrap();
            let (answer, agreed) = answering.answer(&local).unwrap();
            assert_eq!(agreed.audio.unwrap().send.to_string(), "G729/8000", "we {ours:?}, {theirs}");
            assert_eq!(
                answer.media[0].formats[0].fmtp.as_deref(),
                ours,
                "our own parameter, whatever theirs is"
            );
        }
    }
}
