//! What the house leaves of a call that is over: one line of its log.

use super::{House, secs, wait_for};

/// That line.
pub struct Record(String);

impl Record {
    /// Of the first call that ended.
    #[track_caller]
    pub fn of_first_call(house: &House) -> Self {
        Self(wait_for("the call's record", secs(3), || {
            house.log().lines().find(|line| line.contains("call ended")).map(str::to_owned)
        }))
    }

    /// What stands behind `key` in quotes: `caller`, `callee`, `caller_video`.
    #[track_caller]
    pub fn text(&self, key: &str) -> &str {
        let (_, rest) =
            self.0.split_once(&format!(" {key}=\"")).unwrap_or_else(|| panic!("no {key} in {}", self.0));
        rest.split('"').next().unwrap()
    }
}

/// The figure behind `word` in the text of a leg.
#[track_caller]
pub fn figure(text: &str, word: &str) -> f64 {
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {text}"));
    let number: String = rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    number.parse().unwrap_or_else(|_| panic!("no figure behind {word:?} in {text}"))
}
