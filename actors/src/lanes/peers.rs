//! Whose datagram it is. Pure.
//!
//! | datagram | goes to |
//! |---|---|
//! | STUN with USERNAME | the peer of that user name fragment, wherever it comes from |
//! | anything else from a proven address | the peer that proved it |
//! | anything else | nobody |
//!
//! An address is proven when its peer says so: after it has answered a binding request from there, which takes the
//! peer's password. So nobody can put DTLS or RTP before a peer, or take another's address, by sending first.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use super::stun;

/// The peers of a lane. `P` is what reaches one.
#[derive(Debug)]
pub struct Peers<P> {
    by_fragment: HashMap<Vec<u8>, Rc<Peer<P>>>,
    /// Media comes in a thousand times as often as anything else: one look-up finds its peer.
    by_address: HashMap<SocketAddr, Rc<Peer<P>>>,
}

#[derive(Debug)]
struct Peer<P> {
    fragment: Vec<u8>,
    reach: P,
}

impl<P> Peers<P> {
    /// Nobody yet.
    pub fn new() -> Self {
        Self { by_fragment: HashMap::new(), by_address: HashMap::new() }
    }

    /// A peer that is known by this user name fragment.
    pub fn join(&mut self, fragment: &str, reach: P) {
        let fragment = fragment.as_bytes().to_vec();
        self.by_fragment.insert(fragment.clone(), Rc::new(Peer { fragment, reach }));
    }

    /// The peer has proven that `from` is its page's. Peers bound how many they learn.
    pub fn learn(&mut self, fragment: &str, from: SocketAddr) {
        if let Some(peer) = self.by_fragment.get(fragment.as_bytes()) {
            self.by_address.insert(from, peer.clone());
        }
    }

    /// The peer is gone, and its addresses with it; not those that another page behind the same NAT has got meanwhile.
    pub fn leave(&mut self, fragment: &[u8]) {
        if let Some(gone) = self.by_fragment.remove(fragment) {
            self.by_address.retain(|_, peer| !Rc::ptr_eq(peer, &gone));
        }
    }

    /// Whose datagram it is: user name fragment and peer.
    pub fn find(&self, from: SocketAddr, datagram: &[u8]) -> Option<(&[u8], &P)> {
        let peer = match stun::username(datagram) {
            Some(fragment) => self.by_fragment.get(fragment)?,
            None => self.by_address.get(&from)?,
        };
        Some((&peer.fragment, &peer.reach))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_fragment.len()
    }
}

impl<P> Default for Peers<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DTLS: [u8; 13] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn check_for(fragment: &str) -> Vec<u8> {
        let name = format!("{fragment}:page");
        let padded = name.len().next_multiple_of(4);
        let mut message = vec![0, 1, 0, (4 + padded) as u8, 0x21, 0x12, 0xa4, 0x42];
        message.extend([7; 12]);
        message.extend([0, 6, 0, name.len() as u8]);
        message.extend(name.as_bytes());
        message.resize(20 + 4 + padded, 0);
        message
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_binding_request_finds_its_peer_and_nothing_else_does_until_the_address_is_proven() {
        let mut peers = Peers::new();
        peers.join("aaaa", 1);
        peers.join("bbbb", 2);
        let find =
            |peers: &Peers<i32>, from, datagram: &[u8]| peers.find(from, datagram).map(|(_, peer)| *peer);
        assert_eq!(find(&peers, address(1), &check_for("aaaa")), Some(1));
        assert_eq!(find(&peers, address(1), &check_for("cccc")), None);
        assert_eq!(find(&peers, address(1), &DTLS), None, "a ClientHello before any check");
        peers.learn("aaaa", address(1));
        assert_eq!(find(&peers, address(1), &DTLS), Some(1));
        assert_eq!(find(&peers, address(2), &DTLS), None);
        assert_eq!(find(&peers, address(1), &check_for("bbbb")), Some(2), "the fragment says whose it is");
    }

    #[test]
    fn a_peer_that_leaves_takes_its_addresses_but_not_another_peers() {
        let mut peers = Peers::new();
        peers.join("aaaa", 1);
        peers.learn("aaaa", address(1));
        peers.learn("aaaa", address(2));
        peers.join("bbbb", 2);
        peers.learn("bbbb", address(2));
        peers.leave(b"aaaa");
        assert_eq!(peers.find(address(1), &DTLS), None);
        assert_eq!(peers.find(address(2), &DTLS).map(|(_, peer)| *peer), Some(2));
        peers.leave(b"bbbb");
        assert!(peers.by_fragment.is_empty() && peers.by_address.is_empty());
    }
}
