//! The place of a request in its dialog (RFC 3261 20.16).

use std::fmt;
use std::str::FromStr;

use super::grammar::{self, Scanner};
use super::{Malformed, Method};

/// Sequence number and method.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// Counts the requests of a dialog; we send less than 2³¹, and read up to 2³²−1.
    pub number: u32,
    /// The method of the request, also in its answers.
    pub method: Method,
}

impl CSeq {
    /// Sequence number and method.
    pub fn new(number: u32, method: Method) -> Self {
        Self { number, method }
    }
}

impl FromStr for CSeq {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        let number = grammar::number(scanner.take_while(|b| b.is_ascii_digit()), "CSeq number")?;
        let method = scanner.rest.trim_start_matches([' ', '\t']);
        if method.len() == scanner.rest.len() {
            return Err(Malformed("CSeq"));
        }
        Ok(Self { number, method: method.parse().map_err(|_| Malformed("CSeq method"))? })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cseq_is_a_number_of_32_bits_and_a_method() {
        assert_eq!("0009   INVITE".parse(), Ok(CSeq::new(9, Method::Invite)));
        assert_eq!("4294967295 ACK".parse(), Ok(CSeq::new(u32::MAX, Method::Ack)));
        for bad in ["4294967296 ACK", "-1 ACK", "1", "1INVITE", "1 A CK", "INVITE", "", "ü 1"] {
            assert!(bad.parse::<CSeq>().is_err(), "{bad}");
        }
    }
}
