//! What both client machines share: the events, the actions, the transaction around the machine.

use std::time::Instant;

use bytes::Bytes;

use super::clock::Clock;
use super::invite_client::InviteClient;
use super::matching::ClientMatch;
use super::non_invite_client::NonInviteClient;
use super::timers::Timer;
use crate::message::{Request, StatusCode};
use crate::transport::Flow;

/// What may happen to a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientEvent {
    /// An answer came.
    Response(StatusCode),
    /// A timer fired.
    Timer(Timer),
    /// The request could not be sent.
    TransportFailed,
    /// We sent CANCEL.
    Cancelled,
}

/// What a client machine wants done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAction {
    /// Send the request again.
    Repeat,
    /// Acknowledge the response just received.
    Acknowledge,
    /// Give the response just received to the TU.
    Deliver,
    /// Tell the TU that no answer came.
    ReportTimeout,
    /// Tell the TU that the transport failed.
    ReportTransportFailure,
    /// Forget the transaction.
    Terminate,
}

#[derive(Debug)]
pub(crate) enum ClientMachine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

impl ClientMachine {
    pub(crate) fn on(&mut self, event: ClientEvent, now: Instant) -> &'static [ClientAction] {
        match self {
            ClientMachine::Invite(machine) => machine.on(event, now),
            ClientMachine::NonInvite(machine) => machine.on(event, now),
        }
    }

    pub(crate) fn clock(&mut self) -> &mut Clock {
        match self {
            ClientMachine::Invite(machine) => &mut machine.clock,
            ClientMachine::NonInvite(machine) => &mut machine.clock,
        }
    }
}

/// A client transaction: the machine and what it works on.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) machine: ClientMachine,
    pub(crate) matched_by: ClientMatch,
    /// Kept for ACK and CANCEL, so only of an INVITE.
    pub(crate) invite: Option<Box<Request>>,
    pub(crate) bytes: Bytes,
    pub(crate) flow: Flow,
    /// The CANCEL of an INVITE that the TU takes back: it must wait for a provisional answer (RFC 3261 9.1).
    pub(crate) cancel_wanted: Option<Request>,
    /// The layer's own, a CANCEL: the TU hears nothing of it.
    pub(crate) is_hidden: bool,
    pub(crate) scheduled: Option<Instant>,
}
