//! For which far sides a picture is shown that they do not send, and when.
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The rules of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandInRules {
    /// `generate_av_for_ua`
    pub far_sides: FarSides,
    /// `rtp_generator_start_timeout`: how long nothing may have come before it begins.
    pub delay: Duration,
}

/// What a page wants of them, for all of its calls or for one; what it leaves out is as before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StandInWish {
    /// See [`StandInRules::far_sides`].
    pub far_sides: Option<FarSides>,
    /// See [`StandInRules::delay`].
    pub delay: Option<Duration>,
}

/// Some of all far sides, by what they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FarSides {
    /// Whatever it is.
    All,
    /// What one of these patterns names; none: nobody.
    Like(Arc<[Pattern]>),
}

/// A piece of a User-Agent or Server, in upper or lower case; a `*` in it stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// Longest pattern in bytes, and most of them: a page may bring its own.
const MAX_PATTERN: usize = 64;
const MAX_PATTERNS: usize = 32;

/// Nobody; 100 ms if somebody is named.
impl Default for StandInRules {
    fn default() -> Self {
        Self { far_sides: FarSides::nobody(), delay: Duration::from_millis(100) }
    }
}

impl StandInRules {
    /// The same as a page wants them.
    pub fn with(self, wish: &StandInWish) -> Self {
        Self {
            far_sides: wish.far_sides.clone().unwrap_or(self.far_sides),
            delay: wish.delay.unwrap_or(self.delay),
        }
    }

    /// After how long a picture stands in for those of a far side that runs this; `None`: never.
    pub fn delay_for(&self, software: Option<&str>) -> Option<Duration> {
        self.far_sides.have(software).then_some(self.delay)
    }
}

impl StandInWish {
    /// This wish, and where it leaves something out the other.
    pub fn over(self, other: Self) -> Self {
        Self { far_sides: self.far_sides.or(other.far_sides), delay: self.delay.or(other.delay) }
    }
}

impl FarSides {
    /// None at all.
    pub fn nobody() -> Self {
        Self::Like(Arc::new([]))
    }

    /// Reads WCS's list: patterns, or `all`.
    ///
    /// # Errors
    /// Says what is wrong with which item.
    pub fn read<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for item in items.into_iter().map(str::trim).filter(|item| !item.is_empty()) {
            if item.eq_ignore_ascii_case("all") {
                return Ok(Self::All);
            }
            if patterns.len() == MAX_PATTERNS {
                return Err(format!("has more than {MAX_PATTERNS} patterns"));
            }
            patterns.push(item.parse().map_err(|problem| format!("{item:?} {problem}"))?);
        }
        Ok(Self::Like(patterns.into()))
    }

    fn have(&self, software: Option<&str>) -> bool {
        match (self, software) {
            (Self::All, _) => true,
            (Self::Like(patterns), Some(name)) => {
                let name = name.to_lowercase();
                patterns.iter().any(|pattern| pattern.names(&name))
            }
            (Self::Like(_), None) => false,
        }
    }
}

impl Pattern {
    /// `software` is in lower case.
    fn names(&self, software: &str) -> bool {
        let mut rest = software;
        self.0.split('*').all(|piece| match rest.find(piece) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN || text.chars().any(char::is_control) {
            return Err(format!("must have at most {MAX_PATTERN} bytes and no control character"));
        }
        Ok(Self(text.to_lowercase().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(items: &[&str], software: Option<&str>, wanted: bool) {
        assert_eq!(FarSides::read(items.iter().copied()).unwrap().have(software), wanted, "{items:?}");
    }

    #[test]
    fn a_far_side_is_named_by_a_piece_of_what_it_runs() {
        let asterisk = Some("Asterisk PBX 18.10.0");
        check(&["all"], None, true);
        check(&["Grandstream", " ALL "], asterisk, true);
        check(&[], asterisk, false);
        check(&[""], asterisk, false);
        check(&["asterisk"], asterisk, true);
        check(&["Grandstream", "pbx 18"], asterisk, true);
        check(&["Grandstream"], asterisk, false);
        check(&["asterisk*18."], asterisk, true);
        check(&["18*asterisk"], asterisk, false);
        check(&["*"], asterisk, true);
        check(&["asterisk"], None, false);
        check(&["ÄRGER"], Some("kein Ärger"), true);
    }

    #[test]
    fn a_pattern_that_cannot_be_used_is_named() {
        let error = FarSides::read(["ok", "a\nb"]).unwrap_err();
        assert!(error.starts_with("\"a\\nb\" must"), "{error}");
        assert!(FarSides::read([&*"x".repeat(65)]).is_err());
        assert!(FarSides::read(["x"; 33]).is_err());
        assert!(FarSides::read(["x"; 32]).is_ok());
    }

    #[test]
    fn a_call_beats_its_account_and_an_account_the_server() {
        let server = StandInRules { far_sides: FarSides::All, ..StandInRules::default() };
        let account =
            StandInWish { far_sides: Some(FarSides::nobody()), delay: Some(Duration::from_millis(500)) };
        let call = StandInWish { far_sides: Some(FarSides::All), delay: None };
        let millis = |rules: StandInRules| rules.delay_for(None).map(|delay| delay.as_millis());
        assert_eq!(millis(server.clone()), Some(100));
        assert_eq!(millis(server.clone().with(&account)), None);
        assert_eq!(millis(server.with(&call.over(account))), Some(500));
    }
}
