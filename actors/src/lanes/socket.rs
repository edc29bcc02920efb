//! The UDP side of a lane: reads in batches, tells peers apart, hands each its datagrams.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Task, Poll, ready};
use std::time::Instant;

use actix::{
    Actor, AsyncContext, Context, Handler, Message, MessageResult, Recipient, StreamHandler, WeakRecipient,
};
use bytes::Bytes;
use futures_util::Stream;

use super::LocalAddress;
use super::book::Book;

/// A datagram for one peer.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Datagram {
    /// When it was read.
    pub now: Instant,
    /// The page's address.
    pub from: SocketAddr,
    /// Our bound address.
    pub to: SocketAddr,
    /// What came.
    pub bytes: Bytes,
}

/// A peer enters: binding requests for `ufrag` are its own from now on. Sent before its description goes out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Join {
    /// The peer's local user name fragment.
    pub ufrag: String,
    /// Who takes its datagrams. Held weakly.
    pub peer: Recipient<Datagram>,
}

/// A peer answered a binding request: all that comes from this address is its own. Sent before that answer goes
/// out, so that the page's next datagram finds the address known: a mailbox is emptied before sockets are read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Learnt {
    /// The peer's local user name fragment.
    pub ufrag: String,
    /// The page's address.
    pub from: SocketAddr,
}

/// A peer is gone, with its addresses. A peer whose actor has ended is struck out by its next datagram too.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Leave {
    /// The peer's local user name fragment.
    pub ufrag: String,
}

/// Asks how many peers and how many addresses are entered, to see that nothing is left over.
#[derive(Debug, Message)]
#[rtype(result = "(usize, usize)")]
pub struct Sizes;

/// Sending end of a lane's sockets; legs use it directly.
#[derive(Debug)]
pub struct LanePort {
    sockets: Vec<(LocalAddress, UdpSocket)>,
    counters: Counters,
}

/// What a lane's port has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneCounts {
    /// Datagrams read.
    pub received: u64,
    /// Datagrams that belonged to nobody: unknown user name, unproven address.
    pub unowned: u64,
    /// Datagrams that found their peer's mailbox full.
    pub refused: u64,
    /// Datagrams longer than [`MAX_DATAGRAM`], and read errors.
    pub unreadable: u64,
    /// Datagrams not sent: the kernel's buffer was full, or no route.
    pub unsent: u64,
}

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    unowned: AtomicU64,
    refused: AtomicU64,
    unreadable: AtomicU64,
    unsent: AtomicU64,
}

/// Longest datagram taken: an Ethernet frame holds 1,472 bytes, a page sends 1,200 at most.
pub const MAX_DATAGRAM: usize = 2_000;
/// Datagrams read at one wake-up of a socket. A peer's work on one is about 7 µs, so the lane's timers wait half a
/// millisecond at most; the sockets' turn comes again right after.
const BATCH: usize = 64;

impl LanePort {
    pub(super) fn new(sockets: Vec<(LocalAddress, UdpSocket)>) -> Self {
        LanePort {
            sockets,
            counters: Counters::default(),
        }
    }

    /// Our addresses, best first.
    pub fn addresses(&self) -> Vec<LocalAddress> {
        self.sockets.iter().map(|(address, _)| *address).collect()
    }

    /// Sends from one of our bound addresses, or drops and counts. Never waits. True: it is on its way.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> bool {
        let socket = self.sockets.iter().find(|(address, _)| address.bound == from);
        let sent = socket.is_some_and(|(_, socket)| socket.send_to(datagram, to).is_ok());
        if !sent {
            add(&self.counters.unsent, 1);
        }
        sent
    }

    /// What happened so far.
    pub fn counts(&self) -> LaneCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LaneCounts {
            received: read(&self.counters.received),
            unowned: read(&self.counters.unowned),
            refused: read(&self.counters.refused),
            unreadable: read(&self.counters.unreadable),
            unsent: read(&self.counters.unsent),
        }
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// Reads the sockets of one lane. Lives on the lane's thread, as do all its peers.
pub struct LaneSocket {
    port: Arc<LanePort>,
    book: Book<WeakRecipient<Datagram>>,
}

