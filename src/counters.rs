//! What the front door counts, in Prometheus' text format. The switch counts calls and packets itself.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Handles to the same counters.
#[derive(Clone, Default)]
pub struct Counters(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sockets: AtomicUsize,
    refused: Labelled<&'static str>,
    closed: Labelled<u16>,
}

/// A counter per label, of a few labels: reasons and close codes of ours.
type Labelled<L> = Mutex<BTreeMap<L, u64>>;

/// A socket, counted as long as this lives.
pub struct CountedSocket(Counters);

impl Counters {
    /// All at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// A socket opened.
    pub fn socket(&self) -> CountedSocket {
        self.0.sockets.fetch_add(1, Ordering::Relaxed);
        CountedSocket(self.clone())
    }

    /// Returns when no socket is open, or after `limit`.
    pub async fn no_sockets(&self, limit: Duration) {
        let end = tokio::time::Instant::now() + limit;
        while self.0.sockets.load(Ordering::Relaxed) > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Something was refused because of `reason`, one of a few words.
    pub fn refused(&self, reason: &'static str) {
        count(&self.0.refused, reason);
    }

    /// Tandem closed a socket with `code`.
    pub fn closed(&self, code: u16) {
        count(&self.0.closed, code);
    }

    /// All of them in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        head(&mut text, "tandem_ws_sockets_active", "gauge", "Open WebSockets, with or without a session.");
        line(&mut text, "tandem_ws_sockets_active", self.0.sockets.load(Ordering::Relaxed));
        head(&mut text, "tandem_ws_refused_total", "counter", "Messages and sockets refused, by reason.");
        for (reason, number) in lock(&self.0.refused).iter() {
            line(&mut text, &format!("tandem_ws_refused_total{{reason=\"{reason}\"}}"), number);
        }
        head(&mut text, "tandem_ws_closed_total", "counter", "WebSockets that Tandem closed, by close code.");
        for (code, number) in lock(&self.0.closed).iter() {
            line(&mut text, &format!("tandem_ws_closed_total{{code=\"{code}\"}}"), number);
        }
        text
    }
}

impl Drop for CountedSocket {
    fn drop(&mut self) {
        self.0.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

fn count<L: Ord>(counter: &Labelled<L>, label: L) {
    *lock(counter).entry(label).or_default() += 1;
}

/// The counts, whatever happened to whoever held them: a number cannot be half written.
fn lock<L>(counter: &Labelled<L>) -> std::sync::MutexGuard<'_, BTreeMap<L, u64>> {
    counter.lock().unwrap_or_else(PoisonError::into_inner)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing into memory does not fail");
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    writeln!(text, "{name} {value}").expect("writing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_counts_while_it_lives() {
        let counters = Counters::new();
        let socket = counters.socket();
        counters.refused("field");
        counters.closed(1009);
        assert!(counters.text().contains("\ntandem_ws_sockets_active 1\n"));
        assert!(counters.text().contains("\ntandem_ws_refused_total{reason=\"field\"} 1\n"));
        assert!(counters.text().contains("\ntandem_ws_closed_total{code=\"1009\"} 1\n"));
        drop(socket);
        assert!(counters.text().contains("\ntandem_ws_sockets_active 0\n"));
    }
}
