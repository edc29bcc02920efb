//! One TCP connection: frames in, bytes out, deadlines. What connections there are is known by [`super::connections`].
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::time::{Duration, Instant};

use actix::{Message, WeakAddr};
use bytes::Bytes;
use sip::transport::{BODY_DEADLINE, Flow, Frame, Framer, KEEP_ALIVE_PONG};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};

use super::{Limits, SipEndpoint};

/// A peer has connected.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// A connection of ours is up, or is not.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Connected {
    pub(super) flow: Flow,
    pub(super) stream: io::Result<TcpStream>,
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

/// One read; a silent connection costs this much, once it has spoken.
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
pub(super) async fn accept(listener: TcpListener, endpoint: WeakAddr<SipEndpoint>) {
    loop {
        let accepted = listener.accept().await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        let Ok((stream, remote)) = accepted else {
            sleep(ACCEPT_REST).await;
            continue;
        };
        let local = stream.local_addr().unwrap_or(remote);
        if endpoint.send(Accepted { stream, local, remote }).await.is_err() {
            return;
        }
    }
}

/// Connects to `flow.remote` from `from` (none: the kernel chooses) and tells the endpoint.
pub(super) async fn connect(
    flow: Flow,
    from: Option<IpAddr>,
    within: Duration,
    endpoint: WeakAddr<SipEndpoint>,
) {
    let stream = match timeout(within, open(flow.remote, from)).await {
        Ok(stream) => stream,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Some(endpoint) = endpoint.upgrade() {
        endpoint.do_send(Connected { flow, stream }); // one for each connect of ours
    }
}

async fn open(remote: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = from {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    socket.connect(remote).await
}

/// Serves a connection until it ends: reads frames, writes what the endpoint queues, and closes on silence, on a stalled message, on
/// a broken stream, or when the endpoint drops its end of the queue.
pub(super) async fn serve(
    stream: TcpStream,
    flow: Flow,
    queue: mpsc::Receiver<Bytes>,
    limits: Limits,
    endpoint: WeakAddr<SipEndpoint>,
) {
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let (pongs, ping) = mpsc::channel(1);
    tokio::select! {
        () = read(reader, flow, limits, pongs, &endpoint) => {}
        () = write(writer, queue, ping) => {}
    }
    if let Some(endpoint) = endpoint.upgrade() {
        endpoint.do_send(Closed(flow)); // one for each connection
    }
}

async fn read(
    mut reader: OwnedReadHalf,
    flow: Flow,
    limits: Limits,
    pongs: mpsc::Sender<()>,
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

async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Bytes>, mut ping: mpsc::Receiver<()>) {
    loop {
        let bytes = tokio::select! {
            bytes = queue.recv() => bytes,
            Some(()) = ping.recv() => Some(Bytes::from_static(KEEP_ALIVE_PONG)),
        };
        let Some(bytes) = bytes else { break };
        if !matches!(timeout(WRITE_DEADLINE, writer.write_all(&bytes)).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(WRITE_DEADLINE, writer.shutdown()).await;
}

/// The clock of tokio, which tests can turn.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
