//! What a page adds to a call.
use std::str::FromStr;
use std::sync::Arc;

use sip::message::{HeaderName, Headers};
use sip::sdp::ExtraLine;

use super::{ActivityWish, FieldError, StandInWish};

/// Lines and header fields of a page for the SIP side, checked at the door, and what it wants of the call's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions {
    /// `sipSDP`: between `c=` and `t=` of every SDP of ours.
    pub lines: Vec<ExtraLine>,
    /// `sipHeaders`, `inviteParameters`: of our INVITE, or of our 200 to theirs.
    pub headers: Vec<PageHeader>,
    /// `rtpActivityDetecting`: when the call counts as dead.
    pub activity: ActivityWish,
    /// `generateAvForUa`: whether a still picture stands in where the far side sends none.
    pub stand_in: StandInWish,
}

/// A header field that a page wants in our INVITE or 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageHeader {
    name: HeaderName,
    value: Box<str>,
}

/// Which header fields pages may add: the setting `sip.page_headers`. The default lets none pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules(Arc<[HeaderRule]>);

/// A name, or the beginning of names with a `*` behind it (`X-*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    name: String,
    is_beginning: bool,
}

/// Fields of one message; an INVITE must stay a datagram.
const MAX_HEADERS: usize = 16;
/// Longest name and value in bytes.
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 256;

impl Additions {
    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes the header fields.
    pub fn write(&self, headers: &mut Headers) {
        for PageHeader { name, value } in &self.headers {
            headers.push_text(name.clone(), value).expect("a page's header has no control character");
        }
    }
}

impl PageHeader {
    /// Takes a field from outside.
    ///
    /// # Errors
    /// Says what is wrong: no name, a name that only Tandem writes, a control character, too long.
    pub fn new(name: &str, value: &str) -> Result<Self, String> {
        let (name, value) = (name.trim_matches(' '), value.trim_matches(' '));
        let known: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header name"))?;
        if name.len() > MAX_NAME || value.len() > MAX_VALUE {
            return Err(format!(
                "{known} is too long: a name has at most {MAX_NAME} bytes, a value {MAX_VALUE}"
            ));
        }
        if is_ours(&known) {
            return Err(format!("{known} is written by Tandem alone"));
        }
        // As the SIP crate counts them: also those of Unicode, and its line separators.
        if Headers::new().push_text(known.clone(), value).is_err() {
            return Err(format!("{known} holds a control character"));
        }
        Ok(Self { name: known, value: value.into() })
    }

    /// Takes a `Name: value` line.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_line(line: &str) -> Result<Self, String> {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("{line:?} is no `Name: value`"))?;
        Self::new(name, value)
    }
}

impl HeaderRules {
    /// These rules; any of them lets a field pass.
    pub fn new(rules: Vec<HeaderRule>) -> Self {
        Self(rules.into())
    }

    /// Refuses more fields than a message has room for, and those that no rule names.
    pub fn check(&self, additions: &Additions) -> Result<(), FieldError> {
        let refuse = |problem| Err(FieldError::new("sipHeaders", problem));
        if additions.headers.len() > MAX_HEADERS {
            return refuse(format!("has more than {MAX_HEADERS} headers"));
        }
        match additions.headers.iter().find(|header| !self.0.iter().any(|rule| rule.names(&header.name))) {
            Some(header) => refuse(format!("{} is not among the setting sip.page_headers", header.name)),
            None => Ok(()),
        }
    }
}

impl HeaderRule {
    fn names(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        if self.is_beginning {
            name.get(..self.name.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.name))
        } else {
            name.eq_ignore_ascii_case(&self.name)
        }
    }
}

impl FromStr for HeaderRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, is_beginning) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        let known: HeaderName =
            name.parse().map_err(|_| "must be a header name, or the beginning of one with a *".to_owned())?;
        if !is_beginning && is_ours(&known) {
            return Err("is written by Tandem alone".to_owned());
        }
        Ok(Self { name: name.to_owned(), is_beginning })
    }
}

