//! Reliable provisional responses (RFC 3262), as the caller: which of them to acknowledge by PRACK, and with what.
//!
//! | 1xx | verdict |
//! |---|---|
//! | without `Require: 100rel` and RSeq, or 100, or without To tag | `Plain` |
//! | the first of its early dialog, or the next number of it | `Fresh`: take it and send PRACK |
//! | a number already seen, or one after a gap (§4) | `Again`: neither |

use std::fmt;

use crate::message::{HeaderName, Method, Response};

/// The value of RAck (RFC 3262 §7.2): what a PRACK acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The number of the INVITE.
    pub invite: u32,
}

/// What a provisional response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisional {
    /// Not reliable.
    Plain,
    /// Reliable and new: acknowledge it in its early dialog.
    Fresh(RAck),
    /// Reliable, and come before, or too early: a repetition will follow, pass it over.
    Again,
}

/// The numbers seen per early dialog of one INVITE.
#[derive(Debug, Default)]
pub struct ReliableProvisionals {
    /// Remote tag and the number that came last.
    last: Vec<(String, u32)>,
}

/// As many forks as [`Forks`](super::Forks) follows.
const MAX_FORKS: usize = 32;

impl ReliableProvisionals {
    /// A provisional response to the INVITE.
    pub fn receive(&mut self, response: &Response) -> Provisional {
        self.judge(response).unwrap_or(Provisional::Plain)
    }

    /// The INVITE was sent again: its early dialogs begin anew.
    pub fn restarted(&mut self) {
        self.last.clear();
    }

    fn judge(&mut self, response: &Response) -> Option<Provisional> {
        let headers = &response.headers;
        let required = headers.require().ok()?.iter().any(|tag| tag.eq_ignore_ascii_case("100rel"));
        let rseq: u32 = headers.get(&HeaderName::RSeq)?.trim().parse().ok()?;
        let tag = headers.to().ok()?.tag()?.to_owned();
        let cseq = headers.cseq().ok()?;
        if !required || response.code.as_u16() == 100 || cseq.method != Method::Invite {
            return None;
        }
        let fresh = Provisional::Fresh(RAck { rseq, invite: cseq.number });
        let full = self.last.len() == MAX_FORKS;
        match self.last.iter_mut().find(|(known, _)| *known == tag) {
            Some((_, last)) if last.checked_add(1) == Some(rseq) => {
                *last = rseq;
                Some(fresh)
            }
            Some(_) => Some(Provisional::Again),
            None if full => Some(Provisional::Again),
            None => {
                self.last.push((tag, rseq));
                Some(fresh)
            }
        }
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} INVITE", self.rseq, self.invite)
    }
}
