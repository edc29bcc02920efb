//! What the layer tells its owner.

use bytes::Bytes;

use crate::message::{Request, Response};
use crate::transport::Flow;

/// Names a client transaction of one [`Layer`](super::Layer), for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub(crate) u64);

/// Names a server transaction of one [`Layer`](super::Layer), for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey(pub(crate) u64);

/// What to do, or to know. Each client key ends with exactly one `ClientEnded`, each server key with exactly one `ServerEnded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes. If that fails, say so by [`Layer::transport_failed`](super::Layer::transport_failed).
    Transmit {
        /// One message.
        bytes: Bytes,
        /// The way.
        flow: Flow,
    },
    /// A new request; retransmissions do not come here. Answer it by [`Layer::respond`](super::Layer::respond).
    Request {
        /// Names the transaction in `respond`.
        key: ServerKey,
        /// Its top Via is stamped.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// An ACK for a 2xx: it belongs to a dialog, not to a transaction. May come several times, and for dialogs that never were.
    Ack {
        /// The INVITE, when the ACK wears its branch (RFC 2543 phones).
        invite: Option<ServerKey>,
        /// The ACK.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// The far side takes its INVITE back while nobody has decided yet. The CANCEL is answered already; answer the INVITE with 487.
    Cancelled {
        /// The INVITE.
        invite: ServerKey,
        /// The CANCEL, which may tell a Reason.
        cancel: Request,
    },
    /// An answer to our request. INVITE: after the first 2xx more may come, retransmitted or from other forks, told apart by To tag;
    /// the TU acknowledges each by [`Layer::send_ack`](super::Layer::send_ack).
    Response {
        /// The request.
        key: ClientKey,
        /// The answer.
        response: Response,
        /// Where it came from.
        flow: Flow,
    },
    /// No final answer came: treat as 408 (RFC 3261 8.1.3.1).
    TimedOut {
        /// The request.
        key: ClientKey,
    },
    /// The request could not be sent: treat as 503 (RFC 3261 8.1.3.1).
    TransportFailed {
        /// The request.
        key: ClientKey,
    },
    /// The client transaction is gone.
    ClientEnded {
        /// The request.
        key: ClientKey,
    },
    /// Our answer came to nothing.
    ServerFailed {
        /// The request.
        key: ServerKey,
        /// Why.
        why: ServerFailure,
    },
    /// The server transaction is gone.
    ServerEnded {
        /// The request.
        key: ServerKey,
    },
}

/// Why an answer came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFailure {
    /// No ACK came for our refusal of an INVITE.
    NoAck,
    /// The TU did not answer a non-INVITE request within 64·T1 + T4.
    Unanswered,
    /// The transport failed.
    Transport,
}
