//! TLS for SIP: whom we believe, who we are. The only file that imports rustls here.
//!
//! A peer must show a certificate for the host that was asked (RFC 5922 §7): the URI's or the outbound proxy's, never the name that
//! DNS led to, which is not signed. A certificate that is pinned is believed as it is: its fingerprint says more than any name.
//! Files that change are read again for the next connection; those that are up live on.
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::rustls;
pub(super) use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::vocabulary::{Fingerprint, TlsSettings};

/// A connection after its handshake.
pub(super) type TlsStream = tokio_rustls::TlsStream<TcpStream>;

/// The configurations of both sides, made when first needed and anew when their files change.
pub(super) struct Tls {
    settings: TlsSettings,
    names: Vec<String>,
    client: Option<Loaded<ClientConfig>>,
    server: Option<Loaded<ServerConfig>>,
}

/// A configuration, and the files that it came from as they were.
struct Loaded<T> {
    config: Arc<T>,
    files: Vec<Stamp>,
    looked: Instant,
}

/// When a file was written, and its size; `None`: there is none to look at.
type Stamp = Option<(SystemTime, u64)>;

/// The system's store may gain or lose a CA by an update: read again after this time.
const SYSTEM_STORE_AGE: Duration = Duration::from_secs(3600);

impl Tls {
    /// `listening`: for whose addresses a certificate is made if none is given.
    ///
    /// # Errors
    /// A file that cannot be used, named.
    pub(super) fn new(
        settings: &TlsSettings,
        listening: &[SocketAddr],
        advertised: Option<IpAddr>,
        now: Instant,
    ) -> io::Result<Self> {
        let names = own_names(listening, advertised);
        let mut tls = Self { settings: settings.clone(), names, client: None, server: None };
        if !listening.is_empty() {
            tls.server = Some(Loaded::new(tls.server_config()?, &tls.server_files(), now));
        }
        if settings.ca_file.is_some() {
            tls.client = Some(Loaded::new(tls.client_config()?, &tls.client_files(), now));
        }
        Ok(tls)
    }

    /// For a connection of ours to `host`. Files are looked at again when the last look was `look_every` ago.
    ///
    /// # Errors
    /// No CA can be read, for the first connection; later, the old ones stay.
    pub(super) fn connector(
        &mut self,
        host: Option<&str>,
        now: Instant,
        look_every: Duration,
    ) -> io::Result<TlsConnector> {
        let files = self.client_files();
        // The system's store is no file of ours to look at.
        let every = if files.is_empty() { SYSTEM_STORE_AGE } else { look_every };
        if self.client.as_mut().is_none_or(|loaded| loaded.is_outdated(&files, now, every)) {
            match (self.client_config(), &self.client) {
                (Ok(config), _) => self.client = Some(Loaded::new(config, &files, now)),
                (Err(error), None) => return Err(error),
                (Err(error), Some(_)) => {
                    tracing::error!(%error, "sip: the new CA certificates cannot be used, the old ones stay");
                }
            }
        }
        let loaded = self.client.as_ref().expect("made above, or before");
        let named = self.settings.alpn.iter().filter_map(|alpn| alpn.towards(host.unwrap_or_default()));
        let protocols: Vec<Vec<u8>> = named.map(|protocol| protocol.as_bytes().to_vec()).collect();
        if protocols.is_empty() {
            return Ok(Arc::clone(&loaded.config).into());
        }
        let mut config = (*loaded.config).clone();
        config.alpn_protocols = protocols;
        Ok(Arc::new(config).into())
    }

    /// For a connection to us; `None` where we do not listen.
    pub(super) fn acceptor(&mut self, now: Instant, look_every: Duration) -> Option<TlsAcceptor> {
        let files = self.server_files();
        if self.server.as_mut()?.is_outdated(&files, now, look_every) && !files.is_empty() {
            match self.server_config() {
                Ok(config) => {
                    tracing::info!("sip: a new certificate is used from now on");
                    self.server = Some(Loaded::new(config, &files, now));
                }
                Err(error) => {
                    tracing::error!(%error, "sip: the new certificate cannot be used, the old one stays")
                }
            }
        }
        self.server.as_ref().map(|loaded| Arc::clone(&loaded.config).into())
    }

    fn client_files(&self) -> Vec<PathBuf> {
        self.settings.ca_file.iter().cloned().collect()
    }

    fn server_files(&self) -> Vec<PathBuf> {
        self.settings.certificate.iter().flat_map(|(chain, key)| [chain.clone(), key.clone()]).collect()
    }

