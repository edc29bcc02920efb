//! `rtpActivityDetecting`: when a page wants its calls to count as dead.
//!
//! A truth, under WCS's own word for the server's setting, or an object of limits in seconds: `{"first": 30, "running": 60, "hold": 3600}`, each of which may
//! be left out; 0: never. It stands in `connection`, for all calls of the page, or in `call` and `answer`, for that one. The WebSDK passes neither on, but
//! `custom`: so it is looked for there too.
use std::time::Duration;

use actors::handle::{ActivityWish, FieldError};
use serde_json::Value;

use super::fields::Fields;

const FIELD: &str = "rtpActivityDetecting";
/// Longest limit in seconds: a day.
const MAX: u64 = 86_400;

/// What a page wants; nothing, if it says nothing.
pub(super) fn activity(fields: &Fields<'_>) -> Result<ActivityWish, FieldError> {
    let custom = Fields::of(fields.raw("custom"));
    for fields in [fields, &custom] {
        match fields.raw(FIELD) {
            None => {}
            Some(Value::Object(_)) => return limits(&Fields::of(fields.raw(FIELD))),
            Some(_) => return Ok(ActivityWish { detecting: fields.flag(FIELD)?, ..ActivityWish::default() }),
        }
    }
    Ok(ActivityWish::default())
}

fn limits(fields: &Fields<'_>) -> Result<ActivityWish, FieldError> {
    let seconds = |field: &str| match fields.raw(field) {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|seconds| *seconds <= MAX) {
            Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
            None => Err(FieldError::new(FIELD, format!("{field} must be seconds, 0 to {MAX}"))),
        },
    };
    let (first, running, hold) = (seconds("first")?, seconds("running")?, seconds("hold")?);
    Ok(ActivityWish { detecting: Some(true), first, running, hold })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<ActivityWish, String> {
        activity(&Fields::of(Some(&value))).map_err(|error| error.to_string())
    }

    #[test]
    fn a_page_may_switch_limits_off_or_set_them() {
        let none = ActivityWish::default();
        assert_eq!(read(json!({})), Ok(none));
        assert_eq!(read(json!({FIELD: false})), Ok(ActivityWish { detecting: Some(false), ..none }));
        assert_eq!(read(json!({FIELD: "true"})), Ok(ActivityWish { detecting: Some(true), ..none }));
        let limits = read(json!({FIELD: {"first": 5, "hold": 0}})).unwrap();
        assert_eq!((limits.detecting, limits.running), (Some(true), None));
        assert_eq!((limits.first, limits.hold), (Some(Duration::from_secs(5)), Some(Duration::ZERO)));
        assert_eq!(read(json!({"custom": {FIELD: false}})).unwrap().detecting, Some(false));
        assert_eq!(read(json!({FIELD: true, "custom": {FIELD: false}})).unwrap().detecting, Some(true));
    }

    #[test]
    fn a_bad_limit_is_named() {
        for bad in [
            json!("perhaps"),
            json!(7),
            json!([1]),
            json!({"first": -1}),
            json!({"hold": 1.5}),
            json!({"running": 90_000}),
        ] {
            let error = read(json!({FIELD: bad})).unwrap_err();
            assert!(error.starts_with(FIELD), "{error}");
        }
    }
}
