use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn stream() -> (Sequencer, Instant) {
    (Sequencer::new(7, 8000, 100, 5000), Instant::now())
}

fn packet(source: u64, sequence: impl Into<Option<u16>>, timestamp: u32) -> Incoming {
    Incoming { source, sequence: sequence.into(), timestamp, marker: false }
}

/// Sequence number, timestamp, marker.
fn brief(stamp: Option<Stamp>) -> Option<(u64, u32, bool)> {
    stamp.map(|stamp| (stamp.extended_sequence, stamp.timestamp, stamp.marker))
}

#[test]
fn the_first_packet_takes_the_streams_first_numbers() {
    let (mut stream, now) = stream();
    assert_eq!(brief(stream.stamp(now, packet(1, 60_000, 777))), Some((100, 5000, true)));
    assert_eq!(brief(stream.stamp(now + 20 * MS, packet(1, 60_001, 937))), Some((101, 5160, false)));
}

#[test]
fn loss_and_misorder_of_a_source_stay_visible() {
    let (mut stream, now) = stream();
    stream.stamp(now, packet(1, 65_535, 0));
    assert_eq!(brief(stream.stamp(now, packet(1, 3, 640))), Some((104, 5640, false)));
    assert_eq!(brief(stream.stamp(now, packet(1, 1, 320))), Some((102, 5320, false)));
    assert_eq!(brief(stream.stamp(now, packet(1, 4, 800))), Some((105, 5800, false)));
}

#[test]
fn another_source_goes_on_where_the_last_one_stopped() {
    let (mut stream, now) = stream();
    stream.stamp(now, packet(1, 10, 0));
    let other = stream.stamp(now + 100 * MS, packet(2, None, 4_000_000_000));
    assert_eq!(brief(other), Some((101, 5800, true)));
    let back = stream.stamp(now + 101 * MS, packet(1, 15, 800));
    assert_eq!(brief(back), Some((102, 5960, true)), "never less than a packet later");
}

#[test]
fn a_source_that_jumps_is_taken_for_a_new_one() {
    let check = |sequence, timestamp, after: Duration, expected: (u64, u32, bool)| {
        let (mut stream, now) = stream();
        stream.stamp(now, packet(1, 10, 0));
        assert_eq!(brief(stream.stamp(now + after, packet(1, sequence, timestamp))), Some(expected));
    };
    check(11, 160, 20 * MS, (101, 5160, false));
    check(11, 8000 * 60, 60_000 * MS, (101, 5000 + 480_000, false)); // silence, its clock ran on
    check(11, 160, 60_000 * MS, (101, 5000 + 480_000, true)); // silence, its clock stood still
    check(11, 3_000_000_000, 20 * MS, (101, 5160, true)); // another clock
    check(40_000, 160, 20 * MS, (101, 5160, true)); // other numbers
    check(65_000, 160, 20 * MS, (101, 5160, true)); // numbers went back
}

#[test]
fn what_is_put_in_or_taken_out_leaves_no_hole_and_no_double() {
    let (mut stream, now) = stream();
    stream.stamp(now, packet(1, 10, 0));
    assert_eq!(stream.insert(now, 5160, true).extended_sequence, 101);
    assert_eq!(stream.insert(now, 5160, false).extended_sequence, 102);
    stream.consumed(1, 11);
    stream.consumed(1, 13); // 12 is late
    assert_eq!(stream.stamp(now, packet(1, 14, 640)).unwrap().extended_sequence, 104);
    assert_eq!(stream.stamp(now, packet(1, 12, 320)).unwrap().extended_sequence, 103);
    assert_eq!(stream.insert(now, 5800, false).extended_sequence, 105);
    assert_eq!(stream.stamp(now, packet(1, 15, 800)).unwrap().extended_sequence, 106);
    assert_eq!(stream.stamp(now, packet(1, 9, 0)), None, "from before the source was plugged in");
}

