//! Why there is no sound: which leg, which way, since when.
//!
//! **Received** (from the leg's far end to us): nothing came for 3 s, or for 8 s where sound came before and nothing else speaks for
//! a cause: a far end that suppresses silence reports by RTCP within that time. The first that fits:
//!
//! | what the leg knows | cause | fault |
//! |---|---|---|
//! | one side holds the other | `held` | no |
//! | the page's SDP does not send | `no_microphone` | no |
//! | ICE or DTLS is not done; the SDP gives no address | `ice_not_connected`, `no_address` | yes |
//! | packets came that could not be decrypted | `undecryptable` | yes |
//! | packets came of a payload type that nobody agreed on | `wrong_payload_type` | yes |
//! | packets came from elsewhere | `foreign_source` | yes |
//! | its sender reports go on counting packets | `lost_on_the_way` | yes |
//! | sound came before, and it still lives | `silence_suppressed` | no |
//! | nothing else | `no_packets_from_browser`, `no_packets_from_far_side` | yes |
//!
//! Packets came, and nothing was to be heard in them; known only where they are decoded:
//!
//! | for | what the decoder says | cause | fault |
//! |---|---|---|---|
//! | 3 s | it refused most of them | `undecodable` | yes |
//! | 10 s | a page's were digital silence, at least 2 s of them | `muted_microphone` | no |
//!
//! **Sent** (from us to a SIP leg's far end): two of its reports in a row, after earlier ones that did, name no newer packet of ours than before, while we
//! sent for 4 s: `not_received`. A far end that never said anything of ours is not judged: some never do.
use std::time::{Duration, Instant};

use codecs::Hearing;

use crate::vocabulary::{Ear, LegKind, Measured, Owes};

/// Which way sound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the far end to us.
    Received,
    /// From us to the far end.
    Sent,
}

/// Why nothing is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// One side holds the other.
    Held,
    /// The page's SDP does not send.
    NoMicrophone,
    /// There is no way to the far end.
    NoPath,
    /// See the table.
    Undecryptable,
    /// See the table.
    WrongPayloadType,
    /// See the table.
    ForeignSource,
    /// See the table.
    LostOnTheWay,
    /// See the table.
    SilenceSuppressed,
    /// See the table.
    NoPackets,
    /// See the table.
    Undecodable,
    /// See the table.
    MutedMicrophone,
    /// See the table.
    NotReceived,
}

/// A direction of a leg without sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Which leg.
    pub leg: LegKind,
    /// Which way.
    pub way: Way,
    /// Why.
    pub cause: Silence,
    /// The last sound, or when sound could have begun.
    pub since: Instant,
}

impl Way {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
        }
    }
}

impl Trouble {
    /// The cause in one word.
    pub fn word(&self) -> &'static str {
        match (self.cause, self.leg) {
            (Silence::Held, _) => "held",
            (Silence::NoMicrophone, _) => "no_microphone",
            (Silence::NoPath, LegKind::Browser) => "ice_not_connected",
            (Silence::NoPath, _) => "no_address",
            (Silence::Undecryptable, _) => "undecryptable",
            (Silence::WrongPayloadType, _) => "wrong_payload_type",
            (Silence::ForeignSource, _) => "foreign_source",
            (Silence::LostOnTheWay, _) => "lost_on_the_way",
            (Silence::SilenceSuppressed, _) => "silence_suppressed",
            (Silence::NoPackets, LegKind::Browser) => "no_packets_from_browser",
            (Silence::NoPackets, _) => "no_packets_from_far_side",
            (Silence::Undecodable, _) => "undecodable",
            (Silence::MutedMicrophone, _) => "muted_microphone",
            (Silence::NotReceived, _) => "not_received",
        }
    }

    /// Whether something is wrong, in contrast to a silence that was agreed.
    pub fn is_fault(&self) -> bool {
        use Silence::{Held, MutedMicrophone, NoMicrophone, SilenceSuppressed};
        !matches!(self.cause, Held | NoMicrophone | SilenceSuppressed | MutedMicrophone)
    }
}

/// Finds the trouble of one leg.
#[derive(Debug)]
pub struct Listener {
    received: Heard,
    decoded: Decoded,
    sent: Receipt,
}

/// What came in.
#[derive(Debug)]
struct Heard {
    packets: u64,
    /// When the last packet came, or the silence was agreed; and what was heard until then.
    since: Instant,
    then: Ear,
    /// What the far end claimed first in this silence.
    claimed: Option<u64>,
}

