//! `%HH` escapes of URIs (RFC 3261 19.1.2): decoded exactly once, at the last moment.

use std::borrow::Cow;

use super::Malformed;

/// `unreserved` of RFC 3261 25.1.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// The plain text of an escaped part. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|pair| Some((hex(pair[0])? << 4) | hex(pair[1])?)) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned().into()
}

/// Escapes everything but unreserved characters and those in `also`.
pub(crate) fn encode(text: &str, also: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) || also.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push(char::from(HEX[usize::from(byte >> 4)]));
            escaped.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    escaped
}

/// Accepts unreserved characters, those in `also`, and well-formed escapes.
pub(crate) fn check(text: &str, also: &[u8], what: &'static str) -> Result<(), Malformed> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'%' {
            let pair = bytes.get(at + 1..at + 3).ok_or(Malformed(what))?;
            if !pair.iter().all(u8::is_ascii_hexdigit) {
                return Err(Malformed(what));
            }
            at += 3;
        } else if is_unreserved(byte) || also.contains(&byte) {
            at += 1;
        } else {
            return Err(Malformed(what));
        }
    }
    Ok(())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_happens_once() {
        assert_eq!(decode("value%2541"), "value%41");
        assert_eq!(decode("%75se%72"), "user");
        assert_eq!(decode("null-%00-null"), "null-\0-null");
        assert_eq!(decode("100%"), "100%");
    }

    #[test]
    fn encoding_then_decoding_gives_the_text_back() {
        for text in ["sips:user@example.com", "I have spaces", "\0", "Grüße", "a%41"] {
            let escaped = encode(text, b"");
            check(&escaped, b"", "user").unwrap();
            assert_eq!(decode(&escaped), text);
        }
        assert!(check("a%4", b"", "user").is_err());
        assert!(check("a b", b"", "user").is_err());
    }
}