#[test]
fn silence_goes_before_and_behind_a_source_in_even_steps() {
    let (mut stream, now) = stream();
    let fill = |stream: &mut Sequencer, ms| brief(Some(stream.fill(now + ms * MS, 160)));
    assert_eq!(fill(&mut stream, 0), Some((100, 5000, true)));
    assert_eq!(fill(&mut stream, 23), Some((101, 5160, false)), "a late timer makes no crooked step");
    assert_eq!(fill(&mut stream, 40), Some((102, 5320, false)));
    assert_eq!(brief(stream.stamp(now + 51 * MS, packet(1, 10, 777))), Some((103, 5480, true)));
    assert_eq!(brief(stream.stamp(now + 71 * MS, packet(1, 11, 937))), Some((104, 5640, false)));
    assert_eq!(fill(&mut stream, 571), Some((105, 9640, true)));
    assert_eq!(fill(&mut stream, 591), Some((106, 9800, false)));
    // Its clock ran on in a silence of its own.
    assert_eq!(brief(stream.stamp(now + 600 * MS, packet(1, 12, 5200))), Some((107, 9960, true)));
    assert_eq!(brief(stream.stamp(now + 620 * MS, packet(1, 13, 5360))), Some((108, 10_120, false)));
}

#[test]
fn what_silence_has_stood_for_is_not_sent_when_it_comes_all_at_once() {
    let (mut stream, now) = stream();
    stream.stamp(now, packet(1, 10, 0));
    for frame in 0..25u32 {
        stream.fill(now + (500 + 20 * frame) * MS, 160); // up to 980 ms
    }
    let mut sent = vec![];
    for place in 1..=60u16 {
        let at = now + 985 * MS + (20 * u32::from(place.saturating_sub(50))) * MS;
        sent.extend(brief(stream.stamp(at, packet(1, 10 + place, u32::from(place) * 160))));
    }
    assert_eq!(sent[0], (126, 5000 + 50 * 160, true), "the first of its time");
    assert_eq!(sent.len(), 11, "50 to 60");
    assert!(sent.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1 && pair[1].1 == pair[0].1 + 160));
}

#[test]
fn a_source_whose_clock_stood_still_is_heard_again_soon() {
    let (mut stream, now) = stream();
    stream.stamp(now, packet(1, 10, 0));
    for frame in 0..100u32 {
        stream.fill(now + (500 + 20 * frame) * MS, 160);
    }
    let mut at = now + 2490 * MS;
    let mut lost = 0;
    for place in 1..=20u16 {
        at += 20 * MS;
        lost += u32::from(stream.stamp(at, packet(1, 10 + place, u32::from(place) * 160)).is_none());
    }
    assert_eq!(lost, 5);
}

#[test]
fn the_clock_runs_on_between_packets() {
    let (mut stream, now) = stream();
    assert_eq!(stream.timestamp_at(now), 5000);
    stream.stamp(now, packet(1, 10, 0));
    assert_eq!(stream.timestamp_at(now + 50 * MS), 5400);
}

proptest! {
    /// Whatever comes: no number is given twice, and the newest numbers never jump.
    #[test]
    fn numbers_are_never_given_twice(events in proptest::collection::vec((0u8..6, 0u16..6, any::<u32>()), 1..200)) {
        let (mut stream, mut now) = stream();
        let (mut sent, mut spoken) = (std::collections::HashSet::new(), 0u16);
        let mut seen = std::collections::HashSet::new();
        let mut highest = 99;
        for (what, step, stray) in events {
            now += 20 * MS;
            let given = match what {
                0 => Some(stream.insert(now, stream.timestamp_at(now), false)),
                1 => { spoken = spoken.wrapping_add(1); seen.insert(spoken); stream.consumed(1, spoken); None }
                2 => stream.stamp(now, packet(2, None, stray)),
                5 => Some(stream.fill(now, 160)),
                _ => {
                    let number = spoken.wrapping_add(step).wrapping_sub(2);
                    if !seen.insert(number) { continue; }
                    if number.wrapping_sub(spoken) < 100 { spoken = number; }
                    stream.stamp(now, packet(1, number, u32::from(number) * 160))
                }
            };
            if let Some(stamp) = given {
                prop_assert!(sent.insert(stamp.extended_sequence), "{} twice", stamp.extended_sequence);
                prop_assert!(stamp.extended_sequence <= highest + 10);
                highest = highest.max(stamp.extended_sequence);
            }
        }
    }
}
