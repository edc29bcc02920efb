//! What was sent and may be wanted again. Pure; time is an argument.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::sequencer::Stamp;

/// The newest packets of a stream of ours, for a far end that asks for what it lost (NACK, RFC 4585 §6.2.1).
///
/// A packet is repeated [`MOST`] times, and not before a question could have crossed the last repetition: whoever asks without end gets no
/// flood.
#[derive(Debug, Default)]
pub struct Resends {
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
struct Sent {
    stamp: Stamp,
    payload: Bytes,
    repeated: Option<Instant>,
    times: u8,
}

/// Packets that are kept: over a second of pictures of 2 Mbit/s. Later ones come too late.
const KEPT: usize = 256;
/// Repetitions of one packet.
const MOST: u8 = 3;
/// Least time between them.
const PAUSE: Duration = Duration::from_millis(40);

impl Resends {
    /// Keeps a packet.
    pub fn sent(&mut self, stamp: Stamp, payload: Bytes) {
        if self.sent.len() == KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { stamp, payload, repeated: None, times: 0 });
    }

    /// A packet that is to be sent again; `None`: it is gone, or was repeated enough.
    pub fn again(&mut self, sequence: u16, now: Instant) -> Option<(Stamp, Bytes)> {
        let sent = self.sent.iter_mut().rev().find(|sent| sent.stamp.sequence() == sequence)?;
        let crossed = sent.repeated.is_some_and(|at| now.saturating_duration_since(at) < PAUSE);
        if crossed || sent.times == MOST {
            return None;
        }
        (sent.repeated, sent.times) = (Some(now), sent.times + 1);
        Some((sent.stamp, sent.payload.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sequencer::{Incoming, Sequencer};
    use super::*;

    #[test]
    fn a_packet_is_repeated_as_it_was_and_not_without_end() {
        let (mut resends, start) = (Resends::default(), Instant::now());
        let mut stream = Sequencer::new(7, 90_000, 65_400, 0);
        for number in 0..300_u16 {
            let incoming =
                Incoming { source: 1, sequence: Some(number), timestamp: u32::from(number), marker: false };
            let stamp = stream.stamp(start, incoming).unwrap();
            resends.sent(stamp, Bytes::copy_from_slice(&number.to_be_bytes()));
        }
        let number = 65_400_u16.wrapping_add(299);
        let at = |ms| start + Duration::from_millis(ms);
        let (stamp, payload) = resends.again(number, at(0)).unwrap();
        assert_eq!((stamp.sequence(), stamp.ssrc, &payload[..]), (number, 7, &299_u16.to_be_bytes()[..]));
        assert!(resends.again(number, at(20)).is_none(), "it may have crossed the question");
        assert!(resends.again(number, at(60)).is_some() && resends.again(number, at(120)).is_some());
        assert!(resends.again(number, at(9_000)).is_none(), "enough");
        assert!(resends.again(65_400_u16.wrapping_add(300), at(0)).is_none(), "not sent yet");
        assert!(resends.again(65_400, at(0)).is_none(), "too old");
        assert!(resends.again(65_400_u16.wrapping_add(44), at(0)).is_some(), "the oldest");
    }
}
