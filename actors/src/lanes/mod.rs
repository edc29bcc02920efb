//! Lanes: the threads that carry calls, each with one WebRTC port.
//!
//! A call and all its actors live on one lane, so a media hop costs some 100 ns and needs no lock; the lane whose port
//! receives a packet is the lane that owns its peer.
mod addresses;
mod peers;
mod socket;
pub mod stun;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use socket2::{Domain, Socket, Type};
use tracing::{info, warn};

use crate::vocabulary::{MediaSettings, Meters};
pub use addresses::LocalAddress;
pub use socket::{Join, LaneSender, LaneSocket, Learnt, Leave, PeerDatagram};

/// All lanes of a switch. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Lanes {
    lanes: Arc<[Lane]>,
    /// Threads on which pictures are encoded: as many again, so that a picture, which takes milliseconds, delays no sound.
    codec_lanes: Arc<[ArbiterHandle]>,
    next: Arc<AtomicUsize>,
}

/// One lane.
pub struct Lane {
    arbiter: ArbiterHandle,
    socket: Addr<LaneSocket>,
    sender: LaneSender,
    addresses: Vec<LocalAddress>,
}

/// What the kernel keeps for us while the lane is busy: some 3,000 packets, 30 ms of 1,000 calls.
const RECEIVE_BUFFER: usize = 2 << 20;

impl Lanes {
    /// Starts the threads and binds their ports. A lane that cannot bind stops the whole start.
    pub fn start(settings: &MediaSettings, meters: &Meters) -> io::Result<Self> {
        let ips = addresses::to_bind(settings)?;
        let mut lanes = vec![];
        for number in 0..settings.lanes.max(1) {
            let port = u16::try_from(usize::from(settings.webrtc_port) + number)
                .map_err(|_| io::Error::other("more lanes than ports"))?;
            let sockets = bind_all(&ips, port, settings.webrtc_addresses.is_empty())?;
            let addresses: Vec<LocalAddress> = sockets
                .iter()
                .map(|(bound, _)| addresses::told(*bound, settings.advertised_address))
                .collect();
            info!(lane = number, ?addresses, "lane");
            let sender = LaneSender::new(sockets, meters);
            let arbiter = Arbiter::new().handle();
            let (for_socket, counters) = (sender.clone(), meters.clone());
            let socket =
                LaneSocket::start_in_arbiter(&arbiter, move |_| LaneSocket::new(for_socket, &counters));
            lanes.push(Lane { arbiter, socket, sender, addresses });
        }
        let codec_lanes = lanes.iter().map(|_| Arbiter::new().handle()).collect();
        Ok(Self { lanes: lanes.into(), codec_lanes, next: Arc::new(AtomicUsize::new(0)) })
    }

    /// The codec lane of the call that gets the next lane.
    pub fn codec_lane(&self) -> ArbiterHandle {
        self.codec_lanes[self.next.load(Ordering::Relaxed) % self.codec_lanes.len()].clone()
    }

    /// The lane for a new call: in turn, since calls cost about the same.
    pub fn pick(&self) -> &Lane {
        &self.lanes[self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len()]
    }
}

impl Lane {
    /// Where its actors start.
    pub fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Where its peers join.
    pub fn socket(&self) -> &Addr<LaneSocket> {
        &self.socket
    }

    /// Sends for its peers.
    pub fn sender(&self) -> &LaneSender {
        &self.sender
    }

    /// Where pages reach it, best first.
    pub fn addresses(&self) -> &[LocalAddress] {
        &self.addresses
    }
}

/// Binds each address. One that the machine only listed (`found`) may be on its way in or out, as an IPv6 address is
/// while duplicates of it are looked for: the lane goes on without it, unless it is left with none.
fn bind_all(ips: &[IpAddr], port: u16, found: bool) -> io::Result<Vec<(SocketAddr, UdpSocket)>> {
    let mut sockets = vec![];
    for address in ips.iter().map(|ip| SocketAddr::new(*ip, port)) {
        match bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if found && error.kind() == io::ErrorKind::AddrNotAvailable => {
                warn!(%error, "not for WebRTC")
            }
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() { Err(io::Error::other("no address to bind for WebRTC")) } else { Ok(sockets) }
}

fn bind(address: SocketAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel gives what its own limit allows; less is no error.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket
        .bind(&address.into())
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    let socket = UdpSocket::from(socket);
    Ok((socket.local_addr()?, socket))
}
