//! Offers and answers of one dialog: what is outstanding, what holds, which version comes next.

use super::crypto::OwnKeys;
use super::negotiate::{Common, Remote, keys, pick_line, security, stream};
use super::numbers::Numbers;
use super::{
    Agreed, Crypto, Direction, ExtraLine, LocalMedia, Media, MediaKind, OfferAnswerError, Origin, Rtcp,
    Session, SrtpPolicy, Stream, video,
};

/// The negotiation state of one dialog (RFC 3264, RFC 6337).
///
/// | state | `make_offer` | `receive_offer` | `answer` | `receive_answer` |
/// |---|---|---|---|---|
/// | idle | → ours | → theirs | `NoOffer` | taken again if the last offer was ours¹, else `NoOffer` |
/// | ours outstanding | `OfferPending` | `OfferPending` (491) | `NoOffer` | → idle |
/// | theirs unanswered | `AnswerOwed` | `AnswerOwed` (500) | → idle | `NoOffer` |
///
/// ¹ A 200 may carry another SDP than the 183 before it; the caller decides whether to look.
///
/// A refused offer (4xx on a re-INVITE, or our own 488) is dropped with [`drop_offer`](Self::drop_offer): what was agreed
/// before stays (RFC 3261 §14.1). A forked INVITE has one offer and several answers: clone the state once per early dialog.
///
/// *Hold.* [`set_held`](Self::set_held) says whether *we* hold. Offers state only our own wish (`sendonly` or `sendrecv`), never
/// the peer's, so that neither side is stuck after both have held (RFC 6337 §5.3); answers give what is left of our wish and
/// the offer (RFC 3264 §6.1, §8.4).
///
/// *Lines.* An answer has the lines of its offer, in order; an offer of ours has the lines of the last exchange, in order. One audio line is
/// live, and one video line if [`LocalMedia::video`] is given; all others have port 0. A first offer has all that is there; later ones have video
/// only where it is in use, for the peer that refused it has been asked. A video line that comes to nothing, whatever the reason, is off,
/// and the call stays. *Versions* grow by one with every SDP that differs from the one we sent last.
///
/// *Keys* (RFC 4568). An answer takes the first `a=crypto` of the offer that we can follow and repeats its tag; a first offer has one line per
/// suite of [`Suite::OFFERED`](super::Suite::OFFERED), a later one only what is agreed, with the same keys, so that no change of the call disturbs the running SRTP stream.
#[derive(Debug, Clone)]
pub struct OfferAnswer {
    session_id: u64,
    last_sent: Option<Session>,
    pending: Pending,
    answered: Option<Box<OurOffer>>,
    current: Option<Exchange>,
    numbers: Numbers,
    /// For sound, and for pictures.
    keys: [OwnKeys; 2],
    held: bool,
}

#[derive(Debug, Clone)]
enum Pending {
    Idle,
    Ours(Box<OurOffer>),
    Theirs(Session),
}

#[derive(Debug, Clone)]
struct OurOffer {
    session: Session,
    /// The line for sound.
    line: usize,
    /// The line for pictures.
    video: Option<usize>,
    local: LocalMedia,
}

/// The last completed offer and answer.
#[derive(Debug, Clone)]
struct Exchange {
    lines: Vec<Media>,
    agreed: Agreed,
}

impl OfferAnswer {
    /// A dialog with nothing said yet. `session_id` goes into `o=`; it should be unique, a random number or a clock reading will do.
    pub fn new(session_id: u64) -> Self {
        Self {
            session_id,
            last_sent: None,
            pending: Pending::Idle,
            answered: None,
            current: None,
            numbers: Numbers::default(),
            keys: Default::default(),
            held: false,
        }
    }

    /// Makes the SDP of an INVITE, re-INVITE, UPDATE, or of the 200 to an INVITE without SDP. About 310 bytes for Opus, PCMA, PCMU and
    /// telephone-event: a first offer, whose INVITE has the most to say, does not say what is so in any case.
    ///
    /// # Errors
    /// `OfferPending` or `AnswerOwed` while another offer is under way.
    pub fn make_offer(&mut self, local: &LocalMedia) -> Result<Session, OfferAnswerError> {
        match self.pending {
            Pending::Idle => {}
            Pending::Ours(_) => return Err(OfferAnswerError::OfferPending),
            Pending::Theirs(_) => return Err(OfferAnswerError::AnswerOwed),
        }
        let audio = self.offered_audio(local);
        let mut lines: Vec<Media> = match &self.current {
            Some(exchange) => exchange.lines.iter().map(Media::rejected).collect(),
            None => Vec::new(),
        };
        let line = self.place(&mut lines, audio, local.srtp);
        let video = self.offered_video(local).map(|video| self.place(&mut lines, video, local.srtp));
        if self.current.is_none() {
            lines.iter_mut().for_each(Media::leave_out_the_usual);
        }
        let session = self.compose(local, lines);
        self.pending =
            Pending::Ours(Box::new(OurOffer { session: session.clone(), line, video, local: local.clone() }));
        self.answered = None;
        Ok(session)
    }

