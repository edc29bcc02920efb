//! Pictures beside the sound: agreed, refused, added, removed, held, and key frames asked by every way.
use std::net::SocketAddr;
use std::time::Instant;

use actors::vocabulary::{MediaFormat, Packet, Payload, Sink, VideoLine, VideoMeasured};
use bytes::Bytes;
use codecs::VideoCodec;
use codecs::video::H264Format;
use sip::sdp::{Direction, Session};

use super::*;

/// The phone's ears and eyes: RTP and RTCP of pictures.
struct Eye {
    rtp: UdpPeer,
    rtcp: UdpPeer,
}

const H264: VideoFormat = VideoFormat::H264(H264Format::BROWSER);

impl Eye {
    async fn new(scene: &Scene) -> Self {
        Self { rtp: UdpPeer::any(scene.phone.to).await, rtcp: UdpPeer::any(scene.phone.to).await }
    }

    /// SDP of the phone with these formats and lines for pictures.
    fn sdp(&self, formats: &str, lines: &str) -> String {
        let port = |peer: &UdpPeer| peer.socket.local_addr().unwrap().port();
        let (rtp, rtcp) = (port(&self.rtp), port(&self.rtcp));
        format!("{SDP}m=video {rtp} RTP/AVP {formats}\r\nb=AS:512\r\na=rtcp:{rtcp}\r\n{lines}")
    }

    /// H.264 under number 97, with these lines more.
    fn h264(&self, lines: &str) -> String {
        let format = "a=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42801f;packetization-mode=1\r\n";
        self.sdp("97", &format!("{format}{lines}"))
    }

    /// From now on these peers send to the ports of our SDP.
    fn looks_at(&mut self, body: &[u8]) {
        let to = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let port = video_of(body).port;
        (self.rtp.to, self.rtcp.to) = (to(port), to(port + 1));
    }

    /// A packet of the phone's camera.
    async fn films(&self, sequence: u16, payload_type: u8, payload: &[u8]) {
        let header = [0x80, 0x80 | payload_type, 0, sequence as u8, 0, 0, 0, 9, 0, 0, 0, 77];
        self.rtp.send(&[&header, payload].concat()).await;
    }

    /// The stream and the first number of the next NACK.
    async fn nack(&self, wait: Duration) -> Option<(u32, u16)> {
        loop {
            let compound = self.rtcp.bytes(wait).await?;
            let place = compound.windows(2).position(|head| head == [0x81, 205]);
            if let Some(nack) = place.map(|place| &compound[place..]) {
                let stream = u32::from_be_bytes(nack[8..12].try_into().unwrap());
                return Some((stream, u16::from_be_bytes([nack[12], nack[13]])));
            }
        }
    }

    /// The feedback of the next compound that has any: its format (1: PLI, 4: FIR) and the stream that is asked.
    async fn feedback(&self, wait: Duration) -> Option<Vec<(u8, u32)>> {
        loop {
            let (compound, mut found) = (self.rtcp.bytes(wait).await?, vec![]);
            assert!(matches!(compound[1], 200 | 201), "a report comes first");
            let mut rest = &compound[..];
            while let [first, kind, high, low, ..] = *rest {
                let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
                if kind == 206 {
                    let place = if first & 0x1f == 4 { 12 } else { 8 };
                    let asked = u32::from_be_bytes(rest[place..place + 4].try_into().unwrap());
                    found.push((first & 0x1f, asked));
                }
                rest = &rest[length..];
            }
            if !found.is_empty() {
                return Some(found);
            }
        }
    }
}

/// Limits of bandwidth (RFC 5104 §4.2) in the next compound that has any: 3 for TMMBR, 4 for TMMBN, whose, and how many bits a second.
async fn limits(eye: &Eye) -> (u8, u32, u32) {
    loop {
        let compound = eye.rtcp.bytes(WAIT).await.expect("RTCP");
        let mut rest = &compound[..];
        while let [first, kind, high, low, ..] = *rest {
            let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
            if kind == 205 {
                let word = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
                return (first & 0x1f, word(12), ((word(16) >> 9) & 0x1_ffff) << (word(16) >> 26));
            }
            rest = &rest[length..];
        }
    }
}

