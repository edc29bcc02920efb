//! The SIP endpoint: sockets, connections and DNS round the sans-I/O [`sip::transaction::Layer`].
//!
//! This file is the shell: messages in, calls of the layer, and what its parts do:
//!
//! | file | what |
//! |---|---|
//! | `uas` | what the endpoint itself answers; pure |
//! | `routes` | who owns which request and dialog; pure |
//! | `incoming` | the layer's outputs, to sockets and owners |
//! | `outgoing` | requests of owners, to the layer; UDP, TCP or TLS |
//! | `locate` | where requests can go: DNS, policy |
//! | `local` | how we look from a peer |
//! | `udp`, `tcp`, `connections` | sockets |
//! | `tls` | whom we believe, who we are |
//! | `dns` | RFC 3263 with real name servers |
//!
//! Owned by the switch; owners of requests and dialogs, and the consumer of new requests, are held weakly.
mod connections;
mod dns;
mod incoming;
mod limits;
mod local;
mod locate;
mod messages;
mod outgoing;
mod routes;
mod tcp;
mod tls;
mod uas;
mod udp;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, AsyncContext, Context, Handler, Message, MessageResult, SpawnHandle, WeakAddr,
    WeakRecipient,
};
use sip::transaction::{ClientKey, Counters, Layer, ServerKey, Timers};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use crate::vocabulary::{Alive, Meters, SipSettings};
use connections::{Connections, Peer};
use dns::Dns;
pub use limits::Limits;
use local::LocalAddresses;
pub use messages::*;
use outgoing::Waiting;
use routes::Routes;
pub use sip::transport::Transport;
use tls::Tls;
pub use uas::dialog_capabilities;

/// The actor.
pub struct SipEndpoint {
    settings: SipSettings,
    limits: Limits,
    is_registrar: bool,
    consumer: Option<WeakRecipient<IncomingRequest>>,
    bound: Vec<(StdSocket, StdListener)>,
    bound_tls: Vec<StdListener>,
    udp: HashMap<SocketAddr, Arc<UdpSocket>>,
    connections: Connections,
    waiting: HashMap<Peer, Vec<Waiting>>,
    layer: Layer,
    routes: Routes<ClientKey, ServerKey, RequestId, WeakRecipient<SipEvent>>,
    local: LocalAddresses,
    local_tls: LocalAddresses,
    tls: Tls,
    dns: Dns,
    /// UDP peers that keep-alives go to, and when the last one went.
    kept: HashMap<SocketAddr, Instant>,
    timer: Option<(Instant, SpawnHandle)>,
    readers: Vec<JoinHandle<()>>,
    counted: Counters,
    meters: Meters,
    _alive: Alive,
}

/// Time to look for owners that are gone without a word.
#[derive(Message)]
#[rtype(result = "()")]
struct Sweep;

/// Requests and answers of all calls on their way out; a call has one or two at a time.
const MAILBOX: usize = 4096;
/// How often the tables are rid of owners that are gone without a word.
const SWEEP: Duration = Duration::from_secs(60);
/// Longer than any `sip.keep_alive_s`: who has not been kept for so long is nobody's hop any more.
const KEPT: Duration = Duration::from_secs(3600);
/// Tries to get the same free port for UDP and TCP, when any will do.
const PORT_TRIES: usize = 8;

impl SipEndpoint {
    /// Binds UDP and TCP on every address of `settings.listen`, TLS on those of its own; start it as an actor then. A port of 0 takes a
    /// free one, the same for UDP and TCP.
    ///
    /// # Errors
    /// The system's word with the address in front, or a certificate file that cannot be used.
    pub async fn bind(settings: &SipSettings, meters: &Meters) -> io::Result<Self> {
        let bound = settings.listen.iter().map(|address| bind(*address)).collect::<io::Result<Vec<_>>>()?;
        let listening = bound.iter().map(|(udp, _)| udp.local_addr()).collect::<io::Result<Vec<_>>>()?;
        let bound_tls = settings.tls.listen.iter().map(|at| bind_tls(*at)).collect::<io::Result<Vec<_>>>()?;
        let listening_tls = bound_tls.iter().map(StdListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let tls = Tls::new(&settings.tls, &listening_tls, settings.advertised_address, now())?;
        Ok(Self {
            settings: settings.clone(),
            limits: Limits::default(),
            is_registrar: false,
            consumer: None,
            bound,
            bound_tls,
            udp: HashMap::new(),
            connections: Connections::default(),
            waiting: HashMap::new(),
            layer: Layer::new(Timers::default(), sip::transaction::Limits::default()),
            routes: Routes::new(),
            local: LocalAddresses::new(listening, settings.advertised_address),
            local_tls: LocalAddresses::new(listening_tls, settings.advertised_address),
            tls,
            dns: Dns::new(&settings.dns_servers),
            kept: HashMap::new(),
            timer: None,
            readers: vec![],
            counted: Counters::default(),
            meters: meters.clone(),
            _alive: meters.alive("sip_endpoint"),
        })
    }

    /// Lets REGISTER pass to the consumer; else it hears 405.
    pub fn as_registrar(mut self) -> Self {
        self.is_registrar = true;
        self
    }

    /// Other deadlines for connections.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it listens.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.local.listening().to_vec()
    }

