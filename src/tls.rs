//! The certificate of the TLS listener. Browsers give the microphone only to https pages and to localhost, so even
//! a first try from another machine needs one.
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Why the TLS listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing that fits.
    #[error("{file}: {source}", file = file.display())]
    File {
        /// Its path.
        file: PathBuf,
        /// What is wrong.
        source: PemError,
    },
    /// Certificate and key do not fit together.
    #[error("the certificate and its key: {0}")]
    Pair(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// The listener's configuration: the certificate of `files` (chain and key), or one signed by nobody for
/// `localhost` and `addresses`.
pub fn server_config(
    files: Option<&(PathBuf, PathBuf)>,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> Result<ServerConfig, TlsError> {
    let (chain, key) = match files {
        Some((chain, key)) => read(chain, key)?,
        None => make(addresses)?,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_single_cert(chain, key)?)
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(chain: &Path, key: &Path) -> Result<Pair, TlsError> {
    let wrong = |file: &Path| {
        let file = file.to_owned();
        move |source| TlsError::File { file, source }
    };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(wrong(chain))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(wrong(key))?;
    Ok((certificates, private))
}

fn make(addresses: impl IntoIterator<Item = IpAddr>) -> Result<Pair, TlsError> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(addresses.into_iter().map(|address| address.to_string()));
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_files_a_certificate_is_made() {
        assert!(server_config(None, ["127.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]).is_ok());
    }

    #[test]
    fn a_file_that_holds_no_certificate_is_named() {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/config/tandem.toml"));
        let error = server_config(Some(&(file.clone(), file)), []).unwrap_err().to_string();
        assert!(error.contains("tandem.toml"), "{error}");
    }
}