fn video_of(body: &[u8]) -> sip::sdp::Media {
    Session::parse(body).unwrap().media.into_iter().nth(1).expect("a second line")
}

async fn scene() -> Scene {
    let mut scene = Scene::new().await;
    scene.video = vec![H264, VideoFormat::Vp8];
    scene
}

/// What the next agreement says of pictures.
async fn agreed(scene: &Scene) -> Option<VideoLine> {
    loop {
        if let LegEvent::MediaAgreed(MediaFormat { video, .. }) = scene.call.next().await.event {
            return video;
        }
    }
}

/// We call, the phone answers with H.264 and these lines, and has sent a picture that is no key frame.
async fn sees(lines: &str) -> (Scene, Eye, Addr<Dialog>, Request) {
    let scene = scene().await;
    let mut eye = Eye::new(&scene).await;
    let (dialog, invite) = scene.talks_with(&eye.h264(lines)).await;
    eye.looks_at(&invite.body);
    let seen: Kept<Packet> = Kept::start();
    dialog.do_send(LegCommand::PlugVideo(Some(Sink::new(&seen.address.clone().recipient()))));
    eye.films(1, 120, &[0x41, 1]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    (scene, eye, dialog, invite)
}

fn picture(sequence: u16, timestamp: u32, marker: bool) -> Packet {
    Packet {
        payload_kind: Payload::Video(VideoCodec::H264),
        ssrc: 5,
        sequence,
        timestamp,
        marker,
        payload: Bytes::from_static(&[0x41, 9]),
        received: Instant::now(),
    }
}

#[actix::test]
async fn pictures_pass_both_ways_in_the_format_that_both_have() {
    let scene = scene().await;
    let mut eye = Eye::new(&scene).await;
    let (dialog, invite) = scene.calls().await;
    let offered = video_of(&invite.body);
    let names: Vec<_> =
        offered.formats.iter().map(|format| format!("{} {format}", format.payload_type)).collect();
    assert_eq!(names, ["120 H264/90000", "121 VP8/90000"]);
    let answer = eye.h264("");
    let answer = scene.response(&invite, StatusCode::OK, "phone").with_body("application/sdp", answer);
    scene.phone.send(&answer.to_bytes()).await;
    scene.hears(Method::Ack).await;
    let line = agreed(&scene).await.unwrap();
    assert_eq!(line.direction, Direction::SendRecv);
    assert_eq!(line.takes.fmtp().unwrap(), "packetization-mode=1;profile-level-id=42801f");
    assert_eq!((line.sends.codec(), line.limit), (VideoCodec::H264, Some(512_000)));

    let seen: Kept<Packet> = Kept::start();
    dialog.do_send(LegCommand::PlugVideo(Some(Sink::new(&seen.address.clone().recipient()))));
    eye.looks_at(&invite.body);
    eye.films(7, 120, &[0x65, 1, 2]).await;
    let packet = seen.next().await;
    assert_eq!(packet.payload_kind, Payload::Video(VideoCodec::H264));
    assert_eq!((packet.sequence, packet.marker, &packet.payload[..]), (7, true, &[0x65, 1, 2][..]));
    eye.films(8, 111, &[1]).await; // nobody agreed on that

    for packet in [picture(1, 100, false), picture(2, 100, true), picture(3, 3100, true)] {
        dialog.do_send(packet);
    }
    let mut came = vec![];
    for _ in 0..3 {
        let bytes = eye.rtp.bytes(WAIT).await.expect("a packet");
        let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
        let timestamp = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
        came.push((bytes[1] & 0x7f, bytes[1] >> 7, sequence, timestamp));
    }
    let (sequence, timestamp) = (came[0].2, came[0].3);
    let expected = [(97, 0, 0, 0), (97, 1, 1, 0), (97, 1, 2, 3000)];
    let expected = expected.map(|(number, marker, step, ticks)| {
        (number, marker, sequence + step, timestamp.wrapping_add(ticks))
    });
    assert_eq!(came, expected, "the phone's number, the source's markers and steps");
}

#[actix::test]
async fn rq16_an_idr_picture_without_parameter_sets_gets_those_of_the_phones_sdp() {
    let scene = scene().await;
    let mut eye = Eye::new(&scene).await;
    let sprop = "sprop-parameter-sets=Z0LAH9oFB+wEQAAAAwBAAAAHg8YMqA==,aM4Dksg=";
    let line = format!(
        "a=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42801f;packetization-mode=1;{sprop}\r\n"
    );
    let (dialog, invite) = scene.talks_with(&eye.sdp("97", &line)).await;
    let seen: Kept<Packet> = Kept::start();
    dialog.do_send(LegCommand::PlugVideo(Some(Sink::new(&seen.address.clone().recipient()))));
    eye.looks_at(&invite.body);
    eye.films(7, 120, &[0x65, 1, 2]).await;
    eye.films(8, 120, &[0x41, 3]).await;
    let mut came = vec![];
    for _ in 0..4 {
        let packet = seen.next().await;
        came.push((packet.sequence, packet.payload[0] & 0x1f, packet.marker));
    }
    assert_eq!(came, [(7, 7, false), (8, 8, false), (9, 5, true), (10, 1, true)]);
}

#[actix::test]
async fn a_phone_that_knows_mode_0_alone_finds_it_in_our_offer() {
    let mut scene = scene().await;
    let single = VideoFormat::H264(H264Format { packetization_mode: 0, ..H264Format::BROWSER });
    let high = VideoFormat::from_sdp("H264", 90_000, Some("packetization-mode=1;profile-level-id=640028"));
    scene.video = vec![H264, single, high.unwrap(), VideoFormat::Vp8];
    let eye = Eye::new(&scene).await;
    let (_dialog, invite) = scene.calls().await;
    let rows = video_of(&invite.body).formats.into_iter();
    let rows = rows.map(|format| {
        format!("{} {format} {}", format.payload_type, format.fmtp.as_deref().unwrap_or_default())
    });
    let expected = [
        "120 H264/90000 packetization-mode=1;profile-level-id=42e01f",
        "121 H264/90000 profile-level-id=42e01f",
        "123 VP8/90000 ",
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected, "one of each codec and mode");
    let answer = eye.sdp("121", "a=rtpmap:121 H264/90000\r\na=fmtp:121 profile-level-id=42801f\r\n");
    let answer = scene.response(&invite, StatusCode::OK, "phone").with_body("application/sdp", answer);
    scene.phone.send(&answer.to_bytes()).await;
    let line = agreed(&scene).await.unwrap();
    let told = [line.takes, line.sends].map(|format| format.fmtp().unwrap());
    assert_eq!(told, ["packetization-mode=0;profile-level-id=42801f"; 2]);
}

#[actix::test]
async fn rq15_a_phone_without_pictures_gets_its_sound() {
    let scene = scene().await;
    for answer in [
        SDP.to_owned(),
        format!("{SDP}m=video 0 RTP/AVP 120\r\n"),
        format!("{SDP}m=video 9 RTP/AVP 34\r\n"),
        format!(
            "{SDP}m=video 9 RTP/AVP 120\r\na=rtpmap:120 H264/90000\r\na=fmtp:120 profile-level-id=640028\r\n"
        ),
    ] {
        let (_dialog, invite) = scene.calls().await;
        let response =
            scene.response(&invite, StatusCode::OK, "phone").with_body("application/sdp", answer.clone());
        scene.phone.send(&response.to_bytes()).await;
        scene.hears(Method::Ack).await;
        assert_eq!(agreed(&scene).await, None, "{answer}");
        scene.says(LegEvent::Answered).await;
    }
}

#[actix::test]
async fn an_audio_call_refuses_video_and_others_take_it_when_the_other_leg_has_it() {
    let (audio, with_video) = (Scene::new().await, scene().await);
    let eye = Eye::new(&audio).await;
    let offer = eye.h264("");
    let port = |response: &Response| video_of(&response.body).port;

    let (dialog, _) = audio.called_with("", &offer).await;
    dialog.do_send(LegCommand::Answer);
    assert_eq!(port(&audio.accepted(Method::Invite).await), 0);

    let (dialog, _) = with_video.called_with("", &offer).await;
    let sound = actors::vocabulary::AudioFormat { codec: CodecId::Pcmu, ptime_ms: 20, telephone_event: true };
    dialog.do_send(LegCommand::Agree(sound.into()));
    dialog.do_send(LegCommand::Answer);
    assert_eq!(port(&with_video.accepted(Method::Invite).await), 0, "the page has none");

    let (dialog, _) = with_video.called_with("", &offer).await;
    let pictures = VideoLine { takes: H264, sends: H264, direction: Direction::SendOnly, limit: None };
    dialog.do_send(LegCommand::Agree(MediaFormat { audio: sound, video: Some(pictures) }));
    dialog.do_send(LegCommand::Answer);
    let answer = video_of(&with_video.accepted(Method::Invite).await.body);
    assert_ne!(answer.port, 0);
    assert_eq!(answer.direction, Some(Direction::RecvOnly), "the page has no camera");
    assert_eq!(answer.formats.len(), 1);
}

#[actix::test]
async fn video_is_added_removed_and_held_within_the_call() {
    let scene = scene().await;
    let eye = Eye::new(&scene).await;
    let (dialog, invite) = scene.talks_with(&format!("{SDP}m=video 0 RTP/AVP 120\r\n")).await;
    assert_eq!(scene.asks(&invite, Method::Invite, "phone", 1, &eye.h264("")).await, 200);
    let line = agreed(&scene).await.expect("added");
    assert_eq!(line.direction, Direction::SendRecv);
    // The ACK that the 200 waits for.
    scene.inside(&invite, Method::Ack, "phone", 1, "").await;

    dialog.do_send(LegCommand::Hold);
    let hold = scene.hears(Method::Invite).await;
    let lines = Session::parse(&hold.body).unwrap().media;
    let directions: Vec<_> = lines.iter().map(|line| line.direction.unwrap()).collect();
    assert_eq!(directions, [Direction::SendOnly, Direction::Inactive]);
    let held = scene
        .response(&hold, StatusCode::OK, "phone")
        .with_body("application/sdp", eye.h264("a=inactive\r\n"));
    scene.phone.send(&held.to_bytes()).await;
    assert_eq!(agreed(&scene).await.expect("held").direction, Direction::Inactive);
    scene.says(LegEvent::Held).await;

    let without = format!("{SDP}m=video 0 RTP/AVP 97\r\n");
    assert_eq!(scene.asks(&invite, Method::Invite, "phone", 2, &without).await, 200);
    assert_eq!(agreed(&scene).await, None, "removed");
}

/// How the pictures fare.
async fn fares(scene: &Scene, dialog: &Addr<Dialog>) -> VideoMeasured {
    dialog.do_send(LegCommand::Measure);
    match scene.call.next().await.event {
        LegEvent::Measured(measured) => *measured.video.expect("there are pictures"),
        event => panic!("{event:?}"),
    }
}

#[actix::test]
async fn rq18_limits_of_bandwidth_pass_both_ways_and_loss_is_one() {
    let (scene, eye, dialog, _) = sees("a=rtcp-fb:* ccm tmmbr\r\n").await;
    dialog.do_send(LegCommand::LimitVideo(131_000));
    assert_eq!(limits(&eye).await, (3, 77, 131_000), "we take no more");

    dialog.do_send(picture(1, 100, true));
    let ours = eye.rtp.bytes(WAIT).await.unwrap()[8..12].to_vec();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 77];
    let rate = ((500_000_u32 >> 2) << 9) | (2 << 26) | 40;
    let head = [0x83, 205, 0, 4, 0, 0, 0, 77, 0, 0, 0, 0];
    eye.rtcp.send(&[&report[..], &head, &ours, &rate.to_be_bytes()].concat()).await;
    assert_eq!(limits(&eye).await, (4, 77, 500_000), "noted");
    scene.says(LegEvent::VideoLimited(500_000)).await;

    // Half of what we sent is lost, by two reports a second apart.
    let lossy = [&[0x81, 201, 0, 7, 0, 0, 0, 77][..], &ours, &[128, 0, 0, 1], &[0; 16]].concat();
    eye.rtcp.send(&lossy).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    dialog.do_send(picture(2, 3100, true));
    eye.rtcp.send(&lossy).await;
    scene.says(LegEvent::VideoLimited(64_000)).await;
}

