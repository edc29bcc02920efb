//! `profile-level-id` by its meaning: what a stream may use, what a decoder must take (RFC 6184 §8.1, H.264 annex A).

use std::fmt;

/// The three bytes of `profile-level-id`, which also open every sequence parameter set. Kept as they came: some peers
/// compare an answer's bytes with their own. Equality is of bytes; [`ProfileLevel::profile`] and [`ProfileLevel::level`]
/// say what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileLevel {
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags, `constraint_set0_flag` highest.
    pub constraints: u8,
    /// `level_idc`: ten times the level, but see [`Level`].
    pub level: u8,
}

/// The profiles that phones and browsers use. Extended and those of more than 8 bits or other colours than 4:2:0 are none
/// of ours: nothing here could decode them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Baseline without the tools that only it has.
    ConstrainedBaseline,
    /// With slice groups, slices in any order and redundant slices, which no other profile of these has.
    Baseline,
    /// With B slices, CABAC and interlacing.
    Main,
    /// High without B slices and interlacing.
    ConstrainedHigh,
    /// Main and 8x8 transforms; progressive high counts as this.
    High,
}

/// How large and how fast a picture may be. Ordered: 1b lies between 1 and 1.1, though its number does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl ProfileLevel {
    /// What is meant where nothing is said: baseline at level 1 (RFC 6184 §8.1).
    pub const UNSAID: Self = Self { profile: BASELINE, constraints: 0, level: 10 };

    /// Six hexadecimal digits of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let [_, profile, constraints, level] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        digits.then_some(Self { profile, constraints, level })
    }

    /// The profile (RFC 6184 table 5): a stream that keeps to two profiles at once is the smaller one's. None: not of ours.
    pub fn profile(&self) -> Option<Profile> {
        let set = |flags: u8| self.constraints & flags == flags;
        match self.profile {
            BASELINE if set(SET_1) => Some(Profile::ConstrainedBaseline),
            BASELINE => Some(Profile::Baseline),
            MAIN if set(SET_0) => Some(Profile::ConstrainedBaseline),
            MAIN => Some(Profile::Main),
            EXTENDED if set(SET_0 | SET_1) => Some(Profile::ConstrainedBaseline),
            EXTENDED if set(SET_0) => Some(Profile::Baseline),
            HIGH if set(SET_4 | SET_5) => Some(Profile::ConstrainedHigh),
            HIGH => Some(Profile::High),
            _ => None,
        }
    }

    /// The level. Below high, 1b is 1.1 with a flag; from high on it has a number of its own (H.264 §7.4.2.1.1).
    pub fn level(&self) -> Level {
        let flagged = self.profile != HIGH && self.level == 11 && self.constraints & SET_3 != 0;
        if flagged || self.level == LEVEL_1B { Level::ONE_B } else { Level(self.level.saturating_mul(2)) }
    }

    /// The same profile at another's level.
    pub fn at_level_of(self, other: &Self) -> Self {
        let one_b = other.level() == Level::ONE_B;
        let (flag, level) = match self.profile {
            HIGH => (0, if one_b { LEVEL_1B } else { other.level }),
            _ => (if one_b { SET_3 } else { 0 }, if one_b { 11 } else { other.level }),
        };
        Self { constraints: self.constraints & !SET_3 | flag, level, ..self }
    }

    /// Whether a decoder that announces `decoder` takes a stream that is announced as this.
    ///
    /// Strictly a baseline stream is for baseline decoders alone. But what baseline has more than constrained baseline,
    /// nobody's encoder uses and hardly a decoder can do, and phones that say 42001f or 42801F send what every browser
    /// decodes. So an *announced* baseline counts as constrained baseline.
    pub fn is_taken_by(&self, decoder: &Self) -> bool {
        let (Some(stream), Some(decodes)) = (self.profile(), decoder.profile()) else { return false };
        decodes.takes(stream) && self.level() <= decoder.level()
    }
}

impl Profile {
    /// Whether a decoder of this profile takes a stream of another, baseline as explained at [`ProfileLevel::is_taken_by`].
    fn takes(self, stream: Self) -> bool {
        match stream {
            Self::ConstrainedBaseline | Self::Baseline => true,
            Self::Main => matches!(self, Self::Main | Self::High),
            Self::ConstrainedHigh => matches!(self, Self::ConstrainedHigh | Self::High),
            Self::High => self == Self::High,
        }
    }
}

impl Level {
    /// Level 1b.
    pub const ONE_B: Self = Self(21);
}

