//! The few bytes of a STUN message (RFC 8489) that tell whose it is. Checks nothing else: the peer does.

/// A transaction id, RFC 8489 §5.
pub type Transaction = [u8; 12];

const HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
/// RFC 8489 §14.3: a user name has fewer than 509 bytes.
const MAX_USERNAME: usize = 513;

/// Whether this is a STUN message, by the rules of demultiplexing (RFC 7983 §7) and the magic cookie.
pub fn is_stun(datagram: &[u8]) -> bool {
    transaction(datagram).is_some()
}

/// The transaction id of a STUN message of whatever kind; `None` for anything else.
pub fn transaction(datagram: &[u8]) -> Option<Transaction> {
    let header = datagram.get(..HEADER)?;
    (header[0] < 4 && header[4..8] == MAGIC_COOKIE).then(|| header[8..HEADER].try_into().expect("12 bytes"))
}

/// Whether `datagram` is the success response to the binding request `wanted`.
pub fn is_success_of(datagram: &[u8], wanted: Transaction) -> bool {
    datagram.starts_with(&BINDING_SUCCESS) && transaction(datagram) == Some(wanted)
}

/// The user name fragment of the agent that a message is meant for: USERNAME up to its colon (RFC 8445 §7.2.2).
///
/// `None` for anything that is not STUN, is cut short or has no such attribute.
pub fn username(datagram: &[u8]) -> Option<&[u8]> {
    transaction(datagram)?;
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
            assert_eq!(
                username(&binding_request(name)),
                expected.map(str::as_bytes),
                "{name}"
            );
        };
        check("abcd:EFGH", Some("abcd"));
        check("abcd:", Some("abcd"));
        check(
            &format!("{}:{}", "u".repeat(256), "v".repeat(256)),
            Some(&"u".repeat(256)),
        );
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
    fn an_answer_is_known_by_its_transaction() {
        let request = binding_request("abcd:EFGH");
        let wanted = transaction(&request).unwrap();
        let mut answer = request.clone();
        answer[..2].copy_from_slice(&BINDING_SUCCESS);
        assert!(is_success_of(&answer, wanted));
        assert!(!is_success_of(&request, wanted));
        assert!(!is_success_of(&answer, [8; 12]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), stun in any::<bool>()) {
            if stun && bytes.len() >= HEADER {
                bytes[0] = 0;
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
            }
            let _ = username(&bytes);
            let _ = transaction(&bytes);
        }
    }
}
