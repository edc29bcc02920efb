//! UDP sockets: bound once, read in batches, never waited for.
use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;

use actix::{Message, WeakAddr};
use bytes::Bytes;
use sip::transport::{Flow, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::SipEndpoint;

/// What one wake-up of a socket brought.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Datagrams(pub(super) Vec<(Flow, Bytes)>);

/// Datagrams read in one wake-up. A SIP request costs 20 to 50 µs, so a full batch holds the endpoint for some 3 ms before its
/// timers and its other sockets get their turn; the next batch waits in the kernel.
const BATCH: usize = 64;
/// The largest datagram there is.
const LARGEST: usize = 65_535;
/// Room for a burst of some 500 requests while the endpoint works; beyond, the kernel drops and SIP retransmits.
const KERNEL_BUFFER: usize = 1 << 20;

/// A bound, non-blocking socket. An IPv6 socket takes IPv6 only: IPv4 has sockets of its own.
pub(super) fn bind(address: SocketAddr) -> io::Result<StdSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A smaller buffer is no reason not to start.
    let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Sends one datagram now or never. Straight to the kernel: a socket that the reactor has not looked at yet would refuse its first one.
pub(super) fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
    SockRef::from(socket).send_to(bytes, &to.into()).map(|_| ())
}

/// Reads until the endpoint is gone. The next batch is read when the endpoint has eaten the last: a flood fills the kernel's buffer,
/// not our memory.
pub(super) async fn read(socket: Arc<UdpSocket>, endpoint: WeakAddr<SipEndpoint>) {
    let Ok(local) = socket.local_addr() else { return };
    let mut buffer = vec![0; LARGEST];
    while socket.readable().await.is_ok() {
        let mut batch = vec![];
        while batch.len() < BATCH {
            // An error is the ICMP answer to something sent before, or nothing left to read.
            let Ok((length, remote)) = socket.try_recv_from(&mut buffer) else { break };
            let flow = Flow { transport: Transport::Udp, local, remote };
            batch.push((flow, Bytes::copy_from_slice(&buffer[..length])));
        }
        let Some(endpoint) = endpoint.upgrade() else { return };
        if !batch.is_empty() && endpoint.send(Datagrams(batch)).await.is_err() {
            return;
        }
    }
}
