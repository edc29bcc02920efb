//! str0m behind our own words: the only file that imports it.
//!
//! It gets no SDP from us: what [`sdp`](super::sdp) has settled is told to it by its direct API. It opens no socket and reads no
//! clock. After every call, take [`Stack::poll`] until it sleeps. ADR 0001 holds the facts behind the choices here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::{CodecId, VideoCodec};
use str0m::bwe::{Bitrate, BweKind};
use str0m::config::DtlsCert;
pub(super) use str0m::config::DtlsVersion;
pub(super) use str0m::crypto::CryptoError;
pub(super) use str0m::crypto::dtls::{DtlsInstance, DtlsProvider};
use str0m::crypto::{self, CryptoProvider, Fingerprint};
use str0m::format::{Codec, CodecConfig, FormatParams};
use str0m::media::{Frequency, KeyframeRequestKind, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpWrite};
use str0m::{Candidate, Event, IceCreds, Input, Rtc, RtcConfig, RtcError};

use super::dtls;
use super::peer::{Lost, Outgoing, Report};
use super::sdp::{Agreed, Description, Feedback};
use super::secrets::Secrets;

/// The certificate of our DTLS end: ECDSA P-256, made once per process, its fingerprint in every description.
#[derive(Clone)]
pub struct Certificate {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
    pub(super) fingerprint: [u8; 32],
}

impl Certificate {
    /// Makes a fresh key and a self-signed certificate.
    pub fn generate() -> Self {
        let mut provider = crypto::from_feature_flags();
        let certificate =
            provider.dtls_provider.generate_certificate().expect("aws-lc-rs makes certificates");
        provider.dtls_provider = dtls::shared();
        let fingerprint = provider.sha256_provider.sha256(&certificate.certificate);
        Certificate { provider: Arc::new(provider), certificate, fingerprint }
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(..)")
    }
}

/// One page's connection inside str0m.
pub(super) struct Stack {
    rtc: Rtc,
    audio: Mid,
    video: Option<Mid>,
}

/// What str0m has for us.
pub(super) enum Happened {
    /// Nothing more until then.
    Asleep(Instant),
    Transmit {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Connected,
    Packet(Arrived),
    /// What the page says of our sound.
    Report(Report),
    /// The page asks for a key frame, by PLI or FIR.
    KeyFrameWanted,
    /// The page's REMB, bits per second.
    VideoLimited(u32),
    Closed,
}

/// An RTP packet of the page: authentic, seen for the first time; out of its retransmission, if it came so.
pub(super) struct Arrived {
    pub(super) payload_type: u8,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: Bytes,
    pub(super) received: Instant,
}

/// A datagram that str0m did not take.
pub(super) struct Refused;

/// Sender and receiver reports of both sides. A page chooses by ours how much FEC it sends, so they come often; RFC 3550 §6.2 would
/// allow as much on a call's bandwidth.
const RTCP_INTERVAL: Duration = Duration::from_secs(1);
/// Figures for us come this often: how much FEC we send goes by them.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Packets of pictures that str0m keeps, out of which a page's NACKs are answered: 300 packets of up to 1,400 bytes are a second of 3 Mbit/s, and at
/// less than 1 Mbit/s the three seconds after which str0m forgets them anyway. Whoever asks later has asked for a key frame.
const KEPT_VIDEO: usize = 300;
const KEPT_FOR: Duration = Duration::from_secs(3);
/// Which part of the bytes of a second may be sent for the second time: a page that asks for everything again gets no more than twice as much.
const MOST_RESENT: f32 = 0.5;

impl Stack {
    /// A connection that knows our side only. `mid` and `mid_extension` are the sound's, the extension that of the whole bundle.
    pub(super) fn new(
        certificate: &Certificate,
        bound: impl Iterator<Item = SocketAddr>,
        secrets: &Secrets,
        agreed: &Agreed,
        (mid, mid_extension): (&str, Option<u8>),
        now: Instant,
    ) -> Self {
        let mut settings = RtcConfig::new()
            .set_crypto_provider(certificate.provider.clone())
            .set_dtls_cert(certificate.certificate.clone())
            .set_local_ice_credentials(IceCreds { ufrag: secrets.ufrag.clone(), pass: secrets.pwd.clone() })
            // Whatever the page speaks: 1.2, 1.3 or both.
            .set_dtls_version(DtlsVersion::Auto)
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_stats_interval(Some(REPORT_INTERVAL))
            .set_rtcp_report_interval_audio(RTCP_INTERVAL)
            .set_rtcp_report_interval_video(RTCP_INTERVAL)
            .clear_codecs()
            .clear_extension_map();
        if let Some(id) = mid_extension {
            settings = settings.set_extension(id, Extension::RtpMid);
        }
        add_codecs(settings.codec_config(), agreed);
        let mut rtc = settings.build(now);
        for address in bound {
            match Candidate::host(address, "udp") {
                Ok(candidate) => drop(rtc.add_local_candidate(candidate)),
                Err(error) => tracing::error!(%error, %address, "unusable local address"),
            }
        }
        let audio = Mid::from(mid);
        let video = agreed.video.as_ref().map(|video| Mid::from(video.mid.as_str()));
        let mut direct = rtc.direct_api();
        // The full agent controls, whoever offers (RFC 8445 §6.1.1).
        direct.set_ice_controlling(false);
        direct.declare_media(audio, MediaKind::Audio);
        let sound = direct.declare_stream_tx(secrets.audio_ssrc().into(), None, audio, None);
        // It is never resent: nothing is kept, and no book of how much was.
        sound.set_rtx_cache(0, Duration::ZERO, None);
        if let Some(video) = video {
            direct.declare_media(video, MediaKind::Video);
            let rtx = Some(secrets.rtx_ssrc().into());
            let stream = direct.declare_stream_tx(secrets.video_ssrc().into(), rtx, video, None);
            stream.set_rtx_cache(KEPT_VIDEO, KEPT_FOR, Some(MOST_RESENT));
        }
        Self { rtc, audio, video }
    }

