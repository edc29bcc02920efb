//! What a server asks for (RFC 7616 §3.3).

use super::params::{AuthParams, Writer};
use super::{Algorithm, Qop};
use crate::message::{HeaderName, Headers};

/// One digest challenge that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose password is asked for.
    pub realm: String,
    /// The server's word of the moment.
    pub nonce: String,
    /// To be sent back as it is.
    pub opaque: Option<String>,
    /// The algorithm, `None` when the server names none (then MD5, and the answer names none either).
    pub algorithm: Option<Algorithm>,
    /// What the response must cover; `None` for servers of RFC 2069.
    pub qop: Option<Qop>,
    /// The credentials were right, only the nonce was too old.
    pub stale: bool,
}

impl Challenge {
    /// All digest challenges of these headers that we can answer, in order. Other schemes, unknown algorithms and what cannot be
    /// read are left out.
    pub fn in_headers(headers: &Headers, name: &HeaderName) -> Vec<Self> {
        headers
            .all(name)
            .take(MAX_HEADERS)
            .filter_map(|value| AuthParams::parse_all(value).ok())
            .flatten()
            .filter_map(|params| Self::from_params(&params))
            .collect()
    }

    /// The algorithm to use.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::MD5)
    }

    fn from_params(params: &AuthParams) -> Option<Self> {
        if !params.is_digest() {
            return None;
        }
        let algorithm = match params.get("algorithm") {
            Some(name) => Some(Algorithm::parse(name)?),
            None => None,
        };
        let qop = match params.get("qop").map(str::trim).filter(|list| !list.is_empty()) {
            Some(list) => Some(weakest_binding(list)?),
            None => None,
        };
        Some(Self {
            realm: params.get("realm")?.to_owned(),
            nonce: params.get("nonce").filter(|nonce| !nonce.is_empty())?.to_owned(),
            opaque: params.get("opaque").map(str::to_owned),
            algorithm,
            qop,
            stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The header value.
    pub(super) fn to_value(&self) -> String {
        let mut writer = Writer::digest().quoted("realm", &self.realm).quoted("nonce", &self.nonce);
        if let Some(opaque) = &self.opaque {
            writer = writer.quoted("opaque", opaque);
        }
        if let Some(qop) = self.qop {
            writer = writer.quoted("qop", qop.as_str());
        }
        if let Some(algorithm) = self.algorithm {
            writer = writer.plain("algorithm", &algorithm.to_string());
        }
        if self.stale {
            writer = writer.plain("stale", "true");
        }
        writer.finish()
    }
}

/// `auth` where it is offered: a proxy on the way may touch the body, and then `auth-int` fails.
fn weakest_binding(list: &str) -> Option<Qop> {
    let offered = || list.split(',').filter_map(Qop::parse);
    offered().find(|qop| *qop == Qop::Auth).or_else(|| offered().next())
}

/// Header lines looked at in one response.
const MAX_HEADERS: usize = 8;