    /// Puts a line of an offer into the place that is its own, else into a free one of its kind, else behind all others.
    fn place(&mut self, lines: &mut Vec<Media>, mut media: Media, policy: SrtpPolicy) -> usize {
        let in_use = self.in_use(&media.kind).map(|stream| stream.line);
        let free = || lines.iter().position(|line| line.kind == media.kind);
        let line = in_use.or_else(free).unwrap_or(lines.len());
        self.secure(&mut media, lines.get(line), policy);
        if line < lines.len() {
            lines[line] = media
        } else {
            lines.push(media)
        }
        line
    }

    /// The stream of this kind that is agreed.
    fn in_use(&self, kind: &MediaKind) -> Option<&Stream> {
        let agreed = self.agreed()?;
        match kind {
            MediaKind::Audio => agreed.audio.as_ref(),
            MediaKind::Video => agreed.video.as_ref(),
            MediaKind::Other(_) => None,
        }
    }

    /// Offers once more what holds, to the letter and under the same version: a refresh of the session, which touches no media
    /// (RFC 4028 §7.4, RFC 3264 §8). Where nothing holds that could be repeated, it is an offer like any other.
    ///
    /// # Errors
    /// As [`make_offer`](Self::make_offer).
    pub fn repeat_offer(&mut self, local: &LocalMedia) -> Result<Session, OfferAnswerError> {
        let holds = |session: &&Session| {
            self.current.as_ref().is_some_and(|exchange| exchange.lines == session.media)
        };
        let line = self.in_use(&MediaKind::Audio).map(|stream| stream.line);
        match (&self.pending, self.last_sent.as_ref().filter(holds), line) {
            (Pending::Idle, Some(session), Some(line)) => {
                let session = session.clone();
                let is_video = |media: &Media| media.kind == MediaKind::Video && media.port != 0;
                let video = session.media.iter().position(is_video);
                let offer = OurOffer { session: session.clone(), line, video, local: local.clone() };
                (self.pending, self.answered) = (Pending::Ours(Box::new(offer)), None);
                Ok(session)
            }
            _ => self.make_offer(local),
        }
    }

    /// Takes the offer of an INVITE, UPDATE or 200; [`answer`](Self::answer) follows when the answer is due.
    ///
    /// # Errors
    /// `OfferPending` (glare: answer 491) or `AnswerOwed` (500 with Retry-After); the state is unchanged.
    pub fn receive_offer(&mut self, offer: Session) -> Result<(), OfferAnswerError> {
        match self.pending {
            Pending::Idle => {}
            Pending::Ours(_) => return Err(OfferAnswerError::OfferPending),
            Pending::Theirs(_) => return Err(OfferAnswerError::AnswerOwed),
        }
        self.pending = Pending::Theirs(offer);
        Ok(())
    }

