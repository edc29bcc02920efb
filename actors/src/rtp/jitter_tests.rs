//! The jitter buffer in virtual time.

use super::*;
use crate::rtp::playout::MOST;
use proptest::prelude::*;

fn packet(ssrc: u32, sequence: u16) -> RtpPacket {
    let timestamp = u32::from(sequence) * 160;
    let payload = Bytes::copy_from_slice(&sequence.to_be_bytes());
    RtpPacket { marker: false, payload_type: 0, sequence, timestamp, ssrc, payload }
}

/// A buffer, its clock, and what it said so far: numbers, `-3` for three lost, `+20` for 20 ms to be made up, `R` for a restart.
struct Bench {
    buffer: JitterBuffer,
    start: Instant,
    said: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self { buffer: JitterBuffer::new(8000), start: Instant::now(), said: Vec::new() }
    }

    /// Lets the clock run to `ms`, waking up when the buffer asked for it; what was said goes to `said`.
    fn run_to(&mut self, from_ms: u64, ms: u64) {
        for tick in from_ms..=ms {
            self.drain(tick);
        }
    }

    fn drain(&mut self, ms: u64) -> Option<Instant> {
        loop {
            let word = match self.buffer.pop(self.start + Duration::from_millis(ms)) {
                Next::Packet(packet) => format!("{}@{ms}", packet.sequence),
                Next::Lost { count, .. } => format!("-{count}@{ms}"),
                Next::Stretch(length) => format!("+{}@{ms}", length.as_millis()),
                Next::Restarted => format!("R@{ms}"),
                Next::Wait(until) => return until,
            };
            self.said.push(word);
        }
    }

    fn push(&mut self, ms: u64, ssrc: u32, sequence: u16) {
        self.buffer.push(self.start + Duration::from_millis(ms), packet(ssrc, sequence));
    }
}

/// Packets (ms, number) go in; what comes out is compared, with the ms at which it came out.
fn check(packets: &[(u64, u16)], expected: &str) -> JitterCounts {
    let mut bench = Bench::new();
    let mut clock = 0;
    for (ms, number) in packets {
        if *ms > 0 {
            bench.run_to(clock, ms - 1);
        }
        bench.push(*ms, 1, *number);
        clock = *ms;
    }
    bench.run_to(clock, clock + 200);
    assert_eq!(bench.said.join(" "), expected, "{packets:?}");
    bench.buffer.counts()
}

#[test]
fn packets_in_order_pass_at_once() {
    let counts = check(&[(0, 65_534), (20, 65_535), (35, 0), (60, 1)], "65534@0 65535@20 0@35 1@60");
    assert_eq!(counts, JitterCounts::default());
}

#[test]
fn a_swapped_pair_is_put_right_and_room_made_for_the_next() {
    // 2 was 25 ms on its way: all that follows is due 35 ms after it was sent, and 30 to 40 ms are made up, once.
    let packets = [(0, 1), (40, 3), (45, 2), (60, 4), (80, 5)];
    let counts = check(&packets, "1@0 -1@40 3@40 +40@60 4@95 5@115");
    assert_eq!(counts, JitterCounts { lost: 1, late: 1, stretched_ms: 40, ..JitterCounts::default() });
    let again = [(0, 1), (40, 3), (45, 2), (60, 4), (95, 6), (105, 5), (120, 7)];
    let counts = check(&again, "1@0 -1@40 3@40 +40@60 4@95 5@115 6@135 7@155");
    assert_eq!(counts, JitterCounts { lost: 1, late: 1, stretched_ms: 40, ..JitterCounts::default() });
}

#[test]
fn a_lost_packet_is_told_when_it_would_have_been_due_and_one_behind_it_is_here() {
    let counts = check(&[(0, 1), (40, 3), (60, 4)], "1@0 -1@40 3@40 4@60");
    assert_eq!(counts, JitterCounts { lost: 1, ..JitterCounts::default() });
    // Two packets overtook it on a network that is not calm: it is waited for.
    check(&[(0, 1), (50, 2), (50, 3), (60, 5), (65, 4)], "1@0 +40@50 2@60 3@80 4@100 5@120");
}

#[test]
fn several_holes_are_told_each_in_its_turn() {
    check(&[(0, 1), (60, 4), (100, 6), (120, 7)], "1@0 -2@60 4@60 -1@100 6@100 7@120");
}