    /// Hands the bound sockets to the reactor of this thread and starts reading.
    fn open(&mut self, ctx: &mut Context<Self>) -> io::Result<()> {
        for (udp, tcp) in std::mem::take(&mut self.bound) {
            let socket = Arc::new(UdpSocket::from_std(udp)?);
            self.udp.insert(socket.local_addr()?, socket.clone());
            self.readers.push(actix_rt::spawn(udp::read(socket, ctx.address().downgrade())));
            let listener = TcpListener::from_std(tcp)?;
            self.readers.push(actix_rt::spawn(tcp::accept(listener, false, ctx.address().downgrade())));
        }
        for tls in std::mem::take(&mut self.bound_tls) {
            let listener = TcpListener::from_std(tls)?;
            self.readers.push(actix_rt::spawn(tcp::accept(listener, true, ctx.address().downgrade())));
        }
        // Not an interval of the actor's own: that would keep it alive when nobody holds it any more.
        self.readers.push(actix_rt::spawn(remind(ctx.address().downgrade())));
        Ok(())
    }

    /// Looks at the layer after anything was done to it: outputs, then the timer.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        // A flood of messages keeps an actor's own timers waiting: so look at the clock here too.
        let now = now();
        if self.layer.next_deadline().is_some_and(|at| at <= now) {
            self.layer.handle_timeout(now);
        }
        while let Some(output) = self.layer.poll() {
            self.carry_out(output);
        }
        self.count_layer();
        self.arm(ctx);
    }

    /// One timer for all transactions; one that fires early does no harm, so it is only ever moved forward.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.layer.next_deadline() else { return };
        if let Some((armed, timer)) = self.timer {
            if armed <= at {
                return;
            }
            ctx.cancel_future(timer);
        }
        let wait = at.saturating_duration_since(now());
        let timer = ctx.run_later(wait, |endpoint, ctx| {
            endpoint.timer = None;
            endpoint.layer.handle_timeout(now());
            endpoint.settle(ctx);
        });
        self.timer = Some((at, timer));
    }
}

impl Actor for SipEndpoint {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Err(error) = self.open(ctx) {
            tracing::error!(%error, "sip: the bound sockets cannot be read");
            return ctx.stop();
        }
        for address in self.local.listening() {
            tracing::info!(%address, "sip: listening on UDP and TCP");
        }
        for address in self.local_tls.listening() {
            tracing::info!(%address, "sip: listening on TLS");
        }
    }
}

impl Drop for SipEndpoint {
    fn drop(&mut self) {
        // The readers hold sockets and would sleep on them for ever.
        for reader in &self.readers {
            reader.abort();
        }
    }
}

impl Handler<Serve> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, Serve(consumer): Serve, _: &mut Self::Context) {
        self.consumer = Some(consumer.downgrade());
    }
}

impl Handler<Listening> for SipEndpoint {
    type Result = MessageResult<Listening>;
    fn handle(&mut self, Listening: Listening, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.listening())
    }
}

impl Handler<TlsListening> for SipEndpoint {
    type Result = MessageResult<TlsListening>;
    fn handle(&mut self, TlsListening: TlsListening, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.local_tls.listening().to_vec())
    }
}

impl Handler<UsageNow> for SipEndpoint {
    type Result = Usage;
    fn handle(&mut self, UsageNow: UsageNow, _: &mut Self::Context) -> Usage {
        let (client_transactions, server_transactions) = self.layer.running();
        let (dialogs, connections) = (self.routes.dialogs(), self.connections.len());
        Usage { client_transactions, server_transactions, dialogs, connections }
    }
}