    /// Tells of the page's side, and begins. `active`: our part in the handshake.
    pub(super) fn join(
        &mut self,
        remote: &Description,
        agreed: &Agreed,
        active: bool,
    ) -> Result<(), Refused> {
        let mut direct = self.rtc.direct_api();
        direct.set_remote_ice_credentials(IceCreds {
            ufrag: remote.ice.ufrag.clone(),
            pass: remote.ice.pwd.clone(),
        });
        direct.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: remote.fingerprint.to_vec(),
        });
        if let Some(ssrc) = remote.audio_section().ssrc.filter(|_| agreed.page_sends) {
            // What is lost is not asked for again: it would come too late, and a page that is told of no loss sends no FEC.
            direct.expect_stream_rx(ssrc.into(), None, self.audio, None).suppress_nack(true);
        }
        let sends = agreed.video.as_ref().filter(|video| video.page_sends);
        if let (Some(mid), Some(video), Some(section)) = (self.video, sends, remote.video_section())
            && let Some(ssrc) = section.ssrc
        {
            let rtx = section.rtx_ssrc.filter(|rtx| *rtx != ssrc).map(Into::into);
            let stream = direct.expect_stream_rx(ssrc.into(), rtx, mid, None);
            stream.suppress_nack(!video.first().feedback.nack);
        }
        direct.start_dtls(active).map_err(|_| Refused)
    }

    pub(super) fn receive(
        &mut self,
        now: Instant,
        (from, to): (SocketAddr, SocketAddr),
        datagram: &[u8],
    ) -> Result<(), Refused> {
        let receive = Receive::new(Protocol::Udp, from, to, datagram).map_err(|_| Refused)?;
        self.rtc.handle_input(Input::Receive(now, receive)).map_err(|_| Refused)
    }

    pub(super) fn timeout(&mut self, now: Instant) -> Result<(), Lost> {
        self.rtc.handle_input(Input::Timeout(now)).map_err(|error| lost(&error))
    }

    /// Queues a packet of the stream `ssrc`; it leaves with the next [`Stack::timeout`].
    pub(super) fn write(&mut self, ssrc: u32, payload_type: u8, packet: &Outgoing, now: Instant) {
        let Outgoing { kind, sequence, timestamp, marker, payload } = packet;
        let number = Pt::new_with_value(payload_type);
        let write = RtpWrite::new(number, (*sequence).into(), *timestamp, now, &payload[..])
            .marker(*marker)
            .nackable(kind.is_video());
        if let Some(stream) = self.rtc.direct_api().stream_tx(&ssrc.into()) {
            stream.write_rtp(write);
        }
    }

    /// Asks the page for a key frame, by what it understands.
    pub(super) fn ask_key_frame(&mut self, feedback: Feedback) {
        let kind =
            if feedback.fir && !feedback.pli { KeyframeRequestKind::Fir } else { KeyframeRequestKind::Pli };
        let Some(mid) = self.video else { return };
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_keyframe(kind);
        }
    }

    /// Tells the page by REMB how many bits per second we take of it.
    pub(super) fn limit_video(&mut self, bits: u32) {
        let Some(mid) = self.video else { return };
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_remb(Bitrate::from(u64::from(bits)));
        }
    }

    /// Says goodbye: RTCP BYE, DTLS close_notify. False: there is nobody to say it to.
    pub(super) fn close(&mut self) -> bool {
        self.rtc.close().is_ok()
    }

    pub(super) fn disconnect(&mut self) {
        self.rtc.disconnect();
    }

    /// The next thing that str0m has. An error is the end.
    pub(super) fn poll(&mut self) -> Result<Happened, Lost> {
        loop {
            match self.rtc.poll_output() {
                Ok(str0m::Output::Timeout(at)) => return Ok(Happened::Asleep(at)),
                Ok(str0m::Output::Transmit(transmit)) => {
                    let (from, to) = (transmit.source, transmit.destination);
                    return Ok(Happened::Transmit { from, to, bytes: transmit.contents.into() });
                }
                Ok(str0m::Output::Event(event)) => {
                    if let Some(happened) = self.event(event) {
                        return Ok(happened);
                    }
                }
                Err(error) => return Err(lost(&error)),
            }
        }
    }

    fn event(&self, event: Event) -> Option<Happened> {
        Some(match event {
            Event::Connected => Happened::Connected,
            Event::RtpPacket(packet) => Happened::Packet(Arrived {
                payload_type: *packet.header.payload_type,
                ssrc: *packet.header.ssrc,
                sequence: packet.header.sequence_number,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                payload: Bytes::from_owner(packet.payload),
                received: packet.timestamp,
            }),
            Event::MediaEgressStats(stats) if stats.mid == self.audio => {
                let remote = stats.remote;
                Happened::Report(Report {
                    round_trip: stats.rtt,
                    lost: remote.as_ref().map(|remote| remote.packets_lost),
                    jitter: remote.map_or(0, |remote| remote.jitter),
                })
            }
            Event::KeyframeRequest(request) if Some(request.mid) == self.video => Happened::KeyFrameWanted,
            Event::EgressBitrateEstimate(BweKind::Remb { estimate, .. }) => {
                Happened::VideoLimited(u32::try_from(estimate.as_u64()).unwrap_or(u32::MAX))
            }
            Event::Closed => Happened::Closed,
            _ => return None,
        })
    }
}

/// str0m gave up: the handshake broke.
fn lost(error: &RtcError) -> Lost {
    match error {
        RtcError::RemoteSdp(text) if text.contains("fingerprint") => Lost::Fingerprint,
        error => Lost::Dtls(error.to_string()),
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
    for numbered in agreed.video.iter().flat_map(|video| &video.formats) {
        let number = Pt::new_with_value(numbered.payload_type);
        let codec = match numbered.page.codec() {
            VideoCodec::H264 => Codec::H264,
            VideoCodec::Vp8 => Codec::Vp8,
        };
        let rtx = numbered.rtx.map(Pt::new_with_value);
        codecs.add_config(number, rtx, codec, Frequency::NINETY_KHZ, None, plain);
    }
}