/// `3.1`, `1b`.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.0 / 20, self.0 / 2 % 10) {
            (Self::ONE_B, ..) => f.write_str("1b"),
            (_, whole, 0) => write!(f, "{whole}"),
            (_, whole, tenths) => write!(f, "{whole}.{tenths}"),
        }
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The six digits, in lower case.
impl fmt::Display for ProfileLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile, self.constraints, self.level)
    }
}

const BASELINE: u8 = 66;
const MAIN: u8 = 77;
const EXTENDED: u8 = 88;
const HIGH: u8 = 100;
/// `level_idc` of 1b where it has a number.
const LEVEL_1B: u8 = 9;
const SET_0: u8 = 0x80;
const SET_1: u8 = 0x40;
const SET_3: u8 = 0x10;
const SET_4: u8 = 0x08;
const SET_5: u8 = 0x04;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProfileLevel {
        ProfileLevel::parse(text).unwrap()
    }

    #[test]
    fn bytes_mean_profiles_as_in_table_5_of_the_rfc() {
        let check = |text: &str, expected| assert_eq!(id(text).profile(), expected, "{text}");
        for constrained in ["42e01f", "42C01F", "42d00b", "42f00b", "4240ff", "4d800a", "4de01f", "58c01f"] {
            check(constrained, Some(Profile::ConstrainedBaseline));
        }
        for baseline in ["42001f", "42801F", "42000a", "42a01f", "58801f"] {
            check(baseline, Some(Profile::Baseline));
        }
        for main in ["4d001f", "4D401F", "4d0015"] {
            check(main, Some(Profile::Main));
        }
        for high in ["640028", "64001F", "640828"] {
            check(high, Some(Profile::High));
        }
        check("640c1f", Some(Profile::ConstrainedHigh));
        for foreign in ["58001f", "6e001f", "7a001f", "f4001f", "000000", "ffffff"] {
            check(foreign, None);
        }
    }

    #[test]
    fn levels_are_ordered_with_1b_between_1_and_1_1() {
        let rising = ["42e00a", "42f00b", "42e00b", "42e00d", "42e014", "42e01f", "420028", "640034"];
        let levels: Vec<Level> = rising.map(|text| id(text).level()).into();
        assert!(levels.is_sorted_by(|lower, higher| lower < higher), "{levels:?}");
        assert_eq!(format!("{levels:?}"), "[1, 1b, 1.1, 1.3, 2, 3.1, 4, 5.2]");
        for one_b in ["42f00b", "4d100b", "640009", "58d00b"] {
            assert_eq!(id(one_b).level(), Level::ONE_B, "{one_b}");
        }
        assert_ne!(id("64100b").level(), Level::ONE_B);
        assert_eq!(id("42e0ff").level(), id("42e0fe").level(), "absurd levels are all above the real ones");
    }

    #[test]
    fn a_level_is_taken_over_in_the_way_of_the_profile() {
        let check = |one: &str, other: &str, expected: &str| {
            assert_eq!(id(one).at_level_of(&id(other)).to_string(), expected, "{one} at level of {other}");
        };
        check("42e01f", "640028", "42e028");
        check("42e01f", "640009", "42f00b");
        check("640c1f", "42f00b", "640c09");
        check("42f00b", "42e01f", "42e01f");
    }

    #[test]
    fn what_is_no_profile_level_id_is_refused() {
        for text in ["", "42e0", "42e01f0", "42e01g", "+2e01f", "4 e01f", "42é1f"] {
            assert_eq!(ProfileLevel::parse(text), None, "{text}");
        }
        assert_eq!(ProfileLevel::parse("42E01F"), ProfileLevel::parse("42e01f"));
    }

    /// Rows send, columns take.
    #[test]
    fn every_pair_of_profiles() {
        const IDS: [&str; 7] = ["42e01f", "42001f", "42801F", "4d001f", "640c1f", "64001F", "640028"];
        const TAKEN: [[u8; 7]; 7] = [
            [1, 1, 1, 1, 1, 1, 1], // constrained baseline
            [1, 1, 1, 1, 1, 1, 1], // baseline, see `is_taken_by`
            [1, 1, 1, 1, 1, 1, 1],
            [0, 0, 0, 1, 0, 1, 1], // main
            [0, 0, 0, 0, 1, 1, 1], // constrained high
            [0, 0, 0, 0, 0, 1, 1], // high 3.1
            [0, 0, 0, 0, 0, 0, 1], // high 4
        ];
        for (stream, row) in IDS.iter().zip(TAKEN) {
            for (decoder, taken) in IDS.iter().zip(row) {
                assert_eq!(id(stream).is_taken_by(&id(decoder)), taken == 1, "{stream} to {decoder}");
            }
        }
        assert!(!id("f4001f").is_taken_by(&id("f4001f")), "nobody here could look into it");
    }
}
