//! Timestamps out of a chain step by exactly one packet; gaps in the input are the same gaps in the output.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use codecs::{Chain, CodecError, CodecId, Loss, Settings, probe};
use support::{Line, Source};

use CodecId::{G722, G729, Opus, Pcma, Pcmu};

const MS: Duration = Duration::from_millis(1);

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
fn a_stream_is_stretched_by_made_up_sound_and_shortened_where_it_is_quiet() {
    for (from, to) in [(Opus, Pcmu), (Pcmu, Opus)] {
        let mut line = Line::new(from, to, 20);
        line.stretch(60 * MS);
        assert_eq!(line.headers, [], "nothing is stretched before it began");
        let mut tone = Source::tone(from, 440.0, 20);
        for (payload, timestamp) in tone.by_ref().take(10) {
            line.push(&payload, timestamp).unwrap();
        }
        line.stretch(50 * MS);
        for (payload, timestamp) in tone.by_ref().take(10) {
            assert_eq!(
                line.push_or_shed(&payload, timestamp, 100 * MS),
                Duration::ZERO,
                "a tone is no silence"
            );
        }
        let mut timestamp = tone.next().unwrap().1;
        let mut silence = |line: &mut Line, spare| {
            let payload = match from {
                Opus => vec![0xf8, 0xff, 0xfe], // 20 ms of CELT's silence
                _ => vec![0xff; 160],
            };
            timestamp = timestamp.wrapping_add(from.spec().clock_rate / 50);
            line.push_or_shed(&payload, timestamp.wrapping_sub(from.spec().clock_rate / 50), spare)
        };
        let _ringing_out = silence(&mut line, Duration::ZERO);
        let shed: Vec<Duration> =
            [30, 30, 10, 0, 20].iter().map(|spare| silence(&mut line, *spare * MS)).collect();
        assert_eq!(shed, [20 * MS, 20 * MS, Duration::ZERO, Duration::ZERO, 20 * MS], "{from} to {to}");
        // 10 packets, 50 ms, 10 packets, 3 that were not left out: 510 ms, the last half packet waits.
        let step = line.chain.timestamp_step();
        assert_eq!(stamps(&line), (0..25).map(|n| n * step).collect::<Vec<_>>(), "{from} to {to}");
    }
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
    (settings.opus.complexity, settings.opus.complexity_telephone) = (10, 12);
    let error = Chain::new(Pcmu, Opus, 20, &settings).err();
    assert_eq!(error, Some(CodecError::Setting { codec: "opus", name: "complexity_telephone", value: 12 }));
}

/// 5 packets of sound, then `silence` announced, `ms` of it by the clock, then sound again: the timestamps out, and the levels of the silence.
fn through_a_silence(from: CodecId, to: CodecId, silence: &[u8], ms: u64, early: u32) -> (Line, Vec<i16>) {
    let mut line = Line::new(from, to, 20);
    let mut source = Source::tone(from, 440.0, 20);
    for (payload, timestamp) in source.by_ref().take(5) {
        line.push(&payload, timestamp).unwrap();
    }
    let (_, timestamp) = source.next().unwrap();
    line.silence(silence, timestamp).unwrap();
    let before = line.pcm.len();
    for now in 0..=ms / 20 {
        line.idle(Duration::from_millis(now * 20)).unwrap();
    }
    let noise = line.pcm.split_off(before);
    source.pause(from.spec().clock_rate / 1000 * (ms as u32 - 20 - early));
    for (payload, timestamp) in source.take(5) {
        line.push(&payload, timestamp).unwrap();
    }
    (line, noise)
}

