//! The peer connection of one page, sans-I/O. The only file that imports str0m.
//!
//! A [`Peer`] is fed with datagrams, timeouts and sound, and gives [`Output`]s until it has none. It opens no
//! socket and reads no clock. After *every* call that takes `&mut self`, take [`Peer::poll`] until `None`, then
//! sleep until [`Peer::deadline`] at the latest and call [`Peer::timeout`].
//!
//! str0m gets no SDP from us: the descriptions are read and written in [`sdp`](super::sdp), and what they settled
//! is told to str0m by its direct API. ADR 0001 says why, and holds the facts behind the choices here:
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
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::{CodecId, VideoFormat};
use str0m::config::{DtlsCert, DtlsVersion};
use str0m::crypto::{self, CryptoProvider, Fingerprint};
use str0m::format::{Codec, CodecConfig, FormatParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, IceCreds, Input, Rtc, RtcConfig, RtcError};

use super::once::Once;
pub use super::peer::{
    CONSENT, Counts, DTLS_LIMIT, ICE_LIMIT, Lost, MAX_PAYLOAD, MAX_SOURCES, Outgoing, Output, Report,
    SendError,
};
use super::sdp::{self, Agreed, Description, SdpError, Setup};
use super::secrets::Secrets;
use crate::lanes::LocalAddress;
use crate::lanes::stun;
use crate::rtp::packet::is_rtcp;
use crate::vocabulary::Packet;

/// The certificate of our DTLS end: ECDSA P-256, made once per process, its fingerprint in every description.
#[derive(Clone)]
pub struct Certificate {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
    fingerprint: [u8; 32],
}

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
    rtc: Rtc,
    ssrc: Ssrc,
    mid: Mid,
    ufrag: String,
    agreed: Agreed,
    state: State,
    /// When str0m wants to be called next.
    wake: Instant,
    /// Where the outgoing sequence numbers start, and which were used.
    first_sequence: u64,
    once: Once,
    /// Addresses with an answered binding request, oldest first.
    learnt: Vec<SocketAddr>,
    /// When a binding request was last answered.
    checked: Instant,
    /// RTP packets that str0m gave us.
    taken: u64,
    /// Binding requests answered.
    checks: u64,
    counts: Counts,
    outputs: VecDeque<Output>,
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

/// Sender and receiver reports of both sides. A page chooses by ours how much FEC it sends, so they come often; RFC 3550 §6.2 would
/// allow as much on a call's bandwidth.
const RTCP_INTERVAL: Duration = Duration::from_secs(1);
/// Figures for us come this often: how much FEC we send goes by them.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Packets str0m keeps per sending stream: one second. More only costs memory, sound is never resent.
const SEND_BUFFER: usize = 50;
impl Certificate {
    /// Makes a fresh key and a self-signed certificate.
    pub fn generate() -> Self {
        let provider = crypto::from_feature_flags();
        let certificate =
            provider.dtls_provider.generate_certificate().expect("aws-lc-rs makes certificates");
        let fingerprint = provider.sha256_provider.sha256(&certificate.certificate);
        Certificate { provider: Arc::new(provider), certificate, fingerprint }
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(..)")
    }
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
    /// Answers a page's offer: the peer and the text for the page.
    ///
    /// # Errors
    /// [`SdpError::NoCommonCodec`] when the page has none of the wanted codecs.
    pub fn answer(
        offer: &Description,
        config: &PeerConfig,
        now: Instant,
    ) -> Result<(Self, String), SdpError> {
        let agreed = offer.agree(&config.audio)?;
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

    /// Offers sound both ways: the peer and the text for the page.
    ///
    /// Nothing times out until the page has answered: how long it may ring is the call's affair.
    pub fn offer(config: &PeerConfig, now: Instant) -> (Self, String) {
        let secrets = Secrets::generate();
        let local = secrets.local(config.candidates(false), config.certificate.fingerprint, Setup::ActPass);
        let (text, agreed) = sdp::offer(&config.audio, &local);
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
        let Ok(receive) = Receive::new(Protocol::Udp, from, to, datagram) else {
            self.counts.malformed += 1;
            return;
        };
        // An error here is one bad DTLS record. It must not end the call (anyone who can forge the page's address
        // could send one); a handshake that is really broken runs into its limit.
        let taken = self.taken;
        if self.rtc.handle_input(Input::Receive(now, receive)).is_err() {
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
                if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
                    self.fail(&error);
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
        let number = self.agreed.payload_type(packet.kind).filter(|_| self.agreed.page_receives);
        let number = Pt::new_with_value(number.ok_or(SendError::NotAgreed(packet.kind))?);
        if packet.payload.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong(packet.payload.len()));
        }
        let Outgoing { sequence, timestamp, marker, payload, .. } = packet;
        if !self.once.take(sequence) {
            return Err(SendError::Repeated(sequence));
        }
        let packet = RtpWrite::new(
            number,
            self.first_sequence.saturating_add(sequence).into(),
            timestamp,
            now,
            &payload[..],
        )
        .marker(marker);
        if let Some(stream) = self.rtc.direct_api().stream_tx(&self.ssrc) {
            stream.write_rtp(packet);
        }
        self.timeout(now);
        Ok(())
    }

