//! RFC 3263 §4 as a machine.

use std::net::{IpAddr, SocketAddr};

use super::dns::plain;
use super::srv_order::ordered;
use super::target::Service;
use super::{Answer, Naptr, Question, Srv, Target};
use crate::message::Transport;

/// One resolution, from a target to addresses. Call [`step`](Self::step) until it is done; hand in each answer with [`answer`](Self::answer).
///
/// | target | asks | ends with |
/// |---|---|---|
/// | address | nothing | that address, port given or default |
/// | name with port | A, AAAA | its addresses, transport given or default |
/// | name with transport | SRV, then A, AAAA of its hosts | without SRV: addresses of the name itself, default port |
/// | bare name | NAPTR, then as above for each service in its order | without NAPTR: SRV of every transport of ours, in our order |
///
/// A question that fails in time counts as unanswered and the way goes on: many resolvers drop NAPTR and SRV. Only when no
/// address is left does it decide between "try later" and "does not exist".
#[derive(Debug, Clone)]
pub struct Resolution {
    target: Target,
    name: String,
    transports: Vec<Transport>,
    families: Families,
    stage: Stage,
    /// Asked and not answered.
    open: Vec<Question>,
    /// To be asked with the next step.
    unasked: Vec<Question>,
    troubled: bool,
}

/// Which address families to ask for, and which to try first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// Both, IPv4 first: the safe order while a dead IPv6 path costs a SIP transaction 32 s.
    V4First,
    /// Both, IPv6 first.
    V6First,
    /// IPv4 only.
    V4Only,
    /// IPv6 only.
    V6Only,
}

/// One place to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask these (at once, in any order) and bring the answers; empty: answers are still out.
    Ask(Vec<Question>),
    /// Try these in order.
    Done(Vec<Hop>),
    /// There is nowhere to send to.
    Failed(ResolveError),
}

/// Why there is no hop. All name the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// DNS says that there is no such host, or that it has no address.
    #[error("host {0} not found")]
    NotFound(String),
    /// DNS did not answer.
    #[error("no answer from DNS for host {0}")]
    NoAnswer(String),
    /// The domain says that it offers no SIP (SRV target `.`).
    #[error("domain {0} offers no SIP service")]
    NotOffered(String),
    /// A transport that we do not speak or that is switched off.
    #[error("transport {0} is not supported")]
    Transport(String),
    /// The address is of a family that is switched off.
    #[error("address family of {0} is not enabled")]
    Family(String),
    /// `maddr` is neither a name nor an address.
    #[error("maddr {0:?} is no host")]
    Maddr(String),
}

#[derive(Debug, Clone)]
enum Stage {
    Start,
    Naptr,
    Srv(Vec<SrvSlot>),
    Addresses(Vec<HostSlot>),
    Over(Result<Vec<Hop>, ResolveError>),
}

#[derive(Debug, Clone)]
struct SrvSlot {
    transport: Transport,
    name: String,
    records: Vec<Srv>,
}

#[derive(Debug, Clone)]
struct HostSlot {
    transport: Transport,
    name: String,
    port: u16,
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

/// Most services, hosts and addresses followed: far above real domains, and a bound on what a hostile one can cost.
const MAX_SERVICES: usize = 8;
const MAX_HOSTS: usize = 16;
const MAX_HOPS: usize = 32;

impl Resolution {
    /// `transports` are those that we can use, best first.
    pub fn new(target: Target, transports: &[Transport], families: Families) -> Self {
        let name = plain(&target.host.to_string()).to_owned();
        let transports =
            transports.iter().copied().filter(|t| !target.secure || *t == Transport::Tls).collect();
        let (open, unasked) = (Vec::new(), Vec::new());
        Self { target, name, transports, families, stage: Stage::Start, open, unasked, troubled: false }
    }

    /// What to do now. Questions are handed out once.
    pub fn step(&mut self) -> Step {
        if matches!(self.stage, Stage::Start) {
            self.start();
        }
        match &self.stage {
            Stage::Over(Ok(hops)) => Step::Done(hops.clone()),
            Stage::Over(Err(error)) => Step::Failed(error.clone()),
            _ => {
                let questions = std::mem::take(&mut self.unasked);
                self.open.extend(questions.iter().cloned());
                Step::Ask(questions)
            }
        }
    }

