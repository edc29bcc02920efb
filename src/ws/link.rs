//! The connection beneath a socket.
use std::any::Any;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as TcpConnection;
use socket2::SockRef;

/// Both ends of a TCP connection, and a hold on it.
///
/// The hold is a second descriptor of the same socket. Without it a page that stops reading could keep its
/// connection for ever: the HTTP layer would wait for it to take the last bytes.
#[derive(Debug, Clone, Default)]
pub struct Link(Option<Arc<Ends>>);

#[derive(Debug)]
struct Ends {
    peer: SocketAddr,
    local: SocketAddr,
    socket: TcpStream,
}

impl Link {
    /// Notes a connection when it is accepted; for `HttpServer::on_connect`.
    pub fn note(connection: &dyn Any, extensions: &mut Extensions) {
        if let Some(stream) = connection.downcast_ref::<TcpConnection>() {
            extensions.insert(Self::to(stream));
        } else if let Some(stream) = connection.downcast_ref::<TlsStream<TcpConnection>>() {
            extensions.insert(Self::to(stream.get_ref().0));
        }
    }

    /// The connection that `request` came by.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.conn_data::<Self>().cloned().unwrap_or_default()
    }

    /// Ends the connection. `rudely`: what the page has not taken yet is thrown away, so that the kernel does not
    /// keep megabytes for it.
    pub(super) fn cut(&self, rudely: bool) {
        let Some(ends) = &self.0 else { return };
        if rudely {
            let _ = SockRef::from(&ends.socket).set_linger(Some(Duration::ZERO)); // only costs memory
        }
        let _ = ends.socket.shutdown(Shutdown::Both); // gone already: as wished
    }

    /// `/<client>:<port>/<server>:<port>`, the first half of WCS's session ids.
    pub(super) fn name(&self) -> String {
        match &self.0 {
            Some(ends) => format!("/{}/{}", ends.peer, ends.local),
            None => "/-/-".into(),
        }
    }

    fn to(stream: &TcpConnection) -> Self {
        let ends = || -> std::io::Result<Ends> {
            let socket = TcpStream::from(stream.as_fd().try_clone_to_owned()?);
            Ok(Ends { peer: stream.peer_addr()?, local: stream.local_addr()?, socket })
        };
        Self(ends().ok().map(Arc::new))
    }
}
