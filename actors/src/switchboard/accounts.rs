//! Which pages share an account. Pure.
//!
//! Pages of one account at one next hop and with one password have one Contact, one registration, and ring together. A page that says
//! another password is none of them: it gets a Contact and a registration of its own, so that it must prove itself.
use std::collections::HashMap;

use ::sip::message::SipUri;
use actix::Recipient;

use super::texts::Allowance;
use crate::mailbox::StopMailbox;
use crate::page::MailWaiting;
use crate::registration::RegistrationEvent;
use crate::vocabulary::{Account, FieldError, SessionId, Way};

/// All accounts that have a page or are still registered. `R` is what reaches a registration.
pub struct Accounts<R> {
    /// By the word of [`Account::contact_user`]; those that share it differ in the password.
    by_word: HashMap<String, Vec<Shared<R>>>,
}

/// An account and its pages.
pub struct Shared<R> {
    /// User part of its Contact.
    pub contact: String,
    /// Who it is.
    pub account: Account,
    /// Its pages, the oldest first.
    pub pages: Vec<SessionId>,
    /// Keeps it registered, if that is wanted.
    pub registration: Option<R>,
    /// What its registration said last; a new page is told the same.
    pub told: Option<RegistrationEvent>,
    /// The routers that its registrar named for further requests.
    pub service_route: Vec<SipUri>,
    /// The realm in which its registrar took its credentials: they are good for no other.
    pub realm: Option<String>,
    /// Asks for its mailbox, if that is wanted.
    pub mailbox: Option<Recipient<StopMailbox>>,
    /// What its PBX said of the mailbox last; a new page is told the same.
    pub mail: Option<MailWaiting>,
    /// Text messages, and words of its mailbox, that its pages may still be handed.
    pub texts: Allowance,
}

impl<R> Shared<R> {
    /// How its requests travel.
    pub fn way(&self) -> Result<Way, FieldError> {
        let (next_hop, route) = self.account.path(&self.service_route)?;
        Ok(Way { account: self.account.clone(), realm: self.realm.clone(), next_hop, route })
    }
}

/// Stands between an account's word and a number; no word has it.
const SEPARATOR: char = '-';

impl<R> Accounts<R> {
    /// Enters a page of `account`.
    pub fn enter(&mut self, account: &Account, page: SessionId) -> &mut Shared<R> {
        let word = account.contact_user();
        let all = self.by_word.entry(word.clone()).or_default();
        let at = all.iter().position(|shared| shared.account.is_same(account)).unwrap_or_else(|| {
            let contact = free_contact(&word, all);
            all.push(Shared {
                contact,
                account: account.clone(),
                pages: vec![],
                registration: None,
                told: None,
                service_route: vec![],
                realm: None,
                mailbox: None,
                mail: None,
                texts: Allowance::default(),
            });
            all.len() - 1
        });
        all[at].pages.push(page);
        &mut all[at]
    }

    /// Strikes a page out; gives its account.
    pub fn leave(&mut self, contact: &str, page: SessionId) -> Option<&mut Shared<R>> {
        let shared = self.get_mut(contact)?;
        shared.pages.retain(|known| *known != page);
        Some(shared)
    }

    /// Strikes an account out.
    pub fn remove(&mut self, contact: &str) {
        let word = word_of(contact);
        let Some(all) = self.by_word.get_mut(word) else { return };
        all.retain(|shared| shared.contact != contact);
        if all.is_empty() {
            self.by_word.remove(word);
        }
    }

    /// An account by its Contact.
    pub fn get(&self, contact: &str) -> Option<&Shared<R>> {
        self.by_word.get(word_of(contact))?.iter().find(|shared| shared.contact == contact)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, contact: &str) -> Option<&mut Shared<R>> {
        self.by_word.get_mut(word_of(contact))?.iter_mut().find(|shared| shared.contact == contact)
    }

