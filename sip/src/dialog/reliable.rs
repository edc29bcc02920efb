//! Reliable provisional responses (RFC 3262). As the caller: which of them to acknowledge by PRACK, and with what. As the one called:
//! [`PrackWait`].
//!
//! | 1xx | verdict |
//! |---|---|
//! | without `Require: 100rel` and RSeq, or 100, or without To tag | `Plain` |
//! | the first of its early dialog, or the next number of it | `Fresh`: take it and send PRACK |
//! | a number already seen, or one after a gap (§4) | `Again`: neither |

use std::fmt;
use std::time::{Duration, Instant};

use super::{AckStep, AckWait};
use crate::message::{HeaderName, Method, Request, Response};

/// The option tag.
const TAG: &str = "100rel";

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
        let required = headers.require().ok()?.iter().any(|tag| tag.eq_ignore_ascii_case(TAG));
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

/// A reliable 1xx of ours, as the one called: repeated until its PRACK comes (RFC 3262 §3). The interval doubles without limit.
#[derive(Debug)]
pub struct PrackWait {
    rack: RAck,
    wait: Option<AckWait>,
}

impl PrackWait {
    /// Makes `response` reliable, under `rseq` (1 to 2³¹ − 1), and waits from `now` on for the PRACK; after 64·T1 it gives up.
    ///
    /// `invite`: the number of the INVITE.
    pub fn new(response: &mut Response, rseq: u32, invite: u32, t1: Duration, now: Instant) -> Self {
        let said = response.headers.set_text(HeaderName::Require, TAG);
        said.expect("an option tag holds no control characters");
        response.headers.set(HeaderName::RSeq, rseq);
        let wait = AckWait::new(response.clone(), invite, t1, t1 * 64, now);
        Self { rack: RAck { rseq, invite }, wait: Some(wait) }
    }

    /// Whether this PRACK is the one; then nothing is repeated any more. True also for the same PRACK in a request of its own.
    pub fn on_prack(&mut self, prack: &Request) -> bool {
        let words = prack.headers.get(&HeaderName::RAck).unwrap_or_default().split_whitespace();
        let ours = words.eq(self.rack.to_string().split_whitespace());
        if ours {
            self.stop();
        }
        ours
    }

    /// The final response has gone out: nothing is repeated, the PRACK may still come.
    pub fn stop(&mut self) {
        self.wait = None;
    }

    /// When to call [`on_deadline`](Self::on_deadline).
    pub fn deadline(&self) -> Option<Instant> {
        self.wait.as_ref()?.deadline()
    }

    /// Time has come.
    pub fn on_deadline(&mut self, now: Instant) -> AckStep {
        self.wait.as_mut().map_or(AckStep::Wait, |wait| wait.on_deadline(now))
    }
}

/// Whether a caller insists on reliable provisional responses.
pub fn requires_reliable(invite: &Request) -> bool {
    invite.headers.require().is_ok_and(|tags| tags.iter().any(|tag| tag.eq_ignore_ascii_case(TAG)))
}
