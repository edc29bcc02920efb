//! Whose datagram is this? Pure: who joined, and who proved which address.
//!
//! | datagram | goes to |
//! |---|---|
//! | STUN with a USERNAME | the peer with that user name fragment, whatever address it came from |
//! | anything else | the peer that proved the source address |
//! | neither | nobody |
//!
//! A peer proves an address by answering a binding request from it, which takes the request's password to be
//! right. So a flood of forged STUN fills no map, and DTLS or RTP from an address that never passed an ICE check
//! reaches nobody.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::stun;

/// Most peers of one lane. A lane carries fewer than 2,000 calls; admission stops earlier.
pub(super) const MAX_PEERS: usize = 8_192;
/// Most addresses of one peer; the oldest goes first. A page uses a few: interfaces, IP families, a NAT rebinding.
pub(super) const MAX_ADDRESSES: usize = 16;

pub(super) struct Book<P> {
    peers: HashMap<u64, Entry<P>>,
    by_ufrag: HashMap<Box<[u8]>, u64>,
    by_address: HashMap<SocketAddr, u64>,
    next: u64,
}

struct Entry<P> {
    peer: P,
    ufrag: Box<[u8]>,
    addresses: Vec<SocketAddr>,
}

impl<P> Default for Book<P> {
    fn default() -> Self {
        Book {
            peers: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            next: 0,
        }
    }
}

impl<P> Book<P> {
    /// Enters a peer. False: the name is taken or the lane is full.
    pub(super) fn join(&mut self, ufrag: &str, peer: P) -> bool {
        let ufrag: Box<[u8]> = ufrag.as_bytes().into();
        if self.peers.len() >= MAX_PEERS || self.by_ufrag.contains_key(&ufrag) {
            return false;
        }
        self.next += 1;
        self.by_ufrag.insert(ufrag.clone(), self.next);
        self.peers.insert(
            self.next,
            Entry {
                peer,
                ufrag,
                addresses: Vec::new(),
            },
        );
        true
    }

    /// Strikes a peer and its addresses out.
    pub(super) fn leave(&mut self, ufrag: &str) {
        if let Some(id) = self.by_ufrag.get(ufrag.as_bytes()) {
            self.strike(*id);
        }
    }

    /// Notes that a peer proved an address. Whoever proves it last has it: a NAT may give it to another page.
    pub(super) fn learn(&mut self, ufrag: &str, address: SocketAddr) {
        let Some(id) = self.by_ufrag.get(ufrag.as_bytes()).copied() else {
            return;
        };
        match self.by_address.insert(address, id) {
            Some(former) if former == id => return,
            Some(former) => {
                if let Some(entry) = self.peers.get_mut(&former) {
                    entry.addresses.retain(|known| *known != address);
                }
            }
            None => {}
        }
        let entry = self
            .peers
            .get_mut(&id)
            .expect("by_ufrag holds only entered peers");
        entry.addresses.push(address);
        if entry.addresses.len() > MAX_ADDRESSES {
            let oldest = entry.addresses.remove(0);
            self.by_address.remove(&oldest);
        }
    }

    /// The owner of a datagram, and the key to strike it out with.
    pub(super) fn find(&self, from: SocketAddr, datagram: &[u8]) -> Option<(u64, &P)> {
        let id = match stun::username(datagram) {
            Some(ufrag) => self.by_ufrag.get(ufrag),
            None => self.by_address.get(&from),
        }?;
        self.peers.get(id).map(|entry| (*id, &entry.peer))
    }

    /// Strikes out the peer that [`Book::find`] gave.
    pub(super) fn strike(&mut self, id: u64) {
        if let Some(entry) = self.peers.remove(&id) {
            self.by_ufrag.remove(&entry.ufrag);
            for address in entry.addresses {
                self.by_address.remove(&address);
            }
        }
    }

    /// Peers and addresses entered.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.peers.len(), self.by_address.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stun::tests::binding_request;
    use super::*;

    fn address(last: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 10_000 + last))
    }

    const RTP: &[u8] = &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
    const CLIENT_HELLO: &[u8] = &[22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];

    fn owner(book: &Book<char>, from: SocketAddr, datagram: &[u8]) -> Option<char> {
        book.find(from, datagram).map(|(_, peer)| *peer)
    }

    fn two() -> Book<char> {
        let mut book = Book::default();
        assert!(book.join("aaaa", 'a'));
        assert!(book.join("bbbb", 'b'));
        book
    }

    #[test]
    fn stun_finds_its_peer_by_user_name_from_anywhere() {
        let mut book = two();
        let check = |book: &Book<char>, name: &str, expected| {
            assert_eq!(
                owner(book, address(1), &binding_request(name)),
                expected,
                "{name}"
            );
        };
        check(&book, "aaaa:page", Some('a'));
        check(&book, "bbbb:page", Some('b'));
        check(&book, "cccc:page", None);
        book.learn("aaaa", address(1));
        check(&book, "bbbb:page", Some('b'));
        check(&book, "cccc:page", None);
    }

    #[test]
    fn media_and_dtls_go_only_to_the_peer_that_proved_the_address() {
        let mut book = two();
        for datagram in [RTP, CLIENT_HELLO, &[]] {
            assert_eq!(owner(&book, address(1), datagram), None);
        }
        book.learn("aaaa", address(1));
        assert_eq!(owner(&book, address(1), RTP), Some('a'));
        assert_eq!(owner(&book, address(1), CLIENT_HELLO), Some('a'));
        assert_eq!(owner(&book, address(2), RTP), None);
        book.learn("bbbb", address(1));
        assert_eq!(owner(&book, address(1), RTP), Some('b'));
        book.leave("aaaa");
        assert_eq!(owner(&book, address(1), RTP), Some('b'));
    }

    #[test]
    fn nothing_is_left_of_a_peer_that_left() {
        let mut book = two();
        for last in 0..5 {
            book.learn("aaaa", address(last));
        }
        book.leave("aaaa");
        book.leave("aaaa");
        book.leave("nobody");
        book.learn("aaaa", address(9));
        assert_eq!(book.sizes(), (1, 0));
        book.leave("bbbb");
        assert_eq!(book.sizes(), (0, 0));
    }

    #[test]
    fn a_name_is_given_once_and_the_book_never_overflows() {
        let mut book = two();
        assert!(!book.join("aaaa", 'c'));
        for number in 0..MAX_PEERS - 2 {
            assert!(book.join(&format!("peer{number}"), 'x'));
        }
        assert!(!book.join("one more", 'x'));
        for last in 0..100 {
            book.learn("aaaa", address(last));
        }
        assert_eq!(book.sizes(), (MAX_PEERS, MAX_ADDRESSES));
        assert_eq!(owner(&book, address(0), RTP), None);
        assert_eq!(owner(&book, address(99), RTP), Some('a'));
    }
}
