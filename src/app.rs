//! Builds the house, floor by floor, and takes it down in reverse.
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actors::handle::{StartError, Switch};
use futures_util::future::{join, join_all};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::Settings;
use crate::counters::Counters;
use crate::front::Front;
use crate::http::{self, PhoneHints};
use crate::listen::{BindError, Bound, server};
use crate::records;
use crate::tls::{self, TlsError};

/// The running house.
pub struct House {
    switch: Switch,
    counters: Counters,
    servers: Vec<ServerHandle>,
    stopping: watch::Sender<bool>,
    web: Vec<SocketAddr>,
    web_tls: Vec<SocketAddr>,
    rest: Vec<SocketAddr>,
}

/// Why the house does not start.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The switch cannot start.
    #[error(transparent)]
    Switch(#[from] StartError),
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The TLS listener has no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl House {
    /// Starts everything. Must be called inside an actix system.
    pub async fn start(settings: Settings, hints: PhoneHints) -> Result<Self, HouseError> {
        // What can fail comes before the first call can come in.
        let web = Bound::to("listen.web", &settings.web.listen)?;
        let web_tls = Bound::to("listen.web_tls", &settings.web.listen_tls)?;
        let rest = Bound::to("listen.rest", &settings.rest.listen)?;
        let names = addresses().into_iter().chain(settings.switch.media.advertised_address);
        let certificate = tls::server_config(settings.web.certificate.as_ref(), names)?;
        let switch = Switch::start(settings.switch, Arc::new(records::write)).await?;
        let (stopping, told) = watch::channel(false);
        let front = Front {
            switch: switch.clone(),
            web: settings.web,
            rest: settings.rest,
            hints,
            counters: Counters::new(),
            stopping: told,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut house = Self {
            switch,
            counters: front.counters.clone(),
            servers: Vec::new(),
            stopping,
            web: web.addresses(),
            web_tls: web_tls.addresses(),
            rest: rest.addresses(),
        };
        house.serve(server(front.clone(), http::machines, 1, &rest, None)?);
        house.serve(server(front, http::pages, cores, &web, Some((&web_tls, certificate)))?);
        info!(web = ?house.web, web_tls = ?house.web_tls, rest = ?house.rest, "tandem {} listens", VERSION);
        Ok(house)
    }

    /// Where pages are served without TLS; the real ports where the settings say 0.
    pub fn web_addresses(&self) -> &[SocketAddr] {
        &self.web
    }

    /// Where pages are served with TLS.
    pub fn web_tls_addresses(&self) -> &[SocketAddr] {
        &self.web_tls
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
        let doors = async {
            self.counters.no_sockets(GOODBYE).await;
            join_all(self.servers.iter().map(|server| server.stop(false))).await;
        };
        join(self.switch.stop(), doors).await;
        info!("stopped");
    }

    fn serve(&mut self, server: Option<Server>) {
        let Some(server) = server else { return };
        self.servers.push(server.handle());
        actix_web::rt::spawn(async move {
            if let Err(error) = server.await {
                warn!(%error, "a listener failed");
            }
        });
    }
}

/// How long pages may take to take their close frames when Tandem stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// What this program calls itself.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// This machine's addresses; none if the system does not say.
pub fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().map(if_addrs::Interface::ip).collect()
}

/// Waits for SIGTERM or SIGINT.
pub async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break info!("SIGTERM: stopping"),
            _ = interrupt.recv() => break info!("SIGINT: stopping"),
            _ = hang_up.recv() => warn!("SIGHUP: settings cannot be reloaded yet; restart to read them again"),
        }
    }
    Ok(())
}