#[test]
fn a_long_blackout_is_one_loss_and_no_restart() {
    check(&[(0, 1), (5000, 251), (5020, 252)], "1@0 -249@5000 251@5000 252@5020");
}

#[test]
fn late_and_double_packets_are_dropped_and_counted() {
    let counts = check(&[(0, 1), (20, 1), (40, 3), (40, 3), (50, 2)], "1@0 -1@40 3@40");
    assert_eq!(counts, JitterCounts { lost: 1, late: 1, duplicate: 2, ..JitterCounts::default() });
}

#[test]
fn a_loss_shows_the_packet_behind_it_for_its_copy() {
    let (mut buffer, now) = (JitterBuffer::new(8000), Instant::now());
    buffer.push(now, packet(1, 10));
    assert_eq!(buffer.pop(now), Next::Packet(packet(1, 10)));
    let (soon, later) = (now + Duration::from_millis(28), now + Duration::from_millis(30));
    buffer.push(soon, packet(1, 12)); // 12 ms too early
    assert_eq!(buffer.pop(soon), Next::Wait(Some(later)));
    let behind = packet(1, 12);
    let lost = Next::Lost { count: 1, next: Some((behind.payload.clone(), behind.timestamp)) };
    assert_eq!(buffer.pop(later), lost);
    assert_eq!(buffer.pop(later), Next::Packet(behind));
    assert_eq!(buffer.pop(later), Next::Wait(None));
}

#[test]
fn numbers_taken_out_by_others_are_no_loss() {
    let mut bench = Bench::new();
    bench.push(0, 1, 1);
    bench.drain(0);
    for (ms, number) in [(20, 2), (40, 3)] {
        bench.buffer.skip(bench.start + Duration::from_millis(ms), 1, number);
        bench.drain(ms);
    }
    bench.push(60, 1, 4);
    bench.run_to(60, 100);
    assert_eq!(bench.said.join(" "), "1@0 4@60");
}

#[test]
fn another_stream_or_a_jump_begins_anew_when_a_second_packet_confirms_it() {
    let check = |step: u64, packets: &[(u32, u16)], expected: &str| {
        let mut bench = Bench::new();
        for (place, (ssrc, sequence)) in packets.iter().enumerate() {
            bench.push(place as u64 * step, *ssrc, *sequence);
            bench.drain(place as u64 * step);
        }
        assert_eq!(bench.said.join(" "), expected, "{packets:?}");
    };
    check(20, &[(1, 10), (2, 500), (2, 501), (2, 502)], "10@0 R@40 500@40 501@40 502@60");
    check(20, &[(1, 10), (1, 9000), (1, 9001)], "10@0 R@40 9000@40 9001@40");
    check(20, &[(1, 9000), (1, 10), (1, 11)], "9000@0 R@40 10@40 11@40");
    check(10, &[(1, 10), (2, 500), (1, 11), (2, 501), (1, 12)], "10@0 11@20 12@40"); // stragglers of an old stream
}

#[test]
fn a_flood_behind_a_hole_is_bounded_and_ends_the_wait() {
    let mut bench = Bench::new();
    bench.push(0, 1, 0);
    bench.drain(0);
    for number in 2..200 {
        bench.push(1, 1, number);
    }
    assert_eq!(bench.buffer.waiting.len(), CAPACITY);
    bench.drain(1);
    assert_eq!(bench.said[..3], ["0@0", "-1@1", "2@1"]);
    assert_eq!(bench.buffer.counts().discarded, 198 - CAPACITY as u64);
}

/// A network with 5 % loss where each packet is up to `jitter` ms on its way, a minute of it; then a calm one. A seeded
/// draw. Gives the delays of what passed, by number, and the counts.
fn bad_then_calm(jitter: u32, bad: u16, calm: u16) -> (Vec<(u16, u64)>, Bench) {
    let mut seed = 7u32;
    let mut draw = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u64::from((seed >> 16) % below)
    };
    let mut arrivals: Vec<(u64, u16)> = Vec::new();
    for number in 0..bad + calm {
        let sent = u64::from(number) * 20;
        match number < bad {
            true if draw(100) < 5 => {}
            true => arrivals.push((sent + draw(jitter + 1), number)),
            false => arrivals.push((sent, number)),
        }
    }
    arrivals.sort();
    let (mut bench, mut clock) = (Bench::new(), 0);
    for (ms, number) in &arrivals {
        bench.run_to(clock, ms.saturating_sub(1));
        bench.push(*ms, 1, *number);
        clock = *ms;
    }
    bench.run_to(clock, clock + 200);
    let passed = bench.said.iter().filter(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let delay = |word: &String| {
        let (number, ms) = word.split_once('@').unwrap();
        let number: u16 = number.parse().unwrap();
        (number, ms.parse::<u64>().unwrap() - u64::from(number) * 20)
    };
    (passed.map(delay).collect(), bench)
}

