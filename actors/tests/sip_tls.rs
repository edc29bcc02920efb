//! SIP over TLS: whom the endpoint believes, whom it refuses and in which words, and that new files need no restart (RFC 5922).
#![allow(clippy::unwrap_used)]
mod support;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actors::sip::{
    Hop, Limits, Locate, LocateError, RequestId, SendRequest, SipEvent, TlsListening, UsageNow,
};
use actors::vocabulary::{Fingerprint, SipSettings, TlsSettings};
use sha2::{Digest, Sha256};
use sip::message::{Method, NameAddr, Request, SipUri, StatusCode, Uri};
use sip::transport::Transport;
use support::dns::{self, Record};
use support::owner::Kept;
use support::peer::{code_of, request};
use support::tls::{Authority, Identity, TlsPeer, connect};
use support::{House, house, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(2);
/// A year in which certificates are good, and one in which they were.
const GOOD: i32 = 2090;
const OVER: i32 = 2021;
const ZONE: dns::Zone =
    &[("pbx.test", Record::A(Ipv4Addr::LOCALHOST)), ("evil.test", Record::A(Ipv4Addr::LOCALHOST))];

/// A folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tandem-sip-tls-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn gateway(tls: TlsSettings) -> House {
    let settings = SipSettings { dns_servers: vec![dns::serve(ZONE).await], tls, ..settings() };
    let limits =
        Limits { tls_files: Duration::ZERO, handshake: Duration::from_millis(300), ..Limits::default() };
    house(settings, limits, StatusCode::BUSY_HERE).await
}

/// A gateway that believes `authority`, and its CA file.
async fn believer(name: &str, authority: &Authority) -> (House, PathBuf) {
    let file = folder(name).join("ca.pem");
    authority.write(&file);
    (gateway(TlsSettings { ca_file: Some(file.clone()), ..TlsSettings::default() }).await, file)
}

async fn locate(house: &House, target: &str) -> Result<Vec<Hop>, LocateError> {
    house.endpoint.send(Locate { target: target.parse().unwrap() }).await.unwrap()
}

/// Sends an OPTIONS to `host` at the peer's port; what came of it: a code, or why not.
async fn ask(house: &House, host: &str, peer: &TlsPeer) -> String {
    let target = format!("sip:{host}:{};transport=tls", peer.at.port());
    let hop = locate(house, &target).await.unwrap().remove(0);
    let owner = Kept::start();
    let me = NameAddr::new(SipUri::new("127.0.0.1".parse().unwrap()));
    let from = me.clone().with_tag("us").unwrap();
    let target: Uri = target.parse().unwrap();
    let request =
        Request::new(Method::Options, target, from, me, &sip::message::random_call_id(), 1).unwrap();
    let id = RequestId::fresh();
    house.endpoint.send(SendRequest { id, request, hop, owner: owner.owner() }).await.unwrap();
    match owner.next().await {
        SipEvent::Response { response, .. } => response.code.to_string(),
        SipEvent::TlsFailed { why, .. } => why,
        other => format!("{other:?}"),
    }
}

#[actix::test]
async fn a_peer_with_the_certificate_of_its_name_is_believed_and_its_connection_used_again() {
    let authority = Authority::new("ours");
    let (house, _) = believer("good", &authority).await;
    let peer = TlsPeer::start(&authority.issue("pbx.test", GOOD)).await;
    assert_eq!(ask(&house, "pbx.test", &peer).await, "200");
    assert_eq!(ask(&house, "PBX.test", &peer).await, "200");
    assert_eq!(peer.handshakes(), 1);
    assert!(peer.heard.lock().unwrap().contains("Via: SIP/2.0/TLS "));
}

