//! A party: display name, URI, header parameters (RFC 3261 20.10 and 25.1 `name-addr`).

use std::fmt;
use std::str::FromStr;

use super::grammar::{self, Scanner};
use super::{InvalidField, Malformed, Params, Uri};

/// The value of From, To, Contact, Route, Record-Route, Refer-To, P-Asserted-Identity and their kin.
///
/// Printed always with angle brackets, so that URI parameters never turn into header parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameAddr {
    display_name: Option<Box<str>>,
    /// Who or where.
    pub uri: Uri,
    /// The header parameters, for example `tag` or `expires`.
    pub params: Params,
}

impl NameAddr {
    /// A party without display name and parameters.
    pub fn new(uri: impl Into<Uri>) -> Self {
        Self { display_name: None, uri: uri.into(), params: Params::default() }
    }

    /// Sets the display name; an empty one is left out. Control characters are refused.
    pub fn with_display_name(mut self, name: &str) -> Result<Self, InvalidField> {
        grammar::check_text("display name", name)?;
        self.display_name = Some(name.trim()).filter(|name| !name.is_empty()).map(Into::into);
        Ok(self)
    }

    /// Sets the tag, which must be a token.
    pub fn with_tag(mut self, tag: &str) -> Result<Self, InvalidField> {
        grammar::check_token("tag", tag)?;
        self.params.set("tag", tag)?;
        Ok(self)
    }

    /// The display name without quotes and escapes.
    pub fn display_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }

    /// The tag of a From or To.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// The lifetime that a Contact asks for or was granted, in seconds (RFC 3261 10.2.1.1).
    pub fn expires(&self) -> Option<u32> {
        grammar::number(self.params.get("expires")?, "expires").ok()
    }
}

impl FromStr for NameAddr {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        scanner.skip_lws();
        let (display_name, uri) = if scanner.peek() == Some(b'"') {
            let name = grammar::unquote(scanner.quoted("display name")?).into_owned();
            scanner.skip_lws();
            (name, angle_uri(&mut scanner)?)
        } else if let Some(open) = scanner.rest.find('<') {
            let (name, rest) = scanner.rest.split_at(open);
            // Tokens by the grammar; older switches send umlauts and the like without quotes, and those confuse nothing.
            if name.contains(|c: char| c.is_control() || "\"\\,;>".contains(c)) {
                return Err(Malformed("display name"));
            }
            scanner.rest = rest;
            (name.trim().to_owned(), angle_uri(&mut scanner)?)
        } else {
            // Without brackets everything behind the first semicolon belongs to the header (RFC 3261 20).
            let uri = scanner.take_while(|b| b != b';' && b != b' ' && b != b'\t');
            if uri.contains(['?', ',']) {
                return Err(Malformed("address: it needs angle brackets"));
            }
            (String::new(), uri.parse()?)
        };
        let params = Params::scan_header(&mut scanner)?;
        if !scanner.is_empty() {
            return Err(Malformed("address"));
        }
        let display_name = Some(display_name).filter(|name| !name.is_empty()).map(Into::into);
        Ok(Self { display_name, uri, params })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display_name {
            grammar::quote(name, f)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// `<uri>` without blanks inside (RFC 4475 3.1.2.14).
fn angle_uri(scanner: &mut Scanner<'_>) -> Result<Uri, Malformed> {
    if !scanner.eat(b'<') {
        return Err(Malformed("address"));
    }
    let uri = scanner.take_while(|b| b != b'>');
    if !scanner.eat(b'>') {
        return Err(Malformed("address"));
    }
    uri.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_an_address_read_alike() {
        for (text, name, uri, tag) in [
            ("sip:a@b.c;tag=1", None, "sip:a@b.c", Some("1")),
            ("<sip:a@b.c;lr>", None, "sip:a@b.c;lr", None),
            ("caller<sip:a@b.c>;tag=1", Some("caller"), "sip:a@b.c", Some("1")),
            ("Anna Lee <sip:a@b.c>", Some("Anna Lee"), "sip:a@b.c", None),
            ("Zoë (1001) <sip:a@b.c>", Some("Zoë (1001)"), "sip:a@b.c", None),
            (r#""Lee, \"A\"" <sip:a@b.c>  ;  tag = x"#, Some("Lee, \"A\""), "sip:a@b.c", Some("x")),
            (r#""" <tel:+1-201>"#, None, "tel:+1-201", None),
        ] {
            let party: NameAddr = text.parse().unwrap();
            assert_eq!(
                (party.display_name(), party.uri.to_string().as_str(), party.tag()),
                (name, uri, tag),
                "{text}"
            );
            assert_eq!(party.to_string().parse::<NameAddr>().unwrap(), party);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "\"Mr. J. User <sip:a@b.c>",
            "< sip:a@b.c >",
            "Bell, Alexander <sip:a@b.c>",
            "sip:a@b.c?Route=x",
            "<sip:a@b.c>;;;;",
            "<sip:a@b.c> x",
            "<sip:a@b.c",
        ] {
            assert!(bad.parse::<NameAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_display_name_can_neither_break_out_of_its_quotes_nor_of_its_line() {
        let party = NameAddr::new("sip:a@b.c".parse::<Uri>().unwrap());
        let sly = party.clone().with_display_name("x\" <sip:evil@b.c>, \"").unwrap();
        assert_eq!(sly.to_string().parse::<NameAddr>().unwrap(), sly);
        assert_eq!(party.with_display_name("a\r\nRoute: b").unwrap_err().field, "display name");
    }
}