    /// Takes an answer; one to a question that is not open is ignored. `random(n)` gives a number from 0 to n inclusive and draws among
    /// SRV records of equal priority.
    pub fn answer(&mut self, question: &Question, answer: Answer, random: &mut dyn FnMut(u32) -> u32) {
        let Some(place) = self.open.iter().position(|open| open == question) else {
            return;
        };
        self.open.swap_remove(place);
        self.troubled |= answer == Answer::Failed;
        match (&mut self.stage, question, answer) {
            (Stage::Naptr, Question::Naptr(_), answer) => {
                let records = if let Answer::Naptr(records) = answer { records } else { Vec::new() };
                self.after_naptr(records);
            }
            (Stage::Srv(slots), Question::Srv(name), Answer::Srv(records)) => {
                for slot in slots.iter_mut().filter(|slot| slot.name == *name) {
                    slot.records = ordered(records.iter().take(MAX_HOSTS).cloned().collect(), random);
                }
            }
            (Stage::Addresses(slots), Question::A(name), Answer::A(found)) => {
                let found: Vec<IpAddr> = found.into_iter().take(MAX_HOPS).map(IpAddr::from).collect();
                slots
                    .iter_mut()
                    .filter(|slot| slot.name == *name)
                    .for_each(|slot| slot.v4.clone_from(&found));
            }
            (Stage::Addresses(slots), Question::Aaaa(name), Answer::Aaaa(found)) => {
                let found: Vec<IpAddr> = found.into_iter().take(MAX_HOPS).map(IpAddr::from).collect();
                slots
                    .iter_mut()
                    .filter(|slot| slot.name == *name)
                    .for_each(|slot| slot.v6.clone_from(&found));
            }
            _ => {}
        }
        if self.open.is_empty() && self.unasked.is_empty() {
            self.advance();
        }
    }

    fn start(&mut self) {
        let transport = self.target.default_transport();
        if let Some(unusable) = self.target.transport.filter(|wanted| !self.transports.contains(wanted)) {
            return self.fail(ResolveError::Transport(unusable.as_str().to_ascii_lowercase()));
        }
        if self.transports.is_empty() {
            return self.fail(ResolveError::Transport(transport.as_str().to_ascii_lowercase()));
        }
        match (self.target.host.ip(), self.target.port, self.target.transport) {
            (Some(address), port, _) => self.numeric(address, port),
            (None, Some(port), _) => self.ask_hosts(vec![self.own_host(transport, port)]),
            (None, None, Some(transport)) => self.ask_srv(vec![transport]),
            (None, None, None) => {
                self.unasked.push(Question::Naptr(self.name.clone()));
                self.stage = Stage::Naptr;
            }
        }
    }

    fn numeric(&mut self, address: IpAddr, port: Option<u16>) {
        if !self.families.has(&address) {
            return self.fail(ResolveError::Family(address.to_string()));
        }
        let transport = self.usable_default();
        let port = port.unwrap_or(transport.default_port());
        self.stage = Stage::Over(Ok(vec![Hop { transport, address: SocketAddr::new(address, port) }]));
    }

    /// UDP, or TLS for `sips:`; if that is switched off, our first.
    fn usable_default(&self) -> Transport {
        let wanted = self.target.default_transport();
        if self.transports.contains(&wanted) { wanted } else { self.transports[0] }
    }

    fn after_naptr(&mut self, mut records: Vec<Naptr>) {
        records.retain(|record| record.flags.eq_ignore_ascii_case("s"));
        records.sort_by_key(|record| (record.order, record.preference));
        let slots: Vec<SrvSlot> = records
            .iter()
            .filter_map(|record| {
                let transport = Service::of_naptr(&record.service).filter(|t| self.transports.contains(t))?;
                let name = plain(&record.replacement).to_ascii_lowercase();
                Some(SrvSlot { transport, name, records: Vec::new() })
            })
            .take(MAX_SERVICES)
            .collect();
        if slots.is_empty() { self.ask_srv(self.transports.clone()) } else { self.ask_slots(slots) }
    }

