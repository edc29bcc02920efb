//! The arithmetic of digest: names of algorithms, and the response itself (RFC 7616 §3.4, RFC 8760 §2).

use std::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

use super::Secret;

/// A hash function, in order of strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash)]
pub enum Hash {
    /// RFC 2617; weak, but what most PBXs still speak.
    Md5,
    /// RFC 8760.
    Sha256,
    /// RFC 8760.
    Sha512_256,
}

impl Hash {
    /// Hex digest of the parts joined by colons.
    fn hex(self, parts: &[&[u8]]) -> String {
        let text = parts.join(&b':');
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Sha512_256 => hex(&Sha512_256::digest(text)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An `algorithm` value: the hash, and whether its first half is bound to the nonce (`-sess`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithm {
    /// The hash.
    pub hash: Hash,
    /// `-sess`.
    pub session: bool,
}

impl Algorithm {
    /// What a missing `algorithm` means.
    pub const MD5: Self = Self { hash: Hash::Md5, session: false };
    /// Plain SHA-256.
    pub const SHA_256: Self = Self { hash: Hash::Sha256, session: false };

    /// Reads the name in any case; `None` for one that we do not know, such as `AKAv1-MD5`.
    pub fn parse(name: &str) -> Option<Self> {
        let hashes = [Hash::Md5, Hash::Sha256, Hash::Sha512_256];
        let mut all = hashes.into_iter().flat_map(|hash| [false, true].map(|session| Self { hash, session }));
        all.find(|algorithm| algorithm.to_string().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.hash {
            Hash::Md5 => "MD5",
            Hash::Sha256 => "SHA-256",
            Hash::Sha512_256 => "SHA-512-256",
        })?;
        f.write_str(if self.session { "-sess" } else { "" })
    }
}

/// Quality of protection: what the response covers besides method and URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// Nonce count and client nonce.
    Auth,
    /// These and the body.
    AuthInt,
}

impl Qop {
    /// The word of the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }

    /// Reads the word in any case.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| qop.as_str().eq_ignore_ascii_case(word.trim()))
    }
}

/// Everything that goes into one response.
pub(super) struct Input<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) username: &'a str,
    pub(super) realm: &'a str,
    pub(super) password: &'a Secret,
    pub(super) nonce: &'a str,
    pub(super) cnonce: &'a str,
    /// 8 hex digits.
    pub(super) nc: &'a str,
    pub(super) qop: Option<Qop>,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) body: &'a [u8],
}

impl Input<'_> {
    /// The `response` value (RFC 7616 §3.4.1; without qop RFC 2069).
    pub(super) fn response(&self) -> String {
        let hash = self.algorithm.hash;
        let secret = self.password.reveal().as_bytes();
        let mut first = hash.hex(&[self.username.as_bytes(), self.realm.as_bytes(), secret]);
        if self.algorithm.session {
            first = hash.hex(&[first.as_bytes(), self.nonce.as_bytes(), self.cnonce.as_bytes()]);
        }
        let (method, uri) = (self.method.as_bytes(), self.uri.as_bytes());
        let second = match self.qop {
            Some(Qop::AuthInt) => hash.hex(&[method, uri, hash.hex(&[self.body]).as_bytes()]),
            _ => hash.hex(&[method, uri]),
        };
        let (first, nonce, second) = (first.as_bytes(), self.nonce.as_bytes(), second.as_bytes());
        match self.qop {
            None => hash.hex(&[first, nonce, second]),
            Some(qop) => {
                let (nc, cnonce) = (self.nc.as_bytes(), self.cnonce.as_bytes());
                hash.hex(&[first, nonce, nc, cnonce, qop.as_str().as_bytes(), second])
            }
        }
    }
}

/// How many hex digits the counter has.
pub(super) fn nonce_count(count: u32) -> String {
    format!("{count:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1.
    fn example(algorithm: Algorithm, qop: Option<Qop>, response: &str) {
        let input = Input {
            algorithm,
            username: "Mufasa",
            realm: "http-auth@example.org",
            password: &"Circle of Life".into(),
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            nc: "00000001",
            qop,
            method: "GET",
            uri: "/dir/index.html",
            body: b"",
        };
        assert_eq!(input.response(), response, "{algorithm}");
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        example(Algorithm::MD5, Some(Qop::Auth), "8ca523f5e9506fed4657c9700eebdbec");
        let sha_256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        example(Algorithm::SHA_256, Some(Qop::Auth), sha_256);
    }

    /// The input of RFC 7616 §3.9.2, the response from another implementation: what the RFC prints there is cut from
    /// SHA-512, not SHA-512/256 (its hash of the user name shows it).
    #[test]
    fn sha_512_256_is_the_hash_of_that_name_and_not_a_cut_sha_512() {
        let input = Input {
            algorithm: Algorithm { hash: Hash::Sha512_256, session: false },
            username: "J\u{e4}s\u{f8}n Doe",
            realm: "api@example.org",
            password: &"Secret, or not?".into(),
            nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
            nc: "00000001",
            qop: Some(Qop::Auth),
            method: "GET",
            uri: "/doe.json",
            body: b"",
        };
        assert_eq!(input.response(), "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c");
    }

    /// RFC 2617 §3.5, and RFC 2069 §2.4 with its erratum 749.
    #[test]
    fn the_examples_of_the_old_rfcs_come_out() {
        let old = |password: &str, qop| {
            Input {
                algorithm: Algorithm::MD5,
                username: "Mufasa",
                realm: "testrealm@host.com",
                password: &password.into(),
                nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
                cnonce: "0a4f113b",
                nc: "00000001",
                qop,
                method: "GET",
                uri: "/dir/index.html",
                body: b"",
            }
            .response()
        };
        assert_eq!(old("Circle Of Life", Some(Qop::Auth)), "6629fae49393a05397450978507c4ef1");
        assert_eq!(old("CircleOfLife", None), "1949323746fe6a43ef61f9606e7febea");
    }

    #[test]
    fn algorithm_names_read_as_they_print_in_any_case() {
        for name in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"] {
            assert_eq!(
                Algorithm::parse(&name.to_lowercase()).map(|algorithm| algorithm.to_string()).as_deref(),
                Some(name)
            );
        }
        assert_eq!(Algorithm::parse("AKAv1-MD5"), None);
        assert!(Hash::Md5 < Hash::Sha256 && Hash::Sha256 < Hash::Sha512_256);
    }
}
