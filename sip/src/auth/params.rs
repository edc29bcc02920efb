//! `scheme name=value, name="value"` as it stands in challenges and credentials (RFC 7235 §2.1, RFC 3261 §25.1).

use crate::message::Malformed;
use crate::message::grammar::{Scanner, quote, unquote};

/// One challenge or one set of credentials: the scheme and its parameters, quotes and escapes gone.
#[derive(Debug)]
pub(super) struct AuthParams {
    pub(super) scheme: String,
    params: Vec<(String, String)>,
}

/// Most parameters and most challenges read from one header line; RFC 7616 knows a dozen parameters.
const MAX_PARAMS: usize = 32;
const MAX_CHALLENGES: usize = 8;

impl AuthParams {
    /// Reads a header value. Some servers put several challenges on one line: a word without `=` starts the next.
    pub(super) fn parse_all(value: &str) -> Result<Vec<Self>, Malformed> {
        let mut scanner = Scanner::new(value);
        let mut all: Vec<Self> = Vec::new();
        loop {
            skip_commas(&mut scanner);
            if scanner.is_empty() {
                return Ok(all);
            }
            let word = scanner.token(WHAT)?;
            scanner.skip_lws();
            if scanner.peek() == Some(b'=') {
                let current = all.last_mut().ok_or(Malformed(WHAT))?;
                current.read_value(word, &mut scanner)?;
            } else if all.len() == MAX_CHALLENGES {
                return Err(Malformed(WHAT));
            } else {
                all.push(Self { scheme: word.to_owned(), params: Vec::new() });
            }
        }
    }

    fn read_value(&mut self, name: &str, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        scanner.eat(b'=');
        scanner.skip_lws();
        let value = match scanner.peek() {
            Some(b'"') => unquote(scanner.quoted(WHAT)?).into_owned(),
            _ => scanner.take_while(|b| b != b',' && b != b' ' && b != b'\t').to_owned(),
        };
        if self.params.len() == MAX_PARAMS {
            return Err(Malformed(WHAT));
        }
        if self.get(name).is_none() {
            self.params.push((name.to_owned(), value));
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }
}

fn skip_commas(scanner: &mut Scanner<'_>) {
    scanner.skip_lws();
    while scanner.eat(b',') {
        scanner.skip_lws();
    }
}

/// Builds `Digest a="b", c=d`.
pub(super) struct Writer(String);

impl Writer {
    pub(super) fn digest() -> Self {
        Self("Digest ".into())
    }

    pub(super) fn quoted(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        quote(value, &mut self.0).expect("writing to a String never fails");
        self
    }

    pub(super) fn plain(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.0.push_str(value);
        self
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn name(&mut self, name: &str) {
        if !self.0.ends_with(' ') {
            self.0.push_str(", ");
        }
        self.0.push_str(name);
        self.0.push('=');
    }
}

const WHAT: &str = "authentication parameters";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, want: Option<&str>) {
        let got = AuthParams::parse_all(value).ok().map(|all| {
            let show = |one: &AuthParams| {
                let params: Vec<_> =
                    one.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{}({})", one.scheme, params.join(" "))
            };
            all.iter().map(show).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(got.as_deref(), want, "{value}");
    }

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        check(
            r#"Digest realm="a, b", nonce="x\"y",qop="auth,auth-int""#,
            Some("Digest(realm=a, b nonce=x\"y qop=auth,auth-int)"),
        );
        check("digest  realm = a ,, stale=TRUE ,", Some("digest(realm=a stale=TRUE)"));
        check(
            r#"Digest realm="a", Basic realm="b", Digest nonce=1"#,
            Some("Digest(realm=a) Basic(realm=b) Digest(nonce=1)"),
        );
        check("Negotiate", Some("Negotiate()"));
        check(r#"Digest nonce="first", nonce="second""#, Some("Digest(nonce=first)"));
        check("", Some(""));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        check("=x", None);
        check("realm=x", None);
        check(r#"Digest realm="open"#, None);
        check(r#"Digest "x""#, None);
        check(&"Digest ".repeat(9), None);
        check(&format!("Digest {}", (0..33).map(|n| format!("a{n}=b,")).collect::<String>()), None);
    }
}
