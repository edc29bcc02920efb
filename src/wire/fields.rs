//! Fields of a message from outside: lenient where pages differ, strict where a value would reach SIP.
use actors::handle::{CallId, FieldError};
use serde_json::{Map, Value};

/// Deepest nesting of a message. The WebSDK needs 5 (`localMediaInfo`); the cap keeps the parser's stack flat.
const MAX_DEPTH: usize = 32;

/// The object that a message carries; missing, `null` and anything else but an object count as empty.
pub(super) struct Fields<'a>(Option<&'a Map<String, Value>>);

impl<'a> Fields<'a> {
    pub(super) fn of(payload: Option<&'a Value>) -> Self {
        Self(payload.and_then(Value::as_object))
    }

    /// The raw value; `null` counts as absent.
    pub(super) fn raw(&self, field: &str) -> Option<&'a Value> {
        self.0?.get(field).filter(|value| !value.is_null())
    }

    /// A text, or a number as text (`sipPort`, `dtmf`), of at most `max` bytes, without control characters.
    pub(super) fn line(&self, field: &'static str, max: usize) -> Result<Option<String>, FieldError> {
        let Some(text) = self.text(field, max)? else {
            return Ok(None);
        };
        match text.chars().any(char::is_control) {
            true => Err(FieldError::new(field, "has a control character")),
            false => Ok(Some(text)),
        }
    }

    /// Like [`Self::line`], and neither missing nor empty.
    pub(super) fn needed_line(&self, field: &'static str, max: usize) -> Result<String, FieldError> {
        let text = self.line(field, max)?.ok_or_else(|| FieldError::new(field, "is missing"))?;
        if text.is_empty() { Err(FieldError::new(field, "is empty")) } else { Ok(text) }
    }

    /// A text of several lines.
    pub(super) fn text(&self, field: &'static str, max: usize) -> Result<Option<String>, FieldError> {
        let text = match self.raw(field) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(FieldError::new(field, "must be a text")),
        };
        if text.len() > max {
            return Err(FieldError::new(field, format!("is longer than {max} bytes")));
        }
        Ok(Some(text))
    }

    /// A truth, or the words for it.
    pub(super) fn flag(&self, field: &'static str) -> Result<Option<bool>, FieldError> {
        match self.raw(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(FieldError::new(field, "must be true or false")),
        }
    }

    /// A port as number or text.
    pub(super) fn port(&self, field: &'static str) -> Result<Option<u16>, FieldError> {
        let Some(text) = self.line(field, 16)? else {
            return Ok(None);
        };
        match text.trim() {
            "" => Ok(None),
            digits => match digits.parse() {
                Ok(port) if port > 0 => Ok(Some(port)),
                _ => Err(FieldError::new(field, "must be a port, 1 to 65535")),
            },
        }
    }

    /// `callId`, which every message about a call carries.
    pub(super) fn call_id(&self) -> Result<CallId, FieldError> {
        let text = self.needed_line("callId", CallId::MAX_LEN)?;
        CallId::parse(&text).ok_or_else(|| FieldError::new("callId", "is not printable"))
    }
}

/// Whether `text` nests deeper than [`MAX_DEPTH`]. Linear, before any parsing.
pub(super) fn too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_and_truths_come_as_texts_too() {
        let value = json!({"a": "5060", "b": 5060, "c": "", "d": null, "t": "true", "f": false, "e": ""});
        let fields = Fields::of(Some(&value));
        assert_eq!(fields.port("a"), Ok(Some(5060)));
        assert_eq!(fields.port("b"), Ok(Some(5060)));
        assert_eq!(fields.port("c"), Ok(None));
        assert_eq!(fields.port("d"), Ok(None));
        assert_eq!(fields.flag("t"), Ok(Some(true)));
        assert_eq!(fields.flag("f"), Ok(Some(false)));
        assert_eq!(fields.flag("e"), Ok(None));
        assert_eq!(fields.flag("none"), Ok(None));
    }

    #[test]
    fn a_bad_value_names_its_field() {
        let value = json!({"p": "0", "q": 70000, "r": -1, "s": "5060x", "t": [1], "u": "a\r\nb", "v": "yes", "w": 1.5});
        let fields = Fields::of(Some(&value));
        for field in ["p", "q", "r", "s", "t", "w"] {
            assert_eq!(fields.port(field).unwrap_err().field, field);
        }
        assert_eq!(fields.line("u", 100).unwrap_err().field, "u");
        assert_eq!(fields.line("s", 3).unwrap_err().field, "s");
        assert_eq!(fields.flag("v").unwrap_err().field, "v");
        assert_eq!(fields.needed_line("x", 1).unwrap_err().problem, "is missing");
    }

    #[test]
    fn nesting_counts_outside_strings_only() {
        assert!(!too_deep(&format!("{}1{}", "[".repeat(32), "]".repeat(32))));
        assert!(too_deep(&"[".repeat(33)));
        assert!(too_deep(&"{\"a\":".repeat(100_000)));
        assert!(!too_deep(&format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(40), "{".repeat(40))));
        assert!(!too_deep(&"[]".repeat(1000)));
    }
}
