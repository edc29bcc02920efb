//! What may be asked of the SIP endpoint, and what it tells the owners of requests and dialogs.
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Message, MessageResponse, Recipient};
use sip::message::{HostPort, Reason, Request, Response, Uri};
use sip::transaction::ServerKey;
use sip::transport::{Flow, Transport};

/// Names one request of ours from its sending to its last response; unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

/// One place where requests for a target can go, and how we look from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// UDP, TCP, TLS.
    pub transport: Transport,
    /// The checked address: nothing else is ever connected to.
    pub remote: SocketAddr,
    /// Our host and port for Via and Contact: the advertised address, or the one that reaches `remote`.
    pub contact: HostPort,
    /// Our address that reaches `remote`, for RTP sockets and SDP where none is advertised.
    pub local_ip: IpAddr,
    /// TLS: the host that was asked, for which the peer must show a certificate (RFC 5922 §7).
    pub server_name: Option<String>,
    /// TLS: the connection to use as long as it lives: the one by which the far side came.
    pub flow: Option<Flow>,
}

/// Asks where requests for `target` can go (RFC 3263), best first; every address has passed the target policy.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Hop>, LocateError>")]
pub struct Locate {
    /// The next hop: first Route, outbound proxy, or the Request-URI.
    pub target: Uri,
}

/// Why there is nowhere to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// DNS knows no such name.
    #[error("no address for {0}")]
    NoSuchHost(String),
    /// DNS did not answer in time.
    #[error("DNS does not answer for {0}")]
    DnsFailed(String),
    /// Every address is of a class that `security.sip_target_deny` refuses.
    #[error("{0} is not allowed as a SIP target")]
    Denied(String),
    /// The URI's scheme or transport is not ours.
    #[error("{0} cannot be reached over UDP, TCP or TLS")]
    Unsupported(String),
}

/// Sends a request in a client transaction of its own. The endpoint adds Via; over 1,300 bytes it takes TCP
/// (RFC 3261 §18.1.1). What comes of it reaches `owner` as [`SipEvent`]s.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendRequest {
    /// The owner's name for it.
    pub id: RequestId,
    /// All but Via.
    pub request: Request,
    /// Where to.
    pub hop: Hop,
    /// Who hears of it. Weak: a gone owner's responses are dropped.
    pub owner: actix::WeakRecipient<SipEvent>,
}

/// Cancels an INVITE of ours (RFC 3261 §9.1); waits for a provisional response if none has come. The INVITE still ends by a
/// response or a failure.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CancelRequest {
    /// Which.
    pub id: RequestId,
    /// What the far side is told of the cause (RFC 3326), if it could not guess it.
    pub reason: Option<Reason>,
}

/// Keeps the way to `hop` open through NATs and firewalls, and asks whether it still is (RFC 5626 §3.5.1, §4.4.1): a double CRLF, which over
/// TCP and TLS a peer that knows it answers. False: there is no connection (any more), or a peer that used to answer did not. Accounts
/// that share a hop share its keep-alives.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct KeepAlive {
    /// Where the account's REGISTER went.
    pub hop: Hop,
    /// How often.
    pub every: Duration,
}

/// Sends the ACK for a 2xx: outside any transaction (RFC 3261 §13.2.2.4).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendAck {
    /// The ACK, all but Via.
    pub request: Request,
    /// Where to.
    pub hop: Hop,
}

/// Answers a request that came in.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Respond {
    /// The request's transaction.
    pub key: ServerKey,
    /// Provisional or final.
    pub response: Response,
}

/// From now on, requests inside this dialog go to `owner`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct JoinDialog {
    /// Which dialog.
    pub dialog: DialogKey,
    /// Who serves it.
    pub owner: actix::WeakRecipient<SipEvent>,
    /// The INVITE from outside that makes the dialog: its CANCEL goes to the owner too, also one that came before.
    pub invite: Option<ServerKey>,
}

/// The dialog is over: further requests get 481.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LeaveDialog(pub DialogKey);

/// Finds the dialog that a request belongs to: our tag is ours alone, so the far side's is not needed
/// (it may be still unknown for early dialogs).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DialogKey {
    /// Call-ID.
    pub call_id: String,
    /// The tag that we gave.
    pub local_tag: String,
}

/// A request outside any dialog that passed the checks of RFC 3261 §8.2. Goes to the endpoint's one consumer
/// (switchboard or registrar), who must answer it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct IncomingRequest {
    /// Its transaction.
    pub key: ServerKey,
    /// As it came, with `received` and `rport` stamped.
    pub request: Request,
    /// Where from; requests back to the peer may use it.
    pub flow: Flow,
    /// How we look from there.
    pub hop: Hop,
}

