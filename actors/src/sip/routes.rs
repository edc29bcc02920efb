//! Who owns which request and which dialog. Pure tables.
use std::collections::HashMap;
use std::hash::Hash;

use super::DialogKey;

/// The tables. `C`, `S`: keys of client and server transactions; `I`: the owners' names of requests; `O`: what reaches an owner.
#[derive(Debug)]
pub(super) struct Routes<C, S, I, O> {
    requests: HashMap<C, (I, O)>,
    keys: HashMap<I, C>,
    dialogs: HashMap<DialogKey, O>,
    invites: HashMap<S, Invite<O>>,
}

/// An INVITE that came in and has no final answer yet.
#[derive(Debug)]
struct Invite<O> {
    owner: Option<O>,
    cancelled: bool,
}

/// Dialogs in the table. A node carries some thousands; beyond, new ones live without requests from the far side, which then time out.
pub(super) const MAX_DIALOGS: usize = 20_000;

impl<C: Copy + Eq + Hash, S: Copy + Eq + Hash, I: Copy + Eq + Hash, O: Clone> Routes<C, S, I, O> {
    /// Empty tables.
    pub(super) fn new() -> Self {
        Self {
            requests: HashMap::new(),
            keys: HashMap::new(),
            dialogs: HashMap::new(),
            invites: HashMap::new(),
        }
    }

    /// A request of `owner` went out. As many as the transaction layer keeps.
    pub(super) fn sent(&mut self, key: C, id: I, owner: O) {
        self.requests.insert(key, (id, owner));
        self.keys.insert(id, key);
    }

    /// Whose request this is, under which name.
    pub(super) fn request(&self, key: &C) -> Option<&(I, O)> {
        self.requests.get(key)
    }

    /// The transaction of a request.
    pub(super) fn key_of(&self, id: &I) -> Option<C> {
        self.keys.get(id).copied()
    }

    /// The transaction is over.
    pub(super) fn ended(&mut self, key: &C) -> Option<(I, O)> {
        let (id, owner) = self.requests.remove(key)?;
        self.keys.remove(&id);
        Some((id, owner))
    }

    /// Requests in this dialog go to `owner` from now on. False: the table is full.
    pub(super) fn join(&mut self, dialog: DialogKey, owner: O) -> bool {
        if self.dialogs.len() >= MAX_DIALOGS && !self.dialogs.contains_key(&dialog) {
            return false;
        }
        self.dialogs.insert(dialog, owner);
        true
    }

    /// The dialog is over.
    pub(super) fn leave(&mut self, dialog: &DialogKey) {
        self.dialogs.remove(dialog);
    }

    /// Who serves a dialog.
    pub(super) fn owner_of(&self, dialog: &DialogKey) -> Option<&O> {
        self.dialogs.get(dialog)
    }

    /// An INVITE came in; a re-INVITE has its owner already.
    pub(super) fn invited(&mut self, key: S, owner: Option<O>) {
        self.invites.insert(key, Invite { owner, cancelled: false });
    }

    /// The INVITE has an owner now. True: it was cancelled before, which the owner must hear at once.
    pub(super) fn adopt(&mut self, key: &S, owner: O) -> bool {
        match self.invites.get_mut(key) {
            Some(invite) => {
                invite.owner = Some(owner);
                invite.cancelled
            }
            None => false,
        }
    }

    /// The INVITE was cancelled; its owner, if it has one yet.
    pub(super) fn cancelled(&mut self, key: &S) -> Option<O> {
        let invite = self.invites.get_mut(key)?;
        invite.cancelled = true;
        invite.owner.clone()
    }

    /// The INVITE has its final answer, or its transaction is gone.
    pub(super) fn answered(&mut self, key: &S) {
        self.invites.remove(key);
    }

    /// Forgets the dialogs whose owners are gone without a word.
    pub(super) fn sweep(&mut self, alive: impl Fn(&O) -> bool) {
        self.dialogs.retain(|_, owner| alive(owner));
    }

    /// How many dialogs have an owner.
    pub(super) fn dialogs(&self) -> usize {
        self.dialogs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Table = Routes<u32, u32, u64, &'static str>;

    fn dialog(local_tag: &str) -> DialogKey {
        DialogKey { call_id: "x".into(), local_tag: local_tag.into() }
    }

    #[test]
    fn a_request_is_known_by_both_names_until_it_ends() {
        let mut routes = Table::new();
        routes.sent(1, 70, "ann");
        assert_eq!((routes.key_of(&70), routes.request(&1)), (Some(1), Some(&(70, "ann"))));
        assert_eq!(routes.ended(&1), Some((70, "ann")));
        assert_eq!((routes.key_of(&70), routes.request(&1)), (None, None));
    }

    #[test]
    fn a_dialog_leads_to_its_owner_until_it_is_left() {
        let mut routes = Table::new();
        assert!(routes.join(dialog("a"), "ann"));
        assert_eq!(routes.owner_of(&dialog("a")), Some(&"ann"));
        assert_eq!(routes.owner_of(&dialog("b")), None);
        routes.leave(&dialog("a"));
        assert_eq!(routes.dialogs(), 0);
    }

    #[test]
    fn a_cancel_before_the_invite_has_an_owner_is_not_lost() {
        let mut routes = Table::new();
        routes.invited(1, None);
        assert_eq!(routes.cancelled(&1), None);
        assert!(routes.adopt(&1, "ann"));
        routes.answered(&1);
        assert!(!routes.adopt(&1, "ann"));
    }

    #[test]
    fn a_cancel_goes_to_the_owner_of_its_invite() {
        let mut routes = Table::new();
        routes.invited(1, None);
        assert!(!routes.adopt(&1, "ann"));
        assert_eq!(routes.cancelled(&1), Some("ann"));
        routes.invited(2, Some("bob"));
        assert_eq!(routes.cancelled(&2), Some("bob"));
    }

    #[test]
    fn dialogs_are_bounded_and_those_of_the_dead_are_swept() {
        let mut routes = Table::new();
        for n in 0..MAX_DIALOGS {
            assert!(routes.join(dialog(&n.to_string()), if n == 7 { "ann" } else { "dead" }));
        }
        assert!(!routes.join(dialog("one more"), "bob"));
        routes.sweep(|owner| *owner == "ann");
        assert_eq!(routes.dialogs(), 1);
    }
}
