//! A video line beside the audio line: offered, answered, refused, added, removed, held.

use super::*;

/// Pictures with these formats. Two of one encoding meet when their parameters begin alike, as far as the first semicolon.
pub(super) fn local_video(formats: Vec<Format>) -> LocalVideo {
    fn profile(format: &Format) -> Option<&str> {
        format.fmtp.as_deref().and_then(|fmtp| fmtp.split(';').next())
    }
    LocalVideo {
        rtp_port: 20002,
        rtcp_port: 20003,
        formats,
        offered: |formats| formats.iter().step_by(2).cloned().collect(),
        feedback: Feedback { pli: true, fir: true, nack: true, tmmbr: false },
        limit: None,
        direction: Direction::SendRecv,
        meet: |ours, theirs| (profile(ours) == profile(theirs)).then(|| ours.clone()),
    }
}

/// Our sound and three formats for pictures.
pub(super) fn local() -> LocalMedia {
    let formats = vec![
        Format::new(120, "H264", 90_000, 1).with_fmtp("p=base;ours"),
        Format::new(121, "H264", 90_000, 1).with_fmtp("p=high;ours"),
        Format::new(122, "VP8", 90_000, 1),
    ];
    LocalMedia { video: Some(local_video(formats)), ..super::local() }
}

/// The video in one line: number, format and parameters sent, those received first, addresses, direction.
fn pictures(agreed: &Agreed) -> String {
    let Some(video) = &agreed.video else { return "none".into() };
    let (send, receive) = (&video.send, &video.receive[0]);
    let fmtp = |format: &Format| format.fmtp.clone().unwrap_or("-".into());
    let to = video.remote_rtp.map_or("-".into(), |address| address.to_string());
    format!(
        "{} {send} {} for {} {} to {to} {}",
        send.payload_type,
        fmtp(send),
        receive.payload_type,
        fmtp(receive),
        video.direction
    )
}

const AUDIO: &str = "m=audio_4000_RTP/AVP_0";

/// They answer our first offer.
fn check_answer(answer: &str, want: &str) -> Agreed {
    let mut ours = OfferAnswer::new(1);
    ours.make_offer(&local()).unwrap();
    let agreed = ours.receive_answer(&remote(answer)).unwrap();
    assert!(agreed.audio.is_some(), "the call stays");
    assert_eq!(pictures(&agreed), want, "{answer}");
    agreed
}

/// They offer; the line that we answer, and what is agreed.
fn check_offer(offer: &str, line: &str, want: &str) -> Agreed {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote(offer)).unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    assert_eq!(pictures(&agreed), want, "{offer}");
    let place = agreed.video.as_ref().map(|video| video.line);
    let place = place.or_else(|| answer.media.iter().position(|media| media.kind == MediaKind::Video));
    let text =
        Session { media: vec![answer.media[place.unwrap()].clone()], ..Session::default() }.to_string();
    let shown = text.lines().filter(|line| line.starts_with("m=") || line.contains("fmtp"));
    assert_eq!(shown.collect::<Vec<_>>().join("|"), line, "{offer}");
    agreed
}

#[test]
fn our_offer_has_the_video_behind_the_audio_and_says_what_feedback_we_know() {
    let mut local = local();
    local.video.as_mut().unwrap().limit = Some(2_000_500);
    let offer = OfferAnswer::new(42).make_offer(&local).unwrap().to_string();
    let want = "m=video 20002 RTP/AVP 120 122|b=AS:2001|a=rtpmap:120 H264/90000|a=fmtp:120 p=base;ours|a=rtpmap:122 VP8/90000|\
        a=rtcp-fb:* nack|a=rtcp-fb:* nack pli|a=rtcp-fb:* ccm fir|";
    assert!(offer.ends_with(&want.replace('|', "\r\n")), "{offer}");
}

