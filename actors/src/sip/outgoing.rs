//! What the owners send: over UDP at once, over TCP and TLS when a connection is there.
use std::net::SocketAddr;
use std::time::Duration;

use actix::{AsyncContext, Context};
use bytes::Bytes;
use sip::message::{HeaderName, Method, Request, Response};
use sip::transaction::ServerKey;
use sip::transport::{Flow, KEEP_ALIVE_PING, Transport, fits_udp};

use super::connections::Peer;
use super::tcp::{self, Accepted, Connected, Dial, NoConnection, Stream};
use super::{CancelRequest, Hop, SendAck, SendRequest, SipEndpoint, SipEvent, incoming, now, udp};

/// Waits for a connection.
pub(super) enum Waiting {
    Request(SendRequest),
    Ack(SendAck),
}

/// Requests that wait for connections, in all. A connection takes 4 s at most, so this is a flood or a dead PBX.
const MAX_WAITING: usize = 1024;

impl SipEndpoint {
    /// Sends a request: by UDP if the hop says so and it fits, else by TCP (RFC 3261 §18.1.1) or TLS.
    pub(super) fn send(&mut self, mut ask: SendRequest, ctx: &mut Context<Self>) {
        // Checked when it was located; a hop that was made in another way gets no further.
        if self.settings.target_policy.check(ask.hop.remote.ip()).is_err() {
            return incoming::tell(&ask.owner, SipEvent::TransportFailed(ask.id));
        }
        sign(&mut ask.request, &self.settings.user_agent);
        if ask.hop.transport == Transport::Udp {
            if fits_udp(&ask.request) {
                return self.send_by_udp(ask);
            }
            self.meters.sip_oversize_requests_total.inc();
        }
        match self.connection(&ask.hop) {
            Some(flow) => self.start(ask, flow),
            None => self.wait_for_connection(Waiting::Request(ask), ctx),
        }
    }

    /// Sends the ACK for a 2xx. It is small: only a hop over TCP takes TCP.
    pub(super) fn send_ack(&mut self, mut ask: SendAck, ctx: &mut Context<Self>) {
        let remote = ask.hop.remote;
        if self.settings.target_policy.check(remote.ip()).is_err() {
            return;
        }
        let flow = match ask.hop.transport {
            Transport::Udp => self.udp_flow(remote),
            Transport::Tcp | Transport::Tls => self.connection(&ask.hop),
        };
        match flow {
            Some(flow) => self.layer.send_ack(&mut ask.request, flow, ask.hop.contact),
            None if ask.hop.transport == Transport::Udp => {}
            None => self.wait_for_connection(Waiting::Ack(ask), ctx),
        }
    }

    /// Cancels, or takes back what has not been sent yet.
    pub(super) fn cancel(&mut self, cancel: &CancelRequest) {
        if let Some(key) = self.routes.key_of(&cancel.id) {
            return self.layer.cancel(now(), key, cancel.reason.as_ref());
        }
        let is_it = |waiting: &mut Waiting| matches!(waiting, Waiting::Request(ask) if ask.id == cancel.id);
        for waiting in self.waiting.values_mut() {
            for taken in waiting.extract_if(.., is_it) {
                taken.fail(&std::io::Error::from(std::io::ErrorKind::Interrupted).into());
            }
        }
    }

    /// Sends a keep-alive to `hop`, if it is due. False: there is no way that could be kept open.
    pub(super) fn keep_alive(&mut self, hop: &Hop, every: Duration) -> bool {
        if hop.transport == Transport::Udp {
            let last = self.kept.get(&hop.remote);
            if last.is_none_or(|last| now().saturating_duration_since(*last) >= every / 2)
                && let Some(flow) = self.udp_flow(hop.remote)
            {
                self.kept.insert(hop.remote, now());
                self.transmit(Bytes::from_static(KEEP_ALIVE_PING), &flow);
            }
            return true;
        }
        let Some(flow) = self.connection(hop) else { return false };
        let lives = self.connections.keep_alive(&flow, now(), every);
        if !lives {
            self.connections.remove(&flow);
            self.layer.transport_failed(now(), &flow);
        }
        lives
    }

