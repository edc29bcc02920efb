//! The WebRTC side of a lane: its one port on each of our addresses, and whose datagrams come in there.
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use actix::dev::SendError;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, StreamHandler};
use bytes::Bytes;
use futures_util::StreamExt;
use tracing::error;

use super::peers::Peers;
use crate::udp::Datagrams;
use crate::vocabulary::{Alive, Meters};

/// A datagram for a peer.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct PeerDatagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// Which of our bound addresses it came to.
    pub to: SocketAddr,
    /// What came.
    pub bytes: Bytes,
    /// When.
    pub received: Instant,
}

/// A peer wants the datagrams for its user name fragment.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// The fragment in our description.
    pub fragment: String,
    /// Takes the datagrams. Held strongly until it leaves: the limit of its mailbox counts per sending handle.
    pub peer: Recipient<PeerDatagram>,
}

/// A peer has proven an address of its page.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Learnt {
    /// The peer.
    pub fragment: String,
    /// The page's address.
    pub from: SocketAddr,
}

/// A peer is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Leave(pub String);

/// The sockets of a lane, for sending. Sends at once or not at all.
#[derive(Debug, Clone)]
pub struct LaneSender {
    sockets: Arc<[(SocketAddr, UdpSocket)]>,
    meters: Meters,
}

/// The actor: reads the lane's sockets and finds each datagram's peer.
pub struct LaneSocket {
    sender: LaneSender,
    peers: Peers<Recipient<PeerDatagram>>,
    meters: Meters,
    _alive: Alive,
}

/// Peers that may join at once; a lane is full of calls long before.
const MAX_PEERS: usize = 20_000;

impl LaneSender {
    pub(super) fn new(sockets: Vec<(SocketAddr, UdpSocket)>, meters: &Meters) -> Self {
        Self { sockets: sockets.into(), meters: meters.clone() }
    }

    /// Sends from one of our bound addresses. A full socket buffer drops: late media is worth nothing.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let socket = self.sockets.iter().find(|(bound, _)| *bound == from);
        if socket.is_none_or(|(_, socket)| socket.send_to(bytes, to).is_err()) {
            self.meters.dropped("webrtc_socket").inc();
        }
    }
}

impl LaneSocket {
    pub(super) fn new(sender: LaneSender, meters: &Meters) -> Self {
        Self { sender, peers: Peers::new(), meters: meters.clone(), _alive: meters.alive("lane_socket") }
    }

    fn dropped(&self, place: &str) {
        self.meters.dropped(place).inc();
    }
}

impl Actor for LaneSocket {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for (bound, socket) in self.sender.sockets.iter() {
            let bound = *bound;
            match socket.try_clone().and_then(|socket| Datagrams::new(Arc::new(socket))) {
                Ok(datagrams) => {
                    ctx.add_stream(datagrams.map(move |datagram| PeerDatagram {
                        from: datagram.from,
                        to: bound,
                        bytes: datagram.bytes,
                        received: datagram.received,
                    }));
                }
                Err(problem) => {
                    error!(%bound, %problem, "a lane cannot read its socket");
                    ctx.stop();
                }
            }
        }
    }
}

impl StreamHandler<PeerDatagram> for LaneSocket {
    fn handle(&mut self, datagram: PeerDatagram, _: &mut Self::Context) {
        let Some((fragment, peer)) = self.peers.find(datagram.from, &datagram.bytes) else {
            return self.dropped("webrtc_unknown_peer");
        };
        match peer.try_send(datagram) {
            Ok(()) => {}
            Err(SendError::Full(_)) => self.dropped("webrtc_mailbox"),
            Err(SendError::Closed(_)) => {
                // A leg that fell without a word.
                let fragment = fragment.to_vec();
                self.peers.leave(&fragment);
                self.dropped("webrtc_unknown_peer");
            }
        }
    }

    /// Sockets never end; without this, the end of one's stream would stop the lane.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Join> for LaneSocket {
    type Result = ();
    fn handle(&mut self, join: Join, _: &mut Self::Context) {
        if self.peers.len() < MAX_PEERS {
            self.peers.join(&join.fragment, join.peer);
        }
    }
}

impl Handler<Learnt> for LaneSocket {
    type Result = ();
    fn handle(&mut self, learnt: Learnt, _: &mut Self::Context) {
        self.peers.learn(&learnt.fragment, learnt.from);
    }
}

impl Handler<Leave> for LaneSocket {
    type Result = ();
    fn handle(&mut self, Leave(fragment): Leave, _: &mut Self::Context) {
        self.peers.leave(fragment.as_bytes());
    }
}