/// What an owner hears. Sent with `try_send`: an owner whose mailbox is full has lost its dialog.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum SipEvent {
    /// A response; several 2xx of a forked INVITE come one by one.
    Response {
        /// To which request.
        id: RequestId,
        /// The response.
        response: Response,
    },
    /// Timer B or F: nobody answered.
    TimedOut(RequestId),
    /// The transport refused: connection refused, unreachable, no route.
    TransportFailed(RequestId),
    /// The peer is not who it should be, or speaks no TLS that we accept.
    TlsFailed {
        /// Which request was not sent.
        id: RequestId,
        /// What is wrong, for a person.
        why: String,
    },
    /// A request inside the owner's dialog, not an ACK. Must be answered.
    Request {
        /// Its transaction.
        key: ServerKey,
        /// The request.
        request: Request,
    },
    /// An INVITE from outside that is to replace the owner's dialog (RFC 3891). Must be answered.
    Replacing {
        /// Its transaction.
        key: ServerKey,
        /// The INVITE.
        request: Request,
        /// Where it came from, and how we look from there.
        hop: Hop,
    },
    /// The ACK for our 2xx.
    Ack(Request),
    /// The INVITE was cancelled; CANCEL itself has been answered. Answer the INVITE with 487.
    Cancelled {
        /// The INVITE.
        invite: ServerKey,
        /// The CANCEL, unless it came before the owner did.
        cancel: Option<Box<Request>>,
    },
}

/// Names the consumer of requests outside dialogs. Until then they hear 503.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Serve(pub Recipient<IncomingRequest>);

/// Asks where the endpoint listens: UDP and TCP alike, real ports included.
#[derive(Debug, Message)]
#[rtype(result = "Vec<SocketAddr>")]
pub struct Listening;

/// Asks where the endpoint listens with TLS.
#[derive(Debug, Message)]
#[rtype(result = "Vec<SocketAddr>")]
pub struct TlsListening;

/// Asks what is under way.
#[derive(Debug, Message)]
#[rtype(result = "Usage")]
pub struct UsageNow;

/// What is under way in an endpoint: all zero when nothing is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, MessageResponse)]
pub struct Usage {
    /// Transactions of requests that we sent.
    pub client_transactions: usize,
    /// Transactions of requests that came.
    pub server_transactions: usize,
    /// Dialogs that have an owner.
    pub dialogs: usize,
    /// TCP and TLS connections, theirs and ours.
    pub connections: usize,
}

/// Closes all sockets and connections; what is under way is forgotten.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close;

impl Hop {
    /// This hop, as the dialog knows it already. PBXs write their address into Record-Route and Contact where their certificate
    /// has a name: the same address and port as a hop of the account's own is that hop, and its name is asked for. A far side that
    /// came to us by TLS hears us by the same connection (RFC 5923).
    pub fn as_known(self, own: &[Hop], came_by: Option<Flow>) -> Hop {
        if self.transport != Transport::Tls {
            return self;
        }
        if let Some(known) =
            own.iter().find(|own| own.transport == self.transport && own.remote == self.remote)
        {
            return known.clone();
        }
        let flow =
            came_by.filter(|flow| flow.transport == self.transport && flow.remote.ip() == self.remote.ip());
        Hop { flow: flow.or(self.flow), ..self }
    }
}

impl RequestId {
    /// The next one.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(transport: Transport, remote: &str, name: &str) -> Hop {
        Hop {
            transport,
            remote: remote.parse().unwrap(),
            contact: "192.0.2.9:5061".parse().unwrap(),
            local_ip: "192.0.2.9".parse().unwrap(),
            server_name: Some(name.to_owned()),
            flow: None,
        }
    }

    #[test]
    fn a_record_route_with_the_pbxs_address_is_the_pbx_itself() {
        let own = [hop(Transport::Tls, "192.0.2.1:5061", "pbx.example")];
        let found = hop(Transport::Tls, "192.0.2.1:5061", "192.0.2.1");
        assert_eq!(found.clone().as_known(&own, None), own[0]);
        let elsewhere = hop(Transport::Tls, "192.0.2.1:5062", "192.0.2.1");
        assert_eq!(elsewhere.clone().as_known(&own, None), elsewhere);
        assert_eq!(found.clone().as_known(&[], None), found);
    }

    #[test]
    fn who_came_by_tls_hears_us_by_the_same_connection() {
        let (local, remote) = ("192.0.2.9:5061".parse().unwrap(), "192.0.2.1:40000".parse().unwrap());
        let flow = Flow { transport: Transport::Tls, local, remote };
        let found = hop(Transport::Tls, "192.0.2.1:5061", "192.0.2.1");
        assert_eq!(found.as_known(&[], Some(flow)).flow, Some(flow));
        for other in [hop(Transport::Tls, "192.0.2.2:5061", "b"), hop(Transport::Tcp, "192.0.2.1:5060", "b")]
        {
            assert_eq!(other.as_known(&[], Some(flow)).flow, None);
        }
    }
}
