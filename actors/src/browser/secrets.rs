//! What is drawn by lot for one peer connection.

use std::net::SocketAddr;

use super::sdp::{Local, Setup};

/// RFC 8445 §5.3 asks for 24 bits of chance in a user name fragment and 128 in a password. 12 characters of 64
/// (72 bits) never collide on a lane, 24 make 144 bits.
const UFRAG_LENGTH: usize = 12;
const PWD_LENGTH: usize = 24;

/// Names, keys and numbers of one peer. Not `Debug`: the password must not reach a log.
pub(super) struct Secrets {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    /// The lowest two bits, zero here, tell our streams apart.
    ssrc: u32,
    session_id: u64,
    /// Below 2^15, so that the receiver cannot misjudge the first roll-over (RFC 3711 §3.3.1).
    pub(super) audio_sequence: u16,
    pub(super) video_sequence: u16,
}

impl Secrets {
    pub(super) fn generate() -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut chance = [0_u8; UFRAG_LENGTH + PWD_LENGTH + 16];
        getrandom::fill(&mut chance).expect("the operating system has random numbers");
        let text =
            |bytes: &[u8]| bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
        let (ufrag, rest) = chance.split_at(UFRAG_LENGTH);
        let (pwd, rest) = rest.split_at(PWD_LENGTH);
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Secrets {
            ufrag: text(ufrag),
            pwd: text(pwd),
            ssrc: (number(&rest[..4]) as u32) & !3,
            // RFC 8866 §5.2 and JSEP: a 63-bit number.
            session_id: number(&rest[4..12]) >> 1,
            audio_sequence: (number(&rest[12..14]) as u16) >> 1,
            video_sequence: (number(&rest[14..16]) as u16) >> 1,
        }
    }

    // 0 would mean bandwidth probes to browsers.

    pub(super) fn audio_ssrc(&self) -> u32 {
        self.ssrc | 1
    }

    pub(super) fn video_ssrc(&self) -> u32 {
        self.ssrc | 2
    }

    /// Of the retransmissions of our pictures.
    pub(super) fn rtx_ssrc(&self) -> u32 {
        self.ssrc | 3
    }

    /// Our end, as a description tells it.
    pub(super) fn local(
        &self,
        candidates: Vec<SocketAddr>,
        fingerprint: [u8; 32],
        setup: Setup,
    ) -> Local<'_> {
        let (audio_ssrc, video_ssrcs) = (self.audio_ssrc(), (self.video_ssrc(), self.rtx_ssrc()));
        let Secrets { ufrag, pwd, session_id, .. } = self;
        Local { candidates, ufrag, pwd, fingerprint, setup, audio_ssrc, video_ssrcs, session_id: *session_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_is_in_range_and_its_own() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let secrets = Secrets::generate();
            assert_eq!((secrets.ufrag.len(), secrets.pwd.len()), (UFRAG_LENGTH, PWD_LENGTH));
            assert!(secrets.audio_sequence < 1 << 15 && secrets.video_sequence < 1 << 15);
            assert!(secrets.audio_ssrc() > 0 && secrets.session_id < 1 << 63);
            assert!(seen.insert(secrets.ufrag) && seen.insert(secrets.pwd));
        }
    }
}
