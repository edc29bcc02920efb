//! Why a call ends, in the far side's words (RFC 3326).

use std::fmt;
use std::str::FromStr;

use super::grammar::{self, Scanner};
use super::{HeaderError, HeaderName, HeaderValue, Headers, Malformed, Params};

/// One value of a Reason header: `SIP;cause=200;text="Call completed elsewhere"`, `Q.850;cause=16`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    protocol: String,
    params: Params,
}

impl Reason {
    /// In terms of SIP's status codes; `text` is for people, without control characters.
    pub fn sip(code: u16, text: &str) -> Self {
        let mut params = Params::default();
        params.set("cause", &code.to_string()).expect("digits are a token");
        // A text that cannot be quoted is none.
        let _ = params.set_quoted("text", text);
        Self { protocol: "SIP".to_owned(), params }
    }

    /// `SIP`, `Q.850`, …
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The cause in the protocol's own numbers.
    pub fn cause(&self) -> Option<u16> {
        self.params.get("cause").and_then(|text| grammar::number(text, "cause").ok())
    }

    /// The words for people.
    pub fn text(&self) -> Option<String> {
        self.params.text("text").map(|text| text.into_owned())
    }

    /// Whether another phone of the same fork took the call (RFC 3326 §3.1).
    pub fn is_answered_elsewhere(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP") && self.cause() == Some(200)
    }
}

impl Headers {
    /// The reasons, one for each protocol.
    ///
    /// # Errors
    /// A value that does not follow the grammar.
    pub fn reasons(&self) -> Result<Vec<Reason>, HeaderError> {
        self.values(HeaderName::Reason)
    }
}

impl HeaderValue for Reason {}

impl FromStr for Reason {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        let protocol = scanner.token("reason")?.to_owned();
        let params = Params::scan_header(&mut scanner)?;
        scanner.skip_lws();
        if scanner.is_empty() { Ok(Self { protocol, params }) } else { Err(Malformed("reason")) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        for (name, value) in self.params.iter() {
            write!(f, ";{name}")?;
            value.map_or(Ok(()), |value| write!(f, "={value}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(&str, Option<u16>, Option<&str>)>) {
        let read = text.parse::<Reason>().ok();
        let got = read.as_ref().map(|reason| (reason.protocol().to_owned(), reason.cause(), reason.text()));
        let want = want.map(|(protocol, cause, text)| (protocol.to_owned(), cause, text.map(str::to_owned)));
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn a_reason_has_a_protocol_and_may_have_a_cause_and_words() {
        let elsewhere = "SIP;cause=200;text=\"Call completed, \\\"elsewhere\\\"\"";
        check(elsewhere, Some(("SIP", Some(200), Some("Call completed, \"elsewhere\""))));
        check("Q.850 ; cause = 16", Some(("Q.850", Some(16), None)));
        check("Q.850;cause=16;text=\"a;b\";x=y", Some(("Q.850", Some(16), Some("a;b"))));
        check("SIP", Some(("SIP", None, None)));
        check("SIP;cause=abc", Some(("SIP", None, None)));
        check("SIP;cause=999999", Some(("SIP", None, None)));
        check("", None);
        check(";cause=1", None);
        check("SIP;text=\"open", None);
        check("SIP cause=1", None);
    }

    #[test]
    fn what_we_say_can_be_read() {
        let ours = Reason::sip(488, "no \"common\" codec");
        assert_eq!(ours.to_string(), "SIP;cause=488;text=\"no \\\"common\\\" codec\"");
        assert_eq!(ours.to_string().parse(), Ok(ours));
        assert_eq!(Reason::sip(500, "a\r\nb").to_string(), "SIP;cause=500");
        assert!("SIP;cause=200".parse::<Reason>().unwrap().is_answered_elsewhere());
        assert!(!"Q.850;cause=200".parse::<Reason>().unwrap().is_answered_elsewhere());
    }
}
