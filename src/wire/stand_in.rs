//! `generateAvForUa`, `rtpGeneratorStartTimeout`: for which far sides a still picture stands in, and after how long.
//!
//! WCS's own words for the server's settings. The first is a text or a list of patterns of User-Agents (`"all"`: every far side; empty: none), or a truth: all,
//! or none; the second is milliseconds. They stand in `connection`, for all calls of the page, or in `call` and `answer`, for that one. The WebSDK passes
//! neither on, but `custom`: so they are looked for there too.
use std::time::Duration;

use actors::handle::{FarSides, FieldError, StandInWish};
use serde_json::Value;

use super::fields::Fields;

const FAR_SIDES: &str = "generateAvForUa";
const DELAY: &str = "rtpGeneratorStartTimeout";
/// Longest delay in ms: a minute, as in the settings.
const MAX_DELAY: u64 = 60_000;

/// What a page wants; nothing, if it says nothing.
pub(super) fn stand_in(fields: &Fields<'_>) -> Result<StandInWish, FieldError> {
    let custom = Fields::of(fields.raw("custom"));
    let raw = |field| fields.raw(field).or_else(|| custom.raw(field));
    Ok(StandInWish {
        far_sides: raw(FAR_SIDES).map(far_sides).transpose()?,
        delay: raw(DELAY).map(delay).transpose()?,
    })
}

fn far_sides(value: &Value) -> Result<FarSides, FieldError> {
    let bad = |problem: String| FieldError::new(FAR_SIDES, problem);
    let read = match value {
        Value::Bool(true) => return Ok(FarSides::All),
        Value::Bool(false) => return Ok(FarSides::nobody()),
        Value::String(text) => FarSides::read(text.split(',')),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            FarSides::read(texts.ok_or_else(|| bad("must be a list of texts".to_owned()))?)
        }
        _ => Err("must be a truth, a text or a list of texts".to_owned()),
    };
    read.map_err(bad)
}

fn delay(value: &Value) -> Result<Duration, FieldError> {
    let ms = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|ms| *ms <= MAX_DELAY);
    let bad = || FieldError::new(DELAY, format!("must be milliseconds, 0 to {MAX_DELAY}"));
    ms.map(Duration::from_millis).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<StandInWish, String> {
        stand_in(&Fields::of(Some(&value))).map_err(|error| error.to_string())
    }

    #[test]
    fn a_page_may_say_for_whom_a_picture_stands_in_and_when() {
        let far_sides = |value: Value| read(json!({FAR_SIDES: value})).unwrap().far_sides.unwrap();
        assert_eq!(read(json!({})), Ok(StandInWish::default()));
        assert_eq!((far_sides(json!("all")), far_sides(json!(true))), (FarSides::All, FarSides::All));
        assert_eq!((far_sides(json!("")), far_sides(json!(false))), (FarSides::nobody(), FarSides::nobody()));
        assert_eq!(far_sides(json!("a,b")), FarSides::read(["a", "b"]).unwrap());
        assert_eq!(far_sides(json!(["a", "b"])), FarSides::read(["a", "b"]).unwrap());
        let delay = |value: Value| read(value).unwrap().delay.unwrap().as_millis();
        assert_eq!(delay(json!({DELAY: 250})), 250);
        assert_eq!(delay(json!({"custom": {DELAY: "0"}})), 0);
        assert_eq!(delay(json!({DELAY: 1, "custom": {DELAY: 2}})), 1);
    }

    #[test]
    fn a_bad_wish_is_named() {
        for bad in [json!(7), json!({}), json!([1]), json!("x".repeat(65)), json!(["a\nb"])] {
            let error = read(json!({FAR_SIDES: bad})).unwrap_err();
            assert!(error.starts_with(FAR_SIDES), "{error}");
        }
        for bad in [json!(-1), json!(1.5), json!(60_001), json!("soon"), json!(true)] {
            let error = read(json!({DELAY: bad})).unwrap_err();
            assert!(error.starts_with(DELAY), "{error}");
        }
    }
}