    fn ask_srv(&mut self, transports: Vec<Transport>) {
        let slot = |transport| SrvSlot {
            transport,
            name: Service::from(transport).srv_name(&self.name),
            records: Vec::new(),
        };
        let slots = transports.into_iter().map(slot).collect();
        self.ask_slots(slots);
    }

    fn ask_slots(&mut self, slots: Vec<SrvSlot>) {
        let questions = slots.iter().map(|slot| Question::Srv(slot.name.clone())).collect();
        self.ask_once(questions);
        self.stage = Stage::Srv(slots);
    }

    fn ask_hosts(&mut self, hosts: Vec<HostSlot>) {
        let (v4, v6) = (self.families != Families::V6Only, self.families != Families::V4Only);
        let questions = hosts.iter().flat_map(|host| {
            let a = v4.then(|| Question::A(host.name.clone()));
            let aaaa = v6.then(|| Question::Aaaa(host.name.clone()));
            a.into_iter().chain(aaaa)
        });
        self.ask_once(questions.collect());
        self.stage = Stage::Addresses(hosts);
    }

    fn ask_once(&mut self, questions: Vec<Question>) {
        for question in questions {
            if !self.unasked.contains(&question) {
                self.unasked.push(question);
            }
        }
    }

    /// Everything of this stage is answered.
    fn advance(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Srv(slots) => self.after_srv(&slots),
            Stage::Addresses(hosts) => self.after_addresses(&hosts),
            other => self.stage = other,
        }
    }

    fn after_srv(&mut self, slots: &[SrvSlot]) {
        let all = slots.iter().flat_map(|slot| slot.records.iter().map(|record| (slot.transport, record)));
        let offered = |record: &Srv| !plain(&record.target).is_empty() && record.port != 0;
        let hosts: Vec<HostSlot> = all
            .clone()
            .filter(|(_, record)| offered(record))
            .map(|(transport, record)| {
                HostSlot::new(transport, plain(&record.target).to_ascii_lowercase(), record.port)
            })
            .take(MAX_HOSTS)
            .collect();
        if !hosts.is_empty() {
            self.ask_hosts(hosts);
        } else if all.count() > 0 {
            self.fail(ResolveError::NotOffered(self.name.clone()));
        } else {
            let transport = self.usable_default();
            self.ask_hosts(vec![self.own_host(transport, transport.default_port())]);
        }
    }

    fn after_addresses(&mut self, hosts: &[HostSlot]) {
        let mut hops: Vec<Hop> = Vec::new();
        for host in hosts {
            let (first, second) =
                if self.families == Families::V6First { (&host.v6, &host.v4) } else { (&host.v4, &host.v6) };
            for address in first.iter().chain(second) {
                let hop = Hop { transport: host.transport, address: SocketAddr::new(*address, host.port) };
                if hops.len() < MAX_HOPS && !hops.contains(&hop) {
                    hops.push(hop);
                }
            }
        }
        match (hops.is_empty(), self.troubled) {
            (false, _) => self.stage = Stage::Over(Ok(hops)),
            (true, true) => self.fail(ResolveError::NoAnswer(self.name.clone())),
            (true, false) => self.fail(ResolveError::NotFound(self.name.clone())),
        }
    }

    fn own_host(&self, transport: Transport, port: u16) -> HostSlot {
        HostSlot::new(transport, self.name.clone(), port)
    }

    fn fail(&mut self, error: ResolveError) {
        self.stage = Stage::Over(Err(error));
    }
}

impl HostSlot {
    fn new(transport: Transport, name: String, port: u16) -> Self {
        Self { transport, name, port, v4: Vec::new(), v6: Vec::new() }
    }
}

impl Families {
    fn has(self, address: &IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self != Self::V6Only,
            IpAddr::V6(_) => self != Self::V4Only,
        }
    }
}
