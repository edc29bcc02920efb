//! What the front door counts. The switch counts calls and packets itself.
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Encoder as _, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// Handles to the same counters.
#[derive(Clone)]
pub struct Counters(Arc<Inner>);

struct Inner {
    registry: Registry,
    sockets: IntGauge,
    refused: IntCounterVec,
    closed: IntCounterVec,
}

/// A socket, counted as long as this lives.
pub struct CountedSocket(Counters);

impl Counters {
    /// All at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let sockets =
            IntGauge::new("tandem_ws_sockets_active", "Open WebSockets, with or without a session.");
        let refused = Opts::new("tandem_ws_refused_total", "Messages and sockets refused, by reason.");
        let closed = Opts::new("tandem_ws_closed_total", "WebSockets that Tandem closed, by close code.");
        let inner = Inner {
            registry,
            sockets: sockets.expect("the name is valid"),
            refused: IntCounterVec::new(refused, &["reason"]).expect("the name is valid"),
            closed: IntCounterVec::new(closed, &["code"]).expect("the name is valid"),
        };
        let own = "each name is registered once";
        inner.registry.register(Box::new(inner.sockets.clone())).expect(own);
        inner.registry.register(Box::new(inner.refused.clone())).expect(own);
        inner.registry.register(Box::new(inner.closed.clone())).expect(own);
        Self(Arc::new(inner))
    }

    /// A socket opened.
    pub fn socket(&self) -> CountedSocket {
        self.0.sockets.inc();
        CountedSocket(self.clone())
    }

    /// Returns when no socket is open, or after `limit`.
    pub async fn no_sockets(&self, limit: Duration) {
        let end = tokio::time::Instant::now() + limit;
        while self.0.sockets.get() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Something was refused because of `reason`, one of a few words.
    pub fn refused(&self, reason: &'static str) {
        self.0.refused.with_label_values(&[reason]).inc();
    }

    /// Tandem closed a socket with `code`.
    pub fn closed(&self, code: u16) {
        self.0.closed.with_label_values(&[&code.to_string()]).inc();
    }

    /// All of them in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut bytes = Vec::new();
        let written = TextEncoder::new().encode(&self.0.registry.gather(), &mut bytes);
        written.expect("writing into memory does not fail");
        String::from_utf8(bytes).expect("the text format is UTF-8")
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for CountedSocket {
    fn drop(&mut self) {
        self.0.0.sockets.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_counts_while_it_lives() {
        let counters = Counters::new();
        let socket = counters.socket();
        counters.refused("field");
        assert!(counters.text().contains("tandem_ws_sockets_active 1"));
        assert!(counters.text().contains("tandem_ws_refused_total{reason=\"field\"} 1"));
        drop(socket);
        assert!(counters.text().contains("tandem_ws_sockets_active 0"));
    }
}
