//! Lanes: the threads that carry calls. All actors of a call live on one lane, so a media hop needs no lock and
//! costs some 100 ns; each lane has a WebRTC port of its own, so the lane that gets a packet owns its peer.

mod addresses;
mod book;
mod socket;
pub mod stun;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

pub use addresses::LocalAddress;
pub use socket::{Datagram, Join, LaneCounts, LanePort, LaneSocket, Learnt, Leave, MAX_DATAGRAM, Sizes};

/// What the lanes must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSettings {
    /// Threads; at least one is made.
    pub lanes: usize,
    /// UDP port of the first lane; lane `n` has this plus `n`. 0 lets the system choose, for tests.
    pub port: u16,
    /// Addresses to bind; empty: all of the machine's. Wildcards stand for all of their family.
    pub addresses: Vec<IpAddr>,
    /// What pages are told instead of the bound address (1:1 NAT). Only addresses of its family are bound then.
    pub advertised: Option<IpAddr>,
}

/// Why the lanes cannot start.
#[derive(Debug, Error)]
pub enum LaneError {
    /// The machine's addresses cannot be listed.
    #[error("cannot list the machine's addresses: {0}")]
    Addresses(io::Error),
    /// Nothing to bind.
    #[error("no address to bind for WebRTC")]
    NoAddress,
    /// A port is taken, or an address is not ours.
    #[error("cannot bind UDP {address} for WebRTC: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// One thread, its WebRTC port and how much it carries. Clones are the same lane.
#[derive(Clone)]
pub struct Lane {
    /// Its number, from 0.
    pub number: usize,
    /// Where to start the actors of a call.
    pub arbiter: ArbiterHandle,
    /// Who tells datagrams apart.
    pub socket: Addr<LaneSocket>,
    /// Where to send, and where pages reach us.
    pub port: Arc<LanePort>,
    calls: Arc<AtomicUsize>,
}

/// A call's place on a lane; dropped with the call.
pub struct Seat {
    lane: Lane,
}

/// All lanes of the process.
pub struct Lanes {
    lanes: Vec<Lane>,
    arbiters: Vec<Arbiter>,
}

impl Lanes {
    /// Binds every port, then starts the threads. Needs a running actix system.
    ///
    /// # Errors
    /// When an address that was asked for cannot be bound, or none of the machine's can.
    pub fn start(settings: &LaneSettings) -> Result<Self, LaneError> {
        let count = settings.lanes.max(1);
        let mut bound = Vec::with_capacity(count);
        for number in 0..count {
            bound.push(bind(settings, number)?);
        }
        let (mut lanes, mut arbiters) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (number, sockets) in bound.into_iter().enumerate() {
            let port = Arc::new(LanePort::new(sockets));
            let arbiter = Arbiter::new();
            let for_socket = port.clone();
            let socket = LaneSocket::start_in_arbiter(&arbiter.handle(), |_| LaneSocket::new(for_socket));
            let calls = Arc::new(AtomicUsize::new(0));
            lanes.push(Lane {
                number,
                arbiter: arbiter.handle(),
                socket,
                port,
                calls,
            });
            arbiters.push(arbiter);
        }
        Ok(Lanes { lanes, arbiters })
    }

    /// A place on the lane with the fewest calls, the first of equals.
    pub fn pick(&self) -> Seat {
        let lane = self.lanes.iter().min_by_key(|lane| lane.calls());
        let lane = lane.expect("start makes at least one lane").clone();
        lane.calls.fetch_add(1, Ordering::Relaxed);
        Seat { lane }
    }

    /// Every lane, for metrics.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// Stops the threads and waits for them. Ports are free afterwards.
    pub fn stop(self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        for arbiter in self.arbiters {
            if arbiter.join().is_err() {
                tracing::error!("a lane ended with a panic");
            }
        }
    }
}

impl Lane {
    /// Calls on this lane now.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl std::ops::Deref for Seat {
    type Target = Lane;

    fn deref(&self) -> &Lane {
        &self.lane
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lane.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Kernel buffer for what arrives while a lane is busy: 1,000 calls send 10 MB/s, so this holds 200 ms of them.
const RECEIVE_BUFFER: usize = 2 << 20;

fn bind(settings: &LaneSettings, lane: usize) -> Result<Vec<(LocalAddress, UdpSocket)>, LaneError> {
    let port = match settings.port {
        0 => 0,
        first => u16::try_from(lane)
            .ok()
            .and_then(|lane| first.checked_add(lane))
            .ok_or(LaneError::NoAddress)?,
    };
    let wanted =
        addresses::to_bind(&settings.addresses, settings.advertised).map_err(LaneError::Addresses)?;
    let mut sockets = Vec::with_capacity(wanted.len());
    let mut refused = None;
    for address in wanted.into_iter().map(|address| SocketAddr::new(address, port)) {
        match bind_one(address) {
            Ok(socket) => {
                let bound = socket
                    .local_addr()
                    .map_err(|source| LaneError::Bind { address, source })?;
                let ip = settings.advertised.unwrap_or(bound.ip());
                sockets.push((
                    LocalAddress {
                        bound,
                        advertised: SocketAddr::new(ip, bound.port()),
                    },
                    socket,
                ));
            }
            // One of the machine's addresses may be on its way in or out (IPv6 duplicate detection).
            Err(source) if settings.addresses.is_empty() => {
                tracing::warn!(%address, %source, "cannot bind for WebRTC");
                refused = Some(LaneError::Bind { address, source });
            }
            Err(source) => return Err(LaneError::Bind { address, source }),
        }
    }
    if sockets.is_empty() {
        Err(refused.unwrap_or(LaneError::NoAddress))
    } else {
        Ok(sockets)
    }
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The kernel may grant less; that is no reason not to start.
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
        tracing::debug!(%error, "receive buffer");
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
