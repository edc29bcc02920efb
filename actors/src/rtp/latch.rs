//! Symmetric RTP with a locked source: whose packets we take, and where we send (design rule 10).
//!
//! A phone behind NAT sends from another address than its SDP says, so we must learn; whoever learns for ever plays
//! what a stranger sends, and sends the call to him. So we learn for a short window after each offer/answer, and lock.
//!
//! | lock | window | packet | verdict |
//! |---|---|---|---|
//! | none | any | from the signalled address | accept, lock |
//! | none | open | from the first source elsewhere | accept; the fifth in a row locks and closes the window |
//! | none | open | from further sources elsewhere | drop; the fifth in a row of one of them locks |
//! | none | over | from elsewhere | drop |
//! | yes | any | from the locked source | accept |
//! | elsewhere | 3 s not over | from the signalled address | accept, lock: the SDP wins |
//! | yes | open again | five in a row from one source, the locked one silent | drop four, accept the fifth, lock |
//! | yes | closed | the same, and with the locked source's SSRC and its next sequence numbers | drop four, accept the fifth, lock |
//! | yes | any | anything else | drop |
//!
//! The window opens at the start and by [`Latch::renegotiated`], which is every offer and answer, lasts 3 s, and is closed by a lock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What the latch asks of a packet. Only packets whose payload type the SDP knows should come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where the datagram came from.
    pub from: SocketAddr,
    /// Of its RTP header.
    pub ssrc: u32,
    /// Of its RTP header.
    pub sequence: u16,
}

/// What to do with the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Accept,
    /// Take it; from now on this source only, and send there.
    AcceptAndLock(SocketAddr),
    /// A foreign source: drop and count.
    Drop,
}

/// The lock of one RTP stream of one SIP leg.
#[derive(Debug)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    /// End of the 3 s: until then the signalled address may take the lock back.
    learning_until: Instant,
    /// May another source than the signalled one get the lock?
    open: bool,
    /// The last packet of the locked source.
    locked: Option<Seen>,
    /// Sources that ask for the lock, with their packets in a row; the first one is heard meanwhile.
    candidates: Vec<(Seen, u32)>,
    dropped: u64,
}

impl Latch {
    /// Opens the window. `signalled` is the address in the peer's SDP, none if it gave no usable one.
    pub fn new(now: Instant, signalled: Option<SocketAddr>) -> Self {
        let learning_until = now + WINDOW;
        Self { signalled, learning_until, open: true, locked: None, candidates: Vec::new(), dropped: 0 }
    }

    /// An offer or answer came: opens the window again. A lock holds until there is a new one, unless the SDP names
    /// another address than before.
    pub fn renegotiated(&mut self, now: Instant, signalled: Option<SocketAddr>) {
        if signalled != self.signalled {
            self.locked = None;
        }
        self.signalled = signalled;
        self.learning_until = now + WINDOW;
        self.open = true;
        self.candidates.clear();
    }

    /// Judges one packet.
    pub fn judge(&mut self, now: Instant, seen: Seen) -> Verdict {
        let learning = now < self.learning_until;
        let open = self.open && learning;
        if let Some(locked) = self.locked.as_mut().filter(|locked| locked.from == seen.from) {
            *locked = seen;
            self.candidates.clear(); // it is alive: nobody inherits its place
            return Verdict::Accept;
        }
        if self.signalled == Some(seen.from) && (learning || self.locked.is_none()) {
            return self.lock(seen);
        }
        let inherits = self.locked.is_some_and(|locked| self.inherits(locked, seen));
        if (open || inherits) && self.in_a_row(seen) >= ENOUGH {
            return self.lock(seen);
        }
        let heard = open
            && self.locked.is_none()
            && self.candidates.first().is_some_and(|(one, _)| one.from == seen.from);
        if heard {
            return Verdict::Accept;
        }
        self.dropped += 1;
        Verdict::Drop
    }

    /// RTCP is taken from the host of the locked source, before there is one from the signalled host. Its port may be
    /// any: NAT gives it one of its own.
    pub fn accepts_rtcp(&self, from: SocketAddr) -> bool {
        self.remote().is_some_and(|remote| remote.ip() == from.ip())
    }

