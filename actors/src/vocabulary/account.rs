//! A user's SIP account as the page names it, checked at the door.
use sha2::{Digest, Sha256};
use sip::auth::Secret;
use sip::dialog::callee_uri;
use sip::message::{HostPort, InvalidField, SipUri, Uri};

/// The SIP account that a page brings: who the user is at which PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User part of the address of record.
    pub login: String,
    /// Digest user name; equals `login` unless the page names another.
    pub auth_name: String,
    /// Digest password.
    pub password: Secret,
    /// Host part of the address of record: a name or an address.
    pub domain: String,
    /// Next hop, where it is not the domain itself.
    pub outbound_proxy: Option<String>,
    /// Port at the next hop; `None`: RFC 3263 decides.
    pub port: Option<u16>,
    /// Whether Tandem keeps the account registered.
    pub register: bool,
}

/// How the requests of an account outside dialogs travel.
#[derive(Debug, Clone)]
pub struct Way {
    /// Whose.
    pub account: Account,
    /// The realm that its credentials are good for: its registrar's. `None`, where that asked for none: that of the first challenge.
    pub realm: Option<String>,
    /// Where they go first.
    pub next_hop: SipUri,
    /// The loose routers that they pass first.
    pub route: Vec<SipUri>,
}

/// Input that cannot be used: which field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The field as the page called it.
    pub field: &'static str,
    /// What is wrong, for a person.
    pub problem: String,
}

impl FieldError {
    /// `field` has `problem`.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl Account {
    /// Refuses what could never work, before anything is sent: the page must not wait for a time-out to
    /// learn of a blank in its login. Names are those of the `connection` message.
    pub fn check(&self) -> Result<(), FieldError> {
        word("sipLogin", &self.login)?;
        word("sipAuthenticationName", &self.auth_name)?;
        self.address_of_record()?;
        self.next_hop()?;
        printable("sipPassword", self.password.reveal())
    }

    /// The address of record: who the user is (RFC 3261 §10).
    pub fn address_of_record(&self) -> Result<SipUri, FieldError> {
        let domain = host_port("sipDomain", &self.domain)?;
        Ok(SipUri::new(domain.host).with_user(&self.login)?)
    }

    /// The address of somebody as the user names them in `field`: a number or name of the account's domain, or a whole URI.
    pub fn address_named(&self, field: &'static str, name: &str) -> Result<Uri, FieldError> {
        let domain = HostPort { host: self.address_of_record()?.host().clone(), port: None };
        callee_uri(name, &domain).map_err(|error| FieldError::new(field, error.problem))
    }

    /// Where requests of this account go first: the outbound proxy if the page names one, else the domain.
    pub fn next_hop(&self) -> Result<SipUri, FieldError> {
        let (field, text) = match &self.outbound_proxy {
            Some(proxy) => ("sipOutboundProxy", proxy),
            None => ("sipDomain", &self.domain),
        };
        let named = host_port(field, text)?;
        Ok(SipUri::new(named.host).with_port(named.port.or(self.port)))
    }

    /// How requests outside dialogs travel: where they go first, and the Route that they carry. An outbound proxy other than the domain itself
    /// comes first (RFC 3261 §8.1.2), then what the registrar said (RFC 3608 §6.1).
    pub fn path(&self, service_route: &[SipUri]) -> Result<(SipUri, Vec<SipUri>), FieldError> {
        let next_hop = self.next_hop()?;
        if next_hop.host() == self.address_of_record()?.host() {
            return Ok((service_route.first().cloned().unwrap_or(next_hop), service_route.to_vec()));
        }
        let is_proxy = |router: &&SipUri| router.host_port == next_hop.host_port;
        let behind = if service_route.first().filter(is_proxy).is_some() {
            &service_route[1..]
        } else {
            service_route
        };
        Ok((next_hop.clone(), [&[next_hop], behind].concat()))
    }

