//! Addresses of requests and answers (RFC 3261 18.1.1, 18.2; RFC 3581).

use std::net::SocketAddr;

use super::Flow;
use crate::message::{HeaderName, Headers, Request, Transport, Via};

/// The largest request that may travel by UDP when the path MTU is unknown, in bytes (RFC 3261 18.1.1).
pub const UDP_REQUEST_MAX: usize = 1_300;

/// Whether a request that has no Via yet may travel by UDP; if not, a stream must carry it.
pub fn fits_udp(request: &Request) -> bool {
    /// Our Via at its longest: transport, IPv6 address and port, branch, `rport`.
    const VIA_ROOM: usize = 128;
    let via = if request.headers.has(&HeaderName::Via) { 0 } else { VIA_ROOM };
    request.to_bytes().len() + via <= UDP_REQUEST_MAX
}

/// Notes on the top Via of a request that came in where it came from, see [`Via::stamp`]. An unreadable Via stays as it is.
pub fn stamp_top_via(headers: &mut Headers, source: SocketAddr) {
    if let Ok(mut via) = headers.top_via() {
        via.stamp(source);
        headers.set_first(&HeaderName::Via, via);
    }
}

/// Where the answer to a request goes whose (stamped) top Via is `via` and that came by `flow`.
///
/// Over UDP: to the source address, at the source port if the sender asked for it by `rport`, else at the port where it says that
/// it listens. Over streams: to `flow.remote` as long as the connection lives; this is the address to connect to when it does not.
/// `maddr` is not obeyed: it serves multicast, which we do not speak, and would let a sender point our answers at third parties.
pub fn response_address(via: &Via, flow: &Flow) -> SocketAddr {
    if flow.transport == Transport::Udp && via.params.has("rport") {
        return flow.remote;
    }
    SocketAddr::new(flow.remote.ip(), via.sent_by.port.unwrap_or(flow.transport.default_port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_where_rfc_3581_says() {
        for (transport, via, goes) in [
            (Transport::Udp, "SIP/2.0/UDP 10.0.0.1:5070;rport", "192.0.2.9:40000"),
            (Transport::Udp, "SIP/2.0/UDP 10.0.0.1:5070", "192.0.2.9:5070"),
            (Transport::Udp, "SIP/2.0/UDP phone.example", "192.0.2.9:5060"),
            (Transport::Udp, "SIP/2.0/UDP phone.example;maddr=203.0.113.1", "192.0.2.9:5060"),
            (Transport::Tcp, "SIP/2.0/TCP 10.0.0.1:5070;rport", "192.0.2.9:5070"),
            (Transport::Tls, "SIP/2.0/TLS phone.example", "192.0.2.9:5061"),
        ] {
            let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:40000".parse().unwrap());
            let flow = Flow { transport, local, remote };
            assert_eq!(response_address(&via.parse().unwrap(), &flow), goes.parse().unwrap(), "{via}");
        }
    }
}
