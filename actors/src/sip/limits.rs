//! How long a TCP or TLS connection may take for what.
use std::time::Duration;

/// Deadlines of TCP and TLS connections. Tests shorten them; nobody else should need to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A connection of ours must be up, its TLS handshake included: the page must hear of trouble within 5 s.
    pub connect: Duration,
    /// The same for a request that takes TCP only for its size: after this it goes by UDP all the same.
    pub connect_for_size: Duration,
    /// The TLS handshake of a peer that connects to us.
    pub handshake: Duration,
    /// A new connection must have brought its first message: a silent one holds a place that others need.
    pub first_message: Duration,
    /// A message must be complete (RFC 4475 §3.1.2.2).
    pub stalled_message: Duration,
    /// A connection without messages or keep-alives is closed. RFC 5626 clients send one every 120 s.
    pub idle: Duration,
    /// A stream that cannot be framed any more is closed, answered or not.
    pub broken: Duration,
    /// A peer that has closed its sending side still hears answers.
    pub half_closed: Duration,
    /// How often certificate and CA files are looked at, at most: two calls of `stat` for a new connection are enough.
    pub tls_files: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(4),
            connect_for_size: Duration::from_millis(500),
            handshake: Duration::from_secs(5),
            first_message: Duration::from_secs(10),
            stalled_message: Duration::from_secs(30),
            idle: Duration::from_secs(600),
            broken: Duration::from_secs(4),
            half_closed: Duration::from_millis(500),
            tls_files: Duration::from_secs(10),
        }
    }
}
