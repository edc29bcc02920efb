//! Timestamps out of a chain step by exactly one packet; gaps in the input are the same gaps in the output.
#![allow(clippy::unwrap_used)]

mod support;

use codecs::{Chain, CodecError, CodecId, Loss, Settings};
use support::{Line, Source};

use CodecId::{Opus, Pcma, Pcmu};

fn stamps(line: &Line) -> Vec<u32> {
    line.headers.iter().map(|(timestamp, _)| *timestamp).collect()
}

#[test]
fn every_ptime_goes_into_every_other_and_steps_exactly() {
    let check = |from: CodecId, ptime_in, to: CodecId, ptime_out| {
        let mut line = Line::new(from, to, ptime_out);
        for (payload, timestamp) in Source::tone(from, 440.0, ptime_in).take(1200 / ptime_in as usize) {
            line.push(&payload, timestamp).unwrap();
        }
        let step = to.spec().clock_rate / 1000 * ptime_out;
        let expected: Vec<(u32, bool)> = (0..1200 / ptime_out).map(|n| (n * step, n == 0)).collect();
        assert_eq!(line.headers, expected, "{from} {ptime_in} ms to {to} {ptime_out} ms");
        assert_eq!(line.chain.timestamp_step(), step);
    };
    for (from, to) in [(Opus, Pcmu), (Pcmu, Opus), (Pcmu, Pcma), (Opus, Opus)] {
        for ptime_in in from.spec().ptimes_ms {
            for ptime_out in to.spec().ptimes_ms {
                check(from, *ptime_in, to, *ptime_out);
            }
        }
    }
}

#[test]
fn a_gap_goes_through_and_sets_the_marker() {
    let check = |from: CodecId, to: CodecId, pause_in: u32, pause_out: u32| {
        let mut line = Line::new(from, to, 20);
        let mut source = Source::tone(from, 440.0, 20);
        for (payload, timestamp) in source.by_ref().take(3) {
            line.push(&payload, timestamp).unwrap();
        }
        source.pause(pause_in);
        for (payload, timestamp) in source.take(2) {
            line.push(&payload, timestamp).unwrap();
        }
        let step = line.chain.timestamp_step();
        let after = 3 * step + pause_out;
        let expected = [(0, true), (step, false), (2 * step, false), (after, true), (after + step, false)];
        assert_eq!(line.headers, expected, "{from} to {to}, {pause_in}");
    };
    check(Opus, Pcmu, 9600, 1600);
    check(Pcmu, Opus, 1600, 9600);
    check(Pcmu, Pcma, 80, 80); // half a packet is still a gap
    check(Pcmu, Opus, 8000 * 900, 48_000 * 900); // a hold of 15 minutes
}

#[test]
fn a_gap_after_half_a_packet_is_filled_up_with_silence_first() {
    let mut line = Line::new(Pcmu, Opus, 20);
    let mut source = Source::tone(Pcmu, 440.0, 30);
    let (payload, timestamp) = source.next().unwrap();
    line.push(&payload, timestamp).unwrap(); // 30 ms: one packet out, 10 ms wait
    source.pause(800); // 100 ms
    let (payload, timestamp) = source.next().unwrap();
    line.push(&payload, timestamp).unwrap();
    assert_eq!(line.headers, [(0, true), (960, false), (48 * 130, true)]);
}

#[test]
fn rough_and_running_back_timestamps_change_nothing() {
    let check = |shift: i32, markers: usize| {
        let mut line = Line::new(Pcmu, Pcma, 20);
        for (place, (payload, timestamp)) in Source::tone(Pcmu, 440.0, 20).take(10).enumerate() {
            let shift = if place % 2 == 1 { shift } else { 0 };
            line.push(&payload, timestamp.wrapping_add_signed(shift)).unwrap();
        }
        assert!(stamps(&line).iter().take(2).eq(&[0, 160]), "{shift}");
        assert_eq!(line.headers.iter().filter(|(_, marker)| *marker).count(), markers, "{shift}");
    };
    check(10, 1);
    check(-39, 1);
    let mut line = Line::new(Pcmu, Pcma, 20);
    for _ in 0..5 {
        line.push(&[0xd5; 160], 1000).unwrap(); // a clock that stands still
    }
    assert_eq!(stamps(&line), [0, 160, 320, 480, 640]);
}

