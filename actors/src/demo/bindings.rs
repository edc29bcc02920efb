//! Who can be reached where: the registrar's location table (RFC 3261 §10.3). Pure: time is an argument.
use std::collections::HashMap;
use std::time::{Duration, Instant};

use sip::message::{HeaderName, Headers, NameAddr, Uri};

/// The bindings of all accounts.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    accounts: HashMap<String, Vec<Binding>>,
}

/// One contact of an account.
#[derive(Debug, Clone)]
struct Binding {
    contact: Uri,
    until: Instant,
    call_id: String,
    cseq: u32,
}

/// Why a REGISTER changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BindError {
    /// 400.
    #[error("{0}")]
    Malformed(&'static str),
    /// 423.
    #[error("Interval Too Brief")]
    TooBrief,
    /// 503: the account has [`MAX_CONTACTS`] already.
    #[error("Too Many Contacts")]
    Full,
}

/// Shortest lifetime that is granted: a tab that dies is forgotten soon, and a REGISTER storm has an end.
pub(crate) const MIN_EXPIRES: Duration = Duration::from_secs(10);
/// Longest lifetime that is granted; a demo's bindings need not outlive a coffee.
const MAX_EXPIRES: Duration = Duration::from_secs(600);
/// Contacts of one account: a handful of tabs and phones.
const MAX_CONTACTS: usize = 10;

impl Bindings {
    /// Carries out a REGISTER of `account`: all of it or nothing.
    pub(crate) fn register(
        &mut self,
        account: &str,
        request: &Headers,
        now: Instant,
    ) -> Result<(), BindError> {
        let malformed = |_| BindError::Malformed("Bad Request");
        let call_id = request.call_id().map_err(malformed)?;
        let cseq = request.cseq().map_err(malformed)?.number;
        let default = request.expires().map_err(malformed)?.map_or(MAX_EXPIRES, seconds);
        let mut bindings = self.live(account, now).to_vec();
        if request.contact_is_wildcard() {
            if !default.is_zero() {
                return Err(BindError::Malformed("Contact * Needs Expires 0"));
            }
            bindings.clear();
        }
        for contact in request.contacts().map_err(malformed)? {
            let time = granted(&contact, default)?;
            let old = bindings.iter().position(|known| known.contact.is_equivalent(&contact.uri));
            if let Some(at) = old {
                let known = bindings.remove(at);
                if known.call_id == call_id && cseq <= known.cseq {
                    return Err(BindError::Malformed("CSeq Is Not New"));
                }
            }
            if !time.is_zero() {
                let until = now + time;
                bindings.push(Binding { contact: contact.uri, until, call_id: call_id.to_owned(), cseq });
            }
        }
        if bindings.len() > MAX_CONTACTS {
            return Err(BindError::Full);
        }
        match bindings.is_empty() {
            true => self.accounts.remove(account),
            false => self.accounts.insert(account.to_owned(), bindings),
        };
        Ok(())
    }

    /// All contacts of `account` with the time they have left, as a 200 to REGISTER lists them.
    pub(crate) fn contacts(&mut self, account: &str, now: Instant) -> Vec<NameAddr> {
        let listed = self.live(account, now).iter().map(|binding| {
            let left = (binding.until - now).as_secs().to_string();
            let mut contact = NameAddr::new(binding.contact.clone());
            contact.params.set("expires", &left).expect("a number is a token");
            contact
        });
        listed.collect()
    }

    /// Where `account` registered last, if it is still there.
    pub(crate) fn newest(&mut self, account: &str, now: Instant) -> Option<Uri> {
        self.live(account, now).last().map(|binding| binding.contact.clone())
    }

    /// Drops what has expired and returns the rest, the newest last.
    fn live(&mut self, account: &str, now: Instant) -> &[Binding] {
        match self.accounts.get_mut(account) {
            Some(bindings) => {
                bindings.retain(|binding| binding.until > now);
                bindings
            }
            None => &[],
        }
    }
}