    /// Answers the offer taken last. A refresh (the same offer again, nothing changed here) gives the same answer with the same
    /// version and an equal [`Agreed`].
    ///
    /// # Errors
    /// Why the offer must be refused, with [`status`](OfferAnswerError::status); the offer is then dropped and the old
    /// agreement holds.
    pub fn answer(&mut self, local: &LocalMedia) -> Result<(Session, Agreed), OfferAnswerError> {
        let offer = match std::mem::replace(&mut self.pending, Pending::Idle) {
            Pending::Theirs(offer) => offer,
            other => {
                self.pending = other;
                return Err(OfferAnswerError::NoOffer);
            }
        };
        let mut lines: Vec<Media> = offer.media.iter().map(Media::rejected).collect();
        let in_use = self.in_use(&MediaKind::Audio).map(|stream| stream.line);
        let audio = match pick_line(&offer, local, in_use) {
            Ok(line) => Some(line),
            Err(OfferAnswerError::NoAudio) if self.current.is_some() && !lines.is_empty() => None,
            Err(error) => return Err(error),
        };
        let mut agreed = Agreed::default();
        if let Some(line) = audio {
            let theirs = &offer.media[line];
            let remote = Remote::of(&offer, theirs)?;
            let common = Common::in_our_order(local, &theirs.formats);
            let mut ours = audio_line(local, &theirs.protocol);
            ours.formats = common.answered();
            ours.direction = Some(self.wish().and(remote.direction.reversed()));
            ours.rtcp_mux = local.rtcp_mux && theirs.rtcp_mux;
            let mut stream = stream(line, &ours, theirs, &remote, &common)?;
            if let Some(theirs) = security(theirs, local.srtp, |media| media.crypto.first())? {
                let crypto = Crypto::new(theirs.tag, theirs.suite, self.keys[0].of(theirs.suite));
                stream.srtp = Some(keys(&crypto, theirs));
                ours.crypto = vec![crypto];
            }
            agreed.audio = Some(stream);
            ours.formats.iter().for_each(|format| self.numbers.give(format));
            lines[line] = ours;
        }
        let in_use = self.in_use(&MediaKind::Video).map(|stream| stream.line);
        let wish = self.wish_for_video(local);
        // Pictures without sound are no call.
        if let Some((media, stream)) =
            audio.and_then(|_| video::answer(&offer, local, wish, in_use, &mut self.keys[1]))
        {
            let line = stream.line;
            (lines[line], agreed.video) = (media, Some(stream));
        }
        let session = self.compose(local, lines);
        self.answered = None;
        self.current = Some(Exchange { lines: session.media.clone(), agreed: agreed.clone() });
        Ok((session, agreed))
    }

    /// Takes the answer to our offer: from 18x, 200, ACK or PRACK.
    ///
    /// # Errors
    /// Why the answer is of no use: ACK it and hang up. The state is unchanged, so a later answer to the same offer may do better.
    pub fn receive_answer(&mut self, answer: &Session) -> Result<Agreed, OfferAnswerError> {
        let offer = match (&self.pending, &self.answered) {
            (Pending::Ours(offer), _) | (Pending::Idle, Some(offer)) => offer,
            _ => return Err(OfferAnswerError::NoOffer),
        };
        let ours = &offer.session.media[offer.line];
        let theirs = answered_line(answer, offer.line, &MediaKind::Audio).ok_or(OfferAnswerError::NoAudio)?;
        let mut agreed = Agreed::default();
        if theirs.port != 0 {
            // Each suite stands once in an offer of ours, so it says which line was taken, also when the tag is wrong.
            let offered = |suite| ours.crypto.iter().find(|crypto| crypto.suite == suite);
            let taken = security(theirs, offer.local.srtp, |media| {
                media.crypto.iter().find(|crypto| offered(crypto.suite).is_some())
            })?;
            let remote = Remote::of(answer, theirs)?;
            let common = Common::in_their_order(&offer.local, &ours.formats, &theirs.formats);
            let mut stream = stream(offer.line, ours, theirs, &remote, &common)?;
            stream.srtp = taken.and_then(|theirs| Some(keys(offered(theirs.suite)?, theirs)));
            agreed.audio = Some(stream);
            agreed.video = offer
                .video
                .and_then(|line| video::accept(&offer.session.media[line], answer, line, &offer.local));
        } else if self.current.is_none() {
            return Err(OfferAnswerError::NoAudio);
        }
        self.current = Some(Exchange { lines: offer.session.media.clone(), agreed: agreed.clone() });
        if let Pending::Ours(offer) = std::mem::replace(&mut self.pending, Pending::Idle) {
            self.answered = Some(offer);
        }
        Ok(agreed)
    }

    /// Forgets the outstanding offer of either side, after a failure response. What was agreed before stays.
    pub fn drop_offer(&mut self) {
        self.pending = Pending::Idle;
    }