#[test]
fn an_answers_first_format_that_meets_one_of_ours_is_taken() {
    check_answer(
        &format!("{AUDIO} m=video_5000_RTP/AVP_120 a=rtpmap:120_H264/90000 a=fmtp:120_p=base;theirs"),
        "120 H264/90000 p=base;theirs for 120 p=base;ours to 198.51.100.7:5000 sendrecv",
    );
    check_answer(
        &format!(
            "{AUDIO} m=video_5000_RTP/AVP_99_97 a=rtpmap:99_H264/90000 a=fmtp:99_p=main a=rtpmap:97_vp8/90000"
        ),
        "97 vp8/90000 - for 122 - to 198.51.100.7:5000 sendrecv",
    );
    // No a=rtpmap: what we offered under that number.
    check_answer(
        &format!("{AUDIO} m=video_5000_RTP/AVP_120"),
        "120 H264/90000 p=base;ours for 120 p=base;ours to 198.51.100.7:5000 sendrecv",
    );
}

#[test]
fn rq15_an_answer_without_usable_video_leaves_the_sound() {
    let vp8 = "a=rtpmap:122_VP8/90000";
    check_answer(AUDIO, "none");
    check_answer(&format!("{AUDIO} m=video_0_RTP/AVP_122 {vp8}"), "none");
    check_answer(&format!("{AUDIO} m=video_5000_RTP/AVP_34"), "none");
    check_answer(
        &format!("{AUDIO} m=video_5000_RTP/AVP_120 a=rtpmap:120_H264/90000 a=fmtp:120_p=main"),
        "none",
    );
    check_answer(&format!("{AUDIO} m=video_5000_RTP/SAVP_122 {vp8}"), "none");
    check_answer(&format!("{AUDIO} m=video_5000_RTP/AVP_122 c=IN_IP4_media.local {vp8}"), "none");
    check_answer(&format!("{AUDIO} m=video_5000_RTP/AVP"), "none");
    check_answer(
        &format!("{AUDIO} m=video_5000_RTP/AVP_122 {vp8} a=inactive"),
        "122 VP8/90000 - for 122 - to 198.51.100.7:5000 inactive",
    );
}

#[test]
fn answers_in_another_order_and_with_lines_too_many_are_understood() {
    let want = "122 VP8/90000 - for 122 - to 198.51.100.7:5000 sendrecv";
    let video = "m=video_5000_RTP/AVP_122 a=rtpmap:122_VP8/90000";
    check_answer(&format!("{video} {AUDIO}"), want);
    check_answer(&format!("{AUDIO} m=application_0_UDP/BFCP_* {video} {video}"), want);
}

#[test]
fn an_offer_gets_one_format_back_under_its_own_number() {
    check_offer(
        &format!(
            "{AUDIO} m=video_5000_RTP/AVPF_96_97 a=rtpmap:96_VP8/90000 a=rtpmap:97_h264/90000 a=fmtp:97_p=high;theirs"
        ),
        "m=video 20002 RTP/AVPF 97|a=fmtp:97 p=high;ours",
        "97 h264/90000 p=high;theirs for 97 p=high;ours to 198.51.100.7:5000 sendrecv",
    );
    check_offer(
        &format!("{AUDIO} m=video_5000_RTP/AVP_97 a=rtpmap:97_h264/90000 a=fmtp:97_p=main"),
        "m=video 0 RTP/AVP 97|a=fmtp:97 p=main",
        "none",
    );
}

#[test]
fn of_several_video_lines_the_first_that_will_do_is_taken_and_the_rest_refused() {
    let offer = format!(
        "m=video_5000_RTP/AVP_34 m=application_6000_UDP/BFCP_* m=video_5002_RTP/AVP_97 a=rtpmap:97_VP8/90000 {AUDIO} \
         m=video_5004_RTP/AVP_97 a=rtpmap:97_VP8/90000"
    );
    let agreed = check_offer(
        &offer,
        "m=video 20002 RTP/AVP 97",
        "97 VP8/90000 - for 97 - to 198.51.100.7:5002 sendrecv",
    );
    assert_eq!((agreed.audio.unwrap().line, agreed.video.unwrap().line), (3, 2));
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote(&offer)).unwrap();
    ours.answer(&local()).unwrap();
    let ports = |session: &Session| session.media.iter().map(|media| media.port).collect::<Vec<_>>();
    assert_eq!(
        ports(&ours.make_offer(&local()).unwrap()),
        [0, 0, 20002, 20000, 0],
        "and they keep their places"
    );
}

