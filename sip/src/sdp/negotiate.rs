//! Offer/answer as pure functions: which line, which formats, which addresses (RFC 3264 §6, §7).

use std::net::{IpAddr, SocketAddr};

use super::{
    Crypto, Direction, Feedback, Format, LocalMedia, Media, MediaKind, OfferAnswerError, Session, SrtpKeys,
    SrtpPolicy, Stream,
};

/// Formats that both sides know, ours and theirs side by side. The numbers differ, and so may the parameters.
pub(super) struct Common {
    pub(super) codecs: Vec<(Format, Format)>,
    pub(super) events: Vec<(Format, Format)>,
}

impl Common {
    /// In our order: what passes untranscoded first, then as the codec list says.
    pub(super) fn in_our_order(local: &LocalMedia, theirs: &[Format]) -> Self {
        let pair = |ours: &Format| Some((ours.clone(), theirs.iter().find(|f| f.same_codec(ours))?.clone()));
        Self {
            codecs: local.ordered_codecs().into_iter().filter_map(pair).collect(),
            events: local.events.iter().filter_map(pair).collect(),
        }
    }

    /// In the order of an answer, except that what passes untranscoded comes first. `offered` are our formats as we sent
    /// them; an answer that names a dynamic number without `a=rtpmap` means what we offered under it.
    pub(super) fn in_their_order(local: &LocalMedia, offered: &[Format], theirs: &[Format]) -> Self {
        let pair = |theirs: &Format| {
            if theirs.encoding.is_empty() {
                let ours = offered.iter().find(|ours| ours.payload_type == theirs.payload_type)?;
                return Some((ours.clone(), Format { fmtp: theirs.fmtp.clone(), ..ours.clone() }));
            }
            Some((offered.iter().find(|ours| ours.same_codec(theirs))?.clone(), theirs.clone()))
        };
        let (events, mut codecs): (Vec<_>, Vec<_>) =
            theirs.iter().filter_map(pair).partition(|(ours, _)| ours.is_event());
        codecs.sort_by_key(|(ours, _)| local.prefer_rank(ours));
        Self { codecs, events }
    }

    /// Our formats of an answer: the offer's numbers, our parameters (RFC 3264 §6.1).
    pub(super) fn answered(&self) -> Vec<Format> {
        self.codecs
            .iter()
            .chain(&self.events)
            .map(|(ours, theirs)| ours.clone().numbered(theirs.payload_type))
            .collect()
    }

    /// The event row whose clock is that of the codec, else 8 kHz, else any (RFC 4733 §2.1 wants the first).
    fn events_for(&self, codec: &Format) -> Option<Format> {
        let at = |clock| self.events.iter().find(move |(_, theirs)| theirs.clock == clock);
        at(codec.clock).or_else(|| at(8000)).or(self.events.first()).map(|(_, theirs)| theirs.clone())
    }
}

/// Finds the audio line to take: the one in use if it still will do, else the first with keys, else the first that will.
/// Peers that leave the choice to us offer the same line twice, as `RTP/SAVP` and as `RTP/AVP`.
///
/// # Errors
/// Says what the last line lacks: `NoAudio`, `Protocol`, `NoCrypto` or `NoCommonCodec`.
pub(super) fn pick_line(
    offer: &Session,
    local: &LocalMedia,
    in_use: Option<usize>,
) -> Result<usize, OfferAnswerError> {
    let mut refusal = OfferAnswerError::NoAudio;
    let mut possible = Vec::new();
    for (line, media) in offer.media.iter().enumerate() {
        if media.kind != MediaKind::Audio || media.port == 0 {
            continue;
        }
        match security(media, local.srtp, |media| media.crypto.first()) {
            Ok(_) if Common::in_our_order(local, &media.formats).codecs.is_empty() => {
                refusal = OfferAnswerError::NoCommonCodec;
            }
            Ok(crypto) => possible.push((line, crypto.is_some())),
            Err(error) => refusal = error,
        }
    }
    let used = possible.iter().find(|(line, _)| Some(*line) == in_use);
    let secure = || possible.iter().find(|(_, secure)| *secure);
    used.or_else(secure).or(possible.first()).map(|(line, _)| *line).ok_or(refusal)
}

