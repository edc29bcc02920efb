//! Certificates of every kind, and a TLS peer that answers every request with 200.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use sip::message::{Message, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A CA of the test's own.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Identity {
    pub certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, good until the end of `until`.
    pub fn issue(&self, name: &str, until: i32) -> Identity {
        let (params, key) = (params(name, until), KeyPair::generate().unwrap());
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    pub fn write(&self, file: &Path) {
        std::fs::write(file, pem("CERTIFICATE", self.certificate.der())).unwrap();
    }
}

impl Identity {
    /// Signed by nobody.
    pub fn alone(name: &str, until: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { certificate: params(name, until).self_signed(&key).unwrap(), key }
    }

    /// Writes chain and key; gives their paths.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        std::fs::write(&chain, pem("CERTIFICATE", self.certificate.der())).unwrap();
        std::fs::write(&key, pem("PRIVATE KEY", &self.key.serialize_der())).unwrap();
        (chain, key)
    }
}

/// As a PEM file (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]);
            text.push(if place > three.len() { '=' } else { digit });
        }
        if text.len() % 65 == 64 {
            text.push('\n');
        }
    }
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", text.trim_end())
}

fn params(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 12, 31));
    params
}

/// A PBX that answers.
pub struct TlsPeer {
    pub at: SocketAddr,
    /// Handshakes that came to their end.
    pub handshakes: Arc<AtomicUsize>,
    /// The last request.
    pub heard: Arc<std::sync::Mutex<String>>,
}

impl TlsPeer {
    pub async fn start(identity: &Identity) -> Self {
        Self::asking_for(identity, None).await
    }

    /// One that takes only clients that name this protocol in ALPN.
    pub async fn asking_for(identity: &Identity, protocol: Option<&'static str>) -> Self {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocol.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer =
            Self { at: listener.local_addr().unwrap(), handshakes: Arc::default(), heard: Arc::default() };
        let (handshakes, heard) = (Arc::clone(&peer.handshakes), Arc::clone(&peer.heard));
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, handshakes, heard) = (acceptor.clone(), handshakes.clone(), heard.clone());
                actix_rt::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    if stream.get_ref().1.alpn_protocol() != protocol.map(str::as_bytes) {
                        return;
                    }
                    handshakes.fetch_add(1, Ordering::Relaxed);
                    let mut buffer = vec![0; 65_535];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        let Ok(Message::Request(request)) = sip::message::parse(&buffer[..length]) else {
                            return;
                        };
                        *heard.lock().unwrap() = String::from_utf8_lossy(&buffer[..length]).into_owned();
                        let answer = request.response(StatusCode::OK).to_bytes();
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        peer
    }

    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }
}

/// A client that trusts `authority` alone, after its handshake; `None`: the handshake failed.
pub async fn connect(to: SocketAddr, name: &str, authority: &Authority) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.certificate.der().to_vec())).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(to).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(name.to_owned().try_into().unwrap(), stream).await.ok()
}
