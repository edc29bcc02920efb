//! Builds the house, floor by floor, and takes it down in reverse.
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use actors::handle::{StartError, Switch};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::Settings;
use crate::counters::Counters;
use crate::front::Front;
use crate::http::{self, PhoneHints};
use crate::ws::Link;

/// A request's head must be there within this time (slow-header attacks).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a finished connection may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections accepted but not yet served.
const BACKLOG: i32 = 1024;

/// The running house.
pub struct House {
    switch: Switch,
    servers: Vec<ServerHandle>,
    stopping: watch::Sender<bool>,
    web: Vec<SocketAddr>,
    rest: Vec<SocketAddr>,
}

/// Why the house does not start.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The switch cannot start.
    #[error(transparent)]
    Switch(#[from] StartError),
    /// A listener cannot be bound.
    #[error("{setting} = {address}: {source}")]
    Bind {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
}

impl House {
    /// Starts everything. Must be called inside an actix system.
    pub async fn start(settings: Settings, hints: PhoneHints) -> Result<Self, HouseError> {
        let (stopping, told) = watch::channel(false);
        // Ports first: what fails must fail before a call can come in.
        let web = bind_all("listen.web", &settings.web.listen)?;
        let rest = bind_all("listen.rest", &settings.rest.listen)?;
        let switch = Switch::start(settings.switch).await?;
        let front = Front {
            switch: switch.clone(),
            web: settings.web,
            rest: settings.rest,
            hints,
            counters: Counters::new(),
            stopping: told,
        };
        let mut house = Self { switch, servers: Vec::new(), stopping, web: Vec::new(), rest: Vec::new() };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for listener in web {
            house.web.extend(listener.local_addr());
            house.serve(
                server(listener, front.clone(), http::pages, cores).map_err(Self::unbound("listen.web"))?,
            );
        }
        for listener in rest {
            house.rest.extend(listener.local_addr());
            house.serve(
                server(listener, front.clone(), http::machines, 1).map_err(Self::unbound("listen.rest"))?,
            );
        }
        info!(web = ?house.web, rest = ?house.rest, "tandem {} listens", env!("CARGO_PKG_VERSION"));
        Ok(house)
    }

    /// Where pages are served; the real ports where the settings say 0.
    pub fn web_addresses(&self) -> &[SocketAddr] {
        &self.web
    }

    /// Where metrics are served.
    pub fn rest_addresses(&self) -> &[SocketAddr] {
        &self.rest
    }

    /// The switch.
    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// Ends all calls, un-registers, and closes everything, within 5 s.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        self.switch.stop().await;
        for server in &self.servers {
            server.stop(false).await;
        }
        info!("stopped");
    }

    fn serve(&mut self, server: Server) {
        self.servers.push(server.handle());
        actix_web::rt::spawn(async move {
            if let Err(error) = server.await {
                warn!(%error, "a listener failed");
            }
        });
    }

    fn unbound(setting: &'static str) -> impl Fn((SocketAddr, io::Error)) -> HouseError {
        move |(address, source)| HouseError::Bind { setting, address, source }
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: stopping"),
        interrupted = tokio::signal::ctrl_c() => { interrupted?; info!("SIGINT: stopping") }
    }
    Ok(())
}

fn bind_all(setting: &'static str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, HouseError> {
    let bind = |address: &SocketAddr| {
        bind(*address).map_err(|source| HouseError::Bind { setting, address: *address, source })
    };
    addresses.iter().map(bind).collect()
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?; // connections of the last run may still be closing
    if address.is_ipv6() {
        socket.set_only_v6(true)?; // `[::]` beside `0.0.0.0` must not clash
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn server(
    listener: TcpListener,
    front: Front,
    routes: fn(&mut ServiceConfig),
    workers: usize,
) -> Result<Server, (SocketAddr, io::Error)> {
    let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    let factory = move || App::new().app_data(Data::new(front.clone())).configure(routes);
    let server = HttpServer::new(factory)
        .workers(workers)
        .disable_signals()
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(CLOSE_TIMEOUT)
        .on_connect(Link::note)
        .listen(listener)
        .map_err(|error| (address, error))?;
    Ok(server.run())
}
