//! `connection`: a page's first message, with the SIP account in it.
use actors::handle::{Account, ActivityWish, FieldError, Secret, StandInWish};
use serde_json::{Map, Value};

use super::activity::activity;
use super::fields::Fields;
use super::stand_in::stand_in;

/// Longest name, host or password that is read; what is longer could not be sent in a datagram anyway.
const MAX_NAME: usize = 256;

/// What `getUserData` says back, as the page sent it. Never the password, and nothing that we do not know: it
/// might be a secret.
const ECHOED: &[&str] = &[
    "appKey",
    "mediaProviders",
    "keepAlive",
    "clientVersion",
    "clientOSVersion",
    "clientBrowserVersion",
    "msePacketizationVersion",
    "custom",
    "clientInfo",
    "sipLogin",
    "sipAuthenticationName",
    "sipDomain",
    "sipOutboundProxy",
    "sipProxy",
    "sipPort",
    "sipRegisterRequired",
];

/// Events beyond WCS's, each only for pages that ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// `message-summary`: its mailbox.
    pub mail: bool,
    /// `call-quality`: how its calls sound.
    pub quality: bool,
    /// `media-trouble`: why they do not.
    pub trouble: bool,
    /// `dtmf`: digits of the far side.
    pub digits: bool,
    /// `remote-hold`: whether the far side holds.
    pub remote_hold: bool,
}

/// A page introduces itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// `authToken`: the page wants an earlier session back.
    pub auth_token: Option<String>,
    /// The SIP account; `None` for a page without SIP fields.
    pub account: Option<Account>,
    /// `tandemEvents`: what the page wants to hear of beside WCS's events.
    pub wants: Wants,
    /// `rtpActivityDetecting`: when its calls count as dead, unless one says otherwise.
    pub activity: ActivityWish,
    /// `generateAvForUa`: for whom a still picture stands in, unless one says otherwise.
    pub stand_in: StandInWish,
    /// The fields that `getUserData` repeats.
    pub echo: Map<String, Value>,
}

impl Connection {
    /// Reads the message's object; the error names the field.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, FieldError> {
        let echo =
            ECHOED.iter().filter_map(|key| fields.raw(key).map(|value| ((*key).to_owned(), value.clone())));
        Ok(Self {
            auth_token: filled(fields, "authToken")?,
            account: account(fields)?,
            wants: Wants {
                mail: wants(fields, "message-summary")?,
                quality: wants(fields, "call-quality")?,
                trouble: wants(fields, "media-trouble")?,
                digits: wants(fields, "dtmf")?,
                remote_hold: wants(fields, "remote-hold")?,
            },
            activity: activity(fields)?,
            stand_in: stand_in(fields)?,
            echo: echo.collect(),
        })
    }
}

/// The SIP account, checked; `None` if the page brings none.
fn account(fields: &Fields<'_>) -> Result<Option<Account>, FieldError> {
    let login = filled(fields, "sipLogin")?;
    let auth_name = filled(fields, "sipAuthenticationName")?;
    let password = filled(fields, "sipPassword")?;
    let domain = filled(fields, "sipDomain")?;
    let outbound_proxy = filled(fields, "sipOutboundProxy")?;
    // No page was seen that uses `sipProxy`; where it is, it can only mean the next hop.
    let proxy = filled(fields, "sipProxy")?;
    let port = fields.port("sipPort")?;
    if [&login, &auth_name, &password, &domain, &outbound_proxy, &proxy].iter().all(|field| field.is_none()) {
        return Ok(None);
    }
    let login = login.unwrap_or_default();
    let account = Account {
        auth_name: auth_name.unwrap_or_else(|| login.clone()),
        login,
        password: Secret::new(password.unwrap_or_default()),
        domain: domain.unwrap_or_default(),
        outbound_proxy: outbound_proxy.or(proxy),
        port,
        // Absent means yes: the WebSDK's own test leaves it out and waits for REGISTERED.
        register: fields.flag("sipRegisterRequired")?.unwrap_or(true),
    };
    account.check()?;
    Ok(Some(account))
}

