//! A chain allocates nothing once it is warm, whatever the pair and whatever is lost: what a packet costs stays its codecs' work.
#![allow(clippy::unwrap_used)]

use codecs::chain::MAX_CONCEALED_MS;
use codecs::voice::Voice;
use codecs::{CODECS, Chain, CodecSpec, Loss, MAX_PAYLOAD, Settings};

const PTIME_MS: u32 = 20;

/// Four seconds of a voice.
fn payloads(from: &CodecSpec) -> Vec<Vec<u8>> {
    let rate = from.full_rate();
    let mut encoder = (from.encoder)(rate, &Settings::default()).unwrap();
    let (mut voice, mut pcm) = (Voice::new(rate), vec![0; (rate / 1000 * PTIME_MS) as usize]);
    let mut frame = || {
        voice.fill(&mut pcm);
        let mut payload = vec![0; MAX_PAYLOAD];
        let length = encoder.encode(&pcm, &mut payload).unwrap();
        payload.truncate(length);
        payload
    };
    (0..200).map(|_| frame()).collect()
}

#[test]
fn a_chain_allocates_nothing_once_it_is_warm() {
    for (from, to) in CODECS.iter().flat_map(|from| CODECS.iter().map(move |to| (from, to))) {
        let payloads = payloads(from);
        let mut chain = Chain::new(from.id, to.id, PTIME_MS, &Settings::default()).unwrap();
        let step = from.clock_rate / 1000 * PTIME_MS;
        let mut sent = 0;
        let mut pass = |place: u32| {
            let payload = &payloads[place as usize % payloads.len()];
            let timestamp = place.wrapping_mul(step);
            let mut count = |_: codecs::Frame<'_>| sent += 1;
            match place % 50 {
                20 | 31 | 32 => return, // one lost, and two in a row
                21 => {
                    chain.conceal(Loss { packets: 1, next: Some((payload, timestamp)) }, &mut count).unwrap()
                }
                33 => {
                    chain.conceal(Loss { packets: 2, next: Some((payload, timestamp)) }, &mut count).unwrap()
                }
                45 => chain.conceal(Loss { packets: MAX_CONCEALED_MS, next: None }, &mut count).unwrap(),
                48 => chain.restart(),
                _ => {}
            }
            chain.push(payload, timestamp, &mut count).unwrap();
        };
        (0..100).for_each(&mut pass);
        let seen = allocation_counter::measure(|| (100..400).for_each(&mut pass));
        assert_eq!(seen.count_total, 0, "{chain}: {seen:?}");
        assert!(sent > 350, "{chain}: only {sent} packets came out");
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
}