    /// Answers a request that came in.
    pub(super) fn respond(&mut self, key: ServerKey, mut response: Response) {
        let method = response.headers.cseq().map(|cseq| cseq.method).unwrap_or(Method::Options);
        self.count_response(&method, response.code.as_u16());
        if !response.headers.has(&HeaderName::Server) {
            let server = response.headers.push_text(HeaderName::Server, &self.settings.user_agent);
            server.unwrap_or_default(); // a name that cannot be printed is not printed
        }
        if response.code.is_final() {
            self.routes.answered(&key);
        } else {
            self.routes.take(&key);
        }
        if !self.layer.respond(now(), key, response) {
            tracing::debug!(%method, "sip: an answer came too late");
        }
    }

    /// Sends bytes by a flow; false: they will not arrive.
    pub(super) fn transmit(&mut self, bytes: Bytes, flow: &Flow) -> bool {
        if flow.transport != Transport::Udp {
            let sent = self.connections.send(flow, bytes).is_ok();
            if !sent {
                self.connections.remove(flow);
            }
            return sent;
        }
        match self.udp.get(&flow.local).map(|socket| udp::send(socket, &bytes, flow.remote)) {
            Some(Ok(())) => true,
            // The kernel's buffer is full: lost like any datagram, and sent again by the transaction.
            Some(Err(error)) => error.kind() == std::io::ErrorKind::WouldBlock,
            None => false,
        }
    }

    /// A peer has connected: keeps the connection if there is room.
    pub(super) fn accepted(&mut self, accepted: Accepted, ctx: &mut Context<Self>) {
        let Accepted { stream, is_tls, local, remote } = accepted;
        let acceptor = if is_tls { self.tls.acceptor(now(), self.limits.tls_files) } else { None };
        let transport = if is_tls { Transport::Tls } else { Transport::Tcp };
        let flow = Flow { transport, local, remote };
        let Some(ends) = self.connections.add(flow, None) else {
            return self.meters.sip_dropped_total.with_label_values(&["connections"]).inc();
        };
        let endpoint = ctx.address().downgrade();
        match acceptor {
            Some(tls) => {
                actix_rt::spawn(tcp::serve_tls(tls, stream, flow, ends, self.limits, endpoint));
            }
            None => {
                actix_rt::spawn(tcp::serve(Stream::Plain(stream), flow, ends, self.limits, endpoint));
            }
        }
    }

    /// A connection of ours is up, or is not: sends what waits for it.
    pub(super) fn connected(&mut self, connected: Connected, ctx: &mut Context<Self>) {
        let Connected { peer, stream } = connected;
        let waiting = self.waiting.remove(&peer).unwrap_or_default();
        let up = stream.and_then(|(stream, local)| {
            let flow = Flow { transport: peer.transport, local, remote: peer.remote };
            let ends = self
                .connections
                .add(flow, peer.name.clone())
                .ok_or_else(|| std::io::Error::other("too many connections"))?;
            // A connection of ours need not prove itself.
            let limits = super::Limits { first_message: self.limits.idle, ..self.limits };
            actix_rt::spawn(tcp::serve(stream, flow, ends, limits, ctx.address().downgrade()));
            Ok(flow)
        });
        for one in waiting {
            match (one, &up) {
                (Waiting::Request(ask), Ok(flow)) => self.start(ask, *flow),
                (Waiting::Ack(mut ask), Ok(flow)) => {
                    self.layer.send_ack(&mut ask.request, *flow, ask.hop.contact);
                }
                (Waiting::Request(ask), Err(error)) if ask.hop.transport == Transport::Udp => {
                    let (remote, method) = (peer.remote, ask.request.method.to_string());
                    tracing::warn!(%remote, method, %error, "sip: large request by UDP, TCP is refused");
                    self.send_by_udp(ask);
                }
                (one, Err(error)) => {
                    tracing::info!(remote = %peer.remote, %error, "sip: no connection");
                    one.fail(error);
                }
            }
        }
    }

