//! `;name=value` lists of URIs and headers (RFC 3261 25.1 `generic-param`, `uri-parameter`).

use std::borrow::Cow;
use std::fmt;

use super::grammar::{self, Scanner};
use super::{InvalidField, Malformed, escape};

/// The most parameters of one URI or header value; the longest known legal message has 4. Lists are searched one by one, so a list
/// without bound would let a sender buy much work with few bytes.
const MAX_PARAMS: usize = 64;

/// Parameters in their order. Names compare without case; values are kept as written, quotes and escapes included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Params(Vec<(Box<str>, Option<Box<str>>)>);

impl Params {
    /// Adds or replaces a parameter. `value` must be a token or a host; use [`Params::set_quoted`] for free text.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), InvalidField> {
        grammar::check_token("parameter name", name)?;
        if value.is_empty() || !value.bytes().all(|b| grammar::is_token_byte(b) || b"[]:".contains(&b)) {
            return Err(InvalidField { field: "parameter value", problem: "is neither a token nor a host" });
        }
        self.replace(name, Some(value.into()));
        Ok(())
    }

    /// Adds or replaces a header parameter whose value is a quoted string (not legal in URIs).
    pub fn set_quoted(&mut self, name: &str, text: &str) -> Result<(), InvalidField> {
        grammar::check_token("parameter name", name)?;
        grammar::check_text("parameter value", text)?;
        let mut value = String::new();
        grammar::quote(text, &mut value).expect("writing to a String never fails");
        self.replace(name, Some(value.into()));
        Ok(())
    }

    /// Adds a parameter without a value, like `lr`.
    pub fn set_flag(&mut self, name: &str) -> Result<(), InvalidField> {
        grammar::check_token("parameter name", name)?;
        self.replace(name, None);
        Ok(())
    }

    /// Removes every parameter of this name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Whether the parameter stands there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value as written; `None` when the parameter is absent or has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name)?.1.as_deref()
    }

    /// The value without its quotes.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(grammar::unquote)
    }

    /// Names and values as written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_deref()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `*( SEMI generic-param )` and leaves the scanner behind the last one.
    pub(crate) fn scan_header(scanner: &mut Scanner<'_>) -> Result<Params, Malformed> {
        let mut params = Params::default();
        loop {
            scanner.skip_lws();
            if !scanner.eat(b';') {
                return Ok(params);
            }
            params.check_room()?;
            scanner.skip_lws();
            let name = scanner.token("parameter")?;
            scanner.skip_lws();
            if !scanner.eat(b'=') {
                params.0.push((name.into(), None));
                continue;
            }
            scanner.skip_lws();
            let value = match scanner.peek() {
                Some(b'"') => scanner.quoted("parameter value")?,
                _ => scanner.take_while(|b| b.is_ascii_graphic() && !b";,<>\"".contains(&b)),
            };
            if value.is_empty() {
                return Err(Malformed("parameter value"));
            }
            params.0.push((name.into(), Some(value.into())));
        }
    }

    /// Reads the parameters of a header: `a;b=c` without the first semicolon.
    pub(crate) fn parse_header(text: &str) -> Result<Params, Malformed> {
        let text = format!(";{text}");
        let mut scanner = Scanner::new(&text);
        let params = Self::scan_header(&mut scanner)?;
        if scanner.is_empty() { Ok(params) } else { Err(Malformed("parameter")) }
    }

    /// Reads the parameters of a URI: `a;b=c` without the first semicolon.
    pub(crate) fn parse_uri(text: &str) -> Result<Params, Malformed> {
        const LEGAL: &[u8] = b"[]/:&+$";
        let mut params = Params::default();
        for part in text.split(';') {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (part, None),
            };
            params.check_room()?;
            escape::check(name, LEGAL, "URI parameter")?;
            escape::check(value.unwrap_or_default(), LEGAL, "URI parameter")?;
            if name.is_empty() {
                return Err(Malformed("URI parameter"));
            }
            params.0.push((name.into(), value.map(Into::into)));
        }
        Ok(params)
    }

    fn check_room(&self) -> Result<(), Malformed> {
        if self.0.len() < MAX_PARAMS { Ok(()) } else { Err(Malformed("parameters: there are too many")) }
    }

    fn replace(&mut self, name: &str, value: Option<Box<str>>) {
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some(param) => param.1 = value,
            None => self.0.push((name.into(), value)),
        }
    }

    fn find(&self, name: &str) -> Option<&(Box<str>, Option<Box<str>>)> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, ";{name}={value}"),
            None => write!(f, ";{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_parameters_keep_order_and_quotes() {
        let mut scanner = Scanner::new(r#" ; tag = a;x="b;\"c" ;lr rest"#);
        let params = Params::scan_header(&mut scanner).unwrap();
        assert_eq!(params.to_string(), r#";tag=a;x="b;\"c";lr"#);
        assert_eq!(params.text("X").unwrap(), "b;\"c");
        assert!(params.has("LR") && params.get("lr").is_none());
        assert_eq!(scanner.rest, "rest");
    }

    #[test]
    fn empty_parameters_are_malformed() {
        for bad in [";;", ";", ";=a", ";a=", ";a=\"b"] {
            assert!(Params::scan_header(&mut Scanner::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_cannot_smuggle_another_parameter() {
        let mut params = Params::default();
        for bad in ["a;b", "a b", "a\r\nVia: x", "\"a\"", "a,b", ""] {
            assert_eq!(params.set("x", bad).unwrap_err().field, "parameter value");
        }
        params.set_quoted("x", "a;b").unwrap();
        assert_eq!(params.to_string(), ";x=\"a;b\"");
    }
}