    /// Where to send: to the locked source, else where the SDP says.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.locked.map(|locked| locked.from).or(self.signalled)
    }

    /// Is a source locked?
    pub fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Packets dropped so far because they came from foreign sources.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn lock(&mut self, seen: Seen) -> Verdict {
        self.locked = Some(seen);
        self.open = false;
        self.candidates.clear();
        Verdict::AcceptAndLock(seen.from)
    }

    /// The locked source under a new address? It knows the SSRC, and its numbers go on from where we are.
    fn inherits(&self, locked: Seen, seen: Seen) -> bool {
        let known = self.candidates.iter().any(|(candidate, _)| candidate.from == seen.from);
        let ahead = seen.sequence.wrapping_sub(locked.sequence);
        seen.ssrc == locked.ssrc && (known || (1..=MAX_LOST_IN_MOVE).contains(&ahead))
    }

    /// Notes a packet of a candidate; how many came from it in a row.
    fn in_a_row(&mut self, seen: Seen) -> u32 {
        if let Some((last, count)) = self.candidates.iter_mut().find(|(last, _)| last.from == seen.from) {
            let next = seen.ssrc == last.ssrc && seen.sequence == last.sequence.wrapping_add(1);
            *count = if next { *count + 1 } else { 1 };
            *last = seen;
            return *count;
        }
        if self.candidates.len() == MAX_CANDIDATES {
            let weakest = self.candidates.iter().enumerate().min_by_key(|(_, (_, count))| *count);
            let place = weakest.map_or(0, |(place, _)| place);
            self.candidates.swap_remove(place);
        }
        self.candidates.push((seen, 1));
        1
    }
}

