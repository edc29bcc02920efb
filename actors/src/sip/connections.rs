//! Which TCP connections there are, who may have more, and which one reaches a peer. Pure but for the queues.
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::transport::{Flow, KEEP_ALIVE_PING, Transport};
use tokio::sync::mpsc;

/// All connections of an endpoint, theirs and ours.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_flow: HashMap<Flow, Connection>,
    by_ip: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Connection {
    queue: mpsc::Sender<Bytes>,
    signs: Arc<Signs>,
    /// Our last keep-alive.
    ping: Option<Ping>,
    /// Whether a keep-alive of ours was ever answered; a peer that never does may not know them.
    answers: bool,
    /// TLS, opened by us: whom the peer has proved to be.
    name: Option<String>,
}

/// What a connection's reader has seen.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Reads that brought something.
    pub(super) reads: AtomicUsize,
    /// Those that brought a keep-alive's answer and nothing else.
    pub(super) pongs: AtomicUsize,
}

/// A keep-alive, and what the reader had seen when it went out.
#[derive(Debug, Clone, Copy)]
struct Ping {
    at: Instant,
    reads: usize,
    pongs: usize,
}

/// The far ends of a connection's entry, for whoever serves it.
#[derive(Debug)]
pub(super) struct Ends {
    /// What is to be written.
    pub(super) queue: mpsc::Receiver<Bytes>,
    /// What has been read.
    pub(super) signs: Arc<Signs>,
}

/// Whom a connection must reach. With TLS the name counts as much as the address: who controls the DNS of one domain must not be
/// given what is meant for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    /// TLS: the host that was asked; `None`: whoever came to us from there.
    pub(super) name: Option<String>,
}

/// Connections in all. At 8 to 80 KiB each they stay under 80 MiB.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// Connections of one address. A PBX needs one or two, a NAT with phones some dozens; one address can never take them all.
pub(super) const MAX_PER_ADDRESS: usize = 32;
/// Messages that wait for a peer to read; beyond, it is gone.
const QUEUE: usize = 256;

