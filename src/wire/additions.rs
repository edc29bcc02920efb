//! `sipSDP`, `sipHeaders`, `inviteParameters`: what a page adds to SIP.
use actors::handle::{Additions, ExtraLine, FieldError, PageHeader};
use serde_json::Value;

use super::activity::activity;
use super::fields::Fields;
use super::stand_in::stand_in;

/// Most lines of `sipSDP`, and the longest.
const MAX_SIP_SDP: (usize, usize) = (16, 256);
/// Most headers of one field; how many a message may have in all is the switch's rule.
const MAX_HEADERS: usize = 32;

/// Reads what a `call` or an `answer` adds.
///
/// The WebSDK 2.0 knows `sipHeaders` and never sends them, but passes `custom` on: so they are looked for there too.
pub(super) fn additions(fields: &Fields<'_>) -> Result<Additions, FieldError> {
    let custom = Fields::of(fields.raw("custom"));
    let mut read = Vec::new();
    for (name, value) in [
        ("sipHeaders", fields.raw("sipHeaders")),
        ("inviteParameters", fields.raw("inviteParameters")),
        ("custom.sipHeaders", custom.raw("sipHeaders")),
        ("custom.inviteParameters", custom.raw("inviteParameters")),
    ] {
        if let Some(value) = value {
            read.extend(headers(value).map_err(|problem| FieldError::new(name, problem))?);
        }
    }
    Ok(Additions {
        lines: sip_sdp(fields)?,
        headers: read,
        activity: activity(fields)?,
        stand_in: stand_in(fields)?,
    })
}

/// A list of `Name: value`, as the WebSDK documents it, or an object of names and values, as the mobile SDKs send it.
fn headers(value: &Value) -> Result<Vec<PageHeader>, String> {
    match value {
        Value::Array(lines) if lines.len() <= MAX_HEADERS => {
            lines.iter().map(|line| PageHeader::from_line(&text(line)?)).collect()
        }
        Value::Object(fields) if fields.len() <= MAX_HEADERS => {
            fields.iter().map(|(name, value)| PageHeader::new(name, &text(value)?)).collect()
        }
        Value::Array(_) | Value::Object(_) => Err(format!("has more than {MAX_HEADERS} headers")),
        _ => Err("must be an object of names and values, or a list of `Name: value`".to_owned()),
    }
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err("has a value that is no text".to_owned()),
    }
}

/// Lines for the SIP side's SDP. Only kinds of line that describe the session further; none that would open
/// another medium or replace a line of ours.
fn sip_sdp(fields: &Fields<'_>) -> Result<Vec<ExtraLine>, FieldError> {
    let bad = |problem: &str| Err(FieldError::new("sipSDP", problem));
    let lines = match fields.raw("sipSDP") {
        None => return Ok(Vec::new()),
        Some(Value::Array(lines)) if lines.len() <= MAX_SIP_SDP.0 => lines,
        Some(Value::Array(_)) => return bad("has too many lines"),
        Some(_) => return bad("must be a list of lines"),
    };
    let mut all = Vec::with_capacity(lines.len());
    for line in lines {
        let Some(line) = line.as_str() else {
            return bad("must be a list of texts");
        };
        match line.as_bytes() {
            [b'a' | b'b' | b'e' | b'i' | b'k' | b'p' | b'u', b'=', _, ..] if line.len() <= MAX_SIP_SDP.1 => {
                all.push(ExtraLine::new(line).map_err(|error| FieldError::new("sipSDP", error.to_string()))?);
            }
            _ => return bad("has a line that is no a=, b=, e=, i=, k=, p= or u= line"),
        }
    }
    Ok(all)
}
