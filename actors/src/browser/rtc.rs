//! The peer connection of one page, sans-I/O: [`Stack`] is the protocols, this file what we make of them.
//!
//! A [`Peer`] is fed with datagrams, timeouts and sound, and gives [`Output`]s until it has none. It opens no
//! socket and reads no clock. After *every* call that takes `&mut self`, take [`Peer::poll`] until `None`, then
//! sleep until [`Peer::deadline`] at the latest and call [`Peer::timeout`].
//!
//! The descriptions are read and written in [`sdp`](super::sdp). ADR 0001 holds the facts behind the choices here:
//!
//! - **ICE-lite, both roles.** The page sends no candidates (the WebSDK posts its description before it has any)
//!   and is found as peer-reflexive, so we could not check first anyway. A lite agent only answers, which also
//!   means that no candidate list makes us send a packet to anyone.
//! - **DTLS server whenever the page lets us**: it starts the handshake when its ICE is ready.
//! - **Only proven addresses.** DTLS, SRTP and SRTCP are taken from an address only after str0m has answered a
//!   binding request from there, which takes the password of our description. [`Output::Learnt`] says so.
//! - **Addresses**: str0m knows bound addresses only, descriptions hold advertised ones only.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use codecs::{CodecId, VideoFormat};

use super::once::Once;
pub use super::peer::{
    CONSENT, Counts, DTLS_LIMIT, ICE_LIMIT, Lost, MAX_PAYLOAD, MAX_SOURCES, Outgoing, Output, Report,
    SendError,
};
use super::sdp::{self, Agreed, Description, SdpError, Setup, Wanted};
use super::secrets::Secrets;
pub use super::stack::Certificate;
use super::stack::{Arrived, Happened, Stack};
use super::wishes::Wishes;
use crate::lanes::LocalAddress;
use crate::lanes::stun;
use crate::rtp::packet::is_rtcp;
use crate::vocabulary::{KeyFrameAsk, MediaFormat, Packet};

/// What all peers of a lane share.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Our addresses, best first, all on this lane's port. At least one; no wildcard, no link-local ones.
    pub local: Vec<LocalAddress>,
    /// Our certificate.
    pub certificate: Certificate,
    /// The codecs we want, best first. The page sends the first that it has too.
    pub audio: Vec<CodecId>,
    /// The same for pictures; empty: the page's video is answered `inactive`, and none is offered to it.
    pub video: Vec<VideoFormat>,
    /// Whether the page is shown a picture of ours while the other side sends none.
    pub stands_in: bool,
}

/// One page's peer connection.
///
/// | state | event | becomes | says |
/// |---|---|---|---|
/// | – | [`answer`](Peer::answer) | connecting | |
/// | – | [`offer`](Peer::offer) | offered | |
/// | offered | [`accept_answer`](Peer::accept_answer) | connecting | |
/// | connecting | DTLS done | connected | `Connected` |
/// | connecting | no check answered within [`ICE_LIMIT`] | ended | `Disconnected(Ice)` |
/// | connecting | handshake not done within [`DTLS_LIMIT`], or broken | ended | `Disconnected(Dtls)` |
/// | connecting | other certificate than announced | ended | `Disconnected(Fingerprint)` |
/// | connected | no check for [`CONSENT`] | ended | `Disconnected(Consent)` |
/// | any | the page's close_notify | ended | `Disconnected(Closed)` |
/// | any | [`close`](Peer::close) | ended | |
pub struct Peer {
    stack: Stack,
    /// Our streams.
    audio: Stream,
    video: Stream,
    ufrag: String,
    agreed: Agreed,
    state: State,
    /// When the stack wants to be called next.
    wake: Instant,
    wishes: Wishes,
    /// Addresses with an answered binding request, oldest first.
    learnt: Vec<SocketAddr>,
    /// When a binding request was last answered.
    checked: Instant,
    /// RTP packets that the stack gave us.
    taken: u64,
    /// Binding requests answered.
    checks: u64,
    counts: Counts,
    outputs: VecDeque<Output>,
}

/// An outgoing stream: its SSRC, where its sequence numbers start, and which were used.
struct Stream {
    ssrc: u32,
    first_sequence: u64,
    once: Once,
}

