//! Where requests can go: DNS, then the policy, then our own addresses.
use std::net::{IpAddr, SocketAddr};

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture};
use sip::resolve::{Families, ResolveError, Target};
use sip::transport::Transport;

use super::local::Seen;
use super::{Hop, Locate, LocateError, SipEndpoint, now};

impl Handler<Locate> for SipEndpoint {
    type Result = ResponseActFuture<Self, Result<Vec<Hop>, LocateError>>;
    fn handle(&mut self, Locate { target }: Locate, _: &mut Self::Context) -> Self::Result {
        let (name, dns, families) = (target.to_string(), self.dns.clone(), self.families());
        let host = target.as_sip().map(|uri| uri.host().to_string()).unwrap_or_default();
        let target = match target.as_sip() {
            Some(uri) => Target::of_uri(uri),
            None => Err(ResolveError::Transport(target.scheme().to_owned())),
        };
        let target = if self.settings.tls.only { target.and_then(Target::over_tls) } else { target };
        let found = async move { dns.resolve(target?, families).await };
        let hops = found.into_actor(self).map(move |found, endpoint, _| match found {
            Ok(found) => endpoint.hops(&name, &host, found),
            Err(error) => Err(locate_error(error, name)),
        });
        Box::pin(hops)
    }
}

impl SipEndpoint {
    fn families(&self) -> Families {
        let has = |v4| self.listeners().any(|at| at.is_ipv4() == v4);
        match (has(true), has(false)) {
            (true, false) => Families::V4Only,
            (false, true) => Families::V6Only,
            _ => Families::V4First,
        }
    }

    /// Keeps the hops that the policy allows and that a listener of ours reaches. A domain that wants TLS first never gets plain
    /// text: else whoever breaks its TLS could read along.
    fn hops(
        &mut self,
        target: &str,
        host: &str,
        mut found: Vec<sip::resolve::Hop>,
    ) -> Result<Vec<Hop>, LocateError> {
        if found.first().is_some_and(|hop| hop.transport == Transport::Tls) {
            found.retain(|hop| hop.transport == Transport::Tls);
        }
        let denied = |_| LocateError::Denied(target.to_owned());
        let allowed = self.settings.target_policy.permitted(found).map_err(denied)?;
        let named = |hop: Hop| match hop.transport {
            Transport::Tls => Hop { server_name: Some(host.to_ascii_lowercase()), ..hop },
            Transport::Udp | Transport::Tcp => hop,
        };
        let hops = allowed.iter().filter_map(|hop| self.hop(hop.transport, hop.address));
        let hops: Vec<Hop> = hops.map(named).collect();
        if hops.is_empty() { Err(LocateError::Unsupported(target.to_owned())) } else { Ok(hops) }
    }

    /// How we look from `remote`.
    pub(super) fn hop(&mut self, transport: Transport, remote: SocketAddr) -> Option<Hop> {
        let seen = self.seen_from(transport, remote.ip())?;
        let (contact, local_ip) = (seen.contact, seen.ip);
        Some(Hop { transport, remote, contact, local_ip, server_name: None, flow: None })
    }

    /// How we look from `remote`; where no listener has TLS, TLS peers are shown the others.
    pub(super) fn seen_from(&mut self, transport: Transport, remote: IpAddr) -> Option<Seen> {
        let tls = match transport {
            Transport::Tls => self.local_tls.seen_from(remote, now()),
            Transport::Udp | Transport::Tcp => None,
        };
        tls.or_else(|| self.local.seen_from(remote, now()))
    }

    fn listeners(&self) -> impl Iterator<Item = &SocketAddr> {
        self.local.listening().iter().chain(self.local_tls.listening())
    }
}

fn locate_error(error: ResolveError, target: String) -> LocateError {
    match error {
        ResolveError::NotFound(host) => LocateError::NoSuchHost(host),
        ResolveError::NoAnswer(host) => LocateError::DnsFailed(host),
        ResolveError::NotOffered(_)
        | ResolveError::Transport(_)
        | ResolveError::Family(_)
        | ResolveError::Maddr(_) => LocateError::Unsupported(target),
    }
}
