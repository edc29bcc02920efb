//! Who is where: sessions by id and by the Contact that their PBX knows, calls by id. Pure.
use std::collections::HashMap;

use crate::vocabulary::{Account, CallId, SessionId};

/// The book. `S` and `C` are what reaches a session and a call.
#[derive(Debug)]
pub struct Book<S, C> {
    sessions: HashMap<SessionId, Entry<S>>,
    by_contact: HashMap<String, SessionId>,
    calls: HashMap<CallId, (C, SessionId)>,
    next_session: u64,
}

/// A session in the book.
#[derive(Debug)]
pub struct Entry<S> {
    /// Reaches it.
    pub session: S,
    /// User part of its Contact at the PBX: a random word, ours alone.
    pub contact: String,
    /// Its account. The login finds it too, for a PBX that sends calls without a registration.
    pub account: Option<Account>,
}

/// Why the book takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// [`MAX_SESSIONS`] pages are connected.
    #[error("too many sessions")]
    Sessions,
    /// Another call has this id.
    #[error("callId: in use")]
    CallId,
}

/// Pages that one node serves. A session without calls costs some 20 KiB, so this is 200 MiB, and far above
/// what two cores can carry in calls.
pub const MAX_SESSIONS: usize = 10_000;

impl<S, C> Book<S, C> {
    /// An empty book.
    pub fn new() -> Self {
        Self { sessions: HashMap::new(), by_contact: HashMap::new(), calls: HashMap::new(), next_session: 1 }
    }

    /// The id for the next session.
    pub fn next_session_id(&mut self) -> Result<SessionId, Full> {
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(Full::Sessions);
        }
        let id = SessionId(self.next_session);
        self.next_session += 1;
        Ok(id)
    }

    /// Enters a session.
    pub fn add_session(&mut self, id: SessionId, entry: Entry<S>) {
        self.by_contact.insert(entry.contact.clone(), id);
        self.sessions.insert(id, entry);
    }

    /// Strikes a session out. Its calls stay until they have ended.
    pub fn remove_session(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.remove(&id) {
            self.by_contact.remove(&entry.contact);
        }
    }

    /// A session by id.
    pub fn session(&self, id: SessionId) -> Option<&Entry<S>> {
        self.sessions.get(&id)
    }

    /// All sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Entry<S>> {
        self.sessions.values()
    }

    /// Whose Contact or login `user` is; the Contact wins. A login that several sessions share is nobody's:
    /// a PBX that rings it must know which registration it means.
    pub fn find_user(&self, user: &str) -> Option<SessionId> {
        if let Some(id) = self.by_contact.get(user) {
            return Some(*id);
        }
        let mut found = self.sessions.iter().filter(|(_, entry)| !user.is_empty() && entry.login() == user);
        match (found.next(), found.next()) {
            (Some((id, _)), None) => Some(*id),
            _ => None,
        }
    }

    /// Enters a call of a session.
    pub fn add_call(&mut self, id: CallId, call: C, session: SessionId) {
        self.calls.insert(id, (call, session));
    }

    /// Whether no call has this id.
    pub fn check_call_id(&self, id: &CallId) -> Result<(), Full> {
        if self.calls.contains_key(id) { Err(Full::CallId) } else { Ok(()) }
    }

    /// Strikes a call out.
    pub fn remove_call(&mut self, id: &CallId) {
        self.calls.remove(id);
    }

    /// All calls.
    pub fn calls(&self) -> impl Iterator<Item = &C> {
        self.calls.values().map(|(call, _)| call)
    }

    /// The calls of a session.
    pub fn calls_of_session(&self, session: SessionId) -> impl Iterator<Item = &C> {
        self.calls.values().filter(move |(_, owner)| *owner == session).map(|(call, _)| call)
    }

    /// How many calls a session has.
    pub fn calls_of(&self, session: SessionId) -> usize {
        self.calls_of_session(session).count()
    }
}

impl<S> Entry<S> {
    /// User part of the account's address of record; empty without an account.
    pub fn login(&self) -> &str {
        self.account.as_ref().map_or("", |account| &account.login)
    }
}

impl<S, C> Default for Book<S, C> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Secret;

    fn book(logins: &[&str]) -> Book<(), ()> {
        let mut book = Book::new();
        for login in logins {
            let id = book.next_session_id().unwrap();
            let account = Account {
                login: (*login).to_owned(),
                auth_name: (*login).to_owned(),
                password: Secret::default(),
                domain: "example.org".to_owned(),
                outbound_proxy: None,
                port: None,
                register: true,
            };
            let contact = format!("c{}", id.0);
            book.add_session(id, Entry { session: (), contact, account: Some(account) });
        }
        book
    }

    #[test]
    fn a_call_finds_its_session_by_contact_and_by_a_login_that_is_unique() {
        let mut book = book(&["1001", "1002", "1002"]);
        assert_eq!(book.find_user("c2"), Some(SessionId(2)));
        assert_eq!(book.find_user("1001"), Some(SessionId(1)));
        assert_eq!(book.find_user("1002"), None, "two sessions: which one?");
        book.remove_session(SessionId(3));
        assert_eq!(book.find_user("1002"), Some(SessionId(2)));
        assert_eq!(book.find_user("c3"), None);
    }

    #[test]
    fn a_call_id_is_used_once() {
        let mut book = book(&["1001"]);
        let id = CallId::parse("a").unwrap();
        assert_eq!(book.check_call_id(&id), Ok(()));
        book.add_call(id.clone(), (), SessionId(1));
        assert_eq!(book.check_call_id(&id), Err(Full::CallId));
        assert_eq!(book.calls_of(SessionId(1)), 1);
        book.remove_call(&id);
        assert_eq!(book.calls_of(SessionId(1)), 0);
    }
}
