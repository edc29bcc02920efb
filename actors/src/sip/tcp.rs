//! One TCP or TLS connection: frames in, bytes out, deadlines. What connections there are is known by [`super::connections`].
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{Message, WeakAddr};
use bytes::Bytes;
use sip::transport::{BODY_DEADLINE, Flow, Frame, Framer, KEEP_ALIVE_PONG};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

use super::connections::{Ends, Peer, Signs};
use super::tls::{self, TlsAcceptor, TlsConnector, TlsStream};
use super::{Limits, SipEndpoint};

/// A peer has connected.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) is_tls: bool,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// A connection of ours is up, or is not.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Connected {
    pub(super) peer: Peer,
    pub(super) stream: Result<(Stream, SocketAddr), NoConnection>,
}

/// A connection that is up.
pub(super) enum Stream {
    Plain(TcpStream),
    /// Boxed: ten times the size.
    Tls(Box<TlsStream>),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    /// The network's word.
    #[error(transparent)]
    Tcp(#[from] io::Error),
    /// TCP is up, but the peer is not to be trusted; for a person.
    #[error("{0}")]
    Tls(String),
}

/// A connection to be opened.
pub(super) struct Dial {
    pub(super) peer: Peer,
    /// None: the kernel chooses.
    pub(super) from: Option<IpAddr>,
    pub(super) within: Duration,
    pub(super) tls: Option<TlsConnector>,
}

/// A message came by a connection.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Received {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    /// The stream is broken behind this: answer what can be answered, then close.
    pub(super) last: bool,
}

/// A connection is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Closed(pub(super) Flow);

/// One read, for TLS half a record; a silent connection costs this much, once it has spoken.
const READ_BUFFER: usize = 8 * 1024;
/// How long a peer may refuse to read before it counts as gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Rest after a failed accept: out of descriptors, and asking again at once would burn a core.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// Connections that wait in the kernel for us.
const BACKLOG: i32 = 1024;

/// A bound, non-blocking listener.
pub(super) fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the endpoint is gone; whether a connection may stay is the endpoint's word.
pub(super) async fn accept(listener: TcpListener, is_tls: bool, endpoint: WeakAddr<SipEndpoint>) {
    loop {
        let accepted = listener.accept().await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        let Ok((stream, remote)) = accepted else {
            sleep(ACCEPT_REST).await;
            continue;
        };
        let local = stream.local_addr().unwrap_or(remote);
        if endpoint.send(Accepted { stream, is_tls, local, remote }).await.is_err() {
            return;
        }
    }
}

/// Opens a connection and tells the endpoint.
pub(super) async fn connect(dial: Dial, endpoint: WeakAddr<SipEndpoint>) {
    let peer = dial.peer.clone();
    let stream = reach(dial).await;
    if let Some(endpoint) = endpoint.upgrade() {
        endpoint.do_send(Connected { peer, stream }); // one for each connect of ours
    }
}

async fn reach(dial: Dial) -> Result<(Stream, SocketAddr), NoConnection> {
    let Dial { peer, from, within, tls } = dial;
    let until = tokio::time::Instant::now() + within;
    let stream = timeout_at(until, open(peer.remote, from))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let local = stream.local_addr()?;
    let Some(connector) = tls else { return Ok((Stream::Plain(stream), local)) };
    let name = peer.name.unwrap_or_else(|| peer.remote.ip().to_string());
    match timeout_at(until, tls::connect(connector, &name, stream)).await {
        Ok(Ok(stream)) => Ok((Stream::Tls(Box::new(stream)), local)),
        Ok(Err(why)) => Err(NoConnection::Tls(why)),
        Err(_) => Err(NoConnection::Tls(format!("TLS: {name} does not answer the handshake"))),
    }
}

