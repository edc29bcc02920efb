//! A still picture for a phone whose page has no camera, and what the phone runs.
use actors::vocabulary::{AudioFormat, MediaFormat, VideoLine};
use codecs::VideoCodec;
use codecs::payload::{CodedPicture, Part, vp8};
use sip::sdp::{Direction, Session};

use super::*;

const DELAY: Duration = Duration::from_millis(100);

/// What the page's leg says, whose page looks and sends nothing.
fn without_camera() -> MediaFormat {
    let sound = AudioFormat { codec: CodecId::Pcmu, ptime_ms: 20, telephone_event: true };
    let vp8 = VideoFormat::Vp8;
    let line = VideoLine { takes: vp8, sends: vp8, direction: Direction::SendOnly, limit: None };
    MediaFormat { audio: sound, video: Some(line) }
}

async fn scene() -> Scene {
    let mut scene = Scene::new().await;
    scene.video = vec![VideoFormat::Vp8];
    scene
}

fn offer(eye: &UdpPeer) -> String {
    let port = eye.socket.local_addr().unwrap().port();
    format!("{SDP}m=video {port} RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\n")
}

#[actix::test]
async fn a_phone_sees_a_still_picture_of_a_page_without_a_camera() {
    let scene = scene().await;
    let eye = UdpPeer::any(scene.phone.to).await;
    let (dialog, _) = scene.called_with("", &offer(&eye)).await;
    dialog.do_send(LegCommand::StandIn(Some(DELAY)));
    dialog.do_send(LegCommand::Agree(without_camera()));
    dialog.do_send(LegCommand::Answer);
    let answer = scene.accepted(Method::Invite).await;
    let video = &Session::parse(&answer.body).unwrap().media[1];
    assert!(video.direction.is_none_or(|direction| direction == Direction::SendRecv), "{video:?}");

    let (mut parts, mut decoder) = (vp8::Depacketiser::default(), VideoCodec::Vp8.decoder().unwrap());
    let (mut times, mut keys) = (vec![], 0);
    while times.len() < 6 {
        let bytes = eye.bytes(WAIT).await.expect("a picture");
        assert_eq!(bytes[1] & 0x7f, 97);
        let (sequence, timestamp) =
            (u16::from_be_bytes([bytes[2], bytes[3]]), u32::from_be_bytes(bytes[4..8].try_into().unwrap()));
        let part = Part { payload: &bytes[12..], sequence, timestamp, marker: bytes[1] & 0x80 != 0 };
        let mut take = |picture: CodedPicture<'_>| {
            let shown = decoder.decode(picture.data).unwrap().expect("a picture");
            assert_eq!((shown.width(), shown.height()), (320, 240));
            keys += usize::from(picture.key);
            times.push(picture.timestamp);
        };
        parts.push(part, &mut take).unwrap();
    }
    assert_eq!(keys, 1, "the first alone");
    let steps: Vec<u32> = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert_eq!(steps, [18_000; 5], "five a second");
}

#[actix::test]
async fn a_page_without_a_camera_only_looks_where_nothing_stands_in() {
    let scene = scene().await;
    let eye = UdpPeer::any(scene.phone.to).await;
    let (dialog, _) = scene.called_with("", &offer(&eye)).await;
    dialog.do_send(LegCommand::StandIn(None));
    dialog.do_send(LegCommand::Agree(without_camera()));
    dialog.do_send(LegCommand::Answer);
    let answer = scene.accepted(Method::Invite).await;
    assert_eq!(Session::parse(&answer.body).unwrap().media[1].direction, Some(Direction::RecvOnly));
    assert!(eye.bytes(Duration::from_millis(400)).await.is_none(), "nothing is sent");
}

#[actix::test]
async fn what_the_phone_runs_is_said_before_its_media_are_agreed() {
    let scene = scene().await;
    let (_dialog, invite) = scene.calls().await;
    let ringing = scene.response(&invite, StatusCode::RINGING, "phone");
    scene.phone.send(&with_server(ringing, "Asterisk PBX 18").to_bytes()).await;
    let answer = scene.response(&invite, StatusCode::OK, "phone").with_body("application/sdp", SDP);
    scene.phone.send(&with_server(answer, "Asterisk PBX 18").to_bytes()).await;
    let mut said = vec![];
    while !matches!(said.last(), Some(LegEvent::MediaAgreed(_))) {
        said.push(scene.call.next().await.event);
    }
    let names = said.iter().filter(|event| matches!(event, LegEvent::SoftwareSeen(_)));
    assert_eq!(names.collect::<Vec<_>>(), [&LegEvent::SoftwareSeen("Asterisk PBX 18".into())]);

    let (_dialog, _) = scene.called_with("User-Agent: Phone 7\r\n", SDP).await;
    scene.says(LegEvent::SoftwareSeen("Phone 7".into())).await;
}

fn with_server(mut response: Response, name: &str) -> Response {
    response.headers.push_text(HeaderName::Server, name).unwrap();
    response
}
