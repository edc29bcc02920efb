//! Which web pages may use us. A page's `Origin` is the only sign that a browser gives of a foreign page; the session
//! itself is opened by what the first message carries, never by a cookie.
use std::net::IpAddr;

/// One entry of `web.allowed_origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginRule {
    /// Every page.
    Any,
    /// Pages served by the host that is asked, on whatever port: WCS serves pages and WebSocket on different ports.
    SameHost,
    /// Pages served by the user's own machine (developers, mobile shells).
    Localhost,
    /// Exactly this origin.
    Exact(String),
}

impl OriginRule {
    /// Reads an entry; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Self::Any),
            "same-host" => Ok(Self::SameHost),
            "localhost" => Ok(Self::Localhost),
            "null" => Ok(Self::Exact(text.into())),
            _ => match host_of(text) {
                Some(_) => Ok(Self::Exact(text.to_ascii_lowercase())),
                None => {
                    Err("must be *, same-host, localhost or an origin such as https://shop.example".into())
                }
            },
        }
    }

    /// Whether a page of `origin` may use the host that it called `asked` (the Host header).
    fn allows(&self, origin: &str, asked: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(allowed) => origin.eq_ignore_ascii_case(allowed),
            Self::Localhost => host_of(origin).is_some_and(is_loopback),
            Self::SameHost => match (host_of(origin), asked.map(without_port)) {
                (Some(page), Some(asked)) => {
                    page.eq_ignore_ascii_case(asked) || (is_loopback(page) && is_loopback(asked))
                }
                _ => false,
            },
        }
    }
}

/// Whether a request passes `rules`. Without an `Origin` it does: browsers always send one with a WebSocket,
/// so this is a program, and a program can write whatever it likes there anyway.
pub fn allowed(rules: &[OriginRule], origin: Option<&str>, asked: Option<&str>) -> bool {
    origin.is_none_or(|origin| rules.iter().any(|rule| rule.allows(origin, asked)))
}

/// Whether `host` names this machine to itself.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// `host` of `host:port`; an IPv6 address keeps its brackets.
pub fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

/// The host of an origin `scheme://host[:port]`; `None` if it has another shape (user names, paths, blanks).
fn host_of(origin: &str) -> Option<&str> {
    let (scheme, authority) = origin.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let host = without_port(authority);
    let fits = scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    (fits && !scheme.is_empty() && !host.is_empty() && authority.chars().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &[&str], origin: Option<&str>, asked: &str, passes: bool) {
        let parsed: Vec<_> = rules.iter().map(|rule| OriginRule::parse(rule).unwrap()).collect();
        assert_eq!(allowed(&parsed, origin, Some(asked)), passes, "{rules:?} {origin:?} {asked}");
    }

    #[test]
    fn a_page_of_the_same_host_or_of_the_own_machine_passes_by_default() {
        let default = &["same-host", "localhost"];
        check(default, Some("https://phone.example"), "phone.example:8443", true);
        check(default, Some("http://Phone.Example:8081"), "phone.example:8080", true);
        check(default, Some("http://localhost:3000"), "127.0.0.1:8080", true);
        check(default, Some("http://127.0.0.1:3000"), "10.0.0.2:8080", true);
        check(default, Some("http://[2001:db8::1]:3000"), "[2001:db8::1]:8080", true);
        check(default, None, "phone.example", true);
    }

    #[test]
    fn a_foreign_or_look_alike_page_does_not() {
        let default = &["same-host", "localhost"];
        for origin in [
            "https://evil.example",
            "https://phone.example.evil.example",
            "https://evil-phone.example",
            "https://phone.example@evil.example",
            "https://phone.example/../evil",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "null",
            "",
            "phone.example",
        ] {
            check(default, Some(origin), "phone.example:8080", false);
        }
    }

    #[test]
    fn an_exact_origin_counts_with_scheme_and_port() {
        let rules = &["https://shop.example", "capacitor://localhost", "null"];
        check(rules, Some("https://shop.example"), "gw.example", true);
        check(rules, Some("capacitor://localhost"), "gw.example", true);
        check(rules, Some("null"), "gw.example", true);
        check(rules, Some("http://shop.example"), "gw.example", false);
        check(rules, Some("https://shop.example:8443"), "gw.example", false);
        check(&["*"], Some("https://evil.example"), "gw.example", true);
        check(&[], Some("https://gw.example"), "gw.example", false);
    }

    #[test]
    fn an_entry_that_is_no_origin_is_refused() {
        for entry in ["shop.example", "https://", "https://shop.example/path", "https://a b", "://x"] {
            assert!(OriginRule::parse(entry).is_err(), "{entry}");
        }
    }
}
