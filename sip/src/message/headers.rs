//! Header fields in their order, as text; `typed` reads them (RFC 3261 7.3).

use std::fmt;

use super::{CSeq, HeaderName, HostPort, InvalidField, Method, NameAddr, StatusCode, Uri, Via, grammar};

/// One header line: folding undone, outer blanks gone.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: Box<str>,
}

impl Header {
    /// The name.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The value as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// For the parser, which has already made sure that no line end is inside.
    pub(crate) fn from_wire(name: HeaderName, value: &str) -> Self {
        debug_assert!(!value.contains(['\r', '\n']), "the parser cuts lines before it makes headers");
        Self { name, value: value.into() }
    }
}

/// Credentials never reach a log.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            HeaderName::Authorization | HeaderName::ProxyAuthorization => {
                write!(f, "{}: (masked)", self.name)
            }
            _ => write!(f, "{}: {}", self.name, self.value),
        }
    }
}

/// A value that cannot hold a line end because its type cannot. Text from people enters by [`Headers::push_text`].
pub trait HeaderValue: fmt::Display {}

impl HeaderValue for Via {}
impl HeaderValue for NameAddr {}
impl HeaderValue for CSeq {}
impl HeaderValue for Uri {}
impl HeaderValue for Method {}
impl HeaderValue for HostPort {}
impl HeaderValue for StatusCode {}
impl HeaderValue for u32 {}
impl HeaderValue for usize {}
/// Literals of the program.
impl HeaderValue for &'static str {}

/// An ordered list of header fields. Names compare without case, compact forms count as the long ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: HeaderName, value: impl HeaderValue) {
        self.0.push(field(name, &value));
    }

    /// Adds a field before all others; Via and Record-Route grow at the top.
    pub fn prepend(&mut self, name: HeaderName, value: impl HeaderValue) {
        self.0.insert(0, field(name, &value));
    }

    /// Replaces all fields of this name by one, at the place of the first.
    pub fn set(&mut self, name: HeaderName, value: impl HeaderValue) {
        self.replace(field(name, &value));
    }

    /// Adds a field whose text comes from outside. Control characters are refused; the error names the header if it is a known one.
    pub fn push_text(&mut self, name: HeaderName, value: &str) -> Result<(), InvalidField> {
        self.0.push(checked(name, value)?);
        Ok(())
    }

    /// As [`Headers::set`], with text from outside.
    pub fn set_text(&mut self, name: HeaderName, value: &str) -> Result<(), InvalidField> {
        self.replace(checked(name, value)?);
        Ok(())
    }

    /// Adds fields of another message, all of this name, in their order and as they stand.
    pub fn copy_from(&mut self, other: &Headers, name: &HeaderName) {
        self.0.extend(other.0.iter().filter(|field| field.name == *name).cloned());
    }

    /// Replaces the first value of the topmost field of this name: the top Via, the first Route.
    pub fn set_first(&mut self, name: &HeaderName, value: impl HeaderValue) {
        self.edit_first(name, Some(value.to_string()));
    }

    /// Removes the first value of the topmost field of this name, and the field with it when it becomes empty.
    pub fn remove_first(&mut self, name: &HeaderName) {
        self.edit_first(name, None);
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|field| field.name != *name);
    }

    /// The value of the first field of this name, as written.
    pub fn get(&self, name: &HeaderName) -> Option<&str> {
        self.0.iter().find(|header| header.name == *name).map(Header::value)
    }

    /// The values of all fields of this name, one per line, as written.
    pub fn all<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |field| field.name == *name).map(Header::value)
    }

    /// Whether a field of this name is there.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push_from_wire(&mut self, field: Header) {
        self.0.push(field);
    }

    fn replace(&mut self, field: Header) {
        match self.0.iter().position(|known| known.name == field.name) {
            Some(at) => {
                let name = field.name.clone();
                self.0[at] = field;
                let mut index = 0;
                self.0.retain(|known| {
                    index += 1;
                    index - 1 <= at || known.name != name
                });
            }
            None => self.0.push(field),
        }
    }

    fn edit_first(&mut self, name: &HeaderName, value: Option<String>) {
        let Some(at) = self.0.iter().position(|field| field.name == *name) else {
            return;
        };
        let old = &self.0[at].value;
        let first =
            grammar::split_list(old, "list").ok().and_then(|parts| parts.first().map(|first| first.len()));
        let rest =
            first.map_or("", |length| old.trim_start()[length..].trim_start().trim_start_matches(',').trim());
        let parts: Vec<&str> =
            value.as_deref().into_iter().chain(Some(rest)).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            self.0.remove(at);
        } else {
            self.0[at].value = parts.join(", ").into();
        }
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|field| write!(f, "{}: {}\r\n", field.name, field.value))
    }
}

fn field(name: HeaderName, value: &impl HeaderValue) -> Header {
    Header::from_wire(name, &value.to_string())
}

fn checked(name: HeaderName, value: &str) -> Result<Header, InvalidField> {
    grammar::check_text("header value", value)?;
    Ok(Header { name, value: value.trim().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push_text(name.parse().unwrap(), value).unwrap();
        }
        headers
    }

    #[test]
    fn set_keeps_the_place_of_the_first_and_drops_the_others() {
        let mut list = headers(&[("a", "1"), ("x", "2"), ("b", "3"), ("X", "4")]);
        list.set("x".parse().unwrap(), 5_u32);
        assert_eq!(list, headers(&[("a", "1"), ("x", "5"), ("b", "3")]));
    }

    #[test]
    fn the_first_value_of_a_list_can_be_replaced_and_removed() {
        let mut list = headers(&[("Route", "<sip:a,1>, <sip:b>"), ("Route", "<sip:c>")]);
        list.set_first(&HeaderName::Route, "<sip:z>");
        assert_eq!(list, headers(&[("Route", "<sip:z>, <sip:b>"), ("Route", "<sip:c>")]));
        list.remove_first(&HeaderName::Route);
        list.remove_first(&HeaderName::Route);
        assert_eq!(list, headers(&[("Route", "<sip:c>")]));
        list.remove_first(&HeaderName::Route);
        assert!(list.is_empty());
    }

    #[test]
    fn credentials_are_masked_in_debug_output() {
        let list = headers(&[("Authorization", "Digest response=\"abc\""), ("Subject", "x")]);
        assert_eq!(format!("{list:?}"), "Headers([Authorization: (masked), Subject: x])");
    }

    #[test]
    fn text_cannot_add_a_line() {
        let mut list = Headers::new();
        assert!(list.push_text(HeaderName::Subject, "hello\r\nRoute: <sip:evil>").is_err());
        assert!(list.is_empty());
    }
}
