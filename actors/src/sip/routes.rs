//! Who owns which request and which dialog. Pure tables.
use std::collections::HashMap;
use std::hash::Hash;

use sip::message::Response;

use super::DialogKey;

/// The tables. `C`, `S`: keys of client and server transactions; `I`: the owners' names of requests; `O`: what reaches an owner.
///
/// They also keep the bounds that mailboxes do not: an actix mailbox refuses only a sender that has overfilled it before, and each
/// upgrade of a weak address is a new sender.
#[derive(Debug)]
pub(super) struct Routes<C, S, I, O> {
    requests: HashMap<C, (I, O)>,
    keys: HashMap<I, C>,
    dialogs: HashMap<DialogKey, Dialog<O>>,
    open: HashMap<S, Open<O>>,
    untaken: usize,
}

/// A dialog and how many requests of its far side wait for an answer.
#[derive(Debug)]
struct Dialog<O> {
    owner: O,
    open: usize,
}

/// A request that came in, was handed over, and has no final answer yet.
#[derive(Debug)]
struct Open<O> {
    dialog: Option<DialogKey>,
    /// Who hears of a CANCEL.
    owner: Option<O>,
    cancelled: bool,
    /// Whether the consumer has done anything about it.
    taken: bool,
    /// What an INVITE hears if its dialog ends first: no timer ends it (RFC 3261 §17.2.1).
    refusal: Option<Response>,
}

/// Dialogs in the table. A node carries some thousands; beyond, new ones live without requests from the far side, which then time out.
pub(super) const MAX_DIALOGS: usize = 20_000;
/// Requests handed to the consumer that it has not looked at yet: some 5 ms of its work.
pub(super) const MAX_UNTAKEN: usize = 512;
/// Requests in one dialog that its owner has not answered yet. Two cross now and then; more is a flood.
pub(super) const MAX_OPEN: usize = 16;

