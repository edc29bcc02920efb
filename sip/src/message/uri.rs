//! Addresses: `sip`, `sips`, `tel` and foreign schemes (RFC 3261 19.1, RFC 3966).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::{Malformed, SipUri, TelUri};

/// Who or where, as it stands in a Request-URI or between angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Uri {
    /// `sip:` and `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
    /// Any other scheme: kept as written, never resolved.
    Other {
        /// The scheme, lower case.
        scheme: Box<str>,
        /// Everything behind the colon.
        rest: Box<str>,
    },
}

impl Uri {
    /// The SIP or SIPS URI, if it is one.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Uri::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// The user part (decoded) or the telephone number: what a person would call the number.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        match self {
            Uri::Sip(uri) => uri.user(),
            Uri::Tel(uri) => Some(uri.number().into()),
            Uri::Other { .. } => None,
        }
    }

    /// The scheme, lower case.
    pub fn scheme(&self) -> &str {
        match self {
            Uri::Sip(uri) => uri.scheme(),
            Uri::Tel(_) => "tel",
            Uri::Other { scheme, .. } => scheme,
        }
    }

    /// Whether both lead to the same place (RFC 3261 19.1.4); other schemes compare as text.
    pub fn is_equivalent(&self, other: &Uri) -> bool {
        match (self, other) {
            (Uri::Sip(a), Uri::Sip(b)) => a.is_equivalent(b),
            (Uri::Tel(a), Uri::Tel(b)) => {
                a.number().eq_ignore_ascii_case(&b.number()) && a.params == b.params
            }
            _ => self == other,
        }
    }
}

impl FromStr for Uri {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (scheme, rest) = text.split_once(':').ok_or(URI)?;
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            || !scheme.bytes().all(legal)
            || rest.is_empty()
        {
            return Err(URI);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "sip" => SipUri::parse(rest, false).map(Uri::Sip),
            "sips" => SipUri::parse(rest, true).map(Uri::Sip),
            "tel" => rest.parse().map(Uri::Tel),
            _ if !rest.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b)) => Err(URI),
            scheme => Ok(Uri::Other { scheme: scheme.into(), rest: rest.into() }),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uri::Sip(uri) => uri.fmt(f),
            Uri::Tel(uri) => uri.fmt(f),
            Uri::Other { scheme, rest } => write!(f, "{scheme}:{rest}"),
        }
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Uri::Sip(uri)
    }
}

const URI: Malformed = Malformed("URI");

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_legal_prints_as_it_was_read() {
        for text in [
            "sip:a:secret@example.com:5070;transport=tcp;lr?Replaces=x%3Bto&a=",
            "sips:%61+b;x=1?y@[2001:db8::1]",
            "sip:*72#@example.com",
            "tel:+1-201-555-0123;phone-context=example.com",
            "urn:service:sos",
        ] {
            assert_eq!(uri(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip:",
            "sip",
            "sip:@b",
            "sip:a b@c",
            "sip:a@b@c",
            "sip:a@b;",
            "sip:a@b;;x",
            "sip:%4@b",
            "sip:a@b:x",
            "<sip:a@b>",
            "1sip:a",
            "tel:abcx",
            "tel:1+2",
            "urn:a b",
            "urn:a>b",
            "sip:a@b;x=\"y\"",
            "sip:a\r\nVia@b",
        ] {
            assert!(text.parse::<Uri>().is_err(), "{text}");
        }
        let many = format!("sip:a@b{}", ";x".repeat(65));
        assert!(many.parse::<Uri>().is_err());
    }

    /// The examples of RFC 3261 19.1.4.
    #[test]
    fn equivalence_follows_the_examples_of_the_rfc() {
        for (one, two, same) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false),
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false),
            ("sip:a@b", "sips:a@b", false),
            ("tel:+1-201", "tel:+1.201", true),
        ] {
            assert_eq!(
                (uri(one).is_equivalent(&uri(two)), uri(two).is_equivalent(&uri(one))),
                (same, same),
                "{one} {two}"
            );
        }
    }
}
