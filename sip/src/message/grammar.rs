//! The lexical floor of RFC 3261 25.1: tokens, quoted strings, lists. Everything here is linear in its input.

use super::{InvalidField, Malformed};

/// `token` characters.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Refuses what could end a header line or hide in a log: control characters of any kind, line separators included.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), InvalidField> {
    if text.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}') {
        return Err(InvalidField { field, problem: "holds a control character" });
    }
    Ok(())
}

pub(crate) fn check_token(field: &'static str, text: &str) -> Result<(), InvalidField> {
    if is_token(text) { Ok(()) } else { Err(InvalidField { field, problem: "is not a token" }) }
}

/// A decimal number that must fit `T`; leading zeros are legal (RFC 4475 3.1.1.1).
pub(crate) fn number<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Malformed> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed(what));
    }
    text.parse().map_err(|_| Malformed(what))
}

/// Writes `text` as a quoted string; control characters become quoted pairs.
pub(crate) fn quote(text: &str, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        if c == '"' || c == '\\' || c.is_ascii_control() {
            out.write_char('\\')?;
        }
        out.write_char(c)?;
    }
    out.write_char('"')
}

/// Reads a value from left to right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'a> {
    pub(crate) rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    /// Skips optional white space; folding was already undone by the parser.
    pub(crate) fn skip_lws(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// Takes `byte` (ASCII) if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        debug_assert!(byte.is_ascii());
        let next = self.peek() == Some(byte);
        if next {
            self.rest = &self.rest[1..];
        }
        next
    }

    /// Takes the longest run of bytes that `keep` likes.
    pub(crate) fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        // All callers stop at ASCII bytes only, so the cut is a character boundary.
        let end = self.rest.bytes().position(|b| b.is_ascii() && !keep(b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(crate) fn token(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        let end = self.rest.bytes().position(|b| !is_token_byte(b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        if taken.is_empty() { Err(Malformed(what)) } else { Ok(taken) }
    }

    /// Takes a quoted string with its quotes, as it stands.
    pub(crate) fn quoted(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        let bytes = self.rest.as_bytes();
        if bytes.first() != Some(&b'"') {
            return Err(Malformed(what));
        }
        let mut at = 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let (taken, rest) = self.rest.split_at(at + 1);
                    self.rest = rest;
                    return Ok(taken);
                }
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        Err(Malformed(what))
    }
}

/// The text of a quoted string, or the text itself when it has no quotes.
pub(crate) fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.into();
    };
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '\\' { plain.extend(chars.next()) } else { plain.push(c) }
    }
    plain.into()
}

/// Cuts a comma-separated list; commas inside quotes and angle brackets do not cut. Empty elements are refused.
pub(crate) fn split_list<'a>(value: &'a str, what: &'static str) -> Result<Vec<&'a str>, Malformed> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut angle) = (0, false, false, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angle => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b',' if !quoted && !angle => {
                parts.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[start..].trim());
    if quoted || angle || parts.iter().any(|part| part.is_empty()) {
        return Err(Malformed(what));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_only_at_commas_outside_quotes_and_brackets() {
        let parts = split_list(r#""a, \"b" <sip:x@y?z=1,2>, <sip:c>;q=1 ,d"#, "list").unwrap();
        assert_eq!(parts, [r#""a, \"b" <sip:x@y?z=1,2>"#, "<sip:c>;q=1", "d"]);
        for bad in ["a,,b", ",a", "a,", "", "\"a", "<a"] {
            assert_eq!(split_list(bad, "list"), Err(Malformed("list")), "{bad}");
        }
    }

    #[test]
    fn quoting_and_unquoting_are_inverse() {
        for text in ["", "plain", "say \"hi\"", "back\\slash", "\u{7}\0\u{7f}", "Grüße"] {
            let mut quoted = String::new();
            quote(text, &mut quoted).unwrap();
            assert_eq!(unquote(&quoted), text);
            let mut scanner = Scanner::new(&quoted);
            assert_eq!(scanner.quoted("quoted string").unwrap(), quoted);
        }
    }

    #[test]
    fn text_with_any_control_character_is_refused_by_name() {
        for bad in ["a\r\nVia: x", "a\nb", "\0", "\u{85}", "\u{2028}"] {
            assert_eq!(check_text("display name", bad).unwrap_err().field, "display name");
        }
        check_text("display name", "Zoë \"Q\" <x>").unwrap();
    }
}
