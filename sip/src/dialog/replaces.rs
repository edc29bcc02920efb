//! Which dialog an INVITE is to replace (RFC 3891 §6.1).
use std::fmt;
use std::str::FromStr;

use crate::message::{Malformed, Params};

/// A Replaces header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Call-ID of the dialog.
    pub call_id: String,
    /// The tag of whoever gets the INVITE.
    pub to_tag: String,
    /// The tag of the one that is replaced.
    pub from_tag: String,
    /// Only while nobody has answered.
    pub early_only: bool,
}

const REPLACES: Malformed = Malformed("Replaces");

impl FromStr for Replaces {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (call_id, rest) = text.split_once(';').ok_or(REPLACES)?;
        let call_id = call_id.trim();
        if call_id.is_empty() || !call_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(REPLACES);
        }
        let params = Params::parse_header(rest).map_err(|_| REPLACES)?;
        let tag = |name| params.get(name).map(str::to_owned).ok_or(REPLACES);
        Ok(Self {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.has("early-only"),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let early_only = if self.early_only { ";early-only" } else { "" };
        write!(f, "{};to-tag={};from-tag={}{early_only}", self.call_id, self.to_tag, self.from_tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rfc_prints_is_read_and_printed_again() {
        for text in [
            "98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r",
            "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only",
        ] {
            assert_eq!(text.parse::<Replaces>().unwrap().to_string(), text);
        }
        let spaced = "a ; from-tag=2 ; to-tag=1".parse::<Replaces>().unwrap();
        assert_eq!(spaced.to_string(), "a;to-tag=1;from-tag=2");
    }

    #[test]
    fn what_names_no_dialog_is_refused() {
        for text in [
            "",
            "a",
            "a;to-tag=1",
            "a;from-tag=1",
            ";to-tag=1;from-tag=2",
            "a b;to-tag=1;from-tag=2",
            "a;to-tag;from-tag=2",
        ] {
            assert!(text.parse::<Replaces>().is_err(), "{text}");
        }
    }
}
