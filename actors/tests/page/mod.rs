//! A page played by str0m's own SDP and full ICE, and the wire between it and our peer, in virtual time.
#![allow(dead_code, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actors::browser::rtc::{Certificate, Lost, Output, Peer, PeerConfig, Report};
use actors::browser::sdp::Description;
use actors::lanes::LocalAddress;
use actors::vocabulary::Packet;
use codecs::{CodecId, VideoFormat};
use str0m::bwe::BweKind;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::DtlsVersion;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Rtc};

pub const PAGE: &str = "203.0.113.9:5000";
pub const BOUND: &str = "10.0.0.5:30000";
pub const ADVERTISED: &str = "198.51.100.7:30000";

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What is on the wire, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Stun,
    Dtls,
    Media,
}

pub fn kind(datagram: &[u8]) -> Kind {
    match datagram[0] {
        0..4 => Kind::Stun,
        20..64 => Kind::Dtls,
        _ => Kind::Media,
    }
}

pub fn config(audio: &[CodecId]) -> PeerConfig {
    let local = vec![LocalAddress { bound: address(BOUND), advertised: address(ADVERTISED) }];
    PeerConfig {
        local,
        certificate: Certificate::generate(),
        audio: audio.to_vec(),
        video: vec![],
        stands_in: false,
    }
}

/// The stack of a page, before any description.
pub fn page(now: Instant, dtls: DtlsVersion) -> Rtc {
    let mut rtc = Rtc::builder()
        .set_rtp_mode(true)
        .set_dtls_version(dtls)
        .enable_pcmu(true, false)
        .enable_pcma(true, false)
        .enable_g722(true, false)
        .build(now);
    rtc.add_local_candidate(Candidate::host(address(PAGE), "udp").unwrap()).unwrap();
    rtc
}

/// Decides for each datagram whether it is lost; true means from the page.
pub type Loss = Box<dyn FnMut(bool, &[u8]) -> bool>;

/// Our peer, the page, and all that was seen.
pub struct Call {
    pub now: Instant,
    pub peer: Peer,
    pub page: Rtc,
    pub mid: Mid,
    pub video_mid: Option<Mid>,
    pub loss: Loss,
    pub connected: Option<Instant>,
    pub lost: Option<Lost>,
    pub heard: Vec<Packet>,
    pub page_heard: Vec<RtpPacket>,
    pub page_connected: bool,
    pub page_closed: bool,
    pub learnt: Vec<SocketAddr>,
    pub reports: Vec<Report>,
    /// How often our peer said that the page wants a key frame.
    pub key_frames_wanted: usize,
    /// What it said that the page takes.
    pub limits: Vec<u32>,
    /// What the page was asked for.
    pub page_asked: Vec<KeyframeRequestKind>,
    pub page_limits: Vec<u64>,
    /// Datagrams for the page, as sent.
    pub sent: Vec<(SocketAddr, Vec<u8>)>,
    pub page_sent: Vec<Vec<u8>>,
    page_sequence: u64,
    page_video_sequence: u64,
    page_wake: Instant,
}

/// The page's offer, before it is answered.
pub fn page_offer(page: &mut Rtc, direction: Direction) -> (String, SdpPendingOffer, Mid) {
    let mut api = page.sdp_api();
    let mid = api.add_media(MediaKind::Audio, direction, None, None, None);
    let (offer, pending) = api.apply().unwrap();
    (offer.to_sdp_string(), pending, mid)
}

/// The same with our wish for pictures.
fn config_with(video: &[VideoFormat]) -> PeerConfig {
    PeerConfig { video: video.to_vec(), ..config(&[CodecId::Opus]) }
}

impl Call {
    /// The page offers, we answer after `delay`. `change` edits the page's offer on its way.
    pub fn page_offers(audio: &[CodecId], delay: Duration, change: impl Fn(String) -> String) -> Self {
        Self::page_offers_with(audio, delay, DtlsVersion::Dtls12, change)
    }

