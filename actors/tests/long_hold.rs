//! RQ12: holds of any length, in virtual time. The page's numbers go on while nothing of it is sent, and come round every 65,536 packets; what the
//! far side gets goes on where it stopped, so that no number is used twice and its SRTP counts the same round.
//!
//! How the hold was said (`sendonly`, `inactive`, `0.0.0.0`) ends at the dialog: the stream sees music, or nothing.
#![allow(clippy::unwrap_used)]
use std::time::{Duration, Instant};

use actors::rtp::sequencer::{Incoming, Sequencer, Stamp};
use actors::rtp::srtp::{Kind, Srtp};
use sip::sdp::{MasterKey, SrtpKeys, Suite};

const PACKET: Duration = Duration::from_millis(20);
/// Of the page and of the music.
const PAGE: u64 = 1;
const MUSIC: u64 = 2;

/// What the far side gets meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hold {
    /// The page holds, and it alone: music.
    Music,
    /// The far side holds, or both do: nothing.
    Nothing,
}

/// A page that counts whether it is sent on or not, and the far side behind the same stream.
struct Line {
    stream: Sequencer,
    page: (u16, u32),
    now: Instant,
    ends: (Srtp, Srtp),
    last: Option<Stamp>,
}

impl Line {
    fn new(suite: Suite, first: u16, page: u16) -> Self {
        let (ours, theirs) = (MasterKey::random(suite), MasterKey::random(suite));
        let keys = |send: &MasterKey, receive: &MasterKey| SrtpKeys {
            suite,
            send: send.clone(),
            receive: receive.clone(),
            receive_mki: None,
        };
        let ends = (Srtp::new(&keys(&ours, &theirs)), Srtp::new(&keys(&theirs, &ours)));
        let stream = Sequencer::new(7, 8000, first, 5000);
        Self { stream, page: (page, 1_000_000), now: Instant::now(), ends, last: None }
    }

    /// Twenty milliseconds go by; the page has made a packet.
    fn tick(&mut self) {
        self.now += PACKET;
        self.page = (self.page.0.wrapping_add(1), self.page.1.wrapping_add(160));
    }

    /// The page's packet is sent.
    fn speaks(&mut self) {
        let (sequence, timestamp) = self.page;
        self.sends(Incoming { source: PAGE, sequence: Some(sequence), timestamp, marker: false });
    }

    /// A packet of this source goes out and is understood: a number and a time later than the one before.
    fn sends(&mut self, incoming: Incoming) {
        let stamp = self.stream.stamp(self.now, incoming).expect("in time");
        if let Some(last) = self.last {
            // What a short hold leaves out looks lost; it is far from half a round, where receivers lose count.
            let step = stamp.extended_sequence.wrapping_sub(last.extended_sequence);
            assert!((1..=3000).contains(&step), "{step} numbers further");
            let later = stamp.timestamp.wrapping_sub(last.timestamp);
            assert!(later > 0 && later < 8000 * 3600, "{later} ticks later");
        }
        self.last = Some(stamp);
        let mut packet = vec![0x80, 8];
        packet.extend(stamp.sequence().to_be_bytes());
        packet.extend(stamp.timestamp.to_be_bytes());
        packet.extend(stamp.ssrc.to_be_bytes());
        packet.extend([0xd5; 160]);
        let sealed = self.ends.0.protect(Kind::Rtp, &packet).unwrap().freeze();
        assert_eq!(self.ends.1.unprotect(Kind::Rtp, &sealed).as_deref(), Ok(&packet[..]), "{stamp:?}");
    }

    /// A hold of so many packets, and two seconds of sound after it.
    fn held(&mut self, hold: Hold, packets: u32) {
        for nth in 0..packets {
            self.tick();
            if hold == Hold::Music {
                self.sends(Incoming {
                    source: MUSIC,
                    sequence: None,
                    timestamp: nth.wrapping_mul(160),
                    marker: false,
                });
            }
        }
        for _ in 0..100 {
            self.tick();
            self.speaks();
        }
    }
}

#[test]
fn rq12_after_a_hold_of_any_length_the_stream_goes_on_where_it_stopped_also_encrypted() {
    // A second, a minute, a quarter of an hour; and when the page's numbers come round: a little before, and behind.
    let lengths = [50, 3000, 45_000, 65_336, 65_436, 65_500, 65_535, 65_536, 65_537, 65_600, 68_000, 131_040];
    for hold in [Hold::Music, Hold::Nothing] {
        for packets in lengths {
            // Our own numbers come round in the music, or soon after it.
            for first in [100, 32_000] {
                let mut line = Line::new(Suite::AesCm128HmacSha1_80, first, 60_000);
                line.held(hold, 0);
                line.held(hold, packets);
                line.held(hold, 50);
            }
        }
    }
}

#[test]
fn rq12_ten_quarters_of_an_hour_one_after_the_other_are_ten_rounds_of_the_pages_numbers() {
    for suite in [Suite::AesCm128HmacSha1_32, Suite::AeadAes128Gcm] {
        let mut line = Line::new(suite, 31_000, 0);
        line.held(Hold::Nothing, 0);
        for hold in [Hold::Music, Hold::Nothing].into_iter().cycle().take(10) {
            line.held(hold, 45_000);
        }
    }
}