impl Stream {
    fn new(ssrc: u32, first_sequence: u16) -> Self {
        Self { ssrc, first_sequence: first_sequence.into(), once: Once::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Our offer is out, the page has not answered.
    Offered,
    /// Both descriptions are known.
    Connecting { since: Instant },
    /// ICE and DTLS are done.
    Connected,
    /// Said [`Output::Disconnected`], or closed by us.
    Ended,
}

impl PeerConfig {
    /// What a page is told, each once: several bound addresses may share an advertised one. Loopback, where there are
    /// others, only if the client names it itself (`loopback`).
    fn candidates(&self, loopback: bool) -> Vec<SocketAddr> {
        let far = |address: &SocketAddr| !address.ip().is_loopback();
        let told = || self.local.iter().map(|local| local.advertised);
        let all = loopback || !told().any(|address| far(&address));
        let mut candidates = Vec::with_capacity(self.local.len());
        for address in told().filter(|address| all || far(address)) {
            if !candidates.contains(&address) {
                candidates.push(address);
            }
        }
        candidates
    }
}

impl Peer {
    /// Answers a page's offer: the peer and the text for the page. What the other side speaks comes first, if it is known, so that
    /// nothing need be transcoded; and if it has no pictures and none of ours stands in, the page gets none.
    ///
    /// # Errors
    /// [`SdpError::NoCommonCodec`] when the page has none of the wanted codecs for sound.
    pub fn answer(
        offer: &Description,
        config: &PeerConfig,
        other_side: Option<&MediaFormat>,
        now: Instant,
    ) -> Result<(Self, String), SdpError> {
        let PeerConfig { audio, video, stands_in, .. } = config;
        let agreed = offer.agree(&Wanted { audio, video, other_side, stands_in: *stands_in })?;
        let section = offer.audio_section();
        let mid = section.mid.as_deref().unwrap_or_default();
        let secrets = Secrets::generate();
        let mut peer = Self::build(config, &secrets, agreed, (mid, section.mid_extension), now);
        let setup = peer.join(offer, now)?;
        let text = sdp::answer(
            offer,
            &peer.agreed,
            &secrets.local(config.candidates(offer.loopback), config.certificate.fingerprint, setup),
        );
        Ok((peer, text))
    }

    /// Offers sound both ways, and pictures if we want any: the peer and the text for the page.
    ///
    /// Nothing times out until the page has answered: how long it may ring is the call's affair.
    pub fn offer(config: &PeerConfig, now: Instant) -> (Self, String) {
        let secrets = Secrets::generate();
        let local = secrets.local(config.candidates(false), config.certificate.fingerprint, Setup::ActPass);
        let (text, agreed) = sdp::offer(&config.audio, &config.video, &local);
        let extension = (sdp::OFFERED_MID, Some(sdp::OFFERED_MID_EXTENSION));
        (Self::build(config, &secrets, agreed, extension, now), text)
    }

    /// Takes the page's answer to our offer.
    ///
    /// # Errors
    /// When it does not fit the offer, has no codec of ours, or comes a second time. The peer is then of no use.
    pub fn accept_answer(&mut self, answer: &Description, now: Instant) -> Result<(), SdpError> {
        if self.state != State::Offered {
            return Err(SdpError::AnswerMismatch("no offer is open"));
        }
        self.agreed = answer.agree_as_answer(&self.agreed)?;
        self.join(answer, now)?;
        Ok(())
    }

    /// Feeds a datagram that came from the page's address `from` to our bound address `to`.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if self.state == State::Ended {
            return;
        }
        let check = stun::is_stun(datagram);
        if !self.learnt.contains(&from) {
            if !check {
                self.counts.unproven += 1;
                return;
            }
            if self.learnt.len() >= MAX_SOURCES {
                self.counts.sources += 1;
                return;
            }
        }
        // An error here is one bad DTLS record. It must not end the call (anyone who can forge the page's address
        // could send one); a handshake that is really broken runs into its limit.
        let taken = self.taken;
        if self.stack.receive(now, (from, to), datagram).is_err() {
            self.counts.malformed += 1;
        }
        self.drain(now);
        if self.taken == taken && self.state == State::Connected {
            self.not_taken(datagram);
        }
    }

