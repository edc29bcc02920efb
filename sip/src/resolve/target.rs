//! What is to be reached, before DNS.

use super::ResolveError;
use crate::message::{Host, SipUri, Transport};

/// A host with what its URI or its setting says about port and transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: Host,
    /// Explicit port: then neither NAPTR nor SRV is asked.
    pub port: Option<u16>,
    /// Explicit transport.
    pub transport: Option<Transport>,
    /// `sips:` — nothing but TLS will do.
    pub secure: bool,
}

impl Target {
    /// A host, with port and transport left to DNS.
    pub fn new(host: Host) -> Self {
        Self { host, port: None, transport: None, secure: false }
    }

    /// The next hop that a URI names: its `maddr` if it has one, else its host (RFC 3263 §4).
    ///
    /// # Errors
    /// `Transport` if the URI wants one that we do not speak, `Maddr` if that parameter is no host.
    pub fn of_uri(uri: &SipUri) -> Result<Self, ResolveError> {
        let host = match uri.params.get("maddr") {
            Some(maddr) => maddr.parse().map_err(|_| ResolveError::Maddr(maddr.to_owned()))?,
            None => uri.host().clone(),
        };
        let transport = match uri.params.get("transport") {
            Some(name) => Some(name.parse().map_err(|_| ResolveError::Transport(name.to_owned()))?),
            None => None,
        };
        // RFC 3261 §26.2.2: `sips:` with transport=tcp is TLS over TCP; over UDP it cannot be.
        let transport = match (uri.secure, transport) {
            (true, Some(Transport::Udp)) => return Err(ResolveError::Transport("udp".into())),
            (true, Some(_)) => Some(Transport::Tls),
            (_, transport) => transport,
        };
        Ok(Self { host, port: uri.port(), transport, secure: uri.secure })
    }

    /// The same by TLS alone, for a network where nothing goes in plain text: a port of 5060 means 5061.
    ///
    /// # Errors
    /// `Transport` if the URI itself wants another one.
    pub fn over_tls(self) -> Result<Self, ResolveError> {
        match self.transport {
            None | Some(Transport::Tls) => {}
            Some(other) => return Err(ResolveError::Transport(other.as_str().to_ascii_lowercase())),
        }
        let plain = Transport::Tcp.default_port();
        let port = self.port.map(|port| if port == plain { Transport::Tls.default_port() } else { port });
        Ok(Self { port, transport: Some(Transport::Tls), ..self })
    }

    /// The transport when neither URI nor DNS says one (RFC 3263 §4.1).
    pub(super) fn default_transport(&self) -> Transport {
        self.transport.unwrap_or(if self.secure { Transport::Tls } else { Transport::Udp })
    }
}

impl From<Transport> for Service {
    fn from(transport: Transport) -> Self {
        Self(transport)
    }
}

/// A transport as DNS names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service(Transport);

impl Service {
    /// `_sip._udp.example.com` (RFC 3263 §4.1).
    pub(super) fn srv_name(self, domain: &str) -> String {
        let prefix = match self.0 {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        format!("{prefix}.{domain}")
    }

    /// The transport of a NAPTR service.
    pub(super) fn of_naptr(service: &str) -> Option<Transport> {
        [("SIP+D2U", Transport::Udp), ("SIP+D2T", Transport::Tcp), ("SIPS+D2T", Transport::Tls)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(service))
            .map(|(_, transport)| transport)
    }
}
