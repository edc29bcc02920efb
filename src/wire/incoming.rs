//! What a page says.
use actors::handle::{CallId, DigitMethod, Digits, FieldError, FromPage, PlaceCall, SendText};
use serde::Deserialize;
use serde_json::Value;

use super::Connection;
use super::additions::additions;
use super::fields::{Fields, too_deep};

/// Longest callee, display name or transfer target, in bytes.
const MAX_NAME: usize = 256;
/// Longest SDP; a WebSDK audio+video offer has 8 KB.
const MAX_SDP: usize = 64 * 1024;
/// Longest text message; what its MESSAGE may have in all, 1,300 bytes, is counted when it is made.
const MAX_TEXT: usize = 1300;
/// Most digits of one `sendDtmf`; the WebSDK sends one.
const MAX_DIGITS: usize = 64;

/// A message from a page, understood.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// `connection`: who the page is.
    Connection(Box<Connection>),
    /// `ping`: wants a `pong`.
    Ping,
    /// `pong`: a sign of life.
    Pong,
    /// `call`, `answer`, `hangup`, `hold`, `unhold`, `transfer`, `sendDtmf`, `sendMessage`.
    Ask(FromPage),
    /// `sendData`: wants a status for its `operationId`.
    SendData(Value),
    /// `sessionDebug`: `true` starts it.
    SessionDebug(bool),
    /// `pushLogs`: lines of the page's own log.
    Logs(String),
    /// `submitBugReport`: whatever the page thinks we should read.
    BugReport(String),
    /// A message about streams, which Tandem does not carry.
    Stream(StreamAsk, String),
    /// A message that we do not know, and ignore.
    Unknown(String),
}

/// What a page wants of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamAsk {
    /// `publishStream`, `playStream`, `snapshot`: must be told that it failed.
    Start,
    /// `availableStream`: must be told no.
    Find,
}

/// A message that cannot be used: which, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {info}")]
pub struct Refusal {
    /// The message's name, as far as it could be read.
    pub message: String,
    /// What is wrong, naming the field.
    pub info: String,
    /// The call that it is about, if it names one.
    pub call_id: Option<CallId>,
}

/// The outer form of every message.
#[derive(Deserialize)]
struct Envelope {
    message: String,
    #[serde(default)]
    data: Value,
}

/// The outer form, when only the name is wanted.
#[derive(Deserialize)]
struct Name {
    message: String,
}

/// Reads one text frame.
pub fn decode(text: &str) -> Result<Incoming, Refusal> {
    if too_deep(text) {
        return Err(Refusal::of("", "the message is nested too deeply"));
    }
    let Envelope { message, data } =
        serde_json::from_str(text).map_err(|error| Refusal::of("", format!("not a message: {error}")))?;
    // 1.0 clients leave `data` out where there is nothing to say.
    let payload = match &data {
        Value::Array(items) => items.first(),
        Value::Null => None,
        other => Some(other),
    };
    let fields = Fields::of(payload);
    read(&message, &fields, payload).map_err(|error| Refusal {
        info: error.to_string(),
        call_id: fields.call_id().ok(),
        message,
    })
}

/// The name of a message that is too large to be read, if it has the form of one.
pub fn name_of(text: &str) -> Option<String> {
    if too_deep(text) {
        return None;
    }
    serde_json::from_str(text).ok().map(|name: Name| name.message)
}

