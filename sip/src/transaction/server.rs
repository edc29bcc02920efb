//! What both server machines share: the events, the actions, the transaction around the machine.

use std::time::Instant;

use bytes::Bytes;

use super::clock::Clock;
use super::invite_server::InviteServer;
use super::matching::{MergeKey, ServerMatch};
use super::non_invite_server::NonInviteServer;
use super::timers::Timer;
use crate::message::StatusCode;
use crate::transport::Flow;

/// What may happen to a server transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerEvent {
    /// The request came again.
    Request,
    /// An ACK came that belongs to the transaction.
    Ack,
    /// The TU answers.
    Answer(StatusCode),
    /// A timer fired.
    Timer(Timer),
    /// An answer could not be sent.
    TransportFailed,
}

/// What a server machine wants done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerAction {
    /// Send the answer that the TU just gave, and remember it.
    Transmit,
    /// Send the last answer again, if there is one.
    Repeat,
    /// Send 100.
    TransmitTrying,
    /// Give the ACK just received to the TU: it belongs to a 2xx.
    DeliverAck,
    /// Tell the TU that no ACK came.
    ReportNoAck,
    /// Tell the TU that it answered too late or never.
    ReportUnanswered,
    /// Tell the TU that the transport failed.
    ReportTransportFailure,
    /// Forget the transaction.
    Terminate,
}

#[derive(Debug)]
pub(crate) enum ServerMachine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

impl ServerMachine {
    pub(crate) fn on(&mut self, event: ServerEvent, now: Instant) -> &'static [ServerAction] {
        match self {
            ServerMachine::Invite(machine) => machine.on(event, now),
            ServerMachine::NonInvite(machine) => machine.on(event, now),
        }
    }

    pub(crate) fn clock(&mut self) -> &mut Clock {
        match self {
            ServerMachine::Invite(machine) => &mut machine.clock,
            ServerMachine::NonInvite(machine) => &mut machine.clock,
        }
    }
}

/// A server transaction: the machine and what it works on.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) machine: ServerMachine,
    pub(crate) matched_by: ServerMatch,
    /// Set for a request outside dialogs; finds the same request that came by another way.
    pub(crate) merge_key: Option<MergeKey>,
    /// The answer to repeat.
    pub(crate) last: Option<Bytes>,
    /// The 100 of an INVITE.
    pub(crate) trying: Option<Bytes>,
    /// The To tag of our answers, once one was sent.
    pub(crate) to_tag: Option<Box<str>>,
    /// Where answers go.
    pub(crate) flow: Flow,
    /// Answered by the layer itself: the TU hears nothing of it.
    pub(crate) is_hidden: bool,
    pub(crate) scheduled: Option<Instant>,
}