/// How long we learn after an offer or answer.
const WINDOW: Duration = Duration::from_secs(3);
/// Packets in a row that make a source: 100 ms of 20 ms packets. A stranger who guesses the port hears no more of the call than comes
/// after them.
const ENOUGH: u32 = 5;
/// Packets that may be lost while the source moves: one second.
const MAX_LOST_IN_MOVE: u16 = 50;
/// Sources that may ask for the lock at once; a spray from more ports pushes the weakest out.
const MAX_CANDIDATES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Accept, AcceptAndLock, Drop};

    const SDP: u16 = 4000;
    const NAT: u16 = 5000;
    const FOE: u16 = 6666;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    /// Port, SSRC, sequence number, ms since the start, expected verdict.
    type Row = (u16, u32, u16, u64, Verdict);

    fn locks(port: u16) -> Verdict {
        AcceptAndLock(address(port))
    }

    fn check(rows: &[Row]) -> (Latch, Instant) {
        let start = Instant::now();
        let mut latch = Latch::new(start, Some(address(SDP)));
        go_on(&mut latch, start, rows);
        (latch, start)
    }

    fn go_on(latch: &mut Latch, start: Instant, rows: &[Row]) {
        for row in rows {
            let (port, ssrc, sequence, ms, expected) = *row;
            let seen = Seen { from: address(port), ssrc, sequence };
            assert_eq!(latch.judge(start + Duration::from_millis(ms), seen), expected, "{row:?}");
        }
    }

    fn run(port: u16, ssrc: u32, first: u16, ms: u64, verdicts: [Verdict; 5]) -> Vec<Row> {
        let row = |place: usize| {
            (port, ssrc, first.wrapping_add(place as u16), ms + 20 * place as u64, verdicts[place])
        };
        (0..5).map(row).collect()
    }

    #[test]
    fn the_signalled_address_locks_with_its_first_packet_and_strangers_hear_and_say_nothing() {
        let (latch, _) = check(&[
            (SDP, 1, 10, 0, locks(SDP)),
            (FOE, 9, 1, 5, Drop),
            (FOE, 9, 2, 6, Drop),
            (FOE, 9, 3, 7, Drop),
            (FOE, 9, 4, 8, Drop),
            (FOE, 9, 5, 9, Drop),
            (FOE, 1, 11, 10, Drop),
            (SDP, 1, 11, 20, Accept),
        ]);
        assert_eq!((latch.dropped(), latch.remote()), (6, Some(address(SDP))));
    }

    #[test]
    fn the_signalled_address_is_taken_even_after_the_window() {
        check(&[(FOE, 9, 1, 3000, Drop), (SDP, 1, 10, 60_000, locks(SDP)), (FOE, 9, 2, 60_001, Drop)]);
    }

    #[test]
    fn a_phone_behind_nat_is_heard_at_once_and_locked_after_five_packets() {
        let (latch, _) = check(&run(NAT, 1, 65_533, 0, [Accept, Accept, Accept, Accept, locks(NAT)]));
        assert_eq!(latch.remote(), Some(address(NAT)));
        assert!(latch.accepts_rtcp(address(NAT + 1)));
    }

    #[test]
    fn packets_that_are_not_in_a_row_lock_nothing() {
        let rows: Vec<Row> = (0..20).map(|n| (NAT, 1, n * 2, u64::from(n) * 20, Accept)).collect();
        let (latch, _) = check(&rows);
        assert!(!latch.is_locked());
    }

    #[test]
    fn one_early_packet_of_a_stranger_does_not_keep_the_phone_out() {
        let mut rows = vec![(FOE, 9, 7, 0, Accept)];
        rows.extend(run(NAT, 1, 10, 10, [Drop, Drop, Drop, Drop, locks(NAT)]));
        rows.push((FOE, 9, 8, 200, Drop));
        check(&rows);
    }

    #[test]
    fn the_signalled_address_takes_the_lock_back_within_the_window_only() {
        let nat = run(NAT, 1, 10, 0, [Accept, Accept, Accept, Accept, locks(NAT)]);
        check(&[nat.clone(), vec![(SDP, 2, 1, 2999, locks(SDP)), (NAT, 1, 15, 3000, Drop)]].concat());
        check(&[nat, vec![(SDP, 2, 1, 3000, Drop), (NAT, 1, 15, 3001, Accept)]].concat());
    }

    #[test]
    fn a_locked_source_may_move_if_it_carries_its_stream_along() {
        let start = vec![(SDP, 1, 10, 0, locks(SDP))];
        let moved = run(NAT, 1, 12, 5000, [Drop, Drop, Drop, Drop, locks(NAT)]);
        check(&[start.clone(), moved.clone()].concat());
        let other_stream = run(NAT, 2, 12, 5000, [Drop; 5]);
        check(&[start.clone(), other_stream].concat());
        let other_numbers = run(NAT, 1, 900, 5000, [Drop; 5]);
        check(&[start.clone(), other_numbers].concat());
        // The old place still sends: no move.
        let (mut rows, mut still) = (start, 11);
        for row in run(NAT, 1, 12, 5000, [Drop; 5]) {
            rows.extend([row, (SDP, 1, still, row.3 + 1, Accept)]);
            still += 1;
        }
        check(&rows);
    }

    #[test]
    fn a_new_offer_opens_the_window_and_keeps_the_lock_until_there_is_another() {
        let (mut latch, start) = check(&[(SDP, 1, 10, 0, locks(SDP))]);
        latch.renegotiated(start + Duration::from_secs(60), Some(address(SDP)));
        go_on(&mut latch, start, &[(FOE, 9, 1, 60_000, Drop), (SDP, 1, 11, 60_001, Accept)]);
        go_on(&mut latch, start, &run(NAT, 7, 500, 60_010, [Drop, Drop, Drop, Drop, locks(NAT)]));
        go_on(&mut latch, start, &run(FOE, 9, 1, 60_200, [Drop; 5]));
    }

    #[test]
    fn a_new_offer_with_another_address_drops_the_lock() {
        let (mut latch, start) = check(&[(SDP, 1, 10, 0, locks(SDP))]);
        latch.renegotiated(start + Duration::from_secs(60), Some(address(NAT)));
        assert_eq!(latch.remote(), Some(address(NAT)));
        go_on(&mut latch, start, &[(NAT, 2, 1, 60_000, locks(NAT)), (SDP, 1, 11, 60_001, Drop)]);
    }

    #[test]
    fn a_spray_from_many_ports_locks_nothing_and_takes_no_memory() {
        let start = Instant::now();
        let mut latch = Latch::new(start, Some(address(SDP)));
        for n in 0..10_000u16 {
            let seen = Seen { from: address(10_000 + n), ssrc: 9, sequence: n };
            latch.judge(start + Duration::from_micros(u64::from(n) * 300), seen);
        }
        assert!(!latch.is_locked());
        assert!(latch.candidates.len() <= MAX_CANDIDATES);
    }
}
