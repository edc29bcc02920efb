//! A test that found no CPU proves nothing: it says so and runs once more.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs `test`; should it fail while the machine was short of CPU, says "inconclusive" and runs it a second time.
pub fn fairly(test: impl Fn()) {
    let pulse = Pulse::start();
    let Err(failure) = catch_unwind(AssertUnwindSafe(&test)) else { return };
    let (late_ms, waiting) = pulse.stop();
    if late_ms < STARVED_MS && waiting < STARVED_SHARE {
        resume_unwind(failure);
    }
    eprintln!(
        "inconclusive: a pulse of 10 ms came {late_ms} ms late, tasks waited for a core {:.0} % of the time; once more",
        waiting * 100.0
    );
    test();
}

/// Measures how far the machine lets us down.
struct Pulse {
    late_ms: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    started: Instant,
    stalled_us: u64,
}

impl Pulse {
    fn start() -> Self {
        let (late_ms, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (worst, over) = (Arc::clone(&late_ms), Arc::clone(&ended));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(BEAT);
                worst.fetch_max(start.elapsed().saturating_sub(BEAT).as_millis() as u64, Ordering::Relaxed);
            }
        });
        Self { late_ms, ended, started: Instant::now(), stalled_us: stalled_us() }
    }

    /// The worst delay and the share of time in which some task waited for a core.
    fn stop(self) -> (u64, f64) {
        self.ended.store(true, Ordering::Relaxed);
        let stalled = stalled_us().saturating_sub(self.stalled_us) as f64;
        (self.late_ms.load(Ordering::Relaxed), stalled / self.started.elapsed().as_micros().max(1) as f64)
    }
}

/// The kernel's own count; 0 where it keeps none.
fn stalled_us() -> u64 {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = text.lines().next().and_then(|line| line.rsplit_once("total="));
    total.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

const BEAT: Duration = Duration::from_millis(10);
// A browser and two phones alone keep two cores busy half of the time and no pulse waits longer than a few ms.
const STARVED_MS: u64 = 40;
const STARVED_SHARE: f64 = 0.7;
