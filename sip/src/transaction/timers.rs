//! All timers of the four machines, in one table (RFC 3261 Table 4, RFC 6026 8).

use std::time::Duration;

/// The three base times. Only tests and closed networks should differ from the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions of non-INVITE requests and of final answers to INVITE; 4 s.
    pub t2: Duration,
    /// Longest life of a message in the network; 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

/// | timer | first | then | over streams | what for |
/// |---|---|---|---|---|
/// | A | T1 | doubled | – | INVITE again |
/// | B | 64·T1 | | same | INVITE finds no answer |
/// | D | 64·T1, ≥ 32 s by default | | 0 | late retransmissions of a 3xx–6xx to our INVITE |
/// | E | T1 | doubled up to T2 | – | other request again |
/// | F | 64·T1 | | same | other request finds no final answer |
/// | G | T1 | doubled up to T2 | – | 3xx–6xx to INVITE again |
/// | H | 64·T1 | | same | ACK does not come |
/// | I | T4 | | 0 | late retransmissions of ACK |
/// | J | 64·T1 | | 0 | late retransmissions of a request that we answered |
/// | K | T4 | | 0 | late retransmissions of answers to our request |
/// | L | 64·T1 | | same | late retransmissions of an INVITE that we answered with 2xx (RFC 6026) |
/// | M | 64·T1 | | same | 2xx of further forks and retransmitted 2xx (RFC 6026) |
/// | Trying | 200 ms | | same | 100 if the TU has not answered the INVITE (17.2.1) |
/// | Cancelled | 64·T1 | | same | no final answer to a cancelled INVITE (9.1) |
/// | Unanswered | 64·T1 + T4 | | same | the TU did not answer a non-INVITE, and no retransmission can be under way any more (RFC 4320 4.2) |
///
/// C belongs to proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    A,
    B,
    D,
    E,
    F,
    G,
    H,
    I,
    J,
    K,
    L,
    M,
    Trying,
    Cancelled,
    Unanswered,
}

/// What becomes of a timer that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It fires once.
    No,
    /// It doubles for ever.
    Doubled,
    /// It doubles up to T2.
    UpToT2,
}

impl Timers {
    /// 64·T1, the life of a transaction.
    pub fn life(&self) -> Duration {
        self.t1 * 64
    }

    /// The row of the table; `None` where the transport does the work.
    pub(crate) fn row(&self, timer: Timer, reliable: bool) -> Option<(Duration, Repeat)> {
        let unreliable_only = |duration| if reliable { Duration::ZERO } else { duration };
        Some(match timer {
            Timer::A | Timer::E | Timer::G if reliable => return None,
            Timer::A => (self.t1, Repeat::Doubled),
            Timer::E | Timer::G => (self.t1, Repeat::UpToT2),
            Timer::B | Timer::F | Timer::H | Timer::L | Timer::M => (self.life(), Repeat::No),
            Timer::Cancelled => (self.life(), Repeat::No),
            Timer::Unanswered => (self.life() + self.t4, Repeat::No),
            Timer::D | Timer::J => (unreliable_only(self.life()), Repeat::No),
            Timer::I | Timer::K => (unreliable_only(self.t4), Repeat::No),
            Timer::Trying => (TRYING_AFTER, Repeat::No),
        })
    }
}

/// RFC 3261 17.2.1.
const TRYING_AFTER: Duration = Duration::from_millis(200);