#[actix::test]
async fn every_bad_certificate_is_refused_in_words_that_say_why() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let (house, _) = believer("bad", &authority).await;
    for (identity, words) in [
        (authority.issue("pbx.test", OVER), "the certificate of pbx.test has expired"),
        (authority.issue("evil.test", GOOD), "the certificate of pbx.test is for another name"),
        (stranger.issue("pbx.test", GOOD), "the certificate of pbx.test comes from an unknown issuer"),
        (Identity::alone("pbx.test", GOOD), "the certificate of pbx.test comes from an unknown issuer"),
    ] {
        let peer = TlsPeer::start(&identity).await;
        let why = ask(&house, "pbx.test", &peer).await;
        assert_eq!(why, format!("TLS: {words}"));
        assert_eq!(house.endpoint.send(UsageNow).await.unwrap().connections, 0);
    }
}

#[actix::test]
async fn a_peer_asked_by_its_address_needs_a_certificate_for_the_address() {
    let authority = Authority::new("ours");
    let (house, _) = believer("address", &authority).await;
    let named = TlsPeer::start(&authority.issue("pbx.test", GOOD)).await;
    assert!(ask(&house, "127.0.0.1", &named).await.contains("is for another name"));
    let numbered = TlsPeer::start(&authority.issue("127.0.0.1", GOOD)).await;
    assert_eq!(ask(&house, "127.0.0.1", &numbered).await, "200");
}

#[actix::test]
async fn the_connection_of_one_name_is_not_given_to_another() {
    let authority = Authority::new("ours");
    let (house, _) = believer("names", &authority).await;
    let peer = TlsPeer::start(&authority.issue("evil.test", GOOD)).await;
    assert_eq!(ask(&house, "evil.test", &peer).await, "200");
    assert!(ask(&house, "pbx.test", &peer).await.contains("is for another name"));
}

#[actix::test]
async fn a_pinned_certificate_is_believed_as_it_is_and_no_other() {
    let pinned = Identity::alone("somebody.else", OVER);
    let pin = Fingerprint::new(Sha256::digest(pinned.certificate.der()).into());
    let house = gateway(TlsSettings { pins: vec![pin], ..TlsSettings::default() }).await;
    assert_eq!(ask(&house, "pbx.test", &TlsPeer::start(&pinned).await).await, "200");
    let other = TlsPeer::start(&Identity::alone("pbx.test", GOOD)).await;
    assert!(ask(&house, "pbx.test", &other).await.contains("unknown issuer"));
}

#[actix::test]
async fn rq32_a_server_that_asks_for_a_protocol_is_named_the_one_that_is_set_for_it() {
    let authority = Authority::new("ours");
    let file = folder("alpn").join("ca.pem");
    authority.write(&file);
    for (named, want) in
        [("pbx.test=sip", true), ("*=sip", true), ("evil.test=sip", false), ("pbx.test=http/1.1", false)]
    {
        let alpn = vec![named.parse().unwrap()];
        let house =
            gateway(TlsSettings { ca_file: Some(file.clone()), alpn, ..TlsSettings::default() }).await;
        let peer = TlsPeer::asking_for(&authority.issue("pbx.test", GOOD), Some("sip")).await;
        assert_eq!(ask(&house, "pbx.test", &peer).await == "200", want, "{named}");
    }
}

#[actix::test]
async fn rq32_a_new_ca_file_is_used_by_the_next_connection_and_a_broken_one_by_none() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (house, file) = believer("reload", &old).await;
    let (at_old, at_new) = (
        TlsPeer::start(&old.issue("pbx.test", GOOD)).await,
        TlsPeer::start(&new.issue("pbx.test", GOOD)).await,
    );
    assert_eq!(ask(&house, "pbx.test", &at_old).await, "200");
    assert!(ask(&house, "pbx.test", &at_new).await.contains("unknown issuer"));
    std::fs::write(&file, "not a certificate at all").unwrap();
    assert!(ask(&house, "pbx.test", &at_new).await.contains("unknown issuer"), "the old ones stay");
    new.write(&file);
    assert_eq!(ask(&house, "pbx.test", &at_new).await, "200");
    assert_eq!(ask(&house, "pbx.test", &at_old).await, "200");
    assert_eq!(at_old.handshakes(), 1, "the connection from before lives on");
}

