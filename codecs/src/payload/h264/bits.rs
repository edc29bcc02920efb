//! Bits of a NAL unit behind its header, without the emulation prevention bytes (H.264 §7.3.1, §9.1).

/// A reader. Everything is `None` past the end.
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// Zero bytes in a row just before `rest`.
    zeros: u8,
    byte: u8,
    /// Bits of `byte` not yet read.
    left: u8,
}

impl<'a> Bits<'a> {
    /// Of `bytes` behind the NAL unit's header.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, zeros: 0, byte: 0, left: 0 }
    }

    /// `u(1)`.
    pub fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1 != 0)
    }

    /// `u(n)`, `n` at most 31.
    pub fn number(&mut self, n: u32) -> Option<u32> {
        (0..n).try_fold(0, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    /// `ue(v)`: Exp-Golomb, below 2³¹.
    pub fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 30 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.number(zeros)?)
    }

    /// `ue(v)` of which nothing above `most` makes sense.
    pub fn at_most(&mut self, most: u32) -> Option<u32> {
        self.unsigned().filter(|number| *number <= most)
    }

    /// `se(v)`.
    pub fn signed(&mut self) -> Option<i32> {
        let number = self.unsigned()?;
        let half = i32::try_from(number.div_ceil(2)).ok()?;
        Some(if number % 2 == 0 { -half } else { half })
    }

    fn next_byte(&mut self) -> Option<u8> {
        let mut byte = self.take()?;
        if self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            byte = self.take()?;
        }
        self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        Some(byte)
    }

    fn take(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }
}

#[cfg(test)]
pub(super) mod writer {
    /// A parameter set bit by bit.
    #[derive(Default)]
    pub struct Writer {
        bits: Vec<bool>,
    }

    impl Writer {
        /// `u(n)`.
        pub fn number(mut self, number: u32, length: u32) -> Self {
            self.bits.extend((0..length).rev().map(|place| number >> place & 1 != 0));
            self
        }

        /// `ue(v)`, several.
        pub fn codes(self, codes: &[u32]) -> Self {
            codes.iter().fold(self, |writer, code| {
                let length = (code + 1).ilog2();
                writer.number(0, length).number(code + 1, length + 1)
            })
        }

        /// Behind three plain bytes, with stop bit and emulation prevention.
        pub fn body(mut self, head: [u8; 3]) -> Vec<u8> {
            self.bits.push(true);
            self.bits.resize(self.bits.len().next_multiple_of(8), false);
            let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            let plain = head.into_iter().chain(self.bits.chunks(8).map(byte));
            let (mut body, mut zeros) = (vec![], 0);
            for byte in plain {
                if zeros == 2 && byte <= 3 {
                    body.push(3);
                    zeros = 0;
                }
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                body.push(byte);
            }
            body
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_as_in_table_9_2() {
        // 1 010 011 00100 00101 00110 00111 0001000
        let bytes = [0b1010_0110, 0b0100_0010, 0b1001_1000, 0b1110_0010, 0];
        let mut bits = Bits::new(&bytes);
        let codes: Vec<u32> = std::iter::from_fn(|| bits.unsigned()).take(8).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
        let mut bits = Bits::new(&bytes);
        let codes: Vec<i32> = std::iter::from_fn(|| bits.signed()).take(8).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2, 3, -3, 4]);
    }

    #[test]
    fn emulation_prevention_is_left_out() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 2]);
        let bytes: Vec<u32> = std::iter::from_fn(|| bits.number(8)).collect();
        assert_eq!(bytes, [0, 0, 1, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn the_end_and_numbers_too_long_are_no_numbers() {
        assert_eq!(Bits::new(&[]).flag(), None);
        assert_eq!(Bits::new(&[0b0000_1000]).unsigned(), None);
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]).unsigned(), None);
        assert_eq!(Bits::new(&[0xff]).at_most(0), Some(0));
        assert_eq!(Bits::new(&[0b0100_0000]).at_most(0), None);
    }
}
