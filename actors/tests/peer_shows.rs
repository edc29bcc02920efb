//! Pictures between a page and our peer: both ways, mended when packets are lost, with key frames and limits on demand.
#![allow(clippy::unwrap_used)]

mod page;

use std::time::Duration;

use actors::browser::rtc::{Outgoing, SendError};
use actors::vocabulary::Payload;
use bytes::Bytes;
use codecs::video::H264Format;
use codecs::{CodecId, VideoFormat};
use page::{Call, Kind, kind};
use str0m::media::KeyframeRequestKind::{Fir, Pli};

const H264: VideoFormat = VideoFormat::H264(H264Format::BROWSER);
const VP8: VideoFormat = VideoFormat::Vp8;
/// Ticks between two pictures at 30 a second.
const STEP: u32 = 3_000;

fn same(text: String) -> String {
    text
}

fn outgoing(format: VideoFormat, sequence: u32) -> Outgoing {
    Outgoing {
        kind: Payload::Video(format.codec()),
        sequence: sequence.into(),
        timestamp: 90_000 + sequence / 2 * STEP,
        marker: sequence % 2 == 1,
        payload: Bytes::from(format!("ours {sequence}").repeat(9)),
    }
}

fn number(call: &Call, format: VideoFormat) -> u8 {
    call.peer.agreed().payload_type(Payload::Video(format.codec())).unwrap()
}

/// Twenty packets of ten pictures from us, as many from the page; `after` is time to mend what was lost.
fn show(call: &mut Call, format: VideoFormat, after: Duration) {
    let number = number(call, format);
    for count in 0..20 {
        call.peer.send(outgoing(format, count), call.now).unwrap();
        call.page_shows(number, 7_000 + count / 2 * STEP, count % 2 == 1, format!("page {count}").as_bytes());
        call.run(Duration::from_millis(17));
    }
    call.run(after);
}

/// All that [`show`] has sent came, each packet once; sequence numbers count from the first on.
fn all_came(call: &Call, format: VideoFormat) {
    let kind = Payload::Video(format.codec());
    let mut heard: Vec<_> = call.heard.iter().filter(|packet| packet.payload_kind == kind).collect();
    heard.sort_by_key(|packet| packet.sequence);
    let came: Vec<_> = heard
        .iter()
        .map(|packet| {
            (packet.timestamp, packet.marker, String::from_utf8_lossy(&packet.payload).into_owned())
        })
        .collect();
    let sent = (0..20).map(|n| (7_000 + n / 2 * STEP, n % 2 == 1, format!("page {n}")));
    assert_eq!(came, sent.collect::<Vec<_>>());
    assert!(
        heard.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1 && pair[1].ssrc == pair[0].ssrc)
    );

    let number = number(call, format);
    let mut shown: Vec<_> =
        call.page_heard.iter().filter(|packet| *packet.header.payload_type == number).collect();
    shown.sort_by_key(|packet| packet.seq_no);
    let first = *shown[0].seq_no;
    let came: Vec<_> = shown
        .iter()
        .map(|packet| {
            (
                *packet.seq_no - first,
                packet.header.timestamp,
                packet.header.marker,
                String::from_utf8_lossy(&packet.payload).into_owned(),
            )
        })
        .collect();
    let sent = (0..20).map(|n| {
        let packet = outgoing(format, n);
        (
            packet.sequence,
            packet.timestamp,
            packet.marker,
            String::from_utf8_lossy(&packet.payload).into_owned(),
        )
    });
    assert_eq!(came, sent.collect::<Vec<_>>());
    assert!(first < 1 << 15 && shown.iter().all(|packet| packet.header.ssrc == shown[0].header.ssrc));
    assert_eq!(call.peer.counts(), Default::default(), "nothing was refused");
}

#[test]
fn pictures_flow_both_ways_beside_the_sound_whoever_offers() {
    for format in [H264, VP8] {
        for mut call in [Call::page_offers_pictures(&[format], same), Call::we_offer_pictures(&[format])] {
            call.connect();
            let opus = call.peer.agreed().payload_type(Payload::Audio(CodecId::Opus)).unwrap();
            call.page_sends(opus, 1_000, b"sound");
            show(&mut call, format, Duration::ZERO);
            all_came(&call, format);
            let sound = Outgoing {
                kind: Payload::Audio(CodecId::Opus),
                payload: Bytes::from_static(b"o"),
                ..outgoing(format, 0)
            };
            call.peer.send(sound, call.now).unwrap();
            call.run(Duration::from_millis(20));
            assert_eq!(call.heard[0].payload_kind, Payload::Audio(CodecId::Opus));
            let last = call.page_heard.last().unwrap();
            assert_eq!((*last.header.payload_type, &*last.payload), (opus, &b"o"[..]));
            assert!(
                call.page_heard.iter().filter(|packet| packet.header.ssrc == last.header.ssrc).count() == 1
            );
        }
    }
}