#[test]
fn video_without_sound_is_no_call() {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote("m=video_5000_RTP/AVP_122 a=rtpmap:122_VP8/90000")).unwrap();
    assert_eq!(ours.answer(&local()), Err(OfferAnswerError::NoAudio));
    ours.receive_offer(remote(AUDIO)).unwrap();
    ours.answer(&local()).unwrap();
    ours.receive_offer(remote("m=audio_0_RTP/AVP_0 m=video_5000_RTP/AVP_122 a=rtpmap:122_VP8/90000"))
        .unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    assert_eq!((answer.media[1].port, agreed.video), (0, None));
}

#[test]
fn video_comes_and_goes_with_their_offers() {
    let with = format!("{AUDIO} m=video_5000_RTP/AVP_97 a=rtpmap:97_VP8/90000");
    let mut ours = OfferAnswer::new(1);
    let mut exchange = |offer: &str, local: &LocalMedia| {
        ours.receive_offer(remote(offer)).unwrap();
        let (answer, agreed) = ours.answer(local).unwrap();
        let ports: Vec<_> = answer.media.iter().map(|media| media.port).collect();
        (ports, agreed.video.is_some())
    };
    assert_eq!(exchange(AUDIO, &local()), (vec![20000], false));
    assert_eq!(exchange(&with, &super::local()), (vec![20000, 0], false), "we may not have video");
    assert_eq!(exchange(&with, &local()), (vec![20000, 20002], true));
    assert_eq!(exchange(&with, &local()), (vec![20000, 20002], true));
    let without = with.replace("_5000_", "_0_");
    assert_eq!(exchange(&without, &local()), (vec![20000, 0], false));
}

#[test]
fn later_offers_of_ours_repeat_the_video_in_use_and_ask_for_no_other() {
    let mut ours = OfferAnswer::new(1);
    ours.make_offer(&local()).unwrap();
    ours.receive_answer(&remote(&format!("{AUDIO} m=video_0_RTP/AVP_122"))).unwrap();
    let again = ours.make_offer(&local()).unwrap();
    assert_eq!((again.media.len(), again.media[1].port), (2, 0), "it was refused");
    ours.receive_answer(&remote(&format!("{AUDIO} m=video_0_RTP/AVP_122"))).unwrap();
    ours.receive_offer(remote(&format!("{AUDIO} m=video_5000_RTP/AVP_97 a=rtpmap:97_VP8/90000"))).unwrap();
    let (answer, _) = ours.answer(&local()).unwrap();
    let again = ours.make_offer(&local()).unwrap();
    assert_eq!(again.media[1].formats, answer.media[1].formats, "under the number that they gave");
    ours.receive_answer(&remote(&format!("{AUDIO} m=video_5000_RTP/AVP_97 a=rtpmap:97_VP8/90000"))).unwrap();
    assert_eq!(ours.repeat_offer(&local()).unwrap(), again);
    let agreed = ours.receive_answer(&remote(&format!("{AUDIO} m=video_0_RTP/AVP_97"))).unwrap();
    assert_eq!(agreed.video, None, "removed by the answer");
}

#[test]
fn while_we_hold_no_pictures_flow_and_their_hold_is_theirs() {
    let video = |direction: &str| {
        remote(&format!(
            "{AUDIO} a={direction} m=video_5000_RTP/AVP_122 a=rtpmap:122_VP8/90000 a={direction}"
        ))
    };
    let mut ours = OfferAnswer::new(1);
    ours.make_offer(&local()).unwrap();
    ours.receive_answer(&video("sendrecv")).unwrap();
    ours.set_held(true);
    let offer = ours.make_offer(&local()).unwrap();
    let directions = offer.media.iter().map(|media| media.direction.unwrap());
    assert_eq!(directions.collect::<Vec<_>>(), [Direction::SendOnly, Direction::Inactive]);
    let agreed = ours.receive_answer(&video("recvonly")).unwrap();
    assert_eq!(agreed.video.unwrap().direction, Direction::Inactive);
    ours.set_held(false);
    ours.receive_offer(video("sendonly")).unwrap();
    let agreed = ours.answer(&local()).unwrap().1.video.unwrap();
    assert_eq!((agreed.direction, agreed.remote_holds), (Direction::RecvOnly, true));
}

