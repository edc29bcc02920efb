//! `tel:` (RFC 3966).

use std::fmt;
use std::str::FromStr;

use super::{Malformed, Params};

/// A telephone number (RFC 3966).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TelUri {
    subscriber: Box<str>,
    /// `phone-context`, `ext`, `isub` and others.
    pub params: Params,
}

impl TelUri {
    /// The number without visual separators: `+12015550123`.
    pub fn number(&self) -> String {
        self.subscriber.chars().filter(|c| !"-.()".contains(*c)).collect()
    }
}

impl FromStr for TelUri {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (subscriber, params) =
            text.split_once(';').map_or((text, None), |(number, params)| (number, Some(params)));
        let legal = |b: u8| b.is_ascii_hexdigit() || b"-.()*#+".contains(&b);
        if !subscriber.bytes().all(legal)
            || subscriber.rfind('+').is_some_and(|at| at > 0)
            || subscriber.is_empty()
        {
            return Err(Malformed("telephone number"));
        }
        Ok(Self {
            subscriber: subscriber.into(),
            params: params.map_or(Ok(Params::default()), Params::parse_uri)?,
        })
    }
}

impl fmt::Display for TelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tel:{}{}", self.subscriber, self.params)
    }
}
