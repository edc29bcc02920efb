//! SRTP and SRTCP of one RTP session (RFC 3711, RFC 7714) with keys from SDP; the only file that imports rtc-srtp.
//!
//! The library keeps a roll-over counter and a replay window per SSRC, and makes both for whatever SSRC a packet names, before it
//! looks at the tag. A stranger could fill memory with SSRCs, or set the window of a stream that has not begun. So a packet
//! of an unknown SSRC is first tried on a spare context without windows, and gets one of its own only when its tag is right.
//! It also takes SRTCP without its encryption flag unread and untested; here such a packet is refused.

use bytes::{Bytes, BytesMut};
use rtc_shared::error::Error;
use rtc_srtp::context::Context;
use rtc_srtp::crypto::default_provider;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use sip::sdp::{MasterKey, Mki, SrtpKeys, Suite};

use super::packet::{ClearHeader, clear_header};

/// The packets of one session, both ways. Lives with the leg's media, on one lane: no locks.
pub struct Srtp {
    keys: SrtpKeys,
    sender: Context,
    receiver: Receiver,
    /// The far end's old key, until the first packet under the new one: those on their way at a change are still heard.
    previous: Option<Receiver>,
}

/// RTP or RTCP: they are protected differently, also on one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Rtp,
    /// Reports.
    Rtcp,
}

/// Why a packet is not the far end's, or not for the first time. It is dropped and counted; it never ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too short, or a header that does not parse.
    #[error("malformed")]
    Malformed,
    /// The tag is wrong.
    #[error("not authentic")]
    NotAuthentic,
    /// It was here before, or is older than the window of 64 packets.
    #[error("replayed")]
    Replayed,
}

impl Srtp {
    /// A session that has sent and heard nothing under these keys.
    pub fn new(keys: &SrtpKeys) -> Self {
        Self {
            sender: context(keys.suite, &keys.send, false),
            receiver: Receiver::new(keys),
            previous: None,
            keys: keys.clone(),
        }
    }

    /// Takes new keys. What did not change goes on: its roll-over counters and windows stay.
    pub fn follow(&mut self, keys: &SrtpKeys) {
        let suite = self.keys.suite != keys.suite;
        if suite || self.keys.send != keys.send {
            self.sender = context(keys.suite, &keys.send, false);
        }
        if suite || self.keys.receive != keys.receive || self.keys.receive_mki != keys.receive_mki {
            self.previous = Some(std::mem::replace(&mut self.receiver, Receiver::new(keys)));
        }
        self.keys = keys.clone();
    }

    /// Encrypts a whole packet of ours. `None`: its key is used up, after 2^48 packets.
    pub fn protect(&mut self, kind: Kind, packet: &[u8]) -> Option<BytesMut> {
        match kind {
            Kind::Rtp => self.sender.encrypt_rtp(packet),
            Kind::Rtcp => self.sender.encrypt_rtcp(packet),
        }
        .ok()
    }

    /// Tests and decrypts a packet of the far end.
    pub fn unprotect(&mut self, kind: Kind, packet: &Bytes) -> Result<Bytes, Refused> {
        let opened = self.receiver.open(kind, packet);
        if opened.is_ok() {
            self.previous = None;
        }
        match (opened, &mut self.previous) {
            (Err(Refused::NotAuthentic), Some(previous)) => previous.open(kind, packet),
            (opened, _) => opened,
        }
    }
}

/// One key of the far end.
struct Receiver {
    suite: Suite,
    key: MasterKey,
    mki: Option<Mki>,
    rtp: Streams,
    rtcp: Streams,
    /// Tries packets of unknown SSRCs.
    spare: Context,
    tried: u32,
}

/// Contexts by SSRC, the oldest first.
type Streams = Vec<(u32, Context)>;

impl Receiver {
    fn new(keys: &SrtpKeys) -> Self {
        Self {
            suite: keys.suite,
            key: keys.receive.clone(),
            mki: keys.receive_mki,
            rtp: Streams::new(),
            rtcp: Streams::new(),
            spare: context(keys.suite, &keys.receive, false),
            tried: 0,
        }
    }