impl LaneSocket {
    pub(super) fn new(port: Arc<LanePort>) -> Self {
        LaneSocket {
            port,
            book: Book::default(),
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        let Some((id, peer)) = self.book.find(datagram.from, &datagram.bytes) else {
            add(&self.port.counters.unowned, 1);
            return;
        };
        let Some(peer) = peer.upgrade() else {
            self.book.strike(id);
            add(&self.port.counters.unowned, 1);
            return;
        };
        if peer.try_send(datagram).is_err() {
            add(&self.port.counters.refused, 1);
        }
    }
}

impl Actor for LaneSocket {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Words of peers: a few per call, bounded by the calls admitted.
        ctx.set_mailbox_capacity(1_024);
        for (address, socket) in &self.port.sockets {
            let reader = socket
                .try_clone()
                .and_then(|socket| Reader::new(socket, address.bound, self.port.clone()));
            match reader {
                Ok(reader) => drop(ctx.add_stream(reader)),
                Err(error) => {
                    tracing::error!(%error, address = %address.bound, "cannot read a WebRTC socket")
                }
            }
        }
    }
}

impl StreamHandler<Vec<Datagram>> for LaneSocket {
    fn handle(&mut self, batch: Vec<Datagram>, _: &mut Self::Context) {
        for datagram in batch {
            self.deliver(datagram);
        }
    }

    /// Called when *one* socket's stream ends, which it never does; the default would stop the lane.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Join> for LaneSocket {
    type Result = ();

    fn handle(&mut self, join: Join, _: &mut Self::Context) {
        if !self.book.join(&join.ufrag, join.peer.downgrade()) {
            tracing::error!("a WebRTC peer found its lane full");
        }
    }
}

impl Handler<Learnt> for LaneSocket {
    type Result = ();

    fn handle(&mut self, learnt: Learnt, _: &mut Self::Context) {
        self.book.learn(&learnt.ufrag, learnt.from);
    }
}

impl Handler<Sizes> for LaneSocket {
    type Result = MessageResult<Sizes>;

    fn handle(&mut self, _: Sizes, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.book.sizes())
    }
}

impl Handler<Leave> for LaneSocket {
    type Result = ();

    fn handle(&mut self, leave: Leave, _: &mut Self::Context) {
        self.book.leave(&leave.ufrag);
    }
}

/// A socket as a stream of batches.
struct Reader {
    socket: tokio::net::UdpSocket,
    bound: SocketAddr,
    port: Arc<LanePort>,
    buffer: Box<[u8]>,
    /// The last poll gave a batch: let the peers work on it first.
    rest: bool,
}

impl Reader {
    fn new(socket: UdpSocket, bound: SocketAddr, port: Arc<LanePort>) -> io::Result<Self> {
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Reader {
            socket,
            bound,
            port,
            buffer: vec![0; MAX_DATAGRAM + 1].into(),
            rest: false,
        })
    }

    /// Everything that is there, up to [`BATCH`].
    fn batch(&mut self) -> Vec<Datagram> {
        let now = Instant::now();
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, from)) if length <= MAX_DATAGRAM => {
                    let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
                    batch.push(Datagram {
                        now,
                        from,
                        to: self.bound,
                        bytes,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => add(&self.port.counters.unreadable, 1),
            }
        }
        add(&self.port.counters.received, batch.len() as u64);
        batch
    }
}

impl Stream for Reader {
    type Item = Vec<Datagram>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rest) {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            // An error here would come at once again: wait for the reactor instead of spinning.
            if ready!(self.socket.poll_recv_ready(task)).is_err() {
                return Poll::Pending;
            }
            let batch = self.batch();
            if !batch.is_empty() {
                self.rest = true;
                return Poll::Ready(Some(batch));
            }
        }
    }
}