/// Whether a line of theirs may be taken, and with which `a=crypto` of it: the one that `choose` finds, none for plain RTP.
///
/// # Errors
/// `Protocol` or `NoCrypto`.
pub(super) fn security<'a>(
    theirs: &'a Media,
    policy: SrtpPolicy,
    choose: impl FnOnce(&'a Media) -> Option<&'a Crypto>,
) -> Result<Option<&'a Crypto>, OfferAnswerError> {
    let secure = theirs.is_secure_rtp();
    if !secure && !theirs.is_plain_rtp() || secure && policy == SrtpPolicy::Off {
        return Err(OfferAnswerError::Protocol(theirs.protocol.clone()));
    }
    let crypto = choose(theirs).filter(|_| policy != SrtpPolicy::Off);
    if crypto.is_none() && (secure || policy == SrtpPolicy::Required) {
        return Err(OfferAnswerError::NoCrypto);
    }
    Ok(crypto)
}

/// The codecs of an offer that we know too, ours first, with the offer's numbers: lets a caller refuse an INVITE at once
/// (488), or tell its other leg what is possible, before it answers.
///
/// # Errors
/// As [`OfferAnswer::answer`](super::OfferAnswer::answer) would.
pub fn common_codecs(offer: &Session, local: &LocalMedia) -> Result<Vec<Format>, OfferAnswerError> {
    let line = pick_line(offer, local, None)?;
    let common = Common::in_our_order(local, &offer.media[line].formats);
    Ok(common.codecs.into_iter().map(|(_, theirs)| theirs).collect())
}

/// The remote line as it concerns us: where it is and which way it lets media flow.
pub(super) struct Remote {
    address: Option<IpAddr>,
    /// As the peer wrote it, `c=0.0.0.0` counted as "does not listen" (RFC 3264 §8.4).
    pub(super) direction: Direction,
}

impl Remote {
    /// # Errors
    /// `NoAddress` without any `c=`, `HostName` if it holds a name (resolve it and put the address in its place).
    pub(super) fn of(session: &Session, media: &Media) -> Result<Self, OfferAnswerError> {
        let text = session.connection_of(media).ok_or(OfferAnswerError::NoAddress)?;
        let address: IpAddr = text.parse().map_err(|_| OfferAnswerError::HostName(text.to_owned()))?;
        let address = Some(address).filter(|address| !address.is_unspecified());
        let direction = session.direction_of(media);
        Ok(Self {
            address,
            direction: Direction::new(direction.sends(), direction.receives() && address.is_some()),
        })
    }

    fn rtp(&self, media: &Media) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address?, media.port))
    }

    fn rtcp(&self, media: &Media, mux: bool) -> Option<SocketAddr> {
        if mux {
            return self.rtp(media);
        }
        match &media.rtcp {
            Some(rtcp) if rtcp.port != 0 => {
                let own = rtcp.address.as_ref().and_then(|text| text.parse().ok());
                Some(SocketAddr::new(own.or(self.address)?, rtcp.port))
            }
            _ => Some(SocketAddr::new(self.address?, media.port.checked_add(1)?)),
        }
    }
}

/// Puts both halves together.
///
/// # Errors
/// `NoCommonCodec` if there is no pair.
pub(super) fn stream(
    line: usize,
    ours: &Media,
    theirs: &Media,
    remote: &Remote,
    common: &Common,
) -> Result<Stream, OfferAnswerError> {
    let (_, send) = common.codecs.first().ok_or(OfferAnswerError::NoCommonCodec)?;
    let rtcp_mux = ours.rtcp_mux && theirs.rtcp_mux;
    let (receive_events, receive) = ours.formats.iter().cloned().partition(Format::is_event);
    Ok(Stream {
        line,
        remote_rtp: remote.rtp(theirs),
        remote_rtcp: remote.rtcp(theirs, rtcp_mux),
        rtcp_mux,
        send: send.clone(),
        receive,
        send_events: common.events_for(send),
        receive_events,
        direction: ours.direction.unwrap_or_default().and(remote.direction.reversed()),
        remote_holds: !remote.direction.receives(),
        ptime: ptime(theirs),
        srtp: None,
        feedback: Feedback::default(),
        limit: None,
    })
}

/// The keys of a line that both sides gave one for.
pub(super) fn keys(ours: &Crypto, theirs: &Crypto) -> SrtpKeys {
    SrtpKeys {
        suite: ours.suite,
        send: ours.key.clone(),
        receive: theirs.key.clone(),
        receive_mki: theirs.mki,
    }
}

/// What the peer wants to receive, within what every packetizer here can do.
fn ptime(theirs: &Media) -> u16 {
    let wanted = theirs.ptime.filter(|ms| *ms > 0).unwrap_or(20);
    wanted.min(theirs.max_ptime.filter(|ms| *ms > 0).unwrap_or(u16::MAX)).clamp(10, 120)
}