/// What was to be heard in what came in.
#[derive(Debug)]
struct Decoded {
    /// The last time that anything was, and what the decoder said until then.
    since: Instant,
    then: Hearing,
}

/// What the far end says of ours.
#[derive(Debug)]
struct Receipt {
    progress: u64,
    since: Instant,
    /// Its reports and our packets until then.
    reports: u64,
    packets: u64,
}

impl Listener {
    /// The call has been answered, or the leg has just taken its place in it.
    pub fn new(now: Instant) -> Self {
        Self {
            received: Heard { packets: 0, since: now, then: Ear::default(), claimed: None },
            decoded: Decoded { since: now, then: Hearing::default() },
            sent: Receipt { progress: 0, since: now, reports: 0, packets: 0 },
        }
    }

    /// What is wrong with the leg now, either way.
    pub fn on(&mut self, now: Instant, leg: &Measured) -> [Option<Trouble>; 2] {
        let trouble = |way, found: Option<(Silence, Instant)>| {
            found.map(|(cause, since)| Trouble { leg: leg.kind, way, cause, since })
        };
        let (received, decoded) = (self.received.on(now, leg), self.decoded.on(now, leg));
        [trouble(Way::Received, received.or(decoded)), trouble(Way::Sent, self.sent.on(now, leg))]
    }
}

impl Heard {
    fn on(&mut self, now: Instant, leg: &Measured) -> Option<(Silence, Instant)> {
        let ear = &leg.ear;
        if leg.received.packets != self.packets || ear.owes != self.then.owes {
            *self = Self { packets: leg.received.packets, since: now, then: *ear, claimed: None };
            return None;
        }
        if ear.claimed != self.then.claimed && self.claimed.is_none() {
            self.claimed = ear.claimed;
        }
        let cause = self.cause(leg);
        let patience = match cause {
            Silence::NoPackets if self.packets > 0 => PATIENCE_FOR_REPORTS,
            _ => PATIENCE,
        };
        (now.saturating_duration_since(self.since) >= patience).then_some((cause, self.since))
    }

    fn cause(&self, leg: &Measured) -> Silence {
        let (ear, then) = (&leg.ear, &self.then);
        let claims = |first: u64| ear.claimed.is_some_and(|now| now >= first + CLAIMS);
        match ear.owes {
            Owes::NothingHeld => Silence::Held,
            Owes::NothingEver => Silence::NoMicrophone,
            Owes::Sound if !ear.path => Silence::NoPath,
            Owes::Sound if ear.undecryptable > then.undecryptable => Silence::Undecryptable,
            Owes::Sound if ear.wrong_payload_type > then.wrong_payload_type => Silence::WrongPayloadType,
            Owes::Sound if ear.foreign > then.foreign => Silence::ForeignSource,
            Owes::Sound if self.claimed.is_some_and(claims) => Silence::LostOnTheWay,
            // A page's ICE agent goes on whatever its microphone does.
            Owes::Sound if self.packets > 0 && ear.signs > then.signs && leg.kind != LegKind::Browser => {
                Silence::SilenceSuppressed
            }
            Owes::Sound => Silence::NoPackets,
        }
    }
}

impl Decoded {
    fn on(&mut self, now: Instant, leg: &Measured) -> Option<(Silence, Instant)> {
        let heard = leg.ear.hearing.filter(|heard| {
            let began_anew = heard.decoded < self.then.decoded || heard.undecodable < self.then.undecodable;
            leg.ear.owes == Owes::Sound && heard.audible == self.then.audible && !began_anew
        });
        let Some(heard) = heard else {
            *self = Self { since: now, then: leg.ear.hearing.unwrap_or_default() };
            return None;
        };
        let (decoded, refused) =
            (heard.decoded - self.then.decoded, heard.undecodable - self.then.undecodable);
        let (cause, patience) = if refused > decoded {
            (Silence::Undecodable, PATIENCE)
        } else if decoded >= FLAT && leg.kind == LegKind::Browser {
            (Silence::MutedMicrophone, PATIENCE_WITH_QUIET)
        } else {
            return None;
        };
        (now.saturating_duration_since(self.since) >= patience).then_some((cause, self.since))
    }
}