    /// Whose Contact or login `user` is; the Contact wins. Of accounts that differ in nothing but the password it is the one that is registered,
    /// which has proved itself: a page that guesses at a password must not cost the other its calls. Else a login that several accounts share
    /// is nobody's: a PBX that rings it must know which registration it means.
    pub fn find_user(&self, user: &str) -> Option<&Shared<R>> {
        if let Some(shared) = self.get(user) {
            return Some(shared);
        }
        let has =
            |all: &&Vec<Shared<R>>| all.iter().any(|shared| !user.is_empty() && shared.account.login == user);
        let mut found = self.by_word.values().filter(has);
        let (Some(same), None) = (found.next(), found.next()) else { return None };
        let has_proved = |shared: &&Shared<R>| shared.told == Some(RegistrationEvent::Registered);
        match &same[..] {
            [one] => Some(one),
            several => several.iter().find(has_proved),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Shared<R>> {
        self.by_word.values().flatten()
    }
}

/// The account's word; for the second and further of a word, with a number.
fn free_contact<R>(word: &str, taken: &[Shared<R>]) -> String {
    let mut contact = word.to_owned();
    for number in 1..=taken.len() {
        if taken.iter().all(|shared| shared.contact != contact) {
            break;
        }
        contact = format!("{word}{SEPARATOR}{number}");
    }
    contact
}

fn word_of(contact: &str) -> &str {
    contact.split_once(SEPARATOR).map_or(contact, |(word, _)| word)
}

impl<R> Default for Accounts<R> {
    fn default() -> Self {
        Self { by_word: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Secret;

    fn account(login: &str, password: &str, domain: &str) -> Account {
        Account {
            login: login.to_owned(),
            auth_name: login.to_owned(),
            password: Secret::new(password),
            domain: domain.to_owned(),
            outbound_proxy: None,
            port: None,
            register: true,
        }
    }

    /// Accounts with these pages, numbered from 1; gives their Contacts too.
    fn accounts(pages: &[(&str, &str, &str)]) -> (Accounts<()>, Vec<String>) {
        let (mut accounts, mut contacts) = (Accounts::default(), vec![]);
        for (number, (login, password, domain)) in (1..).zip(pages) {
            let shared = accounts.enter(&account(login, password, domain), SessionId(number));
            contacts.push(shared.contact.clone());
        }
        (accounts, contacts)
    }

    fn pages(accounts: &Accounts<()>, user: &str) -> Vec<u64> {
        let pages = accounts.find_user(user).map(|shared| shared.pages.clone());
        pages.unwrap_or_default().into_iter().map(|page| page.0).collect()
    }

    #[test]
    fn pages_of_one_account_have_one_contact() {
        let (mut accounts, contacts) = accounts(&[("1", "a", "h"), ("1", "a", "H"), ("2", "a", "h")]);
        assert_eq!(contacts[0], contacts[1]);
        assert_eq!(pages(&accounts, &contacts[0]), [1, 2]);
        assert_eq!(pages(&accounts, &contacts[2]), [3]);
        accounts.leave(&contacts[0], SessionId(1));
        assert_eq!(pages(&accounts, &contacts[0]), [2]);
        accounts.leave(&contacts[0], SessionId(2));
        assert!(
            accounts.find_user(&contacts[0]).is_some_and(|shared| shared.pages.is_empty()),
            "it may be registered"
        );
        accounts.remove(&contacts[0]);
        assert!(accounts.find_user(&contacts[0]).is_none());
        assert_eq!(accounts.all().count(), 1);
    }

    #[test]
    fn another_password_is_another_account_whose_contact_is_its_own() {
        let (mut accounts, contacts) =
            accounts(&[("1", "a", "h"), ("1", "b", "h"), ("1", "c", "h"), ("1", "b", "h")]);
        assert_eq!(
            contacts[1..],
            [format!("{}-1", contacts[0]), format!("{}-2", contacts[0]), contacts[1].clone()]
        );
        assert_eq!(pages(&accounts, &contacts[1]), [2, 4]);
        accounts.remove(&contacts[0]);
        let again = accounts.enter(&account("1", "d", "h"), SessionId(9)).contact.clone();
        assert_eq!(again, contacts[0], "the word is free again");
        assert_eq!(pages(&accounts, &contacts[2]), [3]);
    }

    #[test]
    fn a_login_finds_an_account_that_has_it_alone() {
        let (accounts, contacts) =
            accounts(&[("1", "a", "h"), ("2", "a", "h"), ("2", "a", "other"), ("1", "a", "h")]);
        assert_eq!(pages(&accounts, "1"), [1, 4]);
        assert_eq!(pages(&accounts, "2"), [0; 0], "two PBXs: which one?");
        assert_eq!(pages(&accounts, &contacts[2]), [3]);
        assert_eq!(pages(&accounts, ""), [0; 0]);
    }

    #[test]
    fn a_login_with_two_passwords_is_that_of_who_has_proved_himself() {
        let (mut accounts, contacts) = accounts(&[("1", "a", "h"), ("1", "b", "h")]);
        assert_eq!(pages(&accounts, "1"), [0; 0], "nobody has");
        accounts.get_mut(&contacts[1]).unwrap().told = Some(RegistrationEvent::Registered);
        assert_eq!(pages(&accounts, "1"), [2]);
        accounts.remove(&contacts[1]);
        assert_eq!(pages(&accounts, "1"), [1]);
    }
}