    pub fn page_offers_with(
        audio: &[CodecId],
        delay: Duration,
        dtls: DtlsVersion,
        change: impl Fn(String) -> String,
    ) -> Self {
        let start = Instant::now();
        let mut page = page(start, dtls);
        let (offer, pending, mid) = page_offer(&mut page, Direction::SendRecv);
        let now = start + delay;
        page.handle_input(Input::Timeout(now)).unwrap();
        let offer = Description::parse(&change(offer)).unwrap();
        let (peer, answer) = Peer::answer(&offer, &config(audio), None, now).unwrap();
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        page.sdp_api().accept_answer(pending, answer).unwrap();
        Self::new(now, peer, page, mid)
    }

    /// The page offers sound and pictures; we want these. `change` edits the page's offer on its way.
    pub fn page_offers_pictures(video: &[VideoFormat], change: impl Fn(String) -> String) -> Self {
        let now = Instant::now();
        let mut page = page(now, DtlsVersion::Dtls12);
        let mut api = page.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let video_mid = api.add_media(MediaKind::Video, Direction::SendRecv, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let offer = Description::parse(&change(offer.to_sdp_string())).unwrap();
        let (peer, answer) = Peer::answer(&offer, &config_with(video), None, now).unwrap();
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        page.sdp_api().accept_answer(pending, answer).unwrap();
        Call { video_mid: Some(video_mid), ..Self::new(now, peer, page, mid) }
    }

    /// We offer these pictures, and the page takes them.
    pub fn we_offer_pictures(video: &[VideoFormat]) -> Self {
        let now = Instant::now();
        let (mut peer, offer) = Peer::offer(&config_with(video), now);
        while peer.poll().is_some() {}
        let mut page = page(now, DtlsVersion::Dtls12);
        let answer = page.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer).unwrap()).unwrap();
        peer.accept_answer(&Description::parse(&answer.to_sdp_string()).unwrap(), now).unwrap();
        Call { video_mid: Some("1".into()), ..Self::new(now, peer, page, "0".into()) }
    }

    /// We offer, the page answers after `delay`. `change` edits the page's answer on its way.
    pub fn we_offer(audio: &[CodecId], delay: Duration, change: impl Fn(String) -> String) -> Self {
        let start = Instant::now();
        let (mut peer, offer) = Peer::offer(&config(audio), start);
        while peer.poll().is_some() {}
        let now = start + delay;
        let mut page = page(now, DtlsVersion::Dtls12);
        let answer = page.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer).unwrap()).unwrap();
        let answer = Description::parse(&change(answer.to_sdp_string())).unwrap();
        peer.accept_answer(&answer, now).unwrap();
        Self::new(now, peer, page, "0".into())
    }

    fn new(now: Instant, peer: Peer, page: Rtc, mid: Mid) -> Self {
        Call {
            now,
            peer,
            page,
            mid,
            video_mid: None,
            loss: Box::new(|_, _| false),
            connected: None,
            lost: None,
            heard: Vec::new(),
            page_heard: Vec::new(),
            page_connected: false,
            page_closed: false,
            learnt: Vec::new(),
            reports: Vec::new(),
            key_frames_wanted: 0,
            limits: Vec::new(),
            page_asked: Vec::new(),
            page_limits: Vec::new(),
            sent: Vec::new(),
            page_sent: Vec::new(),
            page_sequence: 100,
            page_video_sequence: 200,
            page_wake: now,
        }
    }

    /// Lets time pass until `done`, at most for `limit`. Gives how long it took.
    pub fn until(&mut self, limit: Duration, done: impl Fn(&Call) -> bool) -> Option<Duration> {
        let (start, end) = (self.now, self.now + limit);
        loop {
            while self.peer_turn() | self.page_turn() {}
            if done(self) {
                return Some(self.now - start);
            }
            if self.now >= end {
                return None;
            }
            let next = self.peer.deadline().min(self.page_wake).min(end);
            self.now = next.max(self.now + Duration::from_millis(1));
            if self.peer.deadline() <= self.now {
                self.peer.timeout(self.now);
            }
            let _ = self.page.handle_input(Input::Timeout(self.now));
        }
    }

    pub fn connect(&mut self) -> Duration {
        let took = self.until(Duration::from_secs(60), |call| {
            (call.connected.is_some() && call.page_connected) || call.lost.is_some()
        });
        assert_eq!(self.lost, None);
        took.expect("connected within a minute")
    }

    pub fn run(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    /// The page says something.
    pub fn page_sends(&mut self, number: u8, timestamp: u32, payload: &[u8]) {
        let (mid, now) = (self.mid, self.now);
        let mut direct = self.page.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).expect("the page sends");
        self.page_sequence += 1;
        let write = RtpWrite::new(number.into(), self.page_sequence.into(), timestamp, now, payload);
        stream.write_rtp(write.marker(self.page_sequence == 101));
        self.page.handle_input(Input::Timeout(now)).unwrap();
        while self.peer_turn() | self.page_turn() {}
    }

    /// The page shows something: a packet of a picture.
    pub fn page_shows(&mut self, number: u8, timestamp: u32, marker: bool, payload: &[u8]) {
        let (mid, now) = (self.video_mid.unwrap(), self.now);
        let mut direct = self.page.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).expect("the page sends");
        self.page_video_sequence += 1;
        let write = RtpWrite::new(number.into(), self.page_video_sequence.into(), timestamp, now, payload);
        stream.write_rtp(write.marker(marker).nackable(true));
        self.page.handle_input(Input::Timeout(now)).unwrap();
        while self.peer_turn() | self.page_turn() {}
    }

    fn peer_turn(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.peer.poll() {
            moved = true;
            match output {
                Output::Learnt { from } => self.learnt.push(from),
                Output::Transmit { from, to, bytes } => {
                    assert_eq!(from, address(BOUND), "sent from a bound address");
                    self.sent.push((to, bytes.clone()));
                    if to == address(PAGE) && !(self.loss)(false, &bytes) {
                        self.page_receives(&bytes);
                    }
                }
                Output::Connected => self.connected = Some(self.now),
                Output::Packet(packet) => self.heard.push(packet),
                Output::KeyFrameWanted => self.key_frames_wanted += 1,
                Output::VideoLimited(bits) => self.limits.push(bits),
                Output::Report(report) => self.reports.push(report),
                Output::Disconnected(lost) => {
                    assert_eq!(self.lost, None, "said once");
                    self.lost = Some(lost);
                }
            }
        }
        moved
    }

    pub fn page_receives(&mut self, datagram: &[u8]) {
        let (from, to) = (address(ADVERTISED), address(PAGE));
        let receive = Receive::new(Protocol::Udp, from, to, datagram).unwrap();
        let _ = self.page.handle_input(Input::Receive(self.now, receive));
        // str0m holds one packet for us until it is polled.
        self.page_turn();
    }

    fn page_turn(&mut self) -> bool {
        let mut moved = false;
        loop {
            match self.page.poll_output() {
                Ok(str0m::Output::Timeout(at)) => {
                    self.page_wake = at;
                    return moved;
                }
                Ok(str0m::Output::Transmit(transmit)) => {
                    moved = true;
                    let bytes: Vec<u8> = transmit.contents.into();
                    self.page_sent.push(bytes.clone());
                    if transmit.destination == address(ADVERTISED) && !(self.loss)(true, &bytes) {
                        self.peer.receive(self.now, address(PAGE), address(BOUND), &bytes);
                    }
                }
                Ok(str0m::Output::Event(Event::Connected)) => self.page_connected = true,
                Ok(str0m::Output::Event(Event::Closed)) => self.page_closed = true,
                Ok(str0m::Output::Event(Event::RtpPacket(packet))) => self.page_heard.push(packet),
                Ok(str0m::Output::Event(Event::KeyframeRequest(request))) => {
                    self.page_asked.push(request.kind)
                }
                Ok(str0m::Output::Event(Event::EgressBitrateEstimate(BweKind::Remb {
                    estimate, ..
                }))) => {
                    self.page_limits.push(estimate.as_u64());
                }
                Ok(str0m::Output::Event(_)) => {}
                Err(_) => return moved,
            }
        }
    }
}