#[actix::test]
async fn rq18_a_phone_that_does_not_know_tmmbr_is_not_bothered_with_it() {
    let (_scene, eye, dialog, _) = sees("a=rtcp-fb:* nack pli\r\n").await;
    dialog.do_send(LegCommand::LimitVideo(131_000));
    dialog.do_send(LegCommand::AskKeyFrame);
    let compound = eye.rtcp.bytes(WAIT).await.unwrap();
    assert!(!compound.windows(2).any(|pair| pair == [0x83, 205]), "{compound:02x?}");
}

#[actix::test]
async fn a_phone_may_send_any_codec_that_it_answered_with() {
    let scene = scene().await;
    let mut eye = Eye::new(&scene).await;
    let h264 = "a=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42801f;packetization-mode=1\r\n";
    let answer = eye.sdp("97 98", &format!("{h264}a=rtpmap:98 VP8/90000\r\n"));
    let (dialog, invite) = scene.talks_with(&answer).await;
    let seen: Kept<Packet> = Kept::start();
    dialog.do_send(LegCommand::PlugVideo(Some(Sink::new(&seen.address.clone().recipient()))));
    eye.looks_at(&invite.body);
    let (key, delta) = ([0x10, 0x00, 0, 0, 0x9d, 1, 0x2a], [0x10, 0x01, 0, 0]);
    eye.films(1, 120, &[0x65, 1]).await;
    assert_eq!(seen.next().await.payload_kind, Payload::Video(VideoCodec::H264));
    eye.films(2, 121, &delta).await; // nobody could begin with that
    eye.films(3, 121, &key).await;
    let line = agreed(&scene).await.unwrap();
    assert_eq!((line.sends, line.takes.codec()), (VideoFormat::Vp8, VideoCodec::H264));
    let packet = seen.next().await;
    assert_eq!((packet.payload_kind, packet.sequence), (Payload::Video(VideoCodec::Vp8), 3));
    // Not back and forth.
    eye.films(4, 120, &[0x65, 1]).await;
    eye.films(5, 121, &delta).await;
    assert_eq!(seen.next().await.sequence, 5);
}

