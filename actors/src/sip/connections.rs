//! Which TCP connections there are, who may have more, and which one reaches a peer. Pure but for the queues.
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sip::transport::{Flow, Transport};
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
    /// TLS, opened by us: whom the peer has proved to be.
    name: Option<String>,
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

/// A connection takes no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl Connections {
    /// Enters a connection with the `name` of its peer; the queue's far end is for its writer. `None`: there are too many already.
    pub(super) fn add(&mut self, flow: Flow, name: Option<String>) -> Option<mpsc::Receiver<Bytes>> {
        let ip = flow.remote.ip();
        let of_this = self.by_ip.get(&ip).copied().unwrap_or_default();
        if self.by_flow.len() >= MAX_CONNECTIONS
            || of_this >= MAX_PER_ADDRESS
            || self.by_flow.contains_key(&flow)
        {
            return None;
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.by_flow.insert(flow, Connection { queue: sender, name });
        self.by_ip.insert(ip, of_this + 1);
        Some(receiver)
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
    fn a_peer_that_does_not_read_is_gone() {
        let mut all = Connections::default();
        let _queue = all.add(flow(9, 5060), None);
        let sent = (0..1000).take_while(|_| all.send(&flow(9, 5060), Bytes::new()).is_ok()).count();
        assert_eq!(sent, QUEUE);
    }
}