/// How long a contact may stay: its own wish before the header's, within our limits.
fn granted(contact: &NameAddr, default: Duration) -> Result<Duration, BindError> {
    let asked = contact.expires().map_or(default, seconds);
    match asked {
        Duration::ZERO => Ok(asked),
        short if short < MIN_EXPIRES => Err(BindError::TooBrief),
        fits => Ok(fits.min(MAX_EXPIRES)),
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// Writes the contacts of a 200.
pub(crate) fn list(headers: &mut Headers, contacts: Vec<NameAddr>) {
    for contact in contacts {
        headers.push(HeaderName::Contact, contact);
    }
}

#[cfg(test)]
mod tests {
    use sip::message::{Message, parse};

    use super::*;

    const ALICE: &str = "1001";

    fn register(bindings: &mut Bindings, now: Instant, cseq: u32, lines: &str) -> Result<(), BindError> {
        let text = format!(
            "REGISTER sip:demo SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK{cseq}\r\nFrom: <sip:1001@demo>;tag=1\r\n\
             To: <sip:1001@demo>\r\nCall-ID: x\r\nCSeq: {cseq} REGISTER\r\n{lines}\r\n"
        );
        let Ok(Message::Request(request)) = parse(text.as_bytes()) else { panic!("a request: {text}") };
        bindings.register(ALICE, &request.headers, now)
    }

    /// Runs REGISTERs a second apart; the contacts that are left must be `left`.
    #[track_caller]
    fn check(lines: &[&str], last: Result<(), BindError>, left: &str) {
        let (mut bindings, mut now, mut verdict) = (Bindings::default(), Instant::now(), Ok(()));
        for (cseq, lines) in (1..).zip(lines) {
            now += Duration::from_secs(1);
            verdict = register(&mut bindings, now, cseq, lines);
        }
        let contacts = bindings.contacts(ALICE, now);
        let contacts: Vec<String> = contacts.iter().map(ToString::to_string).collect();
        assert_eq!((verdict, contacts.join(" ").as_str()), (last, left));
    }

    #[test]
    fn a_contact_stays_as_long_as_it_asks_within_limits() {
        check(&["Contact: <sip:a@h>\r\n"], Ok(()), "<sip:a@h>;expires=600");
        check(&["Contact: <sip:a@h>\r\nExpires: 60\r\n"], Ok(()), "<sip:a@h>;expires=60");
        check(&["Contact: <sip:a@h>;expires=30\r\nExpires: 60\r\n"], Ok(()), "<sip:a@h>;expires=30");
        check(&["Contact: <sip:a@h>;expires=9\r\n"], Err(BindError::TooBrief), "");
        check(&["Contact: <sip:a@h>;expires=10\r\n", ""], Ok(()), "<sip:a@h>;expires=9");
    }

    #[test]
    fn a_contact_is_replaced_not_doubled_and_can_be_removed() {
        let first = "Contact: <sip:a@h>;expires=60\r\n";
        check(&[first, first], Ok(()), "<sip:a@h>;expires=60");
        check(&[first, "Contact: <sip:a@h>;expires=0\r\n"], Ok(()), "");
        check(
            &[first, "Contact: <sip:b@h>;expires=60\r\n"],
            Ok(()),
            "<sip:a@h>;expires=59 <sip:b@h>;expires=60",
        );
        check(&[first, "Contact: *\r\nExpires: 0\r\n"], Ok(()), "");
        let stays = "<sip:a@h>;expires=59";
        check(&[first, "Contact: *\r\n"], Err(BindError::Malformed("Contact * Needs Expires 0")), stays);
    }

    #[test]
    fn an_old_register_changes_nothing() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        register(&mut bindings, now, 7, "Contact: <sip:a@h>\r\n").unwrap();
        let late = register(&mut bindings, now, 7, "Contact: <sip:a@h>;expires=0\r\n");
        assert_eq!(late, Err(BindError::Malformed("CSeq Is Not New")));
        assert!(bindings.newest(ALICE, now).is_some());
    }

    #[test]
    fn contacts_are_bounded_and_expire() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        for n in 0..MAX_CONTACTS {
            register(&mut bindings, now, 1, &format!("Contact: <sip:{n}@h>;expires=60\r\n")).unwrap();
        }
        assert_eq!(register(&mut bindings, now, 1, "Contact: <sip:z@h>\r\n"), Err(BindError::Full));
        let newest = bindings.newest(ALICE, now).map(|uri| uri.to_string());
        assert_eq!(newest.as_deref(), Some("sip:9@h"));
        assert_eq!(bindings.newest(ALICE, now + Duration::from_secs(60)), None);
    }
}