/// Whether a field routes, identifies, authenticates or describes the message itself. All that the stack knows are such, but for the few that
/// only tell something; and so are families of the names that it does not know.
fn is_ours(name: &HeaderName) -> bool {
    use HeaderName::*;
    match name {
        Subject | Privacy | PAssertedIdentity | PPreferredIdentity | RemotePartyId | Diversion => false,
        Other(name) => {
            let name = name.to_ascii_lowercase();
            let families = ["content-", "proxy-", "security-", "accept-", "min-"];
            families.iter().any(|family| name.starts_with(family))
                || ["mime-version", "max-breadth", "join", "target-dialog", "identity"].contains(&&*name)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[&str]) -> HeaderRules {
        HeaderRules::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    #[track_caller]
    fn check(rules: &HeaderRules, line: &str, problem: Option<&str>) {
        let checked = PageHeader::from_line(line).and_then(|header| {
            let additions = Additions { headers: vec![header], ..Additions::default() };
            rules.check(&additions).map_err(|error| error.to_string())
        });
        match problem {
            None => assert_eq!(checked, Ok(()), "{line}"),
            Some(words) => {
                assert!(checked.clone().is_err_and(|error| error.contains(words)), "{line}: {checked:?}")
            }
        }
    }

    #[test]
    fn a_page_may_add_what_the_rules_name() {
        let default = rules(&["X-*"]);
        check(&default, "X-Tenant: blue", None);
        check(&default, "x-tenant:  Grüße, \"Zoë\" <a;b> ", None);
        check(&default, "X-Empty:", None);
        check(&default, "Subject: hello", Some("sip.page_headers"));
        check(&rules(&["X-*", "Subject"]), "s: hello", None);
        check(&rules(&[]), "X-Tenant: blue", Some("sip.page_headers"));
        check(&HeaderRules::default(), "X-Tenant: blue", Some("sip.page_headers"));
    }

    #[test]
    fn what_only_tandem_writes_is_refused_whatever_the_rules_say() {
        let all = rules(&["A*", "C*", "F*", "I*", "M*", "R*", "S*", "T*", "V*", "W*", "P*", "E*", "J*"]);
        for name in [
            "From",
            "f",
            "To",
            "t",
            "Via",
            "v",
            "Contact",
            "m",
            "Route",
            "Record-Route",
            "Call-ID",
            "i",
            "CSeq",
            "Max-Forwards",
            "Content-Type",
            "c",
            "Content-Length",
            "l",
            "Content-Language",
            "Authorization",
            "Proxy-Authorization",
            "Proxy-Something",
            "Require",
            "Supported",
            "k",
            "Session-Expires",
            "x",
            "Replaces",
            "Refer-To",
            "Event",
            "Expires",
            "Reason",
            "Accept",
            "Join",
            "Identity",
            "Min-Else",
            "Path",
        ] {
            check(&all, &format!("{name}: a"), Some("Tandem alone"));
        }
        for rule in ["From", "contact", "m", "", "*", "a b", "X-\r\n"] {
            assert!(rule.parse::<HeaderRule>().is_err(), "{rule}");
        }
    }

    #[test]
    fn nothing_can_add_a_line() {
        let default = rules(&["X-*"]);
        for evil in ["a\r\nFrom: b", "a\nb", "a\rb", "a\0b", "a\u{7f}", "a\u{85}b", "a\u{2028}b", "\ta"] {
            check(&default, &format!("X-A: {evil}"), Some("X-A holds a control character"));
            check(&default, &format!("X-{evil}: a"), Some("is no header name"));
        }
        check(&default, "no colon", Some("Name: value"));
        check(&default, "X A: b", Some("is no header name"));
        check(&default, &format!("X-{}: a", "n".repeat(63)), Some("too long"));
        check(&default, &format!("X-A: {}", "v".repeat(257)), Some("too long"));
        let header = PageHeader::new("X-A", "b").unwrap();
        let many = Additions { headers: vec![header; MAX_HEADERS + 1], ..Additions::default() };
        assert!(default.check(&many).is_err());
    }
}
