//! What the layer puts out: bytes to sockets, requests and responses to their owners.
use actix::WeakRecipient;
use actix::dev::SendError;
use sip::message::{HeaderName, Method, Request, Response, StatusCode};
use sip::transaction::{Counters, Output, ServerFailure, ServerKey};
use sip::transport::{Flow, Transport};

use super::uas::{self, Verdict};
use super::{DialogKey, Hop, IncomingRequest, SipEndpoint, SipEvent, now};

/// What a request hears whose taker is busy, in seconds: a burst is over by then.
const RETRY_AFTER: u32 = 2;

/// Tells an owner; one that is gone or drowning hears nothing.
pub(super) fn tell(owner: &WeakRecipient<SipEvent>, event: SipEvent) {
    if let Some(owner) = owner.upgrade()
        && let Err(SendError::Full(_)) = owner.try_send(event)
    {
        tracing::warn!("sip: the mailbox of a dialog or registration is full");
    }
}

impl SipEndpoint {
    /// Does what the layer says.
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit { bytes, flow } => {
                if !self.transmit(bytes, &flow) {
                    self.layer.transport_failed(now(), &flow);
                }
            }
            Output::Request { key, request, flow } => self.take(key, request, flow),
            Output::Ack { request, .. } => self.take_ack(request),
            Output::Cancelled { invite, cancel } => {
                self.count_request(&Method::Cancel, "in");
                if let Some(owner) = self.routes.cancelled(&invite) {
                    tell(&owner, SipEvent::Cancelled { invite, cancel: Some(Box::new(cancel)) });
                }
            }
            Output::Response { key, response, .. } => {
                if let Ok(cseq) = response.headers.cseq() {
                    self.count_response(&cseq.method, response.code.as_u16());
                }
                if let Some((id, owner)) = self.routes.request(&key) {
                    tell(owner, SipEvent::Response { id: *id, response });
                }
            }
            Output::TimedOut { key } => {
                if let Some((id, owner)) = self.routes.request(&key) {
                    tell(owner, SipEvent::TimedOut(*id));
                }
            }
            Output::TransportFailed { key } => {
                if let Some((id, owner)) = self.routes.request(&key) {
                    tell(owner, SipEvent::TransportFailed(*id));
                }
            }
            Output::ClientEnded { key } => {
                self.routes.ended(&key);
            }
            Output::ServerFailed { why: ServerFailure::Unanswered, .. } => {
                tracing::error!("sip: a request was never answered by its owner");
            }
            Output::ServerFailed { why, .. } => tracing::debug!(?why, "sip: an answer came to nothing"),
            Output::ServerEnded { key } => self.routes.answered(&key),
        }
    }

    /// A new request: answers it or finds who does.
    fn take(&mut self, key: ServerKey, request: Request, flow: Flow) {
        self.count_request(&request.method, "in");
        let capabilities = uas::capabilities(self.is_registrar, self.settings.refer_policy);
        let verdict = uas::judge(&request, &capabilities, |dialog| self.routes.has_owner(dialog));
        match verdict {
            Verdict::Answer(response) => self.respond(key, *response),
            Verdict::Owner(dialog) => {
                self.hand_to_owner(key, &dialog, SipEvent::Request { key, request });
            }
            Verdict::Replaced(dialog) => match self.hop_of(flow) {
                Some(hop) => self.hand_to_owner(key, &dialog, SipEvent::Replacing { key, request, hop }),
                None => self.refuse_busy(key, &request),
            },
            Verdict::Consumer => self.hand_to_consumer(key, request, flow),
        }
    }

    fn hand_to_owner(&mut self, key: ServerKey, dialog: &DialogKey, event: SipEvent) {
        let refusal = match &event {
            SipEvent::Request { request, .. } | SipEvent::Replacing { request, .. }
                if request.method == Method::Invite =>
            {
                Some(request.stateless_response(StatusCode::CALL_DOES_NOT_EXIST))
            }
            _ => None,
        };
        let handed = self.routes.hand_to_owner(key, dialog);
        if let Some(refusal) = refusal {
            self.routes.refuse_if_left(&key, refusal);
        }
        let sent = match handed.map(|owner| owner.upgrade()) {
            Some(Some(owner)) => owner.try_send(event),
            Some(None) => Err(SendError::Closed(event)),
            None => Err(SendError::Full(event)),
        };
        let Err(refused) = sent else { return };
        let closed = matches!(refused, SendError::Closed(_));
        // What comes back is what was sent.
        let (SipEvent::Request { request, .. } | SipEvent::Replacing { request, .. }) = refused.into_inner()
        else {
            return;
        };
        if closed {
            self.respond(key, request.stateless_response(StatusCode::CALL_DOES_NOT_EXIST));
            let left = self.routes.leave(dialog);
            self.refuse_left(left);
        } else {
            self.refuse_busy(key, &request);
        }
    }

    /// How we look from where a request came.
    fn hop_of(&mut self, flow: Flow) -> Option<Hop> {
        let hop = self.hop(flow.transport, flow.remote)?;
        Some(Hop { flow: (flow.transport == Transport::Tls).then_some(flow), ..hop })
    }

    /// Refuses INVITEs whose dialog ended while they waited in its mailbox.
    pub(super) fn refuse_left(&mut self, left: Vec<(ServerKey, Response)>) {
        for (key, refusal) in left {
            self.respond(key, refusal);
        }
    }

    fn hand_to_consumer(&mut self, key: ServerKey, request: Request, flow: Flow) {
        let consumer = self.consumer.as_ref().and_then(WeakRecipient::upgrade);
        let (Some(consumer), Some(hop)) = (consumer, self.hop_of(flow)) else {
            return self.refuse_busy(key, &request);
        };
        if !self.routes.hand_to_consumer(key) {
            return self.refuse_busy(key, &request);
        }
        if let Err(error) = consumer.try_send(IncomingRequest { key, request, flow, hop }) {
            self.refuse_busy(key, &error.into_inner().request);
        }
    }

    fn refuse_busy(&mut self, key: ServerKey, request: &Request) {
        let response = request.stateless_response(StatusCode::SERVICE_UNAVAILABLE);
        self.respond(key, response.with_header(HeaderName::RetryAfter, RETRY_AFTER));
    }

    fn take_ack(&mut self, request: Request) {
        let owner = uas::dialog_of(&request).and_then(|dialog| self.routes.owner_of(&dialog).cloned());
        match owner {
            Some(owner) => tell(&owner, SipEvent::Ack(request)),
            None => self.meters.sip_dropped_total.with_label_values(&["ack"]).inc(),
        }
    }

    pub(super) fn count_request(&self, method: &Method, direction: &str) {
        self.meters.sip_requests_total.with_label_values(&[label(method), direction]).inc();
    }

    pub(super) fn count_response(&self, method: &Method, code: u16) {
        self.meters.sip_responses_total.with_label_values(&[label(method), &code.to_string()]).inc();
    }

    /// Carries the layer's own counters over to the meters.
    pub(super) fn count_layer(&mut self) {
        let Counters { broken, stray_responses, merged, refused, .. } = self.layer.counters();
        let before = std::mem::replace(&mut self.counted, self.layer.counters());
        for (reason, more) in [
            ("broken", broken - before.broken),
            ("stray_response", stray_responses - before.stray_responses),
            ("merged", merged - before.merged),
            ("overload", refused - before.refused),
        ] {
            if more > 0 {
                self.meters.sip_dropped_total.with_label_values(&[reason]).inc_by(more);
            }
        }
    }
}

/// A label for the method; strangers share one, so that nobody can fill the metrics with words.
fn label(method: &Method) -> &str {
    match method {
        Method::Other(_) => "other",
        known => known.as_str(),
    }
}