impl<C: Copy + Eq + Hash, S: Copy + Eq + Hash, I: Copy + Eq + Hash, O: Clone> Routes<C, S, I, O> {
    /// Empty tables.
    pub(super) fn new() -> Self {
        Self {
            requests: HashMap::new(),
            keys: HashMap::new(),
            dialogs: HashMap::new(),
            open: HashMap::new(),
            untaken: 0,
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
        let open = self.dialogs.get(&dialog).map_or(0, |known| known.open);
        self.dialogs.insert(dialog, Dialog { owner, open });
        true
    }

    /// What an INVITE that was handed to the owner of its dialog hears if he ends before he answers.
    pub(super) fn refuse_if_left(&mut self, key: &S, refusal: Response) {
        if let Some(open) = self.open.get_mut(key) {
            open.refusal = Some(refusal);
        }
    }

    /// The dialog is over: what its INVITEs hear that nobody will answer now.
    pub(super) fn leave(&mut self, dialog: &DialogKey) -> Vec<(S, Response)> {
        if self.dialogs.remove(dialog).is_none_or(|known| known.open == 0) {
            return vec![];
        }
        let of_dialog = self.open.iter_mut().filter(|(_, open)| open.dialog.as_ref() == Some(dialog));
        of_dialog.filter_map(|(key, open)| Some((*key, open.refusal.take()?))).collect()
    }

    /// Whether somebody serves a dialog.
    pub(super) fn has_owner(&self, dialog: &DialogKey) -> bool {
        self.dialogs.contains_key(dialog)
    }

    /// Who hears of an ACK in a dialog.
    pub(super) fn owner_of(&self, dialog: &DialogKey) -> Option<&O> {
        self.dialogs.get(dialog).map(|dialog| &dialog.owner)
    }

    /// A request goes to the owner of its dialog. `None`: he has too many already.
    pub(super) fn hand_to_owner(&mut self, key: S, name: &DialogKey) -> Option<O> {
        let dialog = self.dialogs.get_mut(name).filter(|dialog| dialog.open < MAX_OPEN)?;
        dialog.open += 1;
        let owner = Some(dialog.owner.clone());
        self.open.insert(
            key,
            Open {
                dialog: Some(name.clone()),
                owner: owner.clone(),
                cancelled: false,
                taken: true,
                refusal: None,
            },
        );
        owner
    }

    /// A request goes to the consumer. False: it has too many already.
    pub(super) fn hand_to_consumer(&mut self, key: S) -> bool {
        if self.untaken >= MAX_UNTAKEN {
            return false;
        }
        self.untaken += 1;
        self.open
            .insert(key, Open { dialog: None, owner: None, cancelled: false, taken: false, refusal: None });
        true
    }

    /// The INVITE has an owner now. True: it was cancelled before, which the owner must hear at once.
    pub(super) fn adopt(&mut self, key: &S, owner: O) -> bool {
        self.take(key);
        match self.open.get_mut(key) {
            Some(open) => {
                open.owner = Some(owner);
                open.refusal = None; // his to answer now, whatever becomes of a call that it replaces
                open.cancelled
            }
            None => false,
        }
    }

    /// The INVITE was cancelled; its owner, if it has one yet.
    pub(super) fn cancelled(&mut self, key: &S) -> Option<O> {
        let open = self.open.get_mut(key)?;
        open.cancelled = true;
        open.owner.clone()
    }

    /// The request has a provisional answer: somebody works on it.
    pub(super) fn take(&mut self, key: &S) {
        if let Some(open) = self.open.get_mut(key)
            && !open.taken
        {
            open.taken = true;
            self.untaken -= 1;
        }
    }

    /// The request has its final answer, or its transaction is gone.
    pub(super) fn answered(&mut self, key: &S) {
        self.take(key);
        let dialog = self.open.remove(key).and_then(|open| open.dialog);
        if let Some(dialog) = dialog.and_then(|name| self.dialogs.get_mut(&name)) {
            dialog.open = dialog.open.saturating_sub(1);
        }
    }

    /// Leaves the dialogs whose owners are gone without a word.
    pub(super) fn sweep(&mut self, alive: impl Fn(&O) -> bool) -> Vec<(S, Response)> {
        let dead = self.dialogs.iter().filter(|(_, dialog)| !alive(&dialog.owner));
        let dead: Vec<_> = dead.map(|(name, _)| name.clone()).collect();
        dead.iter().flat_map(|name| self.leave(name)).collect()
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
    fn an_invite_whose_dialog_ends_first_is_refused_once() {
        let mut routes = Table::new();
        let text = "SIP/2.0 481 X\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
                    To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n";
        let Ok(sip::message::Message::Response(refusal)) = sip::message::parse(text.as_bytes()) else {
            panic!("{text}")
        };
        for key in 0..3 {
            routes.join(dialog("a"), "ann");
            routes.hand_to_owner(key, &dialog("a"));
            routes.refuse_if_left(&key, refusal.clone());
        }
        routes.answered(&0);
        let mut refused: Vec<_> = routes.leave(&dialog("a")).into_iter().map(|(key, _)| key).collect();
        refused.sort_unstable();
        assert_eq!(refused, [1, 2]);
        assert!(routes.leave(&dialog("a")).is_empty());
        routes.join(dialog("b"), "bob");
        routes.hand_to_owner(7, &dialog("b"));
        routes.refuse_if_left(&7, refusal);
        assert_eq!(routes.sweep(|_| false).len(), 1);
    }

    #[test]
    fn a_cancel_before_the_invite_has_an_owner_is_not_lost() {
        let mut routes = Table::new();
        assert!(routes.hand_to_consumer(1));
        assert_eq!(routes.cancelled(&1), None);
        assert!(routes.adopt(&1, "ann"));
        routes.answered(&1);
        assert!(!routes.adopt(&1, "ann"));
    }

    #[test]
    fn a_cancel_goes_to_the_owner_of_its_invite() {
        let mut routes = Table::new();
        assert!(routes.hand_to_consumer(1));
        assert!(!routes.adopt(&1, "ann"));
        assert_eq!(routes.cancelled(&1), Some("ann"));
        routes.join(dialog("b"), "bob");
        assert_eq!(routes.hand_to_owner(2, &dialog("b")), Some("bob"));
        assert_eq!(routes.cancelled(&2), Some("bob"));
    }

    #[test]
    fn a_consumer_is_handed_so_many_requests_and_more_when_it_has_looked_at_some() {
        let mut routes = Table::new();
        let handed = (0..).take_while(|key| routes.hand_to_consumer(*key)).count();
        assert_eq!(handed, MAX_UNTAKEN);
        routes.take(&0);
        routes.take(&0);
        routes.answered(&0);
        routes.answered(&1);
        routes.adopt(&2, "ann");
        let handed = (1000..).take_while(|key| routes.hand_to_consumer(*key)).count();
        assert_eq!(handed, 3);
    }

    #[test]
    fn an_owner_is_handed_so_many_requests_and_more_when_he_has_answered_some() {
        let mut routes = Table::new();
        routes.join(dialog("a"), "ann");
        let handed = (0..).take_while(|key| routes.hand_to_owner(*key, &dialog("a")).is_some()).count();
        assert_eq!(handed, MAX_OPEN);
        routes.answered(&0);
        routes.answered(&0);
        let handed = (1000..).take_while(|key| routes.hand_to_owner(*key, &dialog("a")).is_some()).count();
        assert_eq!(handed, 1);
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