#[test]
fn a_side_that_only_looks_says_so() {
    let mut local = local();
    local.video.as_mut().unwrap().direction = Direction::RecvOnly;
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote(&format!("{AUDIO} m=video_5000_RTP/AVP_97 a=rtpmap:97_VP8/90000"))).unwrap();
    let (answer, agreed) = ours.answer(&local).unwrap();
    assert_eq!(answer.media[1].direction, Some(Direction::RecvOnly));
    assert_eq!(agreed.video.unwrap().direction, Direction::RecvOnly);
}

#[test]
fn feedback_and_limits_of_theirs_are_read() {
    let agreed = |more: &str| {
        let agreed = check_answer(
            &format!("{AUDIO} m=video_5000_RTP/AVP_122 a=rtpmap:122_VP8/90000 {more}"),
            "122 VP8/90000 - for 122 - to 198.51.100.7:5000 sendrecv",
        );
        agreed.video.unwrap()
    };
    let nack = |more: &str| agreed(more).feedback.nack;
    let video = |more: &str| {
        let video = agreed(more);
        (video.feedback.pli, video.feedback.fir, video.feedback.tmmbr, video.limit)
    };
    assert_eq!(video(""), (false, false, false, None));
    assert_eq!(video("a=rtcp-fb:*_nack_pli a=rtcp-fb:122_CCM_FIR"), (true, true, false, None));
    assert_eq!(video("a=rtcp-fb:96_nack_pli a=rtcp-fb:122_ccm_tmmbr_smaxpr=120"), (false, false, true, None));
    assert_eq!(video("a=rtcp-fb:*_nack a=rtcp-fb:* b=AS:512"), (false, false, false, Some(512_000)));
    assert!(!nack("a=rtcp-fb:*_nack_pli"));
    assert!(nack("a=rtcp-fb:122_nack a=rtcp-fb:*_nack_pli"));
    assert_eq!(video("b=AS:512 b=TIAS:500000"), (false, false, false, Some(500_000)));
    assert_eq!(video("b=AS:0"), (false, false, false, None));
    assert_eq!(video("b=AS:4294967295"), (false, false, false, None), "more than anybody can say");

    let mut ours = OfferAnswer::new(1);
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nb=AS:380\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
        m=video 5000 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\na=rtcp-fb:97 nack pli\r\n";
    ours.receive_offer(parse(offer)).unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    assert_eq!(agreed.video.unwrap().limit, Some(380_000), "of the session");
    let text = answer.to_string();
    assert!(
        text.contains("a=rtcp-fb:* nack pli\r\n") && !text.contains("ccm"),
        "no more than was offered: {text}"
    );
}

#[test]
fn each_line_has_keys_of_its_own() {
    let local = LocalMedia { srtp: SrtpPolicy::Required, ..local() };
    let mut ours = OfferAnswer::new(1);
    let offer = ours.make_offer(&local).unwrap();
    assert_eq!(offer.media[1].protocol, "RTP/SAVP");
    let mut theirs = OfferAnswer::new(2);
    theirs.receive_offer(offer).unwrap();
    let (answer, far) = theirs.answer(&local).unwrap();
    let near = ours.receive_answer(&answer).unwrap();
    let keys = |stream: Option<Stream>| stream.unwrap().srtp.unwrap();
    let (audio, video) = (keys(near.audio), keys(near.video));
    let far = keys(far.video);
    assert_eq!((&video.send, &video.receive), (&far.receive, &far.send));
    assert!(audio.send != video.send && audio.receive != video.receive);
    // A change of the call leaves the running stream alone.
    theirs.receive_offer(ours.make_offer(&local).unwrap()).unwrap();
    assert_eq!(keys(theirs.answer(&local).unwrap().1.video), far);
    // Sound with keys and pictures without, where keys must be: no pictures.
    ours.drop_offer();
    ours.make_offer(&local).unwrap();
    let mut half = answer;
    half.media[1].crypto.clear();
    let agreed = ours.receive_answer(&half).unwrap();
    assert!(agreed.audio.is_some() && agreed.video.is_none());
}
