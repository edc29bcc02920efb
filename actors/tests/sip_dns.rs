//! Where requests go by DNS (RFC 3263), with a real resolver and a name server of the test.
#![allow(clippy::unwrap_used)]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use actors::sip::{Locate, LocateError};
use sip::message::StatusCode;
use sip::resolve::{AddressClass, AddressPolicy};
use support::dns::{Record, Zone, serve};
use support::{house, settings};

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 12);
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

const ZONE: Zone = &[
    ("one.test", Record::A(ONE)),
    ("two.test", Record::A(TWO)),
    ("_sip._udp.srv.test", Record::Srv(20, 0, 5071, "one.test")),
    ("_sip._udp.srv.test", Record::Srv(10, 0, 5072, "two.test")),
    ("naptr.test", Record::Naptr(10, 20, "SIP+D2U", "_sip._udp.srv.test")),
    ("naptr.test", Record::Naptr(10, 10, "SIP+D2T", "_sip._tcp.naptr.test")),
    ("_sip._tcp.naptr.test", Record::Srv(10, 0, 5073, "one.test")),
    ("evil.test", Record::A(METADATA)),
    ("half.test", Record::A(METADATA)),
    ("half.test", Record::A(ONE)),
    ("silent.test", Record::Silence),
    ("_sip._udp.slow.test", Record::Silence),
    ("_sip._tcp.slow.test", Record::Silence),
    ("slow.test", Record::A(ONE)),
];

async fn locate(target: &str) -> Result<Vec<String>, LocateError> {
    let mut settings = settings();
    settings.dns_servers = vec![serve(ZONE).await];
    settings.target_policy = AddressPolicy::deny([AddressClass::Metadata]);
    let house = house(settings, Default::default(), StatusCode::BUSY_HERE).await;
    let hops = house.endpoint.send(Locate { target: target.parse().unwrap() }).await.unwrap()?;
    assert!(hops.iter().all(|hop| hop.contact == SocketAddr::new(hop.local_ip, house.at.port()).into()));
    Ok(hops.iter().map(|hop| format!("{} {}", hop.transport, hop.remote)).collect())
}

async fn check(target: &str, hops: &[&str]) {
    assert_eq!(locate(target).await.unwrap(), hops, "{target}");
}

#[actix::test]
async fn names_are_found_by_naptr_srv_and_address() {
    check("sip:one.test", &["UDP 127.0.0.11:5060"]).await;
    check("sip:one.test:5090", &["UDP 127.0.0.11:5090"]).await;
    check("sip:one.test;transport=tcp", &["TCP 127.0.0.11:5060"]).await;
    check("sip:srv.test", &["UDP 127.0.0.12:5072", "UDP 127.0.0.11:5071"]).await;
    check("sip:naptr.test", &["TCP 127.0.0.11:5073", "UDP 127.0.0.12:5072", "UDP 127.0.0.11:5071"]).await;
}

#[actix::test]
async fn a_name_that_leads_to_a_denied_address_leads_nowhere() {
    assert_eq!(locate("sip:evil.test").await, Err(LocateError::Denied("sip:evil.test".into())));
    check("sip:half.test", &["UDP 127.0.0.11:5060"]).await;
}

#[actix::test]
async fn a_name_that_does_not_exist_is_told_from_dns_that_is_silent() {
    assert_eq!(locate("sip:nobody.test").await, Err(LocateError::NoSuchHost("nobody.test".into())));
    let started = Instant::now();
    assert_eq!(locate("sip:silent.test").await, Err(LocateError::DnsFailed("silent.test".into())));
    assert!(started.elapsed() < Duration::from_millis(4300), "{:?}", started.elapsed());
}

#[actix::test]
async fn service_records_that_never_come_leave_time_for_the_address() {
    let started = Instant::now();
    check("sip:slow.test", &["UDP 127.0.0.11:5060"]).await;
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
}