impl Receipt {
    fn on(&mut self, now: Instant, leg: &Measured) -> Option<(Silence, Instant)> {
        let Ear { progress, reports, .. } = leg.ear;
        if progress != self.progress {
            *self = Self { progress, since: now, reports, packets: leg.sent.packets };
        }
        let sent = leg.sent.packets - self.packets.min(leg.sent.packets);
        let silent = progress > 0 && reports >= self.reports + 2 && sent >= UNSEEN;
        (silent && leg.kind == LegKind::Sip).then_some((Silence::NotReceived, self.since))
    }
}

/// How long a silence is a pause.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same where the next report may explain it: they come every 6.2 s at most (RFC 3550 §6.3.1).
const PATIENCE_FOR_REPORTS: Duration = Duration::from_secs(8);
/// The same where packets come: what suppresses noise may give nothing but zeros between two sentences.
const PATIENCE_WITH_QUIET: Duration = Duration::from_secs(10);
/// Packets of digital silence that are no pause of a sender that leaves pauses out (DTX): two seconds.
const FLAT: u64 = 100;
/// Packets that a far end must claim to have sent into a silence: half a second.
const CLAIMS: u64 = 25;
/// Packets of ours that the far end must have missed: four seconds.
const UNSEEN: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Flow;

    /// A leg that sends 50 packets a second and hears what `change` makes of it.
    struct Bench {
        start: Instant,
        listener: Listener,
        leg: Measured,
        second: u64,
    }

    impl Bench {
        fn new(kind: LegKind) -> Self {
            let start = Instant::now();
            let ear = Ear { path: true, ..Ear::default() };
            let leg = Measured { ear, ..Measured::nothing(kind) };
            Self { start, listener: Listener::new(start), leg, second: 0 }
        }

        /// Lets so many seconds go by; what is told, by second.
        fn run(&mut self, seconds: u64, mut change: impl FnMut(u64, &mut Measured)) -> Vec<String> {
            let (mut told, mut before) = (vec![], String::new());
            for _ in 0..seconds {
                self.second += 1;
                self.leg.sent.packets += 50;
                change(self.second, &mut self.leg);
                let now = self.start + Duration::from_secs(self.second);
                let troubles = self.listener.on(now, &self.leg);
                let words = troubles.iter().flatten().map(|it| format!("{} {}", it.way.as_str(), it.word()));
                let words = words.collect::<Vec<_>>().join(", ");
                if words != before {
                    told.push(format!("{}: {words}", self.second).trim_end().to_owned());
                    before = words;
                }
            }
            told
        }

        fn talks(&mut self, seconds: u64) {
            assert_eq!(self.run(seconds, |_, leg| hear(leg, 50)), Vec::<String>::new());
        }
    }

    fn hear(leg: &mut Measured, packets: u64) {
        leg.received = Flow { packets: leg.received.packets + packets, ..leg.received };
        leg.ear.signs += packets;
    }

    #[track_caller]
    fn check(kind: LegKind, change: impl Fn(u64, &mut Measured), told: &[&str]) {
        assert_eq!(Bench::new(kind).run(20, change), told);
    }

    #[test]
    fn a_leg_that_never_hears_anything_says_why() {
        let (sip, browser) = (LegKind::Sip, LegKind::Browser);
        check(sip, |_, _| (), &["3: received no_packets_from_far_side"]);
        check(browser, |_, _| (), &["3: received no_packets_from_browser"]);
        check(browser, |_, leg| leg.ear.signs += 1, &["3: received no_packets_from_browser"]);
        check(browser, |_, leg| leg.ear.path = false, &["3: received ice_not_connected"]);
        check(sip, |_, leg| leg.ear.path = false, &["3: received no_address"]);
        check(sip, |_, leg| leg.ear.undecryptable += 50, &["3: received undecryptable"]);
        check(sip, |_, leg| leg.ear.wrong_payload_type += 50, &["3: received wrong_payload_type"]);
        check(sip, |_, leg| leg.ear.foreign += 50, &["3: received foreign_source"]);
        check(browser, |_, leg| leg.ear.owes = Owes::NothingEver, &["4: received no_microphone"]);
        check(sip, |_, leg| leg.ear.owes = Owes::NothingHeld, &["4: received held"]);
    }

    /// A leg whose packets come and are decoded: so many of each second's fifty are refused, so many to be heard.
    fn decoded(refused: u64, audible: u64) -> impl Fn(u64, &mut Measured) {
        move |_, leg| {
            hear(leg, 50);
            let heard = leg.ear.hearing.get_or_insert_default();
            heard.undecodable += refused;
            heard.decoded += 50 - refused;
            heard.audible += audible;
        }
    }

    #[test]
    fn packets_in_which_nothing_is_heard_are_told_by_their_cause() {
        let (sip, browser) = (LegKind::Sip, LegKind::Browser);
        check(browser, decoded(0, 50), &[]);
        check(browser, decoded(0, 1), &[]);
        check(browser, decoded(0, 0), &["10: received muted_microphone"]);
        check(sip, decoded(0, 0), &[]); // a phone may be silent in silence
        check(sip, decoded(50, 0), &["3: received undecodable"]);
        check(browser, decoded(40, 0), &["3: received undecodable"]);
        check(browser, decoded(40, 10), &[]);
        let paused = |second: u64, leg: &mut Measured| {
            hear(leg, 3); // DTX
            leg.ear.hearing.get_or_insert_default().decoded = 3 * second;
        };
        check(browser, paused, &[]);
        let held = |second: u64, leg: &mut Measured| {
            decoded(0, 0)(second, leg);
            leg.ear.owes = Owes::NothingHeld;
        };
        check(browser, held, &[]);
    }

    #[test]
    fn a_microphone_that_is_opened_again_ends_its_trouble_and_so_does_another_decoder() {
        let mut bench = Bench::new(LegKind::Browser);
        assert_eq!(bench.run(12, decoded(0, 0)), ["10: received muted_microphone"]);
        assert_eq!(bench.run(9, decoded(0, 50)), Vec::<String>::new(), "from its first second on");
        assert_eq!(bench.run(12, decoded(0, 0)), ["31: received muted_microphone"]);
        bench.leg.ear.hearing = None;
        assert_eq!(bench.run(9, |_, leg| hear(leg, 50)), Vec::<String>::new(), "forwarded: nobody knows");
        assert_eq!(bench.run(9, decoded(0, 0)), Vec::<String>::new());
    }

    #[test]
    fn a_pause_is_no_trouble_and_sound_ends_it() {
        let mut bench = Bench::new(LegKind::Sip);
        bench.talks(10);
        assert_eq!(bench.run(7, |_, _| ()), Vec::<String>::new());
        assert_eq!(bench.run(5, |_, _| ()), ["18: received no_packets_from_far_side"]);
        assert_eq!(
            bench.run(3, |second, leg| if second == 24 {
                hear(leg, 1)
            }),
            ["23: received no_packets_from_far_side", "24:"]
        );
    }

    #[test]
    fn a_phone_that_suppresses_silence_is_told_from_one_that_is_not_heard() {
        let report = |second: u64, leg: &mut Measured, sends: u64| {
            if second.is_multiple_of(5) {
                leg.ear.signs += 1;
                leg.ear.claimed = Some(leg.ear.claimed.unwrap_or(500) + sends);
            }
        };
        let mut bench = Bench::new(LegKind::Sip);
        bench.talks(11);
        assert_eq!(bench.run(20, |second, leg| report(second, leg, 0)), ["15: received silence_suppressed"]);
        let mut bench = Bench::new(LegKind::Sip);
        bench.talks(11);
        let told = bench.run(20, |second, leg| report(second, leg, 250));
        assert_eq!(told, ["15: received silence_suppressed", "20: received lost_on_the_way"]);
    }

    #[test]
    fn a_hold_is_told_as_such_and_its_end_has_its_time() {
        let mut bench = Bench::new(LegKind::Sip);
        bench.talks(10);
        assert_eq!(bench.run(10, |_, leg| leg.ear.owes = Owes::NothingHeld), ["14: received held"]);
        assert_eq!(bench.run(2, |_, leg| leg.ear.owes = Owes::Sound), Vec::<String>::new());
        bench.talks(5);
    }

    #[test]
    fn a_far_side_that_reports_no_progress_of_ours_does_not_hear_us() {
        let reports = |progress: bool| {
            move |second: u64, leg: &mut Measured| {
                hear(leg, 50);
                if second.is_multiple_of(5) {
                    leg.ear.reports += 1;
                    leg.ear.progress += u64::from(progress);
                }
            }
        };
        let mut bench = Bench::new(LegKind::Sip);
        assert_eq!(bench.run(20, reports(true)), Vec::<String>::new());
        assert_eq!(bench.run(15, reports(false)), ["30: sent not_received"]);
        assert_eq!(bench.run(10, reports(true)), ["36: sent not_received", "40:"]);
        let mut never = Bench::new(LegKind::Sip);
        assert_eq!(never.run(60, reports(false)), Vec::<String>::new(), "some phones never report on us");
    }
}
