//! Certificates for the PBX of the tests.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::fs;
use std::path::{Path, PathBuf};

/// What a certificate is good for.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The names and addresses in it.
    pub names: &'a [&'a str],
    /// The last year in which it is good.
    pub until: i32,
}

/// Makes a CA and a certificate of it in `folder`; gives the CA's file, and chain and key.
pub fn certificate(folder: &Path, claim: Claim) -> (PathBuf, (PathBuf, PathBuf)) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "CA of the tests");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_file = write(folder, "ca.pem", &pem("CERTIFICATE", ca.self_signed(&ca_key).unwrap().der()));
    let mut params =
        CertificateParams::new(claim.names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(claim.until, 12, 31));
    let certificate = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let chain = write(folder, "chain.pem", &pem("CERTIFICATE", certificate.der()));
    (ca_file, (chain, write(folder, "key.pem", &pem("PRIVATE KEY", &key.serialize_der()))))
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file
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
