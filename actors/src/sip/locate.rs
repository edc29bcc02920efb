//! Where requests can go: DNS, then the policy, then our own addresses.
use std::net::SocketAddr;

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture};
use sip::resolve::{Families, ResolveError, Target};
use sip::transport::Transport;

use super::{Hop, Locate, LocateError, SipEndpoint, now};

impl Handler<Locate> for SipEndpoint {
    type Result = ResponseActFuture<Self, Result<Vec<Hop>, LocateError>>;
    fn handle(&mut self, Locate { target }: Locate, _: &mut Self::Context) -> Self::Result {
        let (name, dns, families) = (target.to_string(), self.dns.clone(), self.families());
        let target = match target.as_sip() {
            Some(uri) => Target::of_uri(uri),
            None => Err(ResolveError::Transport(target.scheme().to_owned())),
        };
        let found = async move { dns.resolve(target?, families).await };
        let hops = found.into_actor(self).map(move |found, endpoint, _| match found {
            Ok(found) => endpoint.hops(&name, found),
            Err(error) => Err(locate_error(error, name)),
        });
        Box::pin(hops)
    }
}

impl SipEndpoint {
    fn families(&self) -> Families {
        let has = |v4| self.local.listening().iter().any(|at| at.is_ipv4() == v4);
        match (has(true), has(false)) {
            (true, false) => Families::V4Only,
            (false, true) => Families::V6Only,
            _ => Families::V4First,
        }
    }

    /// Keeps the hops that the policy allows and that a listener of ours reaches.
    fn hops(&mut self, target: &str, found: Vec<sip::resolve::Hop>) -> Result<Vec<Hop>, LocateError> {
        let denied = |_| LocateError::Denied(target.to_owned());
        let allowed = self.settings.target_policy.permitted(found).map_err(denied)?;
        let hops: Vec<Hop> = allowed.iter().filter_map(|hop| self.hop(hop.transport, hop.address)).collect();
        if hops.is_empty() { Err(LocateError::Unsupported(target.to_owned())) } else { Ok(hops) }
    }

    /// How we look from `remote`.
    pub(super) fn hop(&mut self, transport: Transport, remote: SocketAddr) -> Option<Hop> {
        let seen = self.local.seen_from(remote.ip(), now())?;
        Some(Hop { transport, remote, contact: seen.contact, local_ip: seen.ip })
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
