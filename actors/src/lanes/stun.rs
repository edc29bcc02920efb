//! The few bytes of a STUN message (RFC 8489) that tell whose it is. Checks nothing else: the peer does.

const HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
/// RFC 8489 §14.3: a user name has fewer than 509 bytes.
const MAX_USERNAME: usize = 513;

/// Whether this is a STUN message, by the rules of demultiplexing (RFC 7983 §7) and the magic cookie.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.get(..HEADER).is_some_and(|header| header[0] < 4 && header[4..8] == MAGIC_COOKIE)
}

/// Whether this is the success response to a binding request.
pub fn is_binding_success(datagram: &[u8]) -> bool {
    is_stun(datagram) && datagram.starts_with(&BINDING_SUCCESS)
}

/// The user name fragment of the agent that a message is meant for: USERNAME up to its colon (RFC 8445 §7.2.2).
///
/// `None` for anything that is not STUN, is cut short or has no such attribute.
pub fn username(datagram: &[u8]) -> Option<&[u8]> {
    if !is_stun(datagram) {
        return None;
    }
    let mut attributes = &datagram[HEADER..];
    // Each round takes at least four bytes off, so this ends.
    while let [kind_high, kind_low, length_high, length_low, rest @ ..] = attributes {
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*kind_high, *kind_low]) == USERNAME {
            let colon = value.iter().position(|byte| *byte == b':')?;
            return (length <= MAX_USERNAME && colon > 0).then(|| &value[..colon]);
        }
        // Attributes are padded to four bytes (RFC 8489 §14).
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A binding request with a PRIORITY, then this USERNAME; unsigned.
    pub(crate) fn binding_request(name: &str) -> Vec<u8> {
        let mut message = vec![0, 1, 0, 0];
        message.extend(MAGIC_COOKIE);
        message.extend([7; 12]);
        message.extend([0x00, 0x24, 0, 4, 1, 2, 3, 4]);
        message.extend([0x00, 0x06, (name.len() >> 8) as u8, name.len() as u8]);
        message.extend(name.as_bytes());
        message.resize(message.len().next_multiple_of(4), 0);
        let length = message.len() - HEADER;
        message[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        message
    }

    #[test]
    fn the_user_name_fragment_before_the_colon_is_found() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(username(&binding_request(name)), expected.map(str::as_bytes), "{name}");
        };
        check("abcd:EFGH", Some("abcd"));
        check("abcd:", Some("abcd"));
        check(&format!("{}:{}", "u".repeat(256), "v".repeat(256)), Some(&"u".repeat(256)));
        check("no colon", None);
        check(":page", None);
        check("", None);
        check(&format!("{}:x", "u".repeat(600)), None);
    }

    #[test]
    fn what_is_not_stun_has_no_user_name() {
        let request = binding_request("abcd:EFGH");
        assert!(is_stun(&request));
        for length in 0..request.len() - 3 {
            assert_eq!(username(&request[..length]), None, "cut to {length} bytes");
        }
        let mut other_cookie = request.clone();
        other_cookie[4] = 0;
        assert_eq!(username(&other_cookie), None);
        let mut rtp = request.clone();
        rtp[0] = 0x80;
        assert_eq!(username(&rtp), None);
        assert_eq!(username(&[]), None);
    }

    #[test]
    fn an_answer_is_told_from_a_request() {
        let mut message = binding_request("abcd:EFGH");
        assert!(!is_binding_success(&message));
        message[..2].copy_from_slice(&BINDING_SUCCESS);
        assert!(is_binding_success(&message));
        assert!(!is_binding_success(&message[..19]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), stun in any::<bool>()) {
            if stun && bytes.len() >= HEADER {
                bytes[0] = 0;
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
            }
            let _ = username(&bytes);
            let _ = is_binding_success(&bytes);
        }
    }
}