    /// Says whether we hold the peer. Takes effect with the next offer or answer.
    pub fn set_held(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether we hold the peer.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// What the last completed exchange agreed.
    pub fn agreed(&self) -> Option<&Agreed> {
        self.current.as_ref().map(|exchange| &exchange.agreed)
    }

    /// The SDP that we sent last.
    pub fn last_sent(&self) -> Option<&Session> {
        self.last_sent.as_ref()
    }

    /// Whether an offer of ours waits for its answer.
    pub fn awaits_answer(&self) -> bool {
        matches!(self.pending, Pending::Ours(_))
    }

    /// Whether an offer of theirs waits for ours.
    pub fn owes_answer(&self) -> bool {
        matches!(self.pending, Pending::Theirs(_))
    }

    fn wish(&self) -> Direction {
        Direction::new(true, !self.held)
    }

    /// While we hold, we have nothing to show and look at nothing.
    fn wish_for_video(&self, local: &LocalMedia) -> Direction {
        let wish = local.video.as_ref().map(|video| video.direction);
        wish.filter(|_| !self.held).unwrap_or(Direction::Inactive)
    }

    /// The line of an offer: of a first one, all that we have; later, what is in use, as it was said.
    fn offered_video(&self, local: &LocalMedia) -> Option<Media> {
        let wish = self.wish_for_video(local);
        let mut media = video::line(local, "RTP/AVP", wish)?;
        if let Some(exchange) = &self.current {
            let line = exchange.agreed.video.as_ref()?.line;
            media.formats.clone_from(&exchange.lines[line].formats);
        }
        Some(media)
    }

    fn offered_audio(&mut self, local: &LocalMedia) -> Media {
        let mut media = audio_line(local, "RTP/AVP");
        let in_use = self.in_use(&MediaKind::Audio).map(|stream| &stream.send);
        for format in local.ordered_codecs().into_iter().chain(local.offered_events(in_use)) {
            media.formats.push(self.numbers.assign(format, &media.formats));
        }
        media.formats.iter().for_each(|format| self.numbers.give(format));
        media.direction = Some(self.wish());
        media.rtcp_mux = local.rtcp_mux;
        media
    }

    /// Keys and profile of an offered line: what is agreed stays; before that, all that we have. `optional` writes `RTP/AVP` with
    /// keys (RFC 8643), for a peer that must not have `RTP/SAVP` refuses the call, and one that ignores `a=crypto` takes it.
    fn secure(&mut self, media: &mut Media, before: Option<&Media>, policy: SrtpPolicy) {
        let agreed = self.in_use(&media.kind).map(|stream| {
            let lines = self.current.iter().flat_map(|exchange| exchange.lines.get(stream.line));
            let mut lines = lines.flat_map(|line| &line.crypto);
            stream.srtp.as_ref().and_then(|keys| lines.find(|line| line.suite == keys.suite).cloned())
        });
        match (policy, agreed) {
            (SrtpPolicy::Off, _) | (SrtpPolicy::Optional, Some(None)) => return,
            (_, Some(Some(crypto))) => media.crypto = vec![crypto],
            _ => media.crypto = self.keys[usize::from(media.kind == MediaKind::Video)].offer(),
        }
        if let Some(before) = before.filter(|before| before.is_secure_rtp()) {
            media.protocol.clone_from(&before.protocol);
        } else if policy == SrtpPolicy::Required {
            "RTP/SAVP".clone_into(&mut media.protocol);
        }
    }

    /// Puts our head over the lines; counts the version if anything differs from what we sent last.
    fn compose(&mut self, local: &LocalMedia, media: Vec<Media>) -> Session {
        let address = local.address.to_string();
        let mut session = Session {
            origin: Origin { id: self.session_id.to_string(), address: address.clone(), ..Origin::default() },
            connection: Some(address),
            extra_lines: local.extra_lines.iter().take(ExtraLine::MAX).cloned().collect(),
            media,
            ..Session::default()
        };
        session.origin.version = match &self.last_sent {
            Some(last) if last.same_content(&session) => last.origin.version,
            Some(last) => last.origin.version.saturating_add(1),
            None => 1,
        };
        self.last_sent = Some(session.clone());
        session
    }
}

fn audio_line(local: &LocalMedia, protocol: &str) -> Media {
    let mut media = Media::new(MediaKind::Audio, local.rtp_port, protocol);
    media.ptime = local.ptime;
    media.rtcp = (local.rtp_port.checked_add(1) != Some(local.rtcp_port))
        .then_some(Rtcp { port: local.rtcp_port, address: None });
    media
}

/// The line of an answer that belongs to ours: the same place, or, from peers that reorder, the first of its kind.
pub(super) fn answered_line<'a>(answer: &'a Session, line: usize, kind: &MediaKind) -> Option<&'a Media> {
    let of_kind = |media: &&Media| media.kind == *kind;
    answer.media.get(line).filter(of_kind).or_else(|| answer.media.iter().find(of_kind))
}