    fn send_by_udp(&mut self, ask: SendRequest) {
        match self.udp_flow(ask.hop.remote) {
            Some(flow) => self.start(ask, flow),
            None => incoming::tell(&ask.owner, SipEvent::TransportFailed(ask.id)),
        }
    }

    fn start(&mut self, ask: SendRequest, flow: Flow) {
        let SendRequest { id, request, hop, owner } = ask;
        let method = request.method.clone();
        match self.layer.send_request(now(), request, flow, hop.contact) {
            Ok(key) => {
                self.count_request(&method, "out");
                self.routes.sent(key, id, owner);
            }
            Err(error) => {
                tracing::warn!(%method, %error, "sip: a request cannot be sent");
                incoming::tell(&owner, SipEvent::TransportFailed(id));
            }
        }
    }

    fn udp_flow(&mut self, remote: SocketAddr) -> Option<Flow> {
        let local = self.local.seen_from(remote.ip(), now())?.listener;
        Some(Flow { transport: Transport::Udp, local, remote })
    }

    /// A connection that serves `hop`.
    fn connection(&self, hop: &Hop) -> Option<Flow> {
        let by_flow = hop.flow.filter(|flow| self.connections.has(flow));
        by_flow.or_else(|| self.connections.to(&peer(hop)))
    }

    fn wait_for_connection(&mut self, one: Waiting, ctx: &mut Context<Self>) {
        let peer = peer(one.hop());
        let all: usize = self.waiting.values().map(Vec::len).sum();
        if all >= MAX_WAITING {
            return one.fail(&std::io::Error::other("too many requests wait for connections").into());
        }
        let Some(seen) = self.seen_from(peer.transport, peer.remote.ip()) else {
            return one.fail(&std::io::Error::from(std::io::ErrorKind::AddrNotAvailable).into());
        };
        let is_first = !self.waiting.contains_key(&peer);
        let tls = match peer.transport == Transport::Tls && is_first {
            false => None,
            true => match self.tls.connector(peer.name.as_deref(), now(), self.limits.tls_files) {
                Ok(connector) => Some(connector),
                Err(error) => return one.fail(&NoConnection::Tls(format!("TLS: {error}"))),
            },
        };
        let within = if one.for_size() { self.limits.connect_for_size } else { self.limits.connect };
        self.waiting.entry(peer.clone()).or_default().push(one);
        if is_first {
            let from = Some(seen.listener.ip()).filter(|ip| !ip.is_unspecified());
            let dial = Dial { peer, from, within, tls };
            actix_rt::spawn(tcp::connect(dial, ctx.address().downgrade()));
        }
    }
}

/// Whom the connection for `hop` must reach.
fn peer(hop: &Hop) -> Peer {
    let transport = if hop.transport == Transport::Udp { Transport::Tcp } else { hop.transport };
    Peer { transport, remote: hop.remote, name: hop.server_name.clone() }
}

impl Waiting {
    fn hop(&self) -> &Hop {
        match self {
            Self::Request(ask) => &ask.hop,
            Self::Ack(ask) => &ask.hop,
        }
    }

    /// Whether UDP would do if it were smaller.
    fn for_size(&self) -> bool {
        self.hop().transport == Transport::Udp
    }

    fn fail(self, error: &NoConnection) {
        let Self::Request(SendRequest { id, owner, .. }) = self else { return };
        let event = match error {
            NoConnection::Tcp(_) => SipEvent::TransportFailed(id),
            NoConnection::Tls(why) => SipEvent::TlsFailed { id, why: why.clone() },
        };
        incoming::tell(&owner, event);
    }
}

/// Says who we are (RFC 3261 §20.41).
fn sign(request: &mut Request, user_agent: &str) {
    if !request.headers.has(&HeaderName::UserAgent) {
        let signed = request.headers.push_text(HeaderName::UserAgent, user_agent);
        signed.unwrap_or_default(); // a name that cannot be printed is not printed
    }
}