#[actix::test]
async fn rq32_the_listener_shows_a_new_certificate_to_new_connections_and_old_ones_live_on() {
    let (authority, folder) = (Authority::new("ours"), folder("listener"));
    let files = authority.issue("old.test", GOOD).write(&folder);
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let house =
        gateway(TlsSettings { listen, certificate: Some(files.clone()), ..TlsSettings::default() }).await;
    let at = house.endpoint.send(TlsListening).await.unwrap()[0];
    let mut old = connect(at, "old.test", &authority).await.expect("the first certificate");
    std::fs::write(&files.0, "half a file").unwrap();
    assert!(connect(at, "old.test", &authority).await.is_some(), "a broken file changes nothing");
    authority.issue("new.test", GOOD).write(&folder);
    assert!(connect(at, "old.test", &authority).await.is_none());
    let mut new = connect(at, "new.test", &authority).await.expect("the second certificate");
    for stream in [&mut old, &mut new] {
        stream.write_all(&request("OPTIONS", "TLS", "127.0.0.1:5061".parse().unwrap(), "")).await.unwrap();
        let mut buffer = vec![0; 4096];
        let length = timeout(WAIT, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(code_of(&buffer[..length]), 200);
    }
}

#[actix::test]
async fn a_certificate_and_a_foreign_key_do_not_start() {
    let (authority, mine, other) = (Authority::new("ours"), folder("pair"), folder("pair-other"));
    let (chain, _) = authority.issue("a.test", GOOD).write(&mine);
    let (_, key) = authority.issue("a.test", GOOD).write(&other);
    let tls = TlsSettings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        certificate: Some((chain, key)),
        ..TlsSettings::default()
    };
    let settings = SipSettings { tls, ..settings() };
    let bound = actors::sip::SipEndpoint::bind(&settings, &actors::vocabulary::Meters::new()).await;
    let error = bound.err().unwrap().to_string();
    assert!(error.contains("certificate and its key") && !error.contains("PRIVATE"), "{error}");
}

#[actix::test]
async fn who_never_ends_the_handshake_is_let_go_in_time_on_both_sides() {
    let house =
        gateway(TlsSettings { listen: vec!["127.0.0.1:0".parse().unwrap()], ..TlsSettings::default() }).await;
    let at = house.endpoint.send(TlsListening).await.unwrap()[0];
    for bytes in [&b""[..], b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", b"\x16\x03\x01\x02\x00"] {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let closed = timeout(WAIT, stream.read_to_end(&mut vec![])).await;
        assert!(closed.is_ok(), "{bytes:?}");
    }
    assert_eq!(house.endpoint.send(UsageNow).await.unwrap().connections, 0);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("sip:pbx.test:{};transport=tls", silent.local_addr().unwrap().port());
    let hop = locate(&house, &target).await.unwrap().remove(0);
    let me = NameAddr::new(SipUri::new("127.0.0.1".parse().unwrap()));
    let from = me.clone().with_tag("us").unwrap();
    let request = Request::new(Method::Options, target.parse().unwrap(), from, me, "silent", 1).unwrap();
    let (owner, id, started) = (Kept::start(), RequestId::fresh(), Instant::now());
    house.endpoint.send(SendRequest { id, request, hop, owner: owner.owner() }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let SipEvent::TlsFailed { why, .. } = owner.next().await else { panic!("TLS fails") };
    assert!(why.contains("does not answer the handshake"), "{why}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[actix::test]
async fn where_all_goes_by_tls_5060_means_5061_and_plain_text_is_refused() {
    let house = gateway(TlsSettings { only: true, ..TlsSettings::default() }).await;
    let hop = locate(&house, "sip:pbx.test:5060").await.unwrap().remove(0);
    assert_eq!((hop.transport, hop.remote.port()), (Transport::Tls, 5061));
    assert_eq!(hop.server_name.as_deref(), Some("pbx.test"));
    let plain = locate(&house, "sip:pbx.test:5060;transport=tcp").await;
    assert!(matches!(plain, Err(LocateError::Unsupported(_))), "{plain:?}");
}
