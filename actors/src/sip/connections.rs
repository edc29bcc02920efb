//! Which TCP connections there are, who may have more, and which one reaches a peer. Pure but for the queues.
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sip::transport::Flow;
use tokio::sync::mpsc;

/// All connections of an endpoint, theirs and ours.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_flow: HashMap<Flow, mpsc::Sender<Bytes>>,
    by_ip: HashMap<IpAddr, usize>,
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
    /// Enters a connection; the queue's far end is for its writer. `None`: there are too many already.
    pub(super) fn add(&mut self, flow: Flow) -> Option<mpsc::Receiver<Bytes>> {
        let ip = flow.remote.ip();
        let of_this = self.by_ip.get(&ip).copied().unwrap_or_default();
        if self.by_flow.len() >= MAX_CONNECTIONS
            || of_this >= MAX_PER_ADDRESS
            || self.by_flow.contains_key(&flow)
        {
            return None;
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.by_flow.insert(flow, sender);
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
        self.by_flow.get(flow).ok_or(Gone)?.try_send(bytes).map_err(|_| Gone)
    }

    /// A connection that reaches `remote`, whoever opened it (RFC 5923 in spirit: same address, same port).
    pub(super) fn to(&self, remote: SocketAddr) -> Option<Flow> {
        self.by_flow.keys().find(|flow| flow.remote == remote).copied()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_flow.len()
    }
}

#[cfg(test)]
mod tests {
    use sip::transport::Transport;

    use super::*;

    fn flow(ip: u8, port: u16) -> Flow {
        let remote = SocketAddr::from(([192, 0, 2, ip], port));
        Flow { transport: Transport::Tcp, local: SocketAddr::from(([192, 0, 2, 1], 5060)), remote }
    }

    #[test]
    fn one_address_never_takes_all_connections() {
        let mut all = Connections::default();
        let kept: Vec<_> = (1..=100).map_while(|port| all.add(flow(9, port))).collect();
        assert_eq!(kept.len(), MAX_PER_ADDRESS);
        assert!(all.add(flow(8, 1)).is_some());
        assert!(all.remove(&flow(9, 1)));
        assert!(all.add(flow(9, 200)).is_some());
    }

    #[test]
    fn there_are_never_more_connections_than_the_limit() {
        let mut all = Connections::default();
        for ip in 0..=255 {
            for port in 1..=8 {
                let _queue = all.add(flow(ip, port));
            }
        }
        assert_eq!(all.len(), MAX_CONNECTIONS);
    }

    #[test]
    fn a_connection_is_found_by_its_peer_until_it_is_gone() {
        let mut all = Connections::default();
        let queue = all.add(flow(9, 5060));
        assert_eq!(all.to(flow(9, 5060).remote), Some(flow(9, 5060)));
        assert_eq!(all.send(&flow(9, 5060), Bytes::new()), Ok(()));
        drop(queue);
        assert_eq!(all.send(&flow(9, 5060), Bytes::new()), Err(Gone));
        assert!(all.remove(&flow(9, 5060)) && !all.remove(&flow(9, 5060)));
        assert_eq!(all.to(flow(9, 5060).remote), None);
    }

    #[test]
    fn a_peer_that_does_not_read_is_gone() {
        let mut all = Connections::default();
        let _queue = all.add(flow(9, 5060));
        let sent = (0..1000).take_while(|_| all.send(&flow(9, 5060), Bytes::new()).is_ok()).count();
        assert_eq!(sent, QUEUE);
    }
}
