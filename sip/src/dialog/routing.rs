//! Where a request within a dialog goes: loose and strict routers (RFC 3261 §12.2.1.1).

use crate::message::{HeaderName, NameAddr, Request, Uri};

/// The proxies of a dialog, next hop first, and the peer behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routing {
    pub(super) routes: Vec<NameAddr>,
    pub(super) remote_target: Uri,
}

impl Routing {
    /// Request-URI and Route values. A strict router (no `lr`) gets its own URI as Request-URI and finds the target at the end.
    pub(super) fn plan(&self) -> (Uri, Vec<NameAddr>) {
        match self.routes.split_first() {
            Some((first, rest)) if !is_loose(&first.uri) => {
                let mut routes = rest.to_vec();
                routes.push(NameAddr::new(self.remote_target.clone()));
                (request_uri(&first.uri), routes)
            }
            _ => (request_uri(&self.remote_target), self.routes.clone()),
        }
    }

    /// The URI to resolve and send to: the first router, else the peer.
    pub(super) fn next_hop(&self) -> &Uri {
        self.routes.first().map_or(&self.remote_target, |first| &first.uri)
    }
}

/// Writes the Route headers, one value a line.
pub(super) fn set_routes(request: &mut Request, routes: Vec<NameAddr>) {
    request.headers.remove(&HeaderName::Route);
    for route in routes {
        request.headers.push(HeaderName::Route, route);
    }
}

fn is_loose(uri: &Uri) -> bool {
    uri.as_sip().is_none_or(crate::message::SipUri::is_loose_router)
}

/// A URI as a Request-URI may be: without headers and `method` (RFC 3261 §19.1.5).
fn request_uri(uri: &Uri) -> Uri {
    match uri {
        Uri::Sip(sip) => sip.clone().without_headers().into(),
        other => other.clone(),
    }
}