#[test]
fn an_announced_silence_is_noise_of_its_level_without_a_gap() {
    let check = |from: CodecId, to: CodecId, silence: &[u8], levels: std::ops::Range<f64>| {
        let (line, noise) = through_a_silence(from, to, silence, 1000, 0);
        let step = line.chain.timestamp_step();
        let expected: Vec<(u32, bool)> = (0..5 + 50 + 5).map(|n| (n * step, n == 0)).collect();
        assert_eq!(line.headers, expected, "{from} to {to}");
        let level = probe::level_dbfs(&noise[noise.len() / 2..]);
        println!("{from} to {to}: silence of {level:.1} dBFS");
        assert!(levels.contains(&level), "{from} to {to}: {level} dBFS");
    };
    check(Pcmu, Pcma, &[50], -48.0..-45.0);
    check(Pcma, Opus, &[50], -54.0..-44.0);
    check(G722, Pcmu, &[60], -63.0..-57.0); // half of its band
    check(G729, Pcmu, &[0, 2 << 1], -70.0..-50.0); // its spectrum is still that of the tone
    check(G729, Opus, &[0, 10 << 1], -50.0..-32.0);
}

#[test]
fn a_source_that_speaks_before_its_noise_has_ended_delays_nothing_for_good() {
    // 60 ms too early, which is 20 ms more than the reserve; the next silence is shorter by these.
    let (mut line, _) = through_a_silence(Pcmu, Pcma, &[50], 1000, 60);
    let sent = line.headers.len();
    assert_eq!(sent, 5 + 48 + 5, "40 ms less than the silence was, 60 less it should be");
    let end = first_timestamp().wrapping_add(160 * 10 + 8 * 940);
    line.silence(&[50], end).unwrap();
    for now in 0..=50 {
        line.idle(Duration::from_millis(now * 20)).unwrap();
    }
    line.push(&[0xff; 160], end + 8000).unwrap();
    assert_eq!(line.headers.len(), sent + 50, "49 of silence");
}

#[test]
fn silences_never_add_up_to_a_delay() {
    // Ten minutes of talk and announced silence with rough timers: out lasts as long as in.
    let mut line = Line::new(Pcmu, Opus, 20);
    let mut timestamp = 0u32;
    for turn in 0..300u32 {
        for _ in 0..50 {
            line.push(&[0xd5; 160], timestamp).unwrap();
            timestamp += 160;
        }
        line.silence(&[60], timestamp).unwrap();
        let late = u64::from(turn * 7 % 45);
        for now in 0..50 {
            line.idle(Duration::from_millis(now * 20 + late)).unwrap();
        }
        timestamp += 8000 - turn % 3 * 11; // no multiple of a packet
    }
    let (last, _) = *line.headers.last().unwrap();
    let lasted = f64::from(timestamp) / 8000.0 - f64::from(last) / 48_000.0;
    assert!((0.0..1.1).contains(&lasted), "behind by {lasted} s");
    assert_eq!(line.headers.iter().filter(|(_, marker)| *marker).count(), 1);
}

#[test]
fn opus_without_packets_in_silence_leaves_gaps_and_marks_what_follows() {
    let mut settings = Settings::default();
    settings.opus.dtx = true;
    let mut chain = Chain::new(Pcmu, Opus, 20, &settings).unwrap();
    let mut sent = Vec::new();
    for packet in 0..150u32 {
        let payload = if (50..100).contains(&packet) { [0xff; 160] } else { loud(packet) };
        chain.push(&payload, packet * 160, &mut |frame| sent.push((frame.timestamp, frame.marker))).unwrap();
    }
    assert!(sent.len() < 130, "{} of 150 packets sent", sent.len());
    let gaps = sent.windows(2).filter(|pair| pair[1].0 - pair[0].0 > 960).count();
    assert!(gaps > 0);
    assert!(sent.windows(2).all(|pair| pair[1].1 == (pair[1].0 - pair[0].0 > 960)), "markers behind gaps");
}

fn first_timestamp() -> u32 {
    Source::tone(Pcmu, 440.0, 20).next().unwrap().1
}

/// 20 ms of a voice as PCMU.
fn loud(packet: u32) -> [u8; 160] {
    let mut payload = [0; 160];
    let (sound, _) = Source::voice(Pcmu, 20).nth(packet as usize % 40).unwrap();
    payload.copy_from_slice(&sound);
    payload
}
