//! What a far end hears while the other leg says nothing.
use std::time::Instant;

use actors::vocabulary::{Packet, Payload};
use bytes::Bytes;

use super::*;

/// An ear of the phone, and SDP that names it.
async fn ear(scene: &Scene, direction: &str) -> (UdpPeer, String) {
    let ear = UdpPeer::any(scene.phone.to).await;
    let port = ear.socket.local_addr().unwrap().port();
    let line = format!("m=audio {port} RTP/AVP 0\r\na={direction}\r\n");
    (ear, SDP.replace("m=audio 9 RTP/AVP 0\r\n", &line))
}

/// Sequence number, timestamp and first byte of sound of what comes within `wait`.
async fn heard(ear: &UdpPeer, wait: Duration) -> Vec<(u16, u32, u8)> {
    let (mut heard, end) = (vec![], Instant::now() + wait);
    while let Some(packet) = ear.bytes(end.saturating_duration_since(Instant::now())).await {
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        heard.push((sequence, timestamp, packet[12]));
    }
    heard
}

fn assert_steps(heard: &[(u16, u32, u8)]) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].0.wrapping_sub(pair[0].0), 1, "{pair:?}");
        assert_eq!(pair[1].1.wrapping_sub(pair[0].1), 160, "{pair:?}");
    }
}

#[actix::test]
async fn a_far_end_hears_silence_from_the_answer_until_the_other_leg_speaks() {
    let scene = Scene::new().await;
    let (ear, sdp) = ear(&scene, "sendrecv").await;
    let (dialog, _) = scene.talks_with(&sdp).await;
    let mut all = heard(&ear, Duration::from_millis(500)).await;
    assert!((22..=28).contains(&all.len()), "{} packets in half a second", all.len());
    assert!(all.iter().all(|(_, _, sound)| *sound == 0xff), "silence in µ-law");
    for place in 0..10u16 {
        dialog.do_send(Packet {
            payload_kind: Payload::Audio(CodecId::Pcmu),
            ssrc: 77,
            sequence: 900 + place,
            timestamp: 5_000_000 + u32::from(place) * 160,
            marker: false,
            payload: Bytes::from_static(&[0x12; 160]),
            received: Instant::now(),
        });
        all.extend(heard(&ear, Duration::from_millis(20)).await);
    }
    all.extend(heard(&ear, Duration::from_millis(700)).await);
    let spoken: Vec<_> = all.iter().filter(|(_, _, sound)| *sound == 0x12).collect();
    assert_eq!(spoken.len(), 10, "every packet of the other leg");
    assert_eq!(spoken[9].0.wrapping_sub(spoken[0].0), 9, "and none of ours between");
    assert!(all.len() > 45, "silence again half a second after it stopped");
    let again = all.iter().position(|packet| packet.0 == spoken[9].0).unwrap() + 1;
    assert_steps(&all[..again]);
    assert_steps(&all[again..]);
    let pause = all[again].1.wrapping_sub(all[again - 1].1);
    assert!((3900..4500).contains(&pause), "{pause} ticks of 1/8000 s");
}

#[actix::test]
async fn a_far_end_that_only_sends_hears_nothing() {
    let scene = Scene::new().await;
    let (ear, sdp) = ear(&scene, "sendonly").await;
    let (_dialog, invite) = scene.talks_with(&sdp).await;
    assert_eq!(heard(&ear, Duration::from_millis(200)).await, []);
    let back = sdp.replace("sendonly", "sendrecv");
    assert_eq!(scene.asks(&invite, Method::Invite, "phone", 1, &back).await, 200);
    assert!(heard(&ear, Duration::from_millis(800)).await.len() > 10);
}
