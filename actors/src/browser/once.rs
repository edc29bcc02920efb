//! Each outgoing sequence number once.
//!
//! SRTP encrypts by sequence number: two packets with the same one would share a key stream, and whoever sees both could
//! take them apart (RFC 3711 §9.1). A far end that repeats its packets must not make us do that.

/// Which of the last 64 numbers were used.
#[derive(Debug, Default)]
pub(super) struct Once {
    /// One above the highest used.
    next: u64,
    /// Bit `n`: `next - 1 - n` was used.
    used: u64,
}

impl Once {
    /// Takes a number. False: it was used, or is so old that nobody knows.
    pub(super) fn take(&mut self, number: u64) -> bool {
        if number >= self.next {
            let ahead = (number - self.next).saturating_add(1);
            let kept = u32::try_from(ahead).ok().and_then(|ahead| self.used.checked_shl(ahead)).unwrap_or(0);
            (self.next, self.used) = (number.saturating_add(1), kept | 1);
            return true;
        }
        let behind = self.next - 1 - number;
        let Some(bit) = u32::try_from(behind).ok().and_then(|behind| 1_u64.checked_shl(behind)) else {
            return false;
        };
        let free = self.used & bit == 0;
        self.used |= bit;
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_taken_once_and_late_ones_find_their_place() {
        let mut once = Once::default();
        let mut check = |number, taken| assert_eq!(once.take(number), taken, "{number}");
        check(0, true);
        check(0, false);
        check(1, true);
        check(5, true);
        check(3, true);
        check(3, false);
        check(5, false);
        check(68, true);
        check(5, false);
        check(4, false);
        check(6, true);
        check(6, false);
        check(1_000, true);
        check(937, true);
        check(936, false);
        check(68, false);
        check(u64::MAX - 1, true);
        check(u64::MAX - 1, false);
        check(1_000, false);
    }
}
