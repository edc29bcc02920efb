//! What a chain knows of the sound that passes through it.
#![allow(clippy::unwrap_used)]

use codecs::tone::Tone;
use codecs::{CODECS, Chain, CodecId, Hearing, MAX_PAYLOAD, Settings};

use CodecId::{Opus, Pcma, Pcmu};

#[test]
fn a_chain_tells_sound_from_digital_silence_and_from_what_it_cannot_decode() {
    for spec in CODECS.iter().filter(|spec| matches!(spec.id, Opus | Pcmu | Pcma)) {
        let rate = spec.full_rate();
        let mut encoder = (spec.encoder)(rate, &Settings::default()).unwrap();
        let mut chain =
            Chain::new(spec.id, if spec.id == Pcmu { Pcma } else { Pcmu }, 20, &Settings::default()).unwrap();
        let mut tone = Tone::new(rate, 440.0, -60.0);
        let (mut payload, mut timestamp) = ([0; MAX_PAYLOAD], 0);
        let mut hear = |pcm: &[i16]| {
            let length = encoder.encode(pcm, &mut payload).unwrap();
            chain.push(&payload[..length], timestamp, &mut |_| ()).unwrap();
            timestamp += spec.clock_rate / 50;
            chain.hearing()
        };
        let mut pcm = vec![0; rate as usize / 50];
        for _ in 0..10 {
            tone.fill(&mut pcm);
            hear(&pcm);
        }
        pcm.fill(0);
        let settled = (0..10).map(|_| hear(&pcm)).last().unwrap();
        let silent = (0..50).map(|_| hear(&pcm)).last().unwrap();
        assert!(settled.audible >= 10, "{spec}: a soft tone is a sound");
        let expected = Hearing { decoded: 70, audible: settled.audible, undecodable: 0 };
        assert_eq!(silent, expected, "{spec}: zeros are none");
        assert!(chain.push(&[], timestamp, &mut |_| ()).is_err());
        assert_eq!(chain.hearing(), Hearing { undecodable: 1, ..expected });
    }
}
