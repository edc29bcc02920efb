//! DNS for SIP: asks what [`sip::resolve`] wants to know. The only file that imports hickory.
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use sip::resolve::{Answer, Families, Hop, Naptr, Question, Resolution, ResolveError, Srv, Step, Target};
use sip::transport::Transport;
use tokio::time::{Instant, timeout_at};

/// A resolver with its cache. Clones share it.
#[derive(Clone)]
pub(super) struct Dns {
    resolver: TokioResolver,
}

/// What one look-up may take in all: the page must hear of trouble within 5 s.
const IN_ALL: Duration = Duration::from_secs(4);
/// What NAPTR and SRV may take each: many home routers never answer them, and the addresses still need their time.
const SERVICE_RECORD: Duration = Duration::from_secs(1);
/// One try of one name server; two fit into the time of an address look-up.
const ONE_TRY: Duration = Duration::from_millis(900);
/// Names in the cache.
const CACHE: u64 = 4096;
/// Our transports, best first, where the domain has no order of its own (RFC 3261 §18: the first two are a must; UDP is what every
/// PBX listens on).
const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

impl Dns {
    /// Asks `servers`, or those of the system if there are none.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        let provider = TokioRuntimeProvider::default;
        let mut builder = match TokioResolver::builder_tokio() {
            Ok(builder) if servers.is_empty() => builder,
            // Without a readable resolv.conf only addresses and the hosts file work.
            _ => TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(configs(servers)),
                provider(),
            ),
        };
        let options = builder.options_mut();
        (options.timeout, options.attempts, options.cache_size) = (ONE_TRY, 2, CACHE);
        let resolver = builder.build().unwrap_or_else(|error| {
            tracing::warn!(%error, "dns: the system's name servers cannot be used");
            bare()
        });
        Self { resolver }
    }

    /// Where `target` can be reached, best first; takes 4 s at most.
    pub(super) async fn resolve(&self, target: Target, families: Families) -> Result<Vec<Hop>, ResolveError> {
        let until = Instant::now() + IN_ALL;
        let mut resolution = Resolution::new(target, &TRANSPORTS, families);
        loop {
            match resolution.step() {
                Step::Done(hops) => return Ok(hops),
                Step::Failed(error) => return Err(error),
                Step::Ask(questions) => {
                    let answers = join_all(questions.iter().map(|question| self.ask(question, until))).await;
                    for (question, answer) in questions.iter().zip(answers) {
                        resolution.answer(question, answer, &mut random);
                    }
                }
            }
        }
    }

    async fn ask(&self, question: &Question, until: Instant) -> Answer {
        let (name, kind, until) = match question {
            Question::Naptr(name) => (name, RecordType::NAPTR, until.min(Instant::now() + SERVICE_RECORD)),
            Question::Srv(name) => (name, RecordType::SRV, until.min(Instant::now() + SERVICE_RECORD)),
            Question::A(name) => (name, RecordType::A, until),
            Question::Aaaa(name) => (name, RecordType::AAAA, until),
        };
        let Ok(mut name) = Name::from_utf8(name) else { return Answer::Missing };
        // A name with dots is whole; a single word may be completed by the system's search list.
        if name.num_labels() > 1 {
            name.set_fqdn(true);
        }
        match timeout_at(until, self.resolver.lookup(name, kind)).await {
            Ok(Ok(found)) => answer(question, found.answers().iter().map(|record| &record.data)),
            Ok(Err(error)) if says_no(&error) => Answer::Missing,
            Ok(Err(_)) | Err(_) => Answer::Failed,
        }
    }
}

fn configs(servers: &[SocketAddr]) -> Vec<NameServerConfig> {
    let config = |server: &SocketAddr| {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        config.connections.iter_mut().for_each(|connection| connection.port = server.port());
        config
    };
    servers.iter().map(config).collect()
}

/// Without name servers: addresses and the hosts file.
fn bare() -> TokioResolver {
    let config = ResolverConfig::from_name_servers(vec![]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = ResolverOpts::default();
    builder.build().expect("a resolver without servers opens nothing that could fail")
}

fn says_no(error: &NetError) -> bool {
    error.is_nx_domain() || error.is_no_records_found()
}

fn answer<'a>(question: &Question, records: impl Iterator<Item = &'a RData>) -> Answer {
    let (mut v4, mut v6, mut srv, mut naptr) = (vec![], vec![], vec![], vec![]);
    for record in records {
        match record {
            RData::A(address) => v4.push(address.0),
            RData::AAAA(address) => v6.push(address.0),
            RData::SRV(record) => srv.push(Srv {
                priority: record.priority,
                weight: record.weight,
                port: record.port,
                target: record.target.to_utf8(),
            }),
            RData::NAPTR(record) => naptr.push(Naptr {
                order: record.order,
                preference: record.preference,
                flags: String::from_utf8_lossy(&record.flags).into_owned(),
                service: String::from_utf8_lossy(&record.services).into_owned(),
                replacement: record.replacement.to_utf8(),
            }),
            _ => {} // the CNAMEs on the way
        }
    }
    match question {
        Question::A(_) => Answer::A(v4),
        Question::Aaaa(_) => Answer::Aaaa(v6),
        Question::Srv(_) => Answer::Srv(srv),
        Question::Naptr(_) => Answer::Naptr(naptr),
    }
}

/// A number from 0 to `highest`.
fn random(highest: u32) -> u32 {
    let number = getrandom::u32().expect("the operating system's generator does not fail after boot");
    (u64::from(number) % (u64::from(highest) + 1)) as u32
}