fn read(message: &str, fields: &Fields<'_>, payload: Option<&Value>) -> Result<Incoming, FieldError> {
    Ok(match message {
        "connection" => Incoming::Connection(Box::new(Connection::read(fields)?)),
        "ping" => Incoming::Ping,
        "pong" => Incoming::Pong,
        "call" => Incoming::Ask(FromPage::Call(PlaceCall {
            call_id: fields.call_id()?,
            callee: fields.needed_line("callee", MAX_NAME)?,
            visible_name: fields.line("visibleName", MAX_NAME)?.filter(|name| !name.is_empty()),
            sdp: sdp(fields)?,
            additions: additions(fields)?,
        })),
        "answer" => {
            let (call_id, sdp, additions) = (fields.call_id()?, sdp(fields)?, additions(fields)?);
            Incoming::Ask(FromPage::Answer { call_id, sdp, additions })
        }
        "hangup" => Incoming::Ask(FromPage::HangUp(fields.call_id()?)),
        "hold" => Incoming::Ask(FromPage::Hold(fields.call_id()?)),
        "unhold" => Incoming::Ask(FromPage::Unhold(fields.call_id()?)),
        "sendDtmf" => Incoming::Ask(FromPage::SendDigits(fields.call_id()?, digits(fields)?)),
        "sendMessage" => Incoming::Ask(FromPage::SendText(text_message(fields)?)),
        "transfer" => {
            let (call_id, target) = (fields.call_id()?, fields.needed_line("target", MAX_NAME)?);
            Incoming::Ask(FromPage::Transfer { call_id, target })
        }
        "sendData" => Incoming::SendData(fields.raw("operationId").cloned().unwrap_or(Value::Null)),
        "sessionDebug" => Incoming::SessionDebug(fields.line("command", 16)?.as_deref() == Some("start")),
        "pushLogs" => Incoming::Logs(fields.text("logs", usize::MAX)?.unwrap_or_default()),
        "submitBugReport" => Incoming::BugReport(payload.map(Value::to_string).unwrap_or_default()),
        "publishStream" | "playStream" | "snapshot" => Incoming::Stream(StreamAsk::Start, stream_id(fields)?),
        "availableStream" => Incoming::Stream(StreamAsk::Find, stream_id(fields)?),
        other => Incoming::Unknown(other.to_owned()),
    })
}

fn sdp(fields: &Fields<'_>) -> Result<String, FieldError> {
    let sdp = fields.text("sdp", MAX_SDP)?.unwrap_or_default();
    if sdp.is_empty() { Err(FieldError::new("sdp", "is missing")) } else { Ok(sdp) }
}

fn stream_id(fields: &Fields<'_>) -> Result<String, FieldError> {
    Ok(fields.line("mediaSessionId", MAX_NAME)?.unwrap_or_default())
}

/// 1.0's `sendMessage`. Its `isImdnRequired` is not looked at: no notification comes.
fn text_message(fields: &Fields<'_>) -> Result<SendText, FieldError> {
    let kind = fields.line("contentType", MAX_NAME)?.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.is_empty() && !kind.eq_ignore_ascii_case("text/plain") {
        return Err(FieldError::new("contentType", "must be text/plain"));
    }
    let body = fields.text("body", MAX_TEXT)?.unwrap_or_default();
    if body.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t')) {
        return Err(FieldError::new("body", "has a control character other than a line end or a tab"));
    }
    Ok(SendText {
        id: fields.needed_line("id", CallId::MAX_LEN)?,
        to: fields.needed_line("to", MAX_NAME)?,
        visible_name: fields.line("visibleName", MAX_NAME)?.filter(|name| !name.is_empty()),
        body,
    })
}

/// One digit or several, as text or number.
fn digits(fields: &Fields<'_>) -> Result<Digits, FieldError> {
    let digits = fields.needed_line("dtmf", MAX_DIGITS)?.to_ascii_uppercase();
    if let Some(bad) = digits.chars().find(|c| !matches!(c, '0'..='9' | '*' | '#' | 'A'..='D')) {
        return Err(FieldError::new("dtmf", format!("has {bad:?}, which is no digit")));
    }
    let method = match fields.line("type", 16)?.as_deref() {
        None | Some("" | "RFC2833") => DigitMethod::Rfc2833,
        Some("INFO") => DigitMethod::Info,
        Some("INFO_RELAY") => DigitMethod::InfoRelay,
        Some(_) => return Err(FieldError::new("type", "must be RFC2833, INFO or INFO_RELAY")),
    };
    Ok(Digits { digits, method })
}

impl Refusal {
    /// `message` cannot be used because of `info`.
    pub fn of(message: impl Into<String>, info: impl Into<String>) -> Self {
        Self { message: message.into(), info: info.into(), call_id: None }
    }

    /// The event that WCS names for what the page wanted.
    pub fn api_method(&self) -> &'static str {
        match self.message.as_str() {
            "call" | "answer" | "hangup" | "hold" | "unhold" | "sendDtmf" => "CallStatusEvent",
            "transfer" => "TransferStatusEvent",
            "sendMessage" => "MessageStatusEvent",
            "sendData" => "DataStatusEvent",
            "submitBugReport" => "BugReportStatusEvent",
            "sessionDebug" | "pushLogs" => "SessionDebugStatusEvent",
            "publishStream" | "playStream" | "snapshot" | "availableStream" => "StreamStatusEvent",
            _ => "ConnectionStatusEvent",
        }
    }
}

#[cfg(test)]
mod tests;