async fn open(remote: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = from {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    socket.connect(remote).await
}

/// Serves a connection that came, after its handshake.
pub(super) async fn serve_tls(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    flow: Flow,
    ends: Ends,
    limits: Limits,
    endpoint: WeakAddr<SipEndpoint>,
) {
    match timeout(limits.handshake, tls::accept(acceptor, stream)).await {
        Ok(Ok(stream)) => return serve(Stream::Tls(Box::new(stream)), flow, ends, limits, endpoint).await,
        Ok(Err(error)) => tracing::debug!(remote = %flow.remote, %error, "sip: a TLS handshake failed"),
        Err(_) => tracing::debug!(remote = %flow.remote, "sip: a TLS handshake took too long"),
    }
    closed(flow, &endpoint);
}

/// Serves a connection until it ends: reads frames, writes what the endpoint queues, and closes on silence, on a stalled message, on
/// a broken stream, or when the endpoint drops its end of the queue.
pub(super) async fn serve(
    stream: Stream,
    flow: Flow,
    ends: Ends,
    limits: Limits,
    endpoint: WeakAddr<SipEndpoint>,
) {
    match stream {
        Stream::Plain(stream) => {
            let _ = stream.set_nodelay(true);
            talk(stream.into_split(), flow, ends, limits, &endpoint).await;
        }
        Stream::Tls(stream) => {
            let _ = stream.get_ref().0.set_nodelay(true);
            talk(tokio::io::split(stream), flow, ends, limits, &endpoint).await;
        }
    }
    closed(flow, &endpoint);
}

fn closed(flow: Flow, endpoint: &WeakAddr<SipEndpoint>) {
    if let Some(endpoint) = endpoint.upgrade() {
        endpoint.do_send(Closed(flow)); // one for each connection
    }
}

async fn talk(
    (reader, writer): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    flow: Flow,
    Ends { queue, signs }: Ends,
    limits: Limits,
    endpoint: &WeakAddr<SipEndpoint>,
) {
    let (pongs, ping) = mpsc::channel(1);
    tokio::select! {
        () = read(reader, flow, limits, (pongs, &signs), endpoint) => {}
        () = write(writer, queue, ping) => {}
    }
}

async fn read(
    mut reader: impl AsyncRead + Unpin,
    flow: Flow,
    limits: Limits,
    (pongs, signs): (mpsc::Sender<()>, &Signs),
    endpoint: &WeakAddr<SipEndpoint>,
) {
    let mut framer = Framer::new();
    let mut buffer = Vec::new();
    let mut silent_until = now() + limits.first_message;
    loop {
        let stalled = framer.deadline().map(|at| at - BODY_DEADLINE + limits.stalled_message);
        let until = stalled.map_or(silent_until, |at| at.min(silent_until)).into();
        buffer.resize(READ_BUFFER, 0);
        let read = tokio::select! {
            read = reader.read(&mut buffer) => read,
            () = sleep_until(until) => return,
        };
        let length = match read {
            Ok(0) => return sleep(limits.half_closed).await,
            Ok(length) => length,
            Err(_) => return,
        };
        signs.reads.fetch_add(1, Ordering::Relaxed);
        if buffer[..length] == *KEEP_ALIVE_PONG {
            signs.pongs.fetch_add(1, Ordering::Relaxed);
        }
        framer.push(&buffer[..length]);
        while let Some(frame) = framer.next_frame(now()) {
            silent_until = now() + limits.idle;
            let (bytes, last) = match frame {
                Frame::Ping => {
                    let _ = pongs.try_send(()); // one pong that waits answers them all
                    continue;
                }
                Frame::Message(bytes) => (bytes, false),
                Frame::Broken(head) => (head, true),
            };
            let Some(endpoint) = endpoint.upgrade() else { return };
            if endpoint.send(Received { flow, bytes, last }).await.is_err() {
                return;
            }
            if last {
                // The endpoint drops the queue behind its answer, which ends the writer; this only makes sure.
                return sleep(limits.broken).await;
            }
        }
    }
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Bytes>,
    mut ping: mpsc::Receiver<()>,
) {
    loop {
        let bytes = tokio::select! {
            bytes = queue.recv() => bytes,
            Some(()) = ping.recv() => Some(Bytes::from_static(KEEP_ALIVE_PONG)),
        };
        let Some(bytes) = bytes else { break };
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await // TLS keeps what the socket did not take
        };
        if !matches!(timeout(WRITE_DEADLINE, written).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(WRITE_DEADLINE, writer.shutdown()).await;
}

/// The clock of tokio, which tests can turn.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