    fn client_config(&self) -> io::Result<ClientConfig> {
        let roots = match &self.settings.ca_file {
            Some(file) => own_roots(file)?,
            None => system_roots(),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = match roots.is_empty() {
            true => None,
            false => {
                let builder =
                    WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
                Some(builder.build().map_err(io::Error::other)?)
            }
        };
        let verifier = Verifier { chain, pins: self.settings.pins.clone(), provider: Arc::clone(&provider) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions() // TLS 1.2 and 1.3
            .map_err(io::Error::other)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = builder.with_no_client_auth();
        // A resumed session shows no certificate: one that has expired or lost its pin meanwhile would pass.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn server_config(&self) -> io::Result<ServerConfig> {
        let (chain, key) = match &self.settings.certificate {
            Some((chain, key)) => (certificates(chain)?, private_key(key)?),
            None => self_signed(&self.names)?,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let unfit = |error| io::Error::other(format!("the certificate and its key: {error}"));
        builder.with_no_client_auth().with_single_cert(chain, key).map_err(unfit)
    }
}

impl<T> Loaded<T> {
    fn new(config: T, files: &[PathBuf], now: Instant) -> Self {
        Self { config: Arc::new(config), files: stamps(files), looked: now }
    }

    /// Whether the files have changed; looks only now and then.
    fn is_outdated(&mut self, files: &[PathBuf], now: Instant, every: Duration) -> bool {
        if now < self.looked + every {
            return false;
        }
        self.looked = now;
        files.is_empty() || stamps(files) != self.files
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let meta = fs::metadata(file).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    files.iter().map(stamp).collect()
}

/// Shakes hands as the client that asked for `host`.
///
/// # Errors
/// What is wrong, for a person.
pub(super) async fn connect(
    connector: TlsConnector,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream, String> {
    let name = server_name(host).ok_or_else(|| format!("{host} is no name that a certificate could have"))?;
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(stream.into()),
        Err(error) => Err(words(&error, host)),
    }
}

/// Shakes hands as the server.
pub(super) async fn accept(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<TlsStream> {
    Ok(acceptor.accept(stream).await?.into())
}

fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    ServerName::try_from(bare.to_owned()).ok()
}

/// What went wrong in a handshake with `host`.
fn words(error: &io::Error, host: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let certificate = match inner {
        Some(Error::InvalidCertificate(certificate)) => certificate,
        Some(Error::AlertReceived(alert)) => {
            return format!("TLS: {host} refuses the connection ({alert:?})");
        }
        Some(other) => return format!("TLS with {host} failed: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            return format!("TLS: {host} closed the connection in the handshake");
        }
        None => return format!("TLS with {host} failed: {error}"),
    };
    let what = match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        CertificateError::UnknownIssuer => "comes from an unknown issuer",
        CertificateError::Revoked => "was revoked",
        other => return format!("TLS: the certificate of {host} cannot be used: {other}"),
    };
    format!("TLS: the certificate of {host} {what}")
}

/// Pins first, then chain and name.
#[derive(Debug)]
struct Verifier {
    /// `None`: there is no CA at all.
    chain: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let fingerprint = Fingerprint::new(Sha256::digest(certificate).into());
        if self.pins.contains(&fingerprint) {
            return Ok(ServerCertVerified::assertion());
        }
        let verdict = match &self.chain {
            Some(chain) => chain.verify_server_cert(certificate, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        verdict.inspect_err(|error| {
            tracing::warn!(server = ?name, %error, sha256 = %fingerprint, "sip: a certificate is refused");
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn own_roots(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| named(file, error))?;
    }
    Ok(roots)
}

/// What the operating system trusts; a machine without any trusts only pins.
fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "sip: the system's CA certificates");
    }
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        tracing::warn!("sip: this system has no CA certificates (Debian: package ca-certificates)");
    }
    roots
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if all.is_empty() => Err(named(file, "holds no certificate")),
        other => other.map_err(|error| named(file, error)),
    }
}

fn private_key(file: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| named(file, error))
}

fn named(file: &Path, error: impl fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}

fn self_signed(names: &[String]) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

/// Names for a certificate of our own making.
fn own_names(listening: &[SocketAddr], advertised: Option<IpAddr>) -> Vec<String> {
    let mut addresses: Vec<IpAddr> = listening.iter().map(SocketAddr::ip).collect();
    if addresses.iter().any(IpAddr::is_unspecified) {
        addresses.retain(|ip| !ip.is_unspecified());
        addresses.extend(if_addrs::get_if_addrs().unwrap_or_default().iter().map(if_addrs::Interface::ip));
    }
    addresses.extend(advertised);
    addresses.sort();
    addresses.dedup();
    let localhost = std::iter::once("localhost".to_owned());
    localhost.chain(addresses.iter().map(IpAddr::to_string)).collect()
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}