#[test]
fn rq09_jitter_is_smoothed_with_no_more_delay_than_it_asks_for_and_forgotten_in_calm() {
    for (jitter, most) in [(20, 40), (40, 60), (60, 90), (80, 120), (100, 150)] {
        let (bad, calm) = (3000, 250);
        let (delays, bench) = bad_then_calm(jitter, bad, calm);
        let steady: Vec<u64> = delays
            .iter()
            .filter(|(number, _)| (100..bad).contains(number))
            .map(|(_, delay)| *delay)
            .collect();
        let (least, longest) = (steady.iter().min().unwrap(), steady.iter().max().unwrap());
        let JitterCounts { lost, late, stretched_ms, .. } = bench.buffer.counts();
        println!(
            "{jitter} ms: held {least} to {longest} ms, {lost} lost, {late} of them late, {stretched_ms} ms made up"
        );
        assert!(*longest <= most, "{jitter} ms of jitter: {longest} ms");
        assert!(longest - least <= 15, "{jitter} ms of jitter: from {least} to {longest} ms");
        assert!(late * 100 < u64::from(bad), "{jitter} ms of jitter: {late} of {bad} came too late");
        assert!(stretched_ms <= u64::from(jitter) + 20, "{jitter} ms of jitter: {stretched_ms} ms");
        // 64 packets of calm, and nothing is held any more.
        assert!(delays.iter().filter(|(number, _)| *number >= bad + 70).all(|(_, delay)| *delay == 0));
        if jitter >= 40 {
            assert!(bench.buffer.surplus() >= Duration::from_millis(u64::from(jitter) - 5));
        }
    }
}

proptest! {
    /// Whatever comes: numbers go out in order, memory is bounded, and nothing waits longer than the cap.
    #[test]
    fn never_stuck_never_out_of_order_never_too_much(
        events in proptest::collection::vec((0u64..40, 0u32..20, any::<u16>(), 0u8..10), 1..300),
    ) {
        let mut bench = Bench::new();
        let (mut ms, mut number, mut last) = (0, 0u16, None::<u16>);
        for (step, ssrc, stray, what) in events {
            ms += step;
            number = number.wrapping_add(1);
            let ssrc = u32::from(ssrc == 0);
            let sequence = match what {
                0 => stray,
                1..=3 => number.wrapping_add(stray % 8).wrapping_sub(4),
                4 => number.wrapping_add(60),
                _ => number,
            };
            if what == 5 {
                bench.buffer.skip(bench.start + Duration::from_millis(ms), ssrc, sequence);
            } else {
                bench.push(ms, ssrc, sequence);
            }
            prop_assert!(bench.buffer.waiting.len() <= CAPACITY);
            bench.said.clear();
            if let Some(until) = bench.drain(ms) {
                let now = bench.start + Duration::from_millis(ms);
                prop_assert!(until > now && until <= now + MOST);
            }
            for word in &bench.said {
                if word.starts_with('R') {
                    last = None;
                } else if !word.starts_with(['-', '+']) {
                    let passed: u16 = word.split('@').next().unwrap().parse().unwrap();
                    if let Some(last) = last {
                        prop_assert!((1..0x8000).contains(&passed.wrapping_sub(last)), "{passed} after {last}");
                    }
                    last = Some(passed);
                }
            }
        }
        // Each hole ends when its packet is due; telephone-events alone are waited with.
        for _ in 0..=CAPACITY {
            ms += 2000;
            bench.drain(ms);
        }
        bench.buffer.waiting.retain(|entry| entry.packet.is_some());
        prop_assert!(bench.buffer.waiting.is_empty());
    }
}
