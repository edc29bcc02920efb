//! Who is where: sessions and calls by id. Pure.
use std::collections::HashMap;

use crate::vocabulary::{Account, CallId, SessionId};

/// The book. `S` and `C` are what reaches a session and a call.
#[derive(Debug)]
pub struct Book<S, C> {
    sessions: HashMap<SessionId, Entry<S>>,
    calls: HashMap<CallId, C>,
    next_session: u64,
}

/// A session in the book.
#[derive(Debug)]
pub struct Entry<S> {
    /// Reaches it.
    pub session: S,
    /// Its account.
    pub account: Option<Account>,
    /// User part of the account's Contact at the PBX; empty without an account.
    pub contact: String,
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
        Self { sessions: HashMap::new(), calls: HashMap::new(), next_session: 1 }
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
        self.sessions.insert(id, entry);
    }

    /// Strikes a session out. Its calls stay until they have ended.
    pub fn remove_session(&mut self, id: SessionId) -> Option<Entry<S>> {
        self.sessions.remove(&id)
    }

    /// A session by id.
    pub fn session(&self, id: SessionId) -> Option<&Entry<S>> {
        self.sessions.get(&id)
    }

    /// All sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Entry<S>> {
        self.sessions.values()
    }

    /// Enters a call.
    pub fn add_call(&mut self, id: CallId, call: C) {
        self.calls.insert(id, call);
    }

    /// Whether no call has this id.
    pub fn check_call_id(&self, id: &CallId) -> Result<(), Full> {
        if self.calls.contains_key(id) { Err(Full::CallId) } else { Ok(()) }
    }

    /// Strikes a call out.
    pub fn remove_call(&mut self, id: &CallId) {
        self.calls.remove(id);
    }

    /// A call by id.
    pub fn call(&self, id: &CallId) -> Option<&C> {
        self.calls.get(id)
    }

    /// All calls.
    pub fn calls(&self) -> impl Iterator<Item = &C> {
        self.calls.values()
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

    #[test]
    fn a_call_id_is_used_once() {
        let mut book = Book::<(), ()>::new();
        let id = CallId::parse("a").unwrap();
        assert_eq!(book.check_call_id(&id), Ok(()));
        book.add_call(id.clone(), ());
        assert_eq!(book.check_call_id(&id), Err(Full::CallId));
        assert_eq!(book.calls().count(), 1);
        book.remove_call(&id);
        assert_eq!(book.check_call_id(&id), Ok(()));
    }

    #[test]
    fn so_many_sessions_and_no_more() {
        let mut book = Book::<(), ()>::new();
        for _ in 0..MAX_SESSIONS {
            let id = book.next_session_id().unwrap();
            book.add_session(id, Entry { session: (), account: None, contact: String::new() });
        }
        assert_eq!(book.next_session_id(), Err(Full::Sessions));
        book.remove_session(SessionId(7));
        assert!(book.next_session_id().is_ok());
    }
}