    /// Lets time pass; call it at [`Peer::deadline`] at the latest.
    pub fn timeout(&mut self, now: Instant) {
        match self.limit() {
            Some((at, lost)) if at <= now => self.end(lost),
            _ => {
                if let Err(lost) = self.stack.timeout(now) {
                    self.end(lost);
                }
                self.drain(now);
            }
        }
    }

    /// Sends one packet. Sequence number and SSRC are ours and never break; timestamps are the caller's.
    ///
    /// # Errors
    /// The packet is dropped then; nothing is kept for later.
    pub fn send(&mut self, packet: Outgoing, now: Instant) -> Result<(), SendError> {
        if self.state != State::Connected {
            return Err(SendError::NotConnected);
        }
        let number = self.agreed.taken_by_page(packet.kind).ok_or(SendError::NotAgreed(packet.kind))?;
        if packet.payload.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong(packet.payload.len()));
        }
        let stream = if packet.kind.is_video() { &mut self.video } else { &mut self.audio };
        if !stream.once.take(packet.sequence) {
            return Err(SendError::Repeated(packet.sequence));
        }
        let sequence = stream.first_sequence.saturating_add(packet.sequence);
        self.stack.write(stream.ssrc, number, &Outgoing { sequence, ..packet }, now);
        self.timeout(now);
        Ok(())
    }

    /// Asks the page for a key frame. `None`: nobody was asked, while the page's path is not up, or no packet of its pictures has come.
    pub fn ask_key_frame(&mut self, now: Instant) -> Option<KeyFrameAsk> {
        let video = self.agreed.video.as_ref().filter(|_| self.state == State::Connected)?;
        let how = self.stack.ask_key_frame(video.first().feedback);
        self.timeout(now);
        how
    }

    /// Tells the page to send no more bits of pictures per second than this; as RTCP may be lost, now and then again.
    pub fn limit_video(&mut self, bits: u32, now: Instant) {
        if self.agreed.video.as_ref().is_some_and(|video| video.first().feedback.remb) {
            self.stack.limit_video(bits);
            self.timeout(now);
        }
    }

    /// Says goodbye to the page (RTCP BYE, DTLS close_notify) and ends. Poll once more for the last datagrams.
    pub fn close(&mut self, now: Instant) {
        if self.state == State::Ended {
            return;
        }
        self.state = State::Ended;
        if self.stack.close() {
            self.drain(now);
        }
        self.stack.disconnect();
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Peer::timeout`] must be called at the latest.
    pub fn deadline(&self) -> Instant {
        self.limit().map_or(self.wake, |(at, _)| at.min(self.wake))
    }

    /// Our user name fragment: binding requests for this peer name it first in USERNAME.
    pub fn local_ufrag(&self) -> &str {
        &self.ufrag
    }

    /// What offer and answer settled; before the page has answered, what we offered.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Whether sound may flow.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Datagrams that were dropped.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Binding requests of the page that were answered: it is there and wants our media.
    pub fn checks(&self) -> u64 {
        self.checks
    }

    /// The stack drops without a word; RTP tells by its clear header why (RFC 7983 §7).
    fn not_taken(&mut self, datagram: &[u8]) {
        let [128..192, second, ..] = datagram else { return };
        if is_rtcp(datagram) {
            return;
        }
        match self.agreed.kind(second & 0x7f) {
            // Padding, or of a packet that had come after all.
            None if self.agreed.is_rtx(second & 0x7f) => {}
            None => self.counts.wrong_payload_type += 1,
            Some(_) => self.counts.undecryptable += 1,
        }
    }

    fn build(
        config: &PeerConfig,
        secrets: &Secrets,
        agreed: Agreed,
        mid: (&str, Option<u8>),
        now: Instant,
    ) -> Self {
        let bound = config.local.iter().map(|local| local.bound);
        let stack = Stack::new(&config.certificate, bound, secrets, &agreed, mid, now);
        let mut peer = Peer {
            stack,
            audio: Stream::new(secrets.audio_ssrc(), secrets.audio_sequence),
            video: Stream::new(secrets.video_ssrc(), secrets.video_sequence),
            ufrag: secrets.ufrag.clone(),
            agreed,
            state: State::Offered,
            wake: now,
            wishes: Wishes::default(),
            learnt: Vec::new(),
            checked: now,
            taken: 0,
            checks: 0,
            counts: Counts::default(),
            outputs: VecDeque::new(),
        };
        peer.timeout(now);
        peer
    }

    /// Tells the stack of the page's side. Returns our part in the handshake.
    fn join(&mut self, remote: &Description, now: Instant) -> Result<Setup, SdpError> {
        self.timeout(now);
        let setup = if remote.setup == Setup::Passive { Setup::Active } else { Setup::Passive };
        let active = setup == Setup::Active;
        self.stack.join(remote, &self.agreed, active).map_err(|_| SdpError::Malformed("setup"))?;
        self.state = State::Connecting { since: now };
        self.timeout(now);
        Ok(setup)
    }

    /// The limit that holds now, and what is lost when it passes.
    fn limit(&self) -> Option<(Instant, Lost)> {
        match self.state {
            State::Connecting { since } if self.learnt.is_empty() => Some((since + ICE_LIMIT, Lost::Ice)),
            State::Connecting { since } => Some((since + DTLS_LIMIT, Lost::Dtls("no answer".to_owned()))),
            State::Connected => Some((self.checked + CONSENT, Lost::Consent)),
            State::Offered | State::Ended => None,
        }
    }

    /// Takes everything that the stack has.
    fn drain(&mut self, now: Instant) {
        loop {
            match self.stack.poll() {
                Ok(Happened::Asleep(until)) => {
                    self.wake = until;
                    return;
                }
                Ok(happened) => self.happened(happened, now),
                Err(lost) => return self.end(lost),
            }
        }
    }

    fn happened(&mut self, happened: Happened, now: Instant) {
        match happened {
            Happened::Asleep(_) => {}
            Happened::Transmit { from, to, bytes } => {
                // Only requests that are signed with our password are answered (RFC 8445 §7.3).
                if stun::is_binding_success(&bytes) {
                    self.checked(to, now);
                }
                self.outputs.push_back(Output::Transmit { from, to, bytes });
            }
            Happened::Connected if matches!(self.state, State::Connecting { .. }) => {
                self.state = State::Connected;
                self.checked = now;
                self.outputs.push_back(Output::Connected);
            }
            Happened::Packet(packet) => self.packet(packet),
            Happened::Report(report) if self.state == State::Connected => {
                self.outputs.push_back(Output::Report(report));
            }
            Happened::VideoReport(report) if self.state == State::Connected => {
                self.outputs.push_back(Output::VideoReport(report));
            }
            Happened::KeyFrameWanted(how) if self.wishes.key_frame(now) => {
                self.outputs.push_back(Output::KeyFrameWanted(how));
            }
            Happened::VideoLimited(bits) if self.wishes.limit(bits, now) => {
                self.outputs.push_back(Output::VideoLimited(bits));
            }
            Happened::Closed => self.lose(Lost::Closed),
            Happened::Connected
            | Happened::Report(_)
            | Happened::VideoReport(_)
            | Happened::KeyFrameWanted(_)
            | Happened::VideoLimited(_) => {}
        }
    }

    /// A binding request was answered: `from` is the page's, and it still wants our media.
    fn checked(&mut self, from: SocketAddr, now: Instant) {
        self.checked = now;
        self.checks += 1;
        if !self.learnt.contains(&from) && self.learnt.len() < MAX_SOURCES {
            self.learnt.push(from);
            self.outputs.push_back(Output::Learnt { from });
        }
    }

    fn packet(&mut self, packet: Arrived) {
        self.taken += 1;
        let Arrived { payload_type, ssrc, sequence, timestamp, marker, payload, received } = packet;
        let kind = self.agreed.kind(payload_type);
        if let (State::Connected, Some(payload_kind)) = (self.state, kind) {
            self.outputs.push_back(Output::Packet(Packet {
                payload_kind,
                ssrc,
                sequence,
                timestamp,
                marker,
                payload,
                received,
            }));
        }
    }

    fn end(&mut self, lost: Lost) {
        self.lose(lost);
        self.stack.disconnect();
    }

    fn lose(&mut self, lost: Lost) {
        if self.state != State::Ended {
            self.state = State::Ended;
            self.outputs.push_back(Output::Disconnected(lost));
        }
    }
}
