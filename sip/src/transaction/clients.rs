//! All client transactions of a layer.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::build;
use super::client::{Client, ClientAction, ClientEvent, ClientMachine};
use super::invite_client::InviteClient;
use super::matching::ClientMatch;
use super::non_invite_client::NonInviteClient;
use super::output::{ClientKey, Output};
use super::schedule::Schedule;
use super::timers::Timers;
use crate::message::{Method, Reason, Request, Response};
use crate::transport::Flow;

#[derive(Debug)]
pub(crate) struct Clients {
    timers: Timers,
    by_id: HashMap<u64, Client>,
    index: HashMap<ClientMatch, u64>,
    schedule: Schedule,
    next_id: u64,
    pub(crate) retransmissions: u64,
}

impl Clients {
    pub(crate) fn new(timers: Timers) -> Self {
        Self {
            timers,
            by_id: HashMap::new(),
            index: HashMap::new(),
            schedule: Schedule::default(),
            next_id: 0,
            retransmissions: 0,
        }
    }

    /// Starts a transaction with a request that has its Via.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        (request, branch): (Request, &str),
        flow: Flow,
        is_hidden: bool,
        out: &mut VecDeque<Output>,
    ) -> ClientKey {
        let id = self.next_id;
        self.next_id += 1;
        let bytes = request.to_bytes();
        let matched_by = ClientMatch { branch: branch.into(), method: request.method.clone() };
        let reliable = flow.transport.is_reliable();
        let (machine, invite) = if request.method == Method::Invite {
            (ClientMachine::Invite(InviteClient::start(self.timers, reliable, now)), Some(Box::new(request)))
        } else {
            (ClientMachine::NonInvite(NonInviteClient::start(self.timers, reliable, now)), None)
        };
        out.push_back(Output::Transmit { bytes: bytes.clone(), flow });
        self.index.insert(matched_by.clone(), id);
        let client = Client {
            machine,
            matched_by,
            invite,
            bytes,
            flow,
            cancel_wanted: None,
            is_hidden,
            scheduled: None,
        };
        self.by_id.insert(id, client);
        self.reschedule(id);
        ClientKey(id)
    }

    /// Takes an answer; `false` if nobody waits for it.
    pub(crate) fn on_response(
        &mut self,
        now: Instant,
        response: Response,
        flow: Flow,
        out: &mut VecDeque<Output>,
    ) -> bool {
        let Some(id) = ClientMatch::of(&response).and_then(|matched| self.index.get(&matched).copied())
        else {
            return false;
        };
        self.drive(id, ClientEvent::Response(response.code), Some((response, flow)), now, out);
        self.cancel_if_possible(now, id, out);
        true
    }

    pub(crate) fn cancel(
        &mut self,
        now: Instant,
        key: ClientKey,
        reason: Option<&Reason>,
        out: &mut VecDeque<Output>,
    ) {
        if let Some(client) = self.by_id.get_mut(&key.0) {
            client.cancel_wanted = client.invite.as_ref().map(|invite| build::cancel(invite, reason));
            self.cancel_if_possible(now, key.0, out);
        }
    }

    pub(crate) fn transport_failed(&mut self, now: Instant, flow: &Flow, out: &mut VecDeque<Output>) {
        let mut ids: Vec<u64> =
            self.by_id.iter().filter(|(_, client)| client.flow == *flow).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        for id in ids {
            self.drive(id, ClientEvent::TransportFailed, None, now, out);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<Output>) {
        while let Some(id) = self.schedule.due(now) {
            self.settle(id, now, out);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.schedule.next()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// CANCEL goes out once a provisional answer has come and no final one (RFC 3261 9.1).
    fn cancel_if_possible(&mut self, now: Instant, id: u64, out: &mut VecDeque<Output>) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        let proceeding = matches!(&client.machine, ClientMachine::Invite(machine) if machine.is_proceeding());
        let Some(cancel) = client.cancel_wanted.take_if(|_| proceeding) else { return };
        let (flow, branch) = (client.flow, client.matched_by.branch.clone());
        self.drive(id, ClientEvent::Cancelled, None, now, out);
        self.start(now, (cancel, &branch), flow, true, out);
    }

    fn drive(
        &mut self,
        id: u64,
        event: ClientEvent,
        response: Option<(Response, Flow)>,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) {
        let Some(client) = self.by_id.get_mut(&id) else {
            return;
        };
        let key = ClientKey(id);
        let actions = client.machine.on(event, now);
        let tell = |out: &mut VecDeque<Output>, output: Output| {
            if !client.is_hidden {
                out.push_back(output);
            }
        };
        for action in actions {
            match action {
                ClientAction::Repeat => {
                    self.retransmissions += 1;
                    out.push_back(Output::Transmit { bytes: client.bytes.clone(), flow: client.flow });
                }
                ClientAction::Acknowledge => {
                    if let (Some(invite), Some((response, _))) = (&client.invite, &response) {
                        let bytes = build::ack(invite, response).to_bytes();
                        out.push_back(Output::Transmit { bytes, flow: client.flow });
                    }
                }
                ClientAction::Deliver => {
                    if let Some((response, flow)) = response.clone() {
                        tell(out, Output::Response { key, response, flow });
                    }
                }
                ClientAction::ReportTimeout => tell(out, Output::TimedOut { key }),
                ClientAction::ReportTransportFailure => tell(out, Output::TransportFailed { key }),
                ClientAction::Terminate => return self.forget(id, out),
            }
        }
        self.settle(id, now, out);
    }

    /// Fires what is due and plans the next waking.
    fn settle(&mut self, id: u64, now: Instant, out: &mut VecDeque<Output>) {
        let Some(client) = self.by_id.get_mut(&id) else {
            return;
        };
        match client.machine.clock().due(now) {
            Some(timer) => self.drive(id, ClientEvent::Timer(timer), None, now, out),
            None => self.reschedule(id),
        }
    }

    fn reschedule(&mut self, id: u64) {
        if let Some(client) = self.by_id.get_mut(&id) {
            let next = client.machine.clock().next();
            self.schedule.set(id, &mut client.scheduled, next);
        }
    }

    fn forget(&mut self, id: u64, out: &mut VecDeque<Output>) {
        let mut client = self.by_id.remove(&id).expect("only a running transaction terminates");
        self.schedule.set(id, &mut client.scheduled, None);
        self.index.remove(&client.matched_by);
        if !client.is_hidden {
            out.push_back(Output::ClientEnded { key: ClientKey(id) });
        }
    }
}
