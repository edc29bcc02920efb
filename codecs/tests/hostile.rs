//! Whatever the network sends: an error or a sound, never a panic, and the chain works on.
#![allow(clippy::unwrap_used)]

mod support;

use codecs::{CodecError, CodecId, Loss, MAX_PAYLOAD, Settings};
use proptest::prelude::*;
use support::{Line, Source};

use CodecId::{G722, G729, Opus, Pcma, Pcmu, SpeexNarrow, SpeexWide};

#[test]
fn empty_and_oversized_payloads_are_refused() {
    for id in [Opus, Pcmu, Pcma, G722] {
        let rate = id.spec().full_rate();
        let mut decoder = (id.spec().decoder)(rate, &Settings::default()).unwrap();
        let mut pcm = vec![0; codecs::codec::max_samples(rate)];
        assert_eq!(decoder.decode(&[], &mut pcm), Err(CodecError::EmptyPayload));
        let long = CodecError::PayloadLength { length: 1501, least: 1, most: MAX_PAYLOAD };
        assert_eq!(decoder.decode(&[0; 1501], &mut pcm), Err(long));
        assert!(matches!(
            decoder.decode(&[0x78; 200], &mut pcm[..1]),
            Err(CodecError::BufferTooSmall { .. })
        ));
    }
}

#[test]
fn a_bad_packet_counts_as_lost_and_the_sound_goes_on() {
    let mut line = Line::new(Opus, Pcmu, 20);
    for (place, (payload, timestamp)) in Source::tone(Opus, 440.0, 20).take(20).enumerate() {
        let bad: &[u8] = &[0xff, 0xff]; // 63 frames: more than 120 ms
        let result = line.push(if place == 10 { bad } else { &payload }, timestamp);
        assert_eq!(result.is_err(), place == 10);
    }
    let expected: Vec<(u32, bool)> = (0..20).map(|n| (n * 160, n == 0)).collect();
    assert_eq!(line.headers, expected);
}

/// Events: a good packet, one with changed bytes, noise, a loss; with steps of the timestamp that may be wild.
fn storm(from: CodecId, to: CodecId, events: Vec<(u8, Vec<u8>, u32, usize)>) {
    let mut line = Line::new(from, to, 20);
    let mut source = Source::voice(from, 20);
    for (what, bytes, stray, place) in events {
        let (mut payload, timestamp) = source.next().unwrap();
        match what {
            0 => drop(line.push(&bytes, timestamp)),
            1 => drop(line.push(&payload, stray)),
            2 => drop(line.conceal(Loss { packets: stray, next: Some((&bytes, timestamp)) })),
            3 => drop(line.conceal(Loss { packets: stray % 9, next: None })),
            4 => {
                let place = place % payload.len();
                payload[place] ^= stray as u8;
                drop(line.push(&payload, timestamp));
            }
            5 => drop(line.push(&payload[..place % payload.len()], timestamp)),
            6 => line.chain.restart(),
            _ => drop(line.push(&payload, timestamp)),
        }
        // One packet in never makes more than 190 ms of sound out, a loss never more than 120 ms.
        assert!(line.headers.len() <= 11, "{} packets", line.headers.len());
        line.headers.clear();
    }
    line.chain.restart();
    let (payload, timestamp) = source.next().unwrap();
    line.push(&payload, timestamp).unwrap();
}

fn events() -> impl Strategy<Value = Vec<(u8, Vec<u8>, u32, usize)>> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        proptest::collection::vec(any::<u8>(), 1490..1510)
    ];
    proptest::collection::vec((0u8..10, bytes, any::<u32>(), any::<usize>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn opus_takes_anything(events in events()) {
        storm(Opus, Pcmu, events);
    }

    #[test]
    fn g711_takes_anything(events in events()) {
        storm(Pcma, Opus, events);
    }

    #[test]
    fn g722_takes_anything(events in events()) {
        storm(G722, Opus, events);
    }

    #[test]
    fn g729_takes_anything(events in events()) {
        storm(G729, Pcmu, events);
    }

    #[test]
    fn speex_takes_anything(events in events()) {
        storm(SpeexNarrow, Pcmu, events.clone());
        storm(SpeexWide, Opus, events);
    }

    #[test]
    fn opus_at_its_full_band_takes_anything(events in events()) {
        storm(Opus, Opus, events);
    }
}