#[test]
fn a_page_that_names_no_streams_is_found_by_its_mid() {
    let without = |text: String| -> String {
        text.lines().filter(|line| !line.starts_with("a=ssrc")).map(|line| format!("{line}\r\n")).collect()
    };
    let mut call = Call::page_offers_pictures(&[VP8], without);
    call.connect();
    show(&mut call, VP8, Duration::ZERO);
    all_came(&call, VP8);
}

/// Loses packets of pictures by their count, each way.
fn losing(call: &mut Call, format: VideoFormat, numbers: &'static [usize]) {
    let (mut counts, number) = ([0, 0], number(call, format));
    call.loss = Box::new(move |from_page, datagram| {
        if kind(datagram) != Kind::Media || datagram[1] & 0x7f != number {
            return false;
        }
        let count = &mut counts[usize::from(from_page)];
        *count += 1;
        numbers.contains(count)
    });
}

#[test]
fn what_is_lost_is_sent_again_both_ways() {
    for (format, start) in [(H264, true), (VP8, false)] {
        let mut call = if start {
            Call::page_offers_pictures(&[format], same)
        } else {
            Call::we_offer_pictures(&[format])
        };
        call.connect();
        losing(&mut call, format, &[4, 7, 8, 15]);
        show(&mut call, format, Duration::from_millis(500));
        all_came(&call, format);
        let rtx = call.peer.agreed().video.as_ref().unwrap().first().rtx.unwrap();
        let resent = |datagrams: &mut dyn Iterator<Item = &Vec<u8>>| {
            datagrams.filter(|bytes| bytes[1] & 0x7f == rtx).count()
        };
        assert_eq!(
            resent(&mut call.sent.iter().map(|(_, bytes)| bytes)),
            4,
            "as often as something was lost"
        );
        assert_eq!(resent(&mut call.page_sent.iter()), 4);
    }
}

#[test]
fn a_page_that_knows_no_nack_is_not_asked_by_nack() {
    let mut call = Call::page_offers_pictures(&[VP8], |text| text.replace(" nack\r\n", " none\r\n"));
    call.connect();
    losing(&mut call, VP8, &[4]);
    show(&mut call, VP8, Duration::from_millis(500));
    let video = |call: &Call| call.heard.iter().filter(|packet| packet.payload_kind.is_video()).count();
    assert_eq!(video(&call), 19);
}

#[test]
fn key_frames_are_asked_for_both_ways() {
    let mut call = Call::page_offers_pictures(&[VP8], same);
    call.connect();
    show(&mut call, VP8, Duration::ZERO);
    call.peer.ask_key_frame(call.now);
    call.run(Duration::from_millis(50));
    assert_eq!(call.page_asked, [Pli]);
    let mid = call.video_mid.unwrap();
    for (wish, expected) in [(Pli, 1), (Fir, 2), (Fir, 2)] {
        call.page.direct_api().stream_rx_by_mid(mid, None).unwrap().request_keyframe(wish);
        call.run(Duration::from_millis(if expected == 1 { 250 } else { 100 }));
        assert_eq!(call.key_frames_wanted, expected, "five times a second at most");
    }

    let mut call = Call::page_offers_pictures(&[VP8], |text| text.replace(" nack pli\r\n", " none\r\n"));
    call.connect();
    show(&mut call, VP8, Duration::ZERO);
    call.peer.ask_key_frame(call.now);
    call.run(Duration::from_millis(50));
    assert_eq!(call.page_asked, [Fir], "a page that knows FIR alone");
}

#[test]
fn limits_are_told_both_ways() {
    let mut call = Call::we_offer_pictures(&[H264]);
    call.connect();
    show(&mut call, H264, Duration::ZERO);
    call.peer.limit_video(384_000, call.now);
    call.run(Duration::from_millis(50));
    assert_eq!(call.page_limits.len(), 1);
    assert!(call.page_limits[0].abs_diff(384_000) < 1_000, "{:?}", call.page_limits);
    let mid = call.video_mid.unwrap();
    call.page.direct_api().stream_rx_by_mid(mid, None).unwrap().request_remb(500_000_u64.into());
    call.run(Duration::from_millis(50));
    assert_eq!(call.limits.len(), 1);
    assert!(call.limits[0].abs_diff(500_000) < 1_000, "{:?}", call.limits);
}

#[test]
fn nothing_is_shown_that_was_not_agreed() {
    let mut call = Call::page_offers_pictures(&[], same);
    call.connect();
    let refused = call.peer.send(outgoing(VP8, 0), call.now);
    assert_eq!(refused, Err(SendError::NotAgreed(Payload::Video(VP8.codec()))));
    call.peer.ask_key_frame(call.now);
    call.peer.limit_video(1, call.now);
    assert_eq!(call.page_asked, []);

    let mut call = Call::page_offers_pictures(&[VP8], |text| text.replace("a=sendrecv", "a=sendonly"));
    call.connect();
    assert_eq!(
        call.peer.send(outgoing(VP8, 0), call.now),
        Err(SendError::NotAgreed(Payload::Video(VP8.codec())))
    );
}