impl Handler<Close> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, Close: Close, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<Sweep> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, Sweep: Sweep, ctx: &mut Self::Context) {
        self.kept.retain(|_, last| now().saturating_duration_since(*last) < KEPT);
        let left = self.routes.sweep(|owner| owner.upgrade().is_some());
        self.refuse_left(left);
        self.settle(ctx);
    }
}

impl Handler<SendRequest> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, ask: SendRequest, ctx: &mut Self::Context) {
        self.send(ask, ctx);
        self.settle(ctx);
    }
}

impl Handler<KeepAlive> for SipEndpoint {
    type Result = bool;
    fn handle(&mut self, KeepAlive { hop, every }: KeepAlive, ctx: &mut Self::Context) -> bool {
        let lives = self.keep_alive(&hop, every);
        self.settle(ctx);
        lives
    }
}

impl Handler<CancelRequest> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, ask: CancelRequest, ctx: &mut Self::Context) {
        self.cancel(&ask);
        self.settle(ctx);
    }
}

impl Handler<SendAck> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, ask: SendAck, ctx: &mut Self::Context) {
        self.send_ack(ask, ctx);
        self.settle(ctx);
    }
}

impl Handler<Respond> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, Respond { key, response }: Respond, ctx: &mut Self::Context) {
        self.respond(key, response);
        self.settle(ctx);
    }
}

impl Handler<JoinDialog> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, JoinDialog { dialog, owner, invite }: JoinDialog, _: &mut Self::Context) {
        if let Some(invite) = invite
            && self.routes.adopt(&invite, owner.clone())
        {
            incoming::tell(&owner, SipEvent::Cancelled { invite, cancel: None });
        }
        if !self.routes.join(dialog, owner) {
            tracing::error!("sip: too many dialogs; one hears no requests from its far side");
        }
    }
}

impl Handler<LeaveDialog> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, LeaveDialog(dialog): LeaveDialog, ctx: &mut Self::Context) {
        let left = self.routes.leave(&dialog);
        self.refuse_left(left);
        self.settle(ctx);
    }
}

impl Handler<udp::Datagrams> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, udp::Datagrams(datagrams): udp::Datagrams, ctx: &mut Self::Context) {
        for (flow, bytes) in datagrams {
            self.layer.receive(now(), &bytes, flow);
            self.settle(ctx);
        }
    }
}

impl Handler<tcp::Accepted> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, accepted: tcp::Accepted, ctx: &mut Self::Context) {
        self.accepted(accepted, ctx);
    }
}

impl Handler<tcp::Connected> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, connected: tcp::Connected, ctx: &mut Self::Context) {
        self.connected(connected, ctx);
        self.settle(ctx);
    }
}

impl Handler<tcp::Received> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, received: tcp::Received, ctx: &mut Self::Context) {
        let tcp::Received { flow, bytes, last } = received;
        self.layer.receive(now(), &bytes, flow);
        self.settle(ctx);
        if last {
            self.connections.remove(&flow);
        }
    }
}

impl Handler<tcp::Closed> for SipEndpoint {
    type Result = ();
    fn handle(&mut self, tcp::Closed(flow): tcp::Closed, ctx: &mut Self::Context) {
        self.connections.remove(&flow);
        self.layer.transport_failed(now(), &flow);
        self.settle(ctx);
    }
}

/// Says `Sweep` now and then, until the endpoint is gone.
async fn remind(endpoint: WeakAddr<SipEndpoint>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match endpoint.upgrade() {
            Some(endpoint) => endpoint.do_send(Sweep), // one a minute
            None => return,
        }
    }
}

/// TLS on one address.
fn bind_tls(address: SocketAddr) -> io::Result<StdListener> {
    tcp::listen(address).map_err(|error| io::Error::new(error.kind(), format!("{address} (TLS): {error}")))
}

/// UDP and TCP on one address.
fn bind(address: SocketAddr) -> io::Result<(StdSocket, StdListener)> {
    let tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let mut last = None;
    for _ in 0..tries {
        let listener = tcp::listen(address).map_err(named)?;
        match udp::bind(listener.local_addr()?) {
            Ok(socket) => return Ok((socket, listener)),
            Err(error) => last = Some(error),
        }
    }
    Err(named(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into())))
}

/// The clock of tokio, which tests can turn.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
