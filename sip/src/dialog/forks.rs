//! One INVITE of ours, many answerers (RFC 3261 §13.2.2).

use super::{Dialog, DialogError};
use crate::message::{Request, Response};

/// All dialogs of one INVITE: early ones by 18x, confirmed ones by 2xx.
///
/// | response | event |
/// |---|---|
/// | 100, or 1xx without tag | `Progress` |
/// | 1xx with a new or known tag | `Early` |
/// | first 2xx | `Won`: ACK it; all other early dialogs are over |
/// | 2xx again from a dialog that we acknowledged | `AckAgain` |
/// | 2xx from another tag | `Lost`: ACK it and send BYE |
///
/// Failures are not shown here: they end the INVITE as a whole.
#[derive(Debug)]
pub struct Forks {
    invite: Request,
    early: Vec<Dialog>,
    confirmed: Vec<Confirmed>,
}

#[derive(Debug)]
struct Confirmed {
    remote_tag: String,
    ack: Option<Box<Request>>,
}

/// Most forks followed; more are ignored and end at their own timers. Real hunt groups ring fewer.
const MAX_FORKS: usize = 32;

/// What a response means.
#[derive(Debug)]
pub enum ForkEvent {
    /// Something goes on, no dialog.
    Progress,
    /// News from the early dialog of this remote tag; see [`Forks::early`].
    Early(String),
    /// Accepted. Make the ACK from this dialog and hand it to [`Forks::acknowledged`].
    Won(Box<Dialog>),
    /// Accepted too late: as `Won`, but BYE follows at once.
    Lost(Box<Dialog>),
    /// Send this ACK again.
    AckAgain(Box<Request>),
    /// A repeated 2xx whose ACK is still to come, or a fork too many: nothing to do.
    Nothing,
}

impl Forks {
    /// For an INVITE that was sent.
    pub fn new(invite: Request) -> Self {
        Self { invite, early: Vec::new(), confirmed: Vec::new() }
    }

    /// The INVITE was sent again (credentials, another target): the early dialogs of the first try are over.
    pub fn restarted(&mut self, invite: Request) {
        self.invite = invite;
        self.early.clear();
    }

    /// Takes a 1xx or 2xx.
    ///
    /// # Errors
    /// [`DialogError`] for a response that lacks what a dialog needs. A 2xx without Contact can neither be acknowledged nor ended.
    pub fn receive(&mut self, response: &Response) -> Result<ForkEvent, DialogError> {
        let tag = response.headers.to()?.tag().unwrap_or_default().to_owned();
        let early = self.early.iter().position(|dialog| dialog.id().remote_tag == tag);
        if !response.code.is_success() {
            return match early {
                Some(_) => Ok(ForkEvent::Early(tag)),
                None if tag.is_empty() => Ok(ForkEvent::Progress),
                None => self.new_early(tag, response),
            };
        }
        if let Some(known) = self.confirmed.iter().find(|known| known.remote_tag == tag) {
            return Ok(known.ack.clone().map_or(ForkEvent::Nothing, ForkEvent::AckAgain));
        }
        if self.confirmed.len() == MAX_FORKS {
            return Ok(ForkEvent::Nothing);
        }
        let dialog = match early {
            Some(place) => {
                let mut dialog = self.early[place].clone();
                dialog.confirm(response)?;
                dialog
            }
            None => Dialog::uac(&self.invite, response)?,
        };
        let first = self.confirmed.is_empty();
        self.confirmed.push(Confirmed { remote_tag: tag, ack: None });
        self.early.clear();
        let dialog = Box::new(dialog);
        Ok(if first { ForkEvent::Won(dialog) } else { ForkEvent::Lost(dialog) })
    }

    /// Remembers the ACK of a won or lost dialog, for when its 2xx comes again.
    pub fn acknowledged(&mut self, dialog: &Dialog, ack: Request) {
        let tag = &dialog.id().remote_tag;
        if let Some(known) = self.confirmed.iter_mut().find(|known| known.remote_tag == *tag) {
            known.ack = Some(Box::new(ack));
        }
    }

    /// The early dialog of this remote tag.
    pub fn early(&mut self, remote_tag: &str) -> Option<&mut Dialog> {
        self.early.iter_mut().find(|dialog| dialog.id().remote_tag == remote_tag)
    }

    /// The INVITE as it was sent last.
    pub fn invite(&self) -> &Request {
        &self.invite
    }

    fn new_early(&mut self, tag: String, response: &Response) -> Result<ForkEvent, DialogError> {
        if self.early.len() == MAX_FORKS || !self.confirmed.is_empty() {
            return Ok(ForkEvent::Nothing);
        }
        self.early.push(Dialog::uac(&self.invite, response)?);
        Ok(ForkEvent::Early(tag))
    }
}