    fn open(&mut self, kind: Kind, packet: &Bytes) -> Result<Bytes, Refused> {
        let without = self.mki.map(|mki| self.without_mki(kind, packet, mki)).transpose()?;
        let packet = without.as_ref().unwrap_or(packet);
        let header = match kind {
            Kind::Rtp => Some(clear_header(packet).map_err(|_| Refused::Malformed)?),
            Kind::Rtcp => None,
        };
        let ssrc = header.as_ref().map_or_else(|| self.rtcp_ssrc(packet), |header| Ok(header.ssrc))?;
        let streams = if kind == Kind::Rtp { &mut self.rtp } else { &mut self.rtcp };
        if let Some((_, context)) = streams.iter_mut().find(|(known, _)| *known == ssrc) {
            return decrypt(context, header.as_ref(), packet);
        }
        if self.tried == MAX_TRIED {
            (self.spare, self.tried) = (context(self.suite, &self.key, false), 0);
        }
        self.tried += 1;
        decrypt(&mut self.spare, header.as_ref(), packet)?;
        let mut context = context(self.suite, &self.key, true);
        let opened = decrypt(&mut context, header.as_ref(), packet)?;
        if streams.len() == MAX_STREAMS {
            streams.remove(0);
        }
        streams.push((ssrc, context));
        Ok(opened)
    }

    /// The SSRC of an SRTCP packet that has its encryption flag (RFC 3711 §3.4): all of ours must.
    fn rtcp_ssrc(&self, packet: &[u8]) -> Result<u32, Refused> {
        let index = packet.len().checked_sub(tag_bytes(self.suite, Kind::Rtcp) + 4);
        let (Some(index @ 8..), Some(ssrc)) = (index, packet.get(4..8)) else {
            return Err(Refused::Malformed);
        };
        let encrypted = packet[index] & 0x80 != 0;
        let ssrc = u32::from_be_bytes([ssrc[0], ssrc[1], ssrc[2], ssrc[3]]);
        encrypted.then_some(ssrc).ok_or(Refused::NotAuthentic)
    }

    /// The packet less its key identifier, which stands before the tag or, with AEAD, at the end (RFC 3711 §3.1, RFC 7714 §8.2).
    fn without_mki(&self, kind: Kind, packet: &[u8], mki: Mki) -> Result<Bytes, Refused> {
        let end = packet.len().checked_sub(tag_bytes(self.suite, kind)).ok_or(Refused::Malformed)?;
        let start = end.checked_sub(usize::from(mki.bytes)).ok_or(Refused::Malformed)?;
        let named = packet[start..end]
            .iter()
            .try_fold(0u64, |value, byte| value.checked_mul(256).map(|value| value | u64::from(*byte)));
        if named != Some(mki.value) {
            return Err(Refused::NotAuthentic); // another key than the one that SDP gave first
        }
        Ok([&packet[..start], &packet[end..]].concat().into())
    }
}

/// `header`: none for RTCP.
fn decrypt(context: &mut Context, header: Option<&ClearHeader>, packet: &Bytes) -> Result<Bytes, Refused> {
    let opened = match header {
        Some(header) => context.decrypt_rtp_with_header(packet, header),
        None => context.decrypt_rtcp(packet),
    };
    opened.map(BytesMut::freeze).map_err(|error| match error {
        Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..) => Refused::Replayed,
        Error::ErrTooShortRtp | Error::ErrTooShortRtcp => Refused::Malformed,
        _ => Refused::NotAuthentic,
    })
}

fn context(suite: Suite, key: &MasterKey, windows: bool) -> Context {
    let profile = match suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let provider = default_provider().expect("a provider is compiled in");
    let (key, salt) = key.reveal();
    let window = windows.then(|| srtp_replay_protection(WINDOW));
    let rtcp_window = windows.then(|| srtcp_replay_protection(WINDOW));
    Context::new(key, salt, profile, window, rtcp_window, provider.crypto())
        .expect("a master key has the lengths of its suite")
}

/// Bytes after the key identifier: the tag, which AEAD has before it.
fn tag_bytes(suite: Suite, kind: Kind) -> usize {
    match (suite, kind) {
        (Suite::AeadAes128Gcm | Suite::AeadAes256Gcm, _) => 0,
        (Suite::AesCm128HmacSha1_32, Kind::Rtp) => 4,
        _ => 10,
    }
}

/// The least that RFC 3711 §3.3.2 allows: over a second of sound.
const WINDOW: usize = 64;
/// Streams that the far end may have had under one key. Past that the oldest is forgotten, and its packets count as new.
const MAX_STREAMS: usize = 16;
/// Unknown SSRCs tried on one spare context, which remembers them all: some 10 KiB.
const MAX_TRIED: u32 = 128;

#[cfg(test)]
#[path = "srtp_tests.rs"]
mod tests;
