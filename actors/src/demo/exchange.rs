//! Makes the demo registrar's calls: a SIP dialog in, an answering machine or another SIP dialog out. The same calls and
//! legs as everywhere else; only the pairing is new.
use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, ArbiterHandle, AsyncContext, Context, Handler, Recipient};
use sip::message::{SipUri, StatusCode, Uri};

use super::machine::{Machine, Service, VIDEO};
use super::registrar::{DemoCall, DemoTarget};
use crate::call::{Begin, Call, CallEnded, CallOrder};
use crate::dialog::{Dialog, DialogOrder, IncomingInvite, OutgoingInvite, Place, SipSide};
use crate::generator::Sounds;
use crate::leg::{Leg, LegReport};
use crate::sip::Respond;
use crate::vocabulary::{Additions, CallId, CodecId, Side};

/// The actor.
pub struct Exchange {
    sip: SipSide,
    sounds: Arc<Sounds>,
    /// A thread for pictures, which take milliseconds.
    codec_lane: ArbiterHandle,
    /// A call lives as long as it is held here.
    calls: HashMap<CallId, Addr<Call>>,
}

/// Calls at a time: first steps need a handful, smoke tests some hundred.
const MAX_CALLS: usize = 500;

impl Exchange {
    /// An exchange that speaks through the demo's own endpoint.
    pub fn new(sip: SipSide) -> Self {
        Self { sip, sounds: Arc::default(), codec_lane: Arbiter::new().handle(), calls: HashMap::new() }
    }

    fn connect(&mut self, demo: DemoCall, ctx: &mut Context<Self>) {
        if self.calls.len() >= MAX_CALLS {
            let response = demo.request.stateless_response(StatusCode::SERVICE_UNAVAILABLE);
            return self.sip.endpoint.do_send(Respond { key: demo.key, response });
        }
        let call_id = CallId::random();
        let call = Call::new(CallOrder {
            call_id: call_id.clone(),
            direction: "demo",
            no_answer: self.sip.settings.no_answer,
            max_duration: self.sip.settings.max_duration,
            encoding: Default::default(),
            video: Default::default(),
            codec_lane: self.codec_lane.clone(),
            activity: self.sip.settings.activity,
            stand_in: self.sip.settings.media.video.stand_in.clone(),
            sounds: self.sounds.clone(),
            owner: ctx.address().downgrade().recipient(),
            meters: self.sip.meters.clone(),
        })
        .start();
        let reports = call.downgrade().recipient();
        let (codecs, video) = match &demo.target {
            DemoTarget::Service(service) => (service.codecs(), service.video()),
            DemoTarget::Account(_) => (ALL, &VIDEO[..]),
        };
        let callee = self.callee(&demo, &call_id, reports.clone());
        let invite = IncomingInvite {
            key: demo.key,
            request: demo.request,
            hop: demo.hop,
            way: None,
            contact_user: "demo".to_owned(),
            codecs: codecs.to_vec(),
            video: video.to_vec(),
            telephone_events: true,
        };
        let order = DialogOrder::Incoming(Box::new(invite));
        let place = Place::first(Side::Caller, call_id.clone(), reports);
        let caller = Dialog::new(order, place, self.sip.clone()).start();
        self.calls.insert(call_id, call.clone());
        call.do_send(Begin {
            caller: leg(caller.clone().recipient(), caller.recipient()),
            callees: vec![callee],
        });
    }

    fn callee(&self, demo: &DemoCall, call_id: &CallId, reports: actix::WeakRecipient<LegReport>) -> Leg {
        match &demo.target {
            DemoTarget::Service(service) => {
                let (service, meters) = (*service, self.sip.meters.clone());
                let new = move |_: &mut Context<Machine>| Machine::new(service, reports, &meters);
                let machine = match service {
                    Service::Video => Machine::start_in_arbiter(&self.codec_lane, new),
                    _ => Machine::create(new),
                };
                leg(machine.clone().recipient(), machine.recipient())
            }
            DemoTarget::Account(contact) => {
                let from = demo.request.headers.from().ok();
                let invite = OutgoingInvite {
                    target: contact.clone(),
                    next_hop: as_sip(contact),
                    route: vec![],
                    from: from.as_ref().map_or_else(|| as_sip(contact), |from| as_sip(&from.uri)),
                    display_name: from.and_then(|from| from.display_name().map(str::to_owned)),
                    account: None,
                    realm: None,
                    contact_user: "demo".to_owned(),
                    additions: Additions::default(),
                    codecs: ALL.to_vec(),
                    video: VIDEO.to_vec(),
                    telephone_events: true,
                    headers: vec![],
                };
                let order = DialogOrder::Outgoing(Box::new(invite));
                let place = Place::first(Side::Callee, call_id.clone(), reports);
                let phone = Dialog::new(order, place, self.sip.clone()).start();
                leg(phone.clone().recipient(), phone.recipient())
            }
        }
    }
}

const ALL: &[CodecId] = &[CodecId::Opus, CodecId::Pcma, CodecId::Pcmu];

fn leg(commands: Recipient<crate::leg::LegCommand>, packets: Recipient<crate::vocabulary::Packet>) -> Leg {
    Leg { commands, packets }
}

/// Contacts and callers of the demo are SIP URIs: its registrar takes no other.
fn as_sip(uri: &Uri) -> SipUri {
    uri.as_sip().cloned().unwrap_or_else(|| SipUri::new(std::net::IpAddr::from([127, 0, 0, 1]).into()))
}

impl Actor for Exchange {
    type Context = Context<Self>;
}

impl Handler<DemoCall> for Exchange {
    type Result = ();
    fn handle(&mut self, demo: DemoCall, ctx: &mut Self::Context) {
        self.connect(demo, ctx);
    }
}

impl Handler<CallEnded> for Exchange {
    type Result = ();
    fn handle(&mut self, CallEnded(record): CallEnded, _: &mut Self::Context) {
        self.calls.remove(&record.call_id);
    }
}
