//! TCP listeners and the HTTP servers behind them.
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use rustls::ServerConfig;

use crate::front::Front;
use crate::ws::Link;

/// A request's head, and a TLS handshake, must be there within this time (slow clients must not hold us).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a finished connection may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections accepted but not yet served.
const BACKLOG: i32 = 1024;

/// A listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{setting} = {address}: {source}")]
pub struct BindError {
    setting: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// Bound sockets of one setting.
pub(crate) struct Bound {
    setting: &'static str,
    listeners: Vec<TcpListener>,
}

impl Bound {
    /// Binds `addresses`, the value of `setting`.
    pub(crate) fn to(setting: &'static str, addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let one = |address: &SocketAddr| {
            bind(*address).map_err(|source| BindError { setting, address: *address, source })
        };
        Ok(Self { setting, listeners: addresses.iter().map(one).collect::<Result<_, _>>()? })
    }

    /// Where they are bound; the real ports where the setting says 0.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    fn failed(&self, source: io::Error) -> BindError {
        let address = self.addresses().first().copied();
        BindError { setting: self.setting, address: address.unwrap_or(([0, 0, 0, 0], 0).into()), source }
    }
}

/// A server of `routes` with `workers` threads on `plain` sockets and on `secure` ones; `None` where there are none.
pub(crate) fn server(
    front: Front,
    routes: fn(&mut ServiceConfig),
    workers: usize,
    plain: &Bound,
    secure: Option<(&Bound, ServerConfig)>,
) -> Result<Option<Server>, BindError> {
    if plain.listeners.is_empty() && secure.as_ref().is_none_or(|(bound, _)| bound.listeners.is_empty()) {
        return Ok(None);
    }
    let factory = move || App::new().app_data(Data::new(front.clone())).configure(routes);
    let mut server = HttpServer::new(factory)
        .workers(workers)
        .disable_signals()
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(CLOSE_TIMEOUT)
        .tls_handshake_timeout(HEAD_TIMEOUT)
        .on_connect(Link::note);
    for listener in &plain.listeners {
        let listener = listener.try_clone().map_err(|error| plain.failed(error))?;
        server = server.listen(listener).map_err(|error| plain.failed(error))?;
    }
    if let Some((bound, config)) = secure {
        for listener in &bound.listeners {
            let listener = listener.try_clone().map_err(|error| bound.failed(error))?;
            server =
                server.listen_rustls_0_23(listener, config.clone()).map_err(|error| bound.failed(error))?;
        }
    }
    Ok(Some(server.run()))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?; // connections of the last run may still be closing
    if address.is_ipv6() {
        socket.set_only_v6(true)?; // `[::]` beside `0.0.0.0` must not clash
    }
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it. Else a frame right behind another waits for the page's delayed acknowledgement: 40 ms.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