#[test]
fn lost_packets_are_replaced_one_for_one() {
    let check = |from: CodecId, to: CodecId, lost: usize, shown: bool, expected: usize| {
        let mut line = Line::new(from, to, 20);
        let mut source = Source::tone(from, 440.0, 20);
        for (payload, timestamp) in source.by_ref().take(5) {
            line.push(&payload, timestamp).unwrap();
        }
        let (payload, timestamp) = source.by_ref().nth(lost).unwrap();
        let next = shown.then_some((payload.as_slice(), timestamp));
        line.conceal(Loss { packets: lost as u32, next }).unwrap();
        line.push(&payload, timestamp).unwrap();
        let step = line.chain.timestamp_step();
        assert_eq!(line.headers.len(), 6 + expected, "{from} to {to}, {lost} lost");
        assert_eq!(stamps(&line).last(), Some(&(step * (5 + lost as u32))), "{from} to {to}, {lost} lost");
        assert_eq!(line.headers.last().unwrap().1, expected < lost, "marker behind a gap only");
    };
    for (from, to) in [(Opus, Pcmu), (Pcmu, Opus), (Pcma, Pcmu)] {
        for shown in [true, false] {
            check(from, to, 1, shown, 1);
            check(from, to, 3, shown, 3);
            check(from, to, 6, shown, 6);
            check(from, to, 50, shown, 6); // 120 ms made up, the rest is a gap
        }
    }
}

#[test]
fn numbers_that_are_missing_without_sound_missing_are_not_concealed() {
    let mut line = Line::new(Pcmu, Pcma, 20);
    line.push(&[0xd5; 160], 0).unwrap();
    line.conceal(Loss { packets: 4, next: Some((&[0xd5; 160], 160)) }).unwrap();
    line.push(&[0xd5; 160], 160).unwrap();
    assert_eq!(line.headers, [(0, true), (160, false)]);
}

#[test]
fn a_loss_before_the_first_packet_is_nothing() {
    let mut line = Line::new(Opus, Pcmu, 20);
    line.conceal(Loss { packets: 3, next: None }).unwrap();
    assert!(line.headers.is_empty());
}

#[test]
fn a_restart_goes_on_without_a_gap() {
    let mut line = Line::new(Pcmu, Pcma, 20);
    line.push(&[0xd5; 160], 5000).unwrap();
    line.chain.restart();
    line.push(&[0xd5; 160], 4_000_000_000).unwrap();
    line.push(&[0xd5; 160], 4_000_000_160).unwrap();
    assert_eq!(line.headers, [(0, true), (160, true), (320, false)]);
}

#[test]
fn a_chain_prints_its_path() {
    let check = |from, to, expected: &str| {
        let chain = Chain::new(from, to, 20, &Settings::default()).unwrap();
        assert_eq!(chain.to_string(), expected);
    };
    check(Opus, Pcmu, "opus/48000/2 → 8 kHz → PCMU/8000");
    check(Pcma, Opus, "PCMA/8000 → 8 kHz → opus/48000/2");
    check(Opus, Opus, "opus/48000/2 → 48 kHz → opus/48000/2");
}

#[test]
fn what_a_codec_cannot_do_is_refused_with_its_name() {
    let refused = |ptime| Chain::new(Pcmu, Opus, ptime, &Settings::default()).err();
    assert_eq!(refused(30), Some(CodecError::Ptime { codec: "opus", ptime_ms: 30 }));
    assert_eq!(refused(0), Some(CodecError::Ptime { codec: "opus", ptime_ms: 0 }));
    let mut settings = Settings::default();
    settings.opus.complexity = 11;
    let error = Chain::new(Pcmu, Opus, 20, &settings).err();
    assert_eq!(error, Some(CodecError::Setting { codec: "opus", name: "complexity", value: 11 }));
}