    /// Names this account's user agent to its registrar (RFC 5626 §4.1): a UUID (version 8, RFC 9562 §5.8) out of the address of record, the
    /// same whenever and wherever the account registers through Tandem.
    pub fn instance(&self) -> String {
        let digest = Sha256::digest(format!("tandem {}", self.address()));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// User part of our Contact for this account: the same word whenever a page comes back and whenever Tandem starts, so that its registrar
    /// keeps one binding. Made of all that tells two accounts apart but the password: everyone on the way reads it.
    pub fn contact_user(&self) -> String {
        let Self { auth_name, outbound_proxy, port, register, .. } = self;
        let all =
            format!("tandem contact {} {auth_name} {outbound_proxy:?} {port:?} {register}", self.address());
        Sha256::digest(all)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether both are one account with one password at one next hop. The case of host names does not matter.
    pub fn is_same(&self, other: &Self) -> bool {
        self.address() == other.address() && Self { domain: self.domain.clone(), ..other.clone() } == *self
    }

    /// `login@domain`, the address of record, for logs and comparisons.
    pub fn address(&self) -> String {
        format!("{}@{}", self.login, self.domain.to_ascii_lowercase())
    }
}

impl From<InvalidField> for FieldError {
    fn from(error: InvalidField) -> Self {
        Self::new(error.field, error.problem)
    }
}

/// Longest name, host or password that is taken; SIP messages must stay under one datagram.
const MAX_LEN: usize = 128;

/// Text without control characters and of a sane length.
fn printable(field: &'static str, text: &str) -> Result<(), FieldError> {
    if text.len() > MAX_LEN {
        return Err(FieldError::new(field, format!("longer than {MAX_LEN} bytes")));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(_) => Err(FieldError::new(field, "has a control character")),
        None => Ok(()),
    }
}

/// One word as the user part of a URI can carry it.
fn word(field: &'static str, text: &str) -> Result<(), FieldError> {
    if text.is_empty() {
        return Err(FieldError::new(field, "is empty"));
    }
    printable(field, text)?;
    match text.chars().find(|c| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '@')) {
        Some(c) => Err(FieldError::new(field, format!("has {c:?}"))),
        None => Ok(()),
    }
}

/// A host name, an IPv4 address or an IPv6 address, with an optional port.
fn host_port(field: &'static str, text: &str) -> Result<HostPort, FieldError> {
    word(field, text)?;
    let bare_v6 =
        || text.parse().map(|ip: std::net::Ipv6Addr| HostPort::from(std::net::SocketAddr::from((ip, 0))));
    match text.parse().ok().or_else(|| bare_v6().ok()) {
        Some(HostPort { host, port }) => Ok(HostPort { host, port: port.filter(|port| *port != 0) }),
        None => Err(FieldError::new(field, "is neither a host name nor an address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            login: "1001".into(),
            auth_name: "1001".into(),
            password: Secret::new("pw"),
            domain: "pbx.example.org".into(),
            outbound_proxy: None,
            port: None,
            register: true,
        }
    }

    fn check(change: impl Fn(&mut Account), field: Option<&str>) {
        let mut account = account();
        change(&mut account);
        assert_eq!(account.check().err().map(|error| error.field), field, "{account:?}");
    }

    #[test]
    fn an_account_with_blanks_brackets_or_control_characters_is_refused_by_field() {
        check(|_| (), None);
        check(|a| a.domain = "[2001:db8::1]".into(), None);
        check(|a| a.login = "10 01".into(), Some("sipLogin"));
        check(|a| a.login = "<1001>".into(), Some("sipLogin"));
        check(|a| a.login.clear(), Some("sipLogin"));
        check(|a| a.auth_name = "a\r\nX: y".into(), Some("sipAuthenticationName"));
        check(|a| a.domain = "pbx;lr".into(), Some("sipDomain"));
        check(|a| a.outbound_proxy = Some("p q".into()), Some("sipOutboundProxy"));
        check(|a| a.password = Secret::new("a\nb"), Some("sipPassword"));
        check(|a| a.login = "x".repeat(129), Some("sipLogin"));
    }

    #[test]
    fn requests_go_to_the_outbound_proxy_or_the_domain_at_the_accounts_port() {
        let mut account = Account { port: Some(5070), ..account() };
        assert_eq!(account.address_of_record().unwrap().to_string(), "sip:1001@pbx.example.org");
        assert_eq!(account.next_hop().unwrap().to_string(), "sip:pbx.example.org:5070");
        account.outbound_proxy = Some("10.0.0.1:5080".into());
        assert_eq!(account.next_hop().unwrap().to_string(), "sip:10.0.0.1:5080");
        account.outbound_proxy = Some("2001:db8::1".into());
        assert_eq!(account.next_hop().unwrap().to_string(), "sip:[2001:db8::1]:5070");
    }

    #[test]
    fn requests_pass_the_outbound_proxy_and_then_what_the_registrar_names() {
        let uri = |text: &str| text.parse::<sip::message::Uri>().unwrap().as_sip().unwrap().clone();
        let check = |account: &Account, named: &[&str], first: &str, route: &[&str]| {
            let named: Vec<SipUri> = named.iter().map(|text| uri(text)).collect();
            let (next_hop, routers) = account.path(&named).unwrap();
            let routers: Vec<String> = routers.iter().map(ToString::to_string).collect();
            assert_eq!(
                (next_hop.to_string().as_str(), routers),
                (first, route.iter().map(|r| (*r).to_owned()).collect())
            );
        };
        let core = "sip:orig@core.example.org;lr";
        check(&account(), &[], "sip:pbx.example.org", &[]);
        check(&account(), &[core], core, &[core]);
        let edge = Account { outbound_proxy: Some("edge.example.org".into()), port: Some(5080), ..account() };
        let proxy = "sip:edge.example.org:5080";
        check(&edge, &[], proxy, &[proxy]);
        check(&edge, &[core], proxy, &[proxy, core]);
        check(&edge, &["sip:edge.example.org:5080;lr", core], proxy, &[proxy, core]);
        let home = Account { outbound_proxy: Some("pbx.example.org".into()), ..account() };
        check(&home, &[], "sip:pbx.example.org", &[]);
    }

    #[test]
    fn an_account_has_one_instance_whatever_else_it_says() {
        let instance = account().instance();
        assert!(instance.starts_with("urn:uuid:") && instance.len() == 45, "{instance}");
        assert_eq!(
            instance,
            Account { password: Secret::new("other"), port: Some(5070), ..account() }.instance()
        );
        assert_ne!(instance, Account { login: "1002".into(), ..account() }.instance());
    }

    #[test]
    fn a_contact_is_the_accounts_own_and_does_not_tell_its_password() {
        let contact = account().contact_user();
        assert_eq!(contact.len(), 16);
        assert_eq!(contact, Account { password: Secret::new("other"), ..account() }.contact_user());
        assert_eq!(contact, Account { domain: "PBX.example.org".into(), ..account() }.contact_user());
        for other in [
            Account { login: "1002".into(), ..account() },
            Account { auth_name: "x".into(), ..account() },
            Account { port: Some(5070), ..account() },
            Account { outbound_proxy: Some("10.0.0.1".into()), ..account() },
            Account { register: false, ..account() },
        ] {
            assert_ne!(contact, other.contact_user(), "{other:?}");
        }
    }

    #[test]
    fn a_secret_never_shows_itself() {
        assert!(!format!("{:?}", account()).contains("pw"));
    }
}