/// How long a peer may take to answer a keep-alive (RFC 5626 §4.4.1).
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A connection takes no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl Connections {
    /// Enters a connection with the `name` of its peer; the far ends are for those who serve it. `None`: there are too many already.
    pub(super) fn add(&mut self, flow: Flow, name: Option<String>) -> Option<Ends> {
        let ip = flow.remote.ip();
        let of_this = self.by_ip.get(&ip).copied().unwrap_or_default();
        if self.by_flow.len() >= MAX_CONNECTIONS
            || of_this >= MAX_PER_ADDRESS
            || self.by_flow.contains_key(&flow)
        {
            return None;
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        let signs = Arc::<Signs>::default();
        let connection = Connection { queue: sender, signs: signs.clone(), ping: None, answers: false, name };
        self.by_flow.insert(flow, connection);
        self.by_ip.insert(ip, of_this + 1);
        Some(Ends { queue: receiver, signs })
    }

    /// Forgets a connection; its writer drains its queue and closes.
    pub(super) fn remove(&mut self, flow: &Flow) -> bool {
        if self.by_flow.remove(flow).is_none() {
            return false;
        }
        let ip = flow.remote.ip();
        if let Some(count) = self.by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.by_ip.remove(&ip);
            }
        }
        true
    }

    /// Queues bytes for the peer of `flow`. A peer that does not read is gone: the caller must say so to its transactions.
    pub(super) fn send(&mut self, flow: &Flow, bytes: Bytes) -> Result<(), Gone> {
        self.by_flow.get(flow).ok_or(Gone)?.queue.try_send(bytes).map_err(|_| Gone)
    }

    /// Sends a keep-alive unless one went out within half of `every`. False: the connection is gone, or its peer is.
    pub(super) fn keep_alive(&mut self, flow: &Flow, now: Instant, every: Duration) -> bool {
        let Some(connection) = self.by_flow.get_mut(flow) else { return false };
        let (reads, pongs) =
            (connection.signs.reads.load(Ordering::Relaxed), connection.signs.pongs.load(Ordering::Relaxed));
        if let Some(ping) = connection.ping {
            connection.answers |= pongs != ping.pongs;
            let waited = now.saturating_duration_since(ping.at);
            if connection.answers && reads == ping.reads {
                return waited < PONG_WITHIN;
            }
            if waited < every / 2 {
                return true;
            }
        }
        connection.ping = Some(Ping { at: now, reads, pongs });
        connection.queue.try_send(Bytes::from_static(KEEP_ALIVE_PING)).is_ok()
    }

    /// A connection that reaches `peer`, whoever opened it (RFC 5923 in spirit: same address, same port, same name).
    pub(super) fn to(&self, peer: &Peer) -> Option<Flow> {
        let reaches = |flow: &Flow| flow.transport == peer.transport && flow.remote == peer.remote;
        let mut all = self.by_flow.iter();
        all.find(|(flow, connection)| reaches(flow) && connection.name == peer.name).map(|(flow, _)| *flow)
    }

    /// Whether it is up.
    pub(super) fn has(&self, flow: &Flow) -> bool {
        self.by_flow.contains_key(flow)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_flow.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(ip: u8, port: u16) -> Flow {
        let remote = SocketAddr::from(([192, 0, 2, ip], port));
        Flow { transport: Transport::Tcp, local: SocketAddr::from(([192, 0, 2, 1], 5060)), remote }
    }

    fn peer(flow: Flow, name: &str) -> Peer {
        let name = (!name.is_empty()).then(|| name.to_owned());
        Peer { transport: flow.transport, remote: flow.remote, name }
    }

    #[test]
    fn one_address_never_takes_all_connections() {
        let mut all = Connections::default();
        let kept: Vec<_> = (1..=100).map_while(|port| all.add(flow(9, port), None)).collect();
        assert_eq!(kept.len(), MAX_PER_ADDRESS);
        assert!(all.add(flow(8, 1), None).is_some());
        assert!(all.remove(&flow(9, 1)));
        assert!(all.add(flow(9, 200), None).is_some());
    }

    #[test]
    fn there_are_never_more_connections_than_the_limit() {
        let mut all = Connections::default();
        for ip in 0..=255 {
            for port in 1..=8 {
                let _queue = all.add(flow(ip, port), None);
            }
        }
        assert_eq!(all.len(), MAX_CONNECTIONS);
    }

    #[test]
    fn a_connection_is_found_by_its_peer_until_it_is_gone() {
        let mut all = Connections::default();
        let queue = all.add(flow(9, 5060), None);
        assert_eq!(all.to(&peer(flow(9, 5060), "")), Some(flow(9, 5060)));
        assert_eq!(all.send(&flow(9, 5060), Bytes::new()), Ok(()));
        drop(queue);
        assert_eq!(all.send(&flow(9, 5060), Bytes::new()), Err(Gone));
        assert!(all.remove(&flow(9, 5060)) && !all.remove(&flow(9, 5060)));
        assert_eq!(all.to(&peer(flow(9, 5060), "")), None);
    }

    #[test]
    fn a_tls_connection_serves_only_the_name_that_its_peer_has_proved() {
        let mut all = Connections::default();
        let tls = Flow { transport: Transport::Tls, ..flow(9, 5061) };
        let _queue = all.add(tls, Some("pbx.example".into()));
        assert_eq!(all.to(&peer(tls, "pbx.example")), Some(tls));
        assert_eq!(all.to(&peer(tls, "evil.example")), None);
        assert_eq!(all.to(&peer(tls, "")), None);
        assert_eq!(all.to(&peer(flow(9, 5061), "")), None, "plain is another thing");
    }

    #[test]
    fn a_peer_that_stops_answering_keep_alives_is_gone_and_one_that_never_did_is_not() {
        let (every, start) = (Duration::from_secs(25), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        for answers in [true, false] {
            let mut all = Connections::default();
            let mut ends = all.add(flow(9, 5060), None).unwrap();
            let mut ping = |at| all.keep_alive(&flow(9, 5060), at, every);
            assert!(ping(start) && ping(after(1)));
            assert_eq!(ends.queue.try_recv().unwrap(), KEEP_ALIVE_PING);
            assert!(ends.queue.try_recv().is_err(), "accounts share keep-alives");
            if answers {
                ends.signs.reads.fetch_add(1, Ordering::Relaxed);
                ends.signs.pongs.fetch_add(1, Ordering::Relaxed);
            }
            assert!(ping(after(25)) && ping(after(34)));
            assert_eq!(ping(after(50)), !answers);
        }
        let mut all = Connections::default();
        let ends = all.add(flow(9, 5060), None);
        drop(ends);
        assert!(!all.keep_alive(&flow(9, 5060), start, every));
        assert!(!all.keep_alive(&flow(8, 5060), start, every));
    }

    #[test]
    fn a_peer_that_does_not_read_is_gone() {
        let mut all = Connections::default();
        let _queue = all.add(flow(9, 5060), None);
        let sent = (0..1000).take_while(|_| all.send(&flow(9, 5060), Bytes::new()).is_ok()).count();
        assert_eq!(sent, QUEUE);
    }
}