/// Whether the page asks for this kind of event, beyond what WCS tells. Kinds that we do not know are for a later Tandem.
fn wants(fields: &Fields<'_>, kind: &str) -> Result<bool, FieldError> {
    match fields.raw("tandemEvents") {
        None => Ok(false),
        Some(Value::Array(kinds)) => Ok(kinds.iter().any(|wanted| wanted.as_str() == Some(kind))),
        Some(_) => Err(FieldError::new("tandemEvents", "must be a list")),
    }
}

/// A text that is there and not empty.
fn filled(fields: &Fields<'_>, field: &'static str) -> Result<Option<String>, FieldError> {
    Ok(fields.line(field, MAX_NAME)?.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Connection, FieldError> {
        Connection::read(&Fields::of(Some(&value)))
    }

    #[test]
    fn the_account_takes_its_defaults_from_the_login_and_the_domain() {
        let connection =
            read(json!({"sipLogin": "1001", "sipDomain": "pbx", "sipPassword": "pw", "sipPort": ""}))
                .unwrap();
        let account = connection.account.unwrap();
        assert_eq!((account.auth_name.as_str(), account.outbound_proxy, account.port), ("1001", None, None));
        assert!(account.register);
        assert_eq!(account.password.reveal(), "pw");
    }

    #[test]
    fn a_page_without_sip_fields_has_no_account() {
        assert_eq!(read(json!({"appKey": "defaultApp", "sipLogin": ""})).unwrap().account, None);
        assert_eq!(read(json!(null)).unwrap().account, None);
    }

    #[test]
    fn numbers_and_words_are_taken_for_port_login_and_flag() {
        let value =
            json!({"sipLogin": 1001, "sipDomain": "pbx", "sipPort": 5062, "sipRegisterRequired": "false"});
        let account = read(value).unwrap().account.unwrap();
        assert_eq!((account.login.as_str(), account.port, account.register), ("1001", Some(5062), false));
    }

    #[test]
    fn an_account_that_cannot_work_is_refused_by_field() {
        let check = |value: Value, field| assert_eq!(read(value).unwrap_err().field, field);
        check(json!({"sipLogin": "10 01", "sipDomain": "pbx"}), "sipLogin");
        check(json!({"sipLogin": "<1001>", "sipDomain": "pbx"}), "sipLogin");
        check(json!({"sipLogin": "1001\r\nX: y", "sipDomain": "pbx"}), "sipLogin");
        check(json!({"sipLogin": "1001"}), "sipDomain");
        check(json!({"sipDomain": "pbx"}), "sipLogin");
        check(json!({"sipLogin": "1001", "sipDomain": "p b x"}), "sipDomain");
        check(json!({"sipLogin": "1001", "sipDomain": "pbx", "sipPort": "99999"}), "sipPort");
        check(json!({"sipLogin": "1001", "sipDomain": "pbx", "sipPassword": "a\nb"}), "sipPassword");
        check(json!({"sipLogin": {}, "sipDomain": "pbx"}), "sipLogin");
        check(json!({"sipLogin": "x".repeat(300), "sipDomain": "pbx"}), "sipLogin");
    }

    #[test]
    fn a_page_hears_of_what_it_asks_for() {
        let wants = |events: Value| read(json!({"tandemEvents": events})).map(|connection| connection.wants);
        let none = Wants::default();
        assert_eq!(wants(json!(["message-summary"])), Ok(Wants { mail: true, ..none }));
        assert_eq!(wants(json!(["call-quality"])), Ok(Wants { quality: true, ..none }));
        assert_eq!(wants(json!(["x", "media-trouble"])), Ok(Wants { trouble: true, ..none }));
        assert_eq!(wants(json!(["dtmf"])), Ok(Wants { digits: true, ..none }));
        assert_eq!(wants(json!(["of-a-later-day", 7])), Ok(none));
        assert_eq!(wants(json!(null)), Ok(none));
        assert_eq!(wants(json!("message-summary")).unwrap_err().field, "tandemEvents");
    }

    #[test]
    fn the_password_and_unknown_fields_are_not_echoed() {
        let echo = read(json!({"sipLogin": "1001", "sipDomain": "pbx", "sipPassword": "pw", "sipPort": "5060", "apiKey": "k",
            "authToken": "t", "custom": {"a": 1}})).unwrap().echo;
        assert_eq!(
            Value::Object(echo),
            json!({"sipLogin": "1001", "sipDomain": "pbx", "sipPort": "5060", "custom": {"a": 1}})
        );
    }
}