#[actix::test]
async fn numbers_mean_what_their_own_leg_says() {
    let scene = scene().await;
    let mut eye = Eye::new(&scene).await;
    // A page has VP8 under 96.
    let offer =
        eye.sdp("96", "a=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f;packetization-mode=1\r\n");
    let (dialog, _) = scene.called_with("", &offer).await;
    let seen: Kept<Packet> = Kept::start();
    dialog.do_send(LegCommand::PlugVideo(Some(Sink::new(&seen.address.clone().recipient()))));
    dialog.do_send(LegCommand::Answer);
    let accepted = scene.accepted(Method::Invite).await;
    assert_eq!(video_of(&accepted.body).formats[0].payload_type, 96);
    eye.looks_at(&accepted.body);
    eye.films(1, 96, &[0x65, 1]).await;
    assert_eq!(seen.next().await.payload_kind, Payload::Video(VideoCodec::H264));
    dialog.do_send(Packet { payload_kind: Payload::Video(VideoCodec::Vp8), ..picture(1, 100, true) });
    dialog.do_send(picture(2, 100, true));
    let sent = eye.rtp.bytes(WAIT).await.unwrap();
    assert_eq!((sent[1], &sent[12..]), (0x80 | 96, &[0x41, 9][..]), "and what is not agreed is not sent");
}

