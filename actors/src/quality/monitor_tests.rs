//! Two ends that talk, one of them for some time not.
use super::*;
use crate::quality::trouble::Silence;
use crate::vocabulary::{CodecId, Ear, Flow, Reception};

const LIMITS: ActivityLimits = ActivityLimits {
    detecting: true,
    first: Duration::from_secs(30),
    running: Duration::from_secs(60),
    hold: Duration::from_secs(3600),
};

struct Bench {
    start: Instant,
    monitor: Monitor,
    legs: Both<Measured>,
    second: u64,
    news: Vec<(u64, News)>,
    scores: Vec<(u64, Vec<LegRecord>)>,
}

impl Bench {
    fn new() -> Self {
        let start = Instant::now();
        let mut monitor = Monitor::default();
        monitor.answered(start);
        let leg = |kind| {
            let ear = Ear { path: true, ..Ear::default() };
            Measured { ear, codec: Some(CodecId::Pcmu), ..Measured::nothing(kind) }
        };
        let legs = Both { caller: leg(LegKind::Browser), callee: leg(LegKind::Sip) };
        Self { start, monitor, legs, second: 0, news: vec![], scores: vec![] }
    }

    /// Lets so many seconds go by in which each side sends so many packets and the callee loses some.
    fn run(&mut self, seconds: u64, packets: [u64; 2], lost: u64) {
        for _ in 0..seconds {
            self.second += 1;
            let now = self.start + Duration::from_secs(self.second);
            for (side, packets) in [Side::Caller, Side::Callee].into_iter().zip(packets) {
                let leg = &mut self.legs[side];
                let lost = if side == Side::Callee { lost } else { 0 };
                let before = leg.received.reception.map_or(0, |reception| reception.lost);
                let reception = Some(Reception { lost: before + lost, jitter: Duration::ZERO });
                leg.received = Flow { packets: leg.received.packets + packets, bytes: 0, reception };
                leg.ear.signs += packets;
                let news = self.monitor.on(now, side, leg, &LIMITS);
                self.news.extend(news.into_iter().map(|it| (self.second, it)));
            }
            self.scores.extend(self.monitor.look(now).map(|legs| (self.second, legs)));
        }
    }

    fn close(&mut self) -> Verdict {
        self.monitor.close(self.start + Duration::from_secs(self.second))
    }
}

#[test]
fn a_call_that_is_well_has_no_news_and_one_score() {
    let mut bench = Bench::new();
    bench.run(60, [50, 50], 0);
    assert_eq!(bench.news, []);
    assert_eq!(bench.scores.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [5]);
    assert_eq!(bench.close(), Verdict::default());
}

#[test]
fn a_score_is_that_of_the_last_seconds_and_told_when_it_changes() {
    let mut bench = Bench::new();
    bench.run(20, [50, 50], 0);
    bench.run(10, [50, 45], 5);
    bench.run(20, [50, 50], 0);
    let sip = |legs: &[LegRecord]| legs[1].mos_received.map(|mos| mos.to_string());
    let told: Vec<_> = bench.scores.iter().map(|(second, legs)| (*second, sip(legs).unwrap())).collect();
    assert_eq!(told, [(5, "4.41".to_owned()), (25, "3.41".to_owned()), (35, "4.41".to_owned())]);
}

#[test]
fn a_far_side_that_is_silent_is_told_once_and_when_it_is_back() {
    let mut bench = Bench::new();
    bench.run(10, [50, 50], 0);
    bench.run(20, [50, 0], 0);
    bench.run(10, [50, 50], 0);
    let [(18, News::Trouble(began)), (31, News::Well(ended))] = bench.news[..] else {
        panic!("{:?}", bench.news)
    };
    assert_eq!((began, began.word(), began.leg), (ended, "no_packets_from_far_side", LegKind::Sip));
    let verdict = bench.close();
    assert!(verdict.one_way && verdict.mute.is_empty());
    let [Told { after, lasted, .. }] = verdict.troubles[..] else { panic!("{verdict:?}") };
    assert_eq!((after.as_secs(), lasted.as_secs()), (10, 21));
}

#[test]
fn a_far_side_that_never_speaks_is_mute_and_gone_after_its_limit() {
    let mut bench = Bench::new();
    bench.run(30, [50, 0], 0);
    let [(3, News::Trouble(_)), (30, News::Gone(LegKind::Sip, silent, Some(trouble)))] = bench.news[..]
    else {
        panic!("{:?}", bench.news)
    };
    assert_eq!((silent.ever, trouble.cause), (false, Silence::NoPackets));
    let verdict = bench.close();
    assert_eq!((verdict.one_way, verdict.mute), (true, vec![LegKind::Sip]));
}

#[test]
fn a_call_without_any_sound_is_not_one_way() {
    let mut bench = Bench::new();
    bench.run(20, [0, 0], 0);
    let verdict = bench.close();
    assert_eq!((verdict.one_way, verdict.mute), (false, vec![LegKind::Browser, LegKind::Sip]));
}

#[test]
fn a_leg_that_takes_a_place_is_looked_at_anew() {
    let mut bench = Bench::new();
    bench.run(10, [50, 0], 0);
    bench.monitor.anew(Side::Callee, bench.start + Duration::from_secs(10));
    bench.legs.callee = Measured { received: Flow::default(), ..bench.legs.callee.clone() };
    bench.run(10, [50, 50], 0);
    assert_eq!(bench.news.len(), 1, "{:?}", bench.news);
    assert_eq!(bench.close().troubles[0].lasted.as_secs(), 10);
}

#[test]
fn a_record_of_troubles_does_not_grow_without_end() {
    let mut bench = Bench::new();
    for _ in 0..50 {
        bench.run(10, [50, 0], 0);
        bench.run(1, [50, 1], 0);
    }
    assert_eq!(bench.close().troubles.len(), MAX_TOLD);
}