    /// Says goodbye to the page (RTCP BYE, DTLS close_notify) and ends. Poll once more for the last datagrams.
    pub fn close(&mut self, now: Instant) {
        if self.state == State::Ended {
            return;
        }
        self.state = State::Ended;
        if self.rtc.close().is_ok() {
            self.drain(now);
        }
        self.rtc.disconnect();
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

    /// str0m drops without a word; RTP tells by its clear header why (RFC 7983 §7).
    fn not_taken(&mut self, datagram: &[u8]) {
        let [128..192, second, ..] = datagram else { return };
        if is_rtcp(datagram) {
            return;
        }
        match self.agreed.kind(second & 0x7f) {
            None => self.counts.wrong_payload_type += 1,
            Some(_) => self.counts.undecryptable += 1,
        }
    }

    fn build(
        config: &PeerConfig,
        secrets: &Secrets,
        agreed: Agreed,
        (mid, mid_extension): (&str, Option<u8>),
        now: Instant,
    ) -> Self {
        let mut settings = RtcConfig::new()
            .set_crypto_provider(config.certificate.provider.clone())
            .set_dtls_cert(config.certificate.certificate.clone())
            .set_local_ice_credentials(IceCreds { ufrag: secrets.ufrag.clone(), pass: secrets.pwd.clone() })
            // Whatever the page speaks: 1.2, 1.3 or both.
            .set_dtls_version(DtlsVersion::Auto)
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_send_buffer_audio(SEND_BUFFER)
            .set_stats_interval(Some(REPORT_INTERVAL))
            .set_rtcp_report_interval_audio(RTCP_INTERVAL)
            .clear_codecs()
            .clear_extension_map();
        if let Some(id) = mid_extension {
            settings = settings.set_extension(id, Extension::RtpMid);
        }
        add_codecs(settings.codec_config(), &agreed);
        let mut rtc = settings.build(now);
        for address in &config.local {
            match Candidate::host(address.bound, "udp") {
                Ok(candidate) => drop(rtc.add_local_candidate(candidate)),
                Err(error) => tracing::error!(%error, address = %address.bound, "unusable local address"),
            }
        }
        let (mid, ssrc) = (Mid::from(mid), Ssrc::from(secrets.ssrc));
        let mut direct = rtc.direct_api();
        // The full agent controls, whoever offers (RFC 8445 §6.1.1).
        direct.set_ice_controlling(false);
        direct.declare_media(mid, MediaKind::Audio);
        direct.declare_stream_tx(ssrc, None, mid, None);
        let mut peer = Peer {
            rtc,
            ssrc,
            mid,
            ufrag: secrets.ufrag.clone(),
            agreed,
            state: State::Offered,
            wake: now,
            first_sequence: u64::from(secrets.sequence),
            once: Once::default(),
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

    /// Tells str0m of the page's side. Returns our part in the handshake.
    fn join(&mut self, remote: &Description, now: Instant) -> Result<Setup, SdpError> {
        self.timeout(now);
        let setup = if remote.setup == Setup::Passive { Setup::Active } else { Setup::Passive };
        let mut direct = self.rtc.direct_api();
        direct.set_remote_ice_credentials(IceCreds {
            ufrag: remote.ice.ufrag.clone(),
            pass: remote.ice.pwd.clone(),
        });
        direct.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: remote.fingerprint.to_vec(),
        });
        if let Some(ssrc) = remote.audio_section().ssrc.filter(|_| self.agreed.page_sends) {
            // What is lost is not asked for again: it would come too late, and a page that is told of no loss sends no FEC.
            direct.expect_stream_rx(ssrc.into(), None, self.mid, None).suppress_nack(true);
        }
        direct.start_dtls(setup == Setup::Active).map_err(|_| SdpError::Malformed("setup"))?;
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

    /// Takes everything that str0m has.
    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(str0m::Output::Timeout(at)) => {
                    self.wake = at;
                    return;
                }
                Ok(str0m::Output::Transmit(transmit)) => {
                    let bytes: Vec<u8> = transmit.contents.into();
                    // str0m answers only requests that are signed with our password (RFC 8445 §7.3).
                    if stun::is_binding_success(&bytes) {
                        self.checked(transmit.destination, now);
                    }
                    let (from, to) = (transmit.source, transmit.destination);
                    self.outputs.push_back(Output::Transmit { from, to, bytes });
                }
                Ok(str0m::Output::Event(event)) => self.event(event, now),
                Err(error) => {
                    self.fail(&error);
                    return;
                }
            }
        }
    }

    /// str0m answered a binding request: `from` is the page's, and it still wants our media.
    fn checked(&mut self, from: SocketAddr, now: Instant) {
        self.checked = now;
        self.checks += 1;
        if !self.learnt.contains(&from) && self.learnt.len() < MAX_SOURCES {
            self.learnt.push(from);
            self.outputs.push_back(Output::Learnt { from });
        }
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected if matches!(self.state, State::Connecting { .. }) => {
                self.state = State::Connected;
                self.checked = now;
                self.outputs.push_back(Output::Connected);
            }
            Event::RtpPacket(packet) => self.packet(packet),
            Event::MediaEgressStats(stats) if self.state == State::Connected => {
                let remote = stats.remote;
                self.outputs.push_back(Output::Report(Report {
                    round_trip: stats.rtt,
                    lost: remote.as_ref().map(|remote| remote.packets_lost),
                    jitter: remote.map_or(0, |remote| remote.jitter),
                }));
            }
            Event::Closed => self.lose(Lost::Closed),
            _ => {}
        }
    }

    fn packet(&mut self, packet: RtpPacket) {
        self.taken += 1;
        let RtpPacket { header, payload, timestamp: received, .. } = packet;
        let kind = self.agreed.kind(*header.payload_type);
        if let (State::Connected, Some(payload_kind)) = (self.state, kind) {
            self.outputs.push_back(Output::Packet(Packet {
                payload_kind,
                ssrc: *header.ssrc,
                sequence: header.sequence_number,
                timestamp: header.timestamp,
                marker: header.marker,
                payload: Bytes::from_owner(payload),
                received,
            }));
        }
    }

    /// str0m gave up: the handshake broke.
    fn fail(&mut self, error: &RtcError) {
        self.end(match error {
            RtcError::RemoteSdp(text) if text.contains("fingerprint") => Lost::Fingerprint,
            error => Lost::Dtls(error.to_string()),
        });
    }

    fn end(&mut self, lost: Lost) {
        self.lose(lost);
        self.rtc.disconnect();
    }

    fn lose(&mut self, lost: Lost) {
        if self.state != State::Ended {
            self.state = State::Ended;
            self.outputs.push_back(Output::Disconnected(lost));
        }
    }
}

/// Gives str0m the clocks of the agreed payload types; it passes no other ones on.
fn add_codecs(codecs: &mut CodecConfig, agreed: &Agreed) {
    let plain = FormatParams::default();
    for numbered in &agreed.audio {
        let number = Pt::new_with_value(numbered.payload_type);
        let (codec, rate, channels) = match numbered.codec {
            CodecId::Opus => (Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2)),
            CodecId::Pcmu => (Codec::PCMU, Frequency::EIGHT_KHZ, None),
            CodecId::Pcma => (Codec::PCMA, Frequency::EIGHT_KHZ, None),
            CodecId::G722 => (Codec::G722, Frequency::SIXTEEN_KHZ, None), // str0m makes its clock 8 kHz itself
            _ => continue,                                                // no browser has it
        };
        codecs.add_config(number, None, codec, rate, channels, plain);
    }
    for event in &agreed.telephone_events {
        let rate = if event.clock_rate == 48_000 { Frequency::FORTY_EIGHT_KHZ } else { Frequency::EIGHT_KHZ };
        codecs.add_config(Pt::new_with_value(event.payload_type), None, Codec::Tele, rate, None, plain);
    }
}