#[actix::test]
async fn rq16_pictures_that_overtake_the_answer_wait_for_whoever_looks() {
    let scene = scene().await;
    let mut eye = Eye::new(&scene).await;
    let (dialog, invite) = scene.calls().await;
    eye.looks_at(&invite.body);
    eye.films(7, 120, &[0x65, 1, 2]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = scene.response(&invite, StatusCode::OK, "phone").with_body("application/sdp", eye.h264(""));
    scene.phone.send(&answer.to_bytes()).await;
    agreed(&scene).await.unwrap();
    eye.films(8, 120, &[0x41, 1, 2]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let seen: Kept<Packet> = Kept::start();
    dialog.do_send(LegCommand::PlugVideo(Some(Sink::new(&seen.address.clone().recipient()))));
    for sequence in [7, 8] {
        assert_eq!(seen.next().await.sequence, sequence);
    }
}

#[actix::test]
async fn rq16_a_phone_that_begins_without_a_key_frame_or_loses_a_packet_is_asked_unbidden() {
    let (_scene, eye, _dialog, _) = sees("a=rtcp-fb:* nack pli\r\n").await;
    assert_eq!(eye.feedback(WAIT).await, Some(vec![(1, 77)]), "it began in the middle");
    eye.films(2, 120, &[0x65, 1]).await;
    let second = Duration::from_millis(1100);
    assert_eq!(eye.feedback(second).await, None, "it has come");
    eye.films(4, 120, &[0x41, 1]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(eye.feedback(Duration::from_millis(10)).await, None, "3 may only be late");
    eye.films(5, 120, &[0x41, 1]).await;
    assert_eq!(eye.feedback(WAIT).await, Some(vec![(1, 77)]));
}

#[actix::test]
async fn rq18_lost_packets_are_asked_for_and_sent_again_where_both_ends_can() {
    let (scene, mut eye, dialog, invite) = sees("a=rtcp-fb:* nack\r\na=rtcp-fb:* nack pli\r\n").await;
    eye.films(2, 120, &[0x65, 1]).await;
    eye.films(4, 120, &[0x41, 1]).await;
    assert_eq!(eye.nack(WAIT).await, Some((77, 3)));
    eye.films(3, 120, &[0x41, 1]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    eye.films(5, 120, &[0x41, 1]).await;
    assert_eq!(eye.nack(Duration::from_millis(300)).await, None, "it has come");

    for number in 0..3 {
        dialog.do_send(picture(number, 3_000 * u32::from(number), true));
    }
    let mut sent = vec![];
    for _ in 0..3 {
        sent.push(eye.rtp.bytes(WAIT).await.unwrap());
    }
    eye.looks_at(&invite.body);
    let ssrc = &sent[0][8..12];
    let nack = [&[0x80, 201, 0, 1, 0, 0, 0, 77, 0x81, 205, 0, 3, 0, 0, 0, 77], ssrc, &sent[1][2..4], &[0, 1]]
        .concat();
    eye.rtcp.send(&nack).await;
    assert_eq!([eye.rtp.bytes(WAIT).await.unwrap(), eye.rtp.bytes(WAIT).await.unwrap()], sent[1..]);
    eye.rtcp.send(&nack).await;
    assert_eq!(eye.rtp.bytes(Duration::from_millis(30)).await, None, "the question crossed the answer");
    drop(scene);

    let (_scene, eye, _dialog, _) = sees("a=rtcp-fb:* nack pli\r\n").await;
    eye.films(4, 120, &[0x41, 1]).await;
    assert_eq!(eye.nack(Duration::from_millis(300)).await, None, "it does not know the question");
}

#[actix::test]
async fn rq16_a_key_frame_is_asked_by_what_the_phone_understands() {
    let within = Duration::from_millis(500);
    for (lines, expected) in [
        ("a=rtcp-fb:* nack pli\r\n", vec![(1, 77)]),
        ("a=rtcp-fb:97 ccm fir\r\n", vec![(4, 77)]),
        ("a=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\n", vec![(1, 77)]),
    ] {
        let (scene, eye, dialog, _) = sees(lines).await;
        dialog.do_send(LegCommand::AskKeyFrame);
        dialog.do_send(LegCommand::AskKeyFrame);
        assert_eq!(eye.feedback(within).await, Some(expected), "{lines}");
        assert_eq!(eye.feedback(within).await, None, "once a second");
        eye.films(2, 120, &[0x65, 1]).await;
        assert_eq!(eye.feedback(Duration::from_secs(1)).await, None, "it has come");
        let fares = fares(&scene, &dialog).await.received;
        assert_eq!((fares.key_frames, fares.key_frames_asked), (1, 1));
    }
}

#[actix::test]
async fn rq16_a_phone_that_understands_nothing_or_does_not_answer_is_asked_by_info() {
    let (scene, eye, dialog, _) = sees("").await;
    dialog.do_send(LegCommand::AskKeyFrame);
    let info = scene.hears(Method::Info).await;
    assert_eq!(info.headers.content_type().unwrap().unwrap(), "application/media_control+xml");
    assert!(String::from_utf8_lossy(&info.body).contains("<picture_fast_update"));
    scene.answers(&info, StatusCode::UNSUPPORTED_MEDIA_TYPE, "phone").await;
    let more = tokio::time::timeout(Duration::from_millis(1500), scene.hears(Method::Info)).await;
    assert!(more.is_err(), "it refused");
    drop(eye);

    let (scene, eye, dialog, _) = sees("a=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\n").await;
    dialog.do_send(LegCommand::AskKeyFrame);
    assert_eq!(eye.feedback(WAIT).await, Some(vec![(1, 77)]));
    assert_eq!(eye.feedback(WAIT).await, Some(vec![(1, 77), (4, 77)]), "a second later everything");
    scene.hears(Method::Info).await;
}

#[actix::test]
async fn rq16_a_phones_wish_for_a_key_frame_is_heard_by_every_way() {
    let (scene, eye, dialog, invite) = sees("").await;
    let report = [0x80, 201, 0, 1, 0, 0, 0, 77];
    eye.rtcp.send(&[&report[..], &[0x81, 206, 0, 2, 0, 0, 0, 77, 0, 0, 0, 1]].concat()).await;
    scene.says(LegEvent::KeyFrameWanted).await;
    let fir = |number| {
        [&report[..], &[0x84, 206, 0, 4, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0, 1, number, 0, 0, 0]].concat()
    };
    for number in [1, 1, 1, 2] {
        eye.rtcp.send(&fir(number)).await;
    }
    scene.says(LegEvent::KeyFrameWanted).await;
    scene.says(LegEvent::KeyFrameWanted).await;
    let asks = "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>";
    scene.inside_with(&invite, Method::Info, 1, "application/media_control+xml", asks).await;
    scene.accepted(Method::Info).await;
    scene.says(LegEvent::KeyFrameWanted).await;
    let none = "<media_control/>";
    scene.inside_with(&invite, Method::Info, 2, "application/media_control+xml", none).await;
    scene.accepted(Method::Info).await;
    assert_eq!(fares(&scene, &dialog).await.sent.key_frames_asked, 4);
    scene.inside(&invite, Method::Bye, "phone", 3, "").await;
    assert!(
        !matches!(scene.call.next().await.event, LegEvent::KeyFrameWanted),
        "the FIR that came again, and XML that asks for nothing"
    );
}
