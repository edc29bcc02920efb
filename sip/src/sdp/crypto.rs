//! Keys for SRTP within SDP (RFC 4568): the `a=crypto` line, read and written.
//!
//! Lines that we could not follow are left out on reading, so that no key of theirs stays around as raw text: unknown suites,
//! keys of a wrong length, and session parameters that change the packets (RFC 4568 §6.3) unless they are marked as
//! optional by a dash.

use std::fmt;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Whether media on the SIP side is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SrtpPolicy {
    /// Never: `a=crypto` is neither written nor looked at, `RTP/SAVP` is refused.
    #[default]
    Off,
    /// If the far side can: our offers say `RTP/AVP` with `a=crypto` (RFC 8643), theirs are answered in kind.
    Optional,
    /// Always: our offers say `RTP/SAVP`, and whoever gives no key gets no call.
    Required,
}

/// How packets are encrypted and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// RFC 4568 §6.2.1: what every phone with SRTP knows.
    AesCm128HmacSha1_80,
    /// RFC 4568 §6.2.2: the same with a short tag on RTP.
    AesCm128HmacSha1_32,
    /// RFC 7714.
    AeadAes128Gcm,
    /// RFC 7714.
    AeadAes256Gcm,
}

impl Suite {
    /// All that we can follow in an offer of theirs.
    pub const KNOWN: [Self; 4] =
        [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32, Self::AeadAes128Gcm, Self::AeadAes256Gcm];
    /// What we offer: the one that every phone with SRTP knows, first, for some look no further, and the strongest. More would cost some 90 bytes
    /// of a datagram each, and no peer was met that has neither.
    pub const OFFERED: [Self; 2] = [Self::AesCm128HmacSha1_80, Self::AeadAes256Gcm];

    /// The name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of the master key.
    pub fn key_bytes(self) -> usize {
        if self == Self::AeadAes256Gcm { 32 } else { 16 }
    }

    /// Bytes of the master salt.
    pub fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::KNOWN.into_iter().find(|suite| name.eq_ignore_ascii_case(suite.name()))
    }
}

/// A master key with its salt. No `Debug`, no log shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    bytes: Box<[u8]>,
    key_bytes: usize,
}

impl MasterKey {
    /// A fresh one from the operating system's generator.
    pub fn random(suite: Suite) -> Self {
        let mut bytes = vec![0; suite.key_bytes() + suite.salt_bytes()];
        getrandom::fill(&mut bytes).expect("the operating system's generator does not fail after boot");
        Self { bytes: bytes.into(), key_bytes: suite.key_bytes() }
    }

    /// Key and salt one after the other, if they are as long as the suite wants.
    pub fn new(suite: Suite, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == suite.key_bytes() + suite.salt_bytes())
            .then(|| Self { bytes: bytes.into(), key_bytes: suite.key_bytes() })
    }

    /// Key and salt, for a cipher.
    pub fn reveal(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(self.key_bytes)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The master key identifier that the writer of the line puts into each packet (RFC 3711 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mki {
    /// Its value.
    pub value: u64,
    /// Its bytes in the packet, 1–128.
    pub bytes: u8,
}

/// One `a=crypto` line: with which key its writer will send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Numbers the line within its m-line; an answer repeats it.
    pub tag: u32,
    /// How.
    pub suite: Suite,
    /// The key; the first one, if there are several.
    pub key: MasterKey,
    /// Packets that the key is good for; at 50 a second even 2^20 are six hours, so nobody here counts.
    pub lifetime: Option<u64>,
    /// Identifier in the packets.
    pub mki: Option<Mki>,
}

impl Crypto {
    /// Most lines of one m-line that are looked at; peers write four or fewer.
    pub const MAX: usize = 16;

    /// A line of ours.
    pub fn new(tag: u32, suite: Suite, key: MasterKey) -> Self {
        Self { tag, suite, key, lifetime: None, mki: None }
    }

    /// Reads the value of an `a=crypto`; `None` if it is broken or not for us.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_whitespace();
        let tag = words.next().filter(|word| word.len() <= 9)?.parse().ok()?;
        let suite = Suite::from_name(words.next()?)?;
        // Several keys stand behind each other by semicolons, some peers leave a blank there.
        let first = words.next()?.split(';').next()?;
        let mut rest = words.skip_while(|word| has_prefix(word, "inline:") || *word == ";");
        if !rest.all(is_harmless) {
            return None;
        }
        let info = first.get("inline:".len()..).filter(|_| has_prefix(first, "inline:"))?;
        let mut parts = info.split('|');
        let key = MasterKey::new(suite, LENIENT.decode(parts.next()?).ok()?)?;
        let mut line = Self::new(tag, suite, key);
        for part in parts.filter(|part| !part.is_empty()) {
            match part.split_once(':') {
                Some((value, bytes)) => line.mki = Some(Mki::parse(value, bytes)?),
                None => line.lifetime = Some(lifetime(part)?),
            }
        }
        Some(line)
    }

    /// The value of the `a=crypto` line, key and all.
    pub fn reveal(&self) -> String {
        let mut text =
            format!("{} {} inline:{}", self.tag, self.suite.name(), STANDARD.encode(&self.key.bytes));
        match self.lifetime {
            Some(packets) if packets.is_power_of_two() => text += &format!("|2^{}", packets.ilog2()),
            Some(packets) => text += &format!("|{packets}"),
            None => {}
        }
        if let Some(mki) = self.mki {
            text += &format!("|{}:{}", mki.value, mki.bytes);
        }
        text
    }
}

impl Mki {
    fn parse(value: &str, bytes: &str) -> Option<Self> {
        let mki = Self { value: value.parse().ok()?, bytes: bytes.parse().ok()? };
        let fits = mki.bytes >= 8 || mki.value >> (8 * mki.bytes) == 0;
        (fits && (1..=128).contains(&mki.bytes)).then_some(mki)
    }
}

/// The two keys of a stream that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// How, both ways.
    pub suite: Suite,
    /// What we encrypt with.
    pub send: MasterKey,
    /// What the peer encrypts with.
    pub receive: MasterKey,
    /// What the peer puts into its packets besides.
    pub receive_mki: Option<Mki>,
}

/// Our keys of one dialog, one per suite. They stay, so that a re-INVITE leaves the running stream alone.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnKeys(Vec<(Suite, MasterKey)>);

impl OwnKeys {
    pub(super) fn of(&mut self, suite: Suite) -> MasterKey {
        if let Some((_, key)) = self.0.iter().find(|(known, _)| *known == suite) {
            return key.clone();
        }
        let key = MasterKey::random(suite);
        self.0.push((suite, key.clone()));
        key
    }

    /// A line for each suite that we offer.
    pub(super) fn offer(&mut self) -> Vec<Crypto> {
        (1..).zip(Suite::OFFERED).map(|(tag, suite)| Crypto::new(tag, suite, self.of(suite))).collect()
    }
}

/// `2^31` or a plain number, at most the 2^48 of RFC 3711 §9.2.
fn lifetime(text: &str) -> Option<u64> {
    let packets = match text.strip_prefix("2^") {
        Some(power) => 1u64.checked_shl(power.parse().ok()?)?,
        None => text.parse().ok()?,
    };
    (1..=1 << 48).contains(&packets).then_some(packets)
}

/// Whether a session parameter leaves the packets as we know them.
fn is_harmless(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    parameter.starts_with('-')
        || parameter.eq_ignore_ascii_case("KDR=0")
        || ["WSH", "FEC_ORDER", "FEC_KEY"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn has_prefix(word: &str, prefix: &str) -> bool {
    word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Takes keys with and without their padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4568 §9.1's key, 30 bytes.
    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    const KEY_28: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";
    const KEY_44: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=";

    fn check(value: &str, want: Option<&str>) {
        let value = value.replace("KEY28", KEY_28).replace("KEY44", KEY_44).replace("KEY", KEY);
        let want =
            want.map(|want| want.replace("KEY28", KEY_28).replace("KEY44", KEY_44).replace("KEY", KEY));
        let line = Crypto::parse(&value);
        assert_eq!(line.as_ref().map(Crypto::reveal), want, "{value}");
        if let Some(line) = line {
            assert_eq!(Crypto::parse(&line.reveal()), Some(line), "what we write we read");
        }
    }

    #[test]
    fn lines_of_the_usual_peers_are_read() {
        let plain = Some("1 AES_CM_128_HMAC_SHA1_80 inline:KEY");
        check("1 AES_CM_128_HMAC_SHA1_80 inline:KEY", plain);
        check("1  aes_cm_128_hmac_sha1_80   INLINE:KEY ", plain);
        check("3 AES_CM_128_HMAC_SHA1_32 inline:KEY|2^31", Some("3 AES_CM_128_HMAC_SHA1_32 inline:KEY|2^31"));
        check(
            "2 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4",
            Some("2 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4"),
        );
        check("2 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:1", Some("2 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:1"));
        check("2 AES_CM_128_HMAC_SHA1_80 inline:KEY|1000", Some("2 AES_CM_128_HMAC_SHA1_80 inline:KEY|1000"));
        check(
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4;inline:KEY|2^20|2:4",
            Some("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4"),
        );
        check("6 AEAD_AES_128_GCM inline:KEY28", Some("6 AEAD_AES_128_GCM inline:KEY28"));
        check("7 AEAD_AES_256_GCM inline:KEY44", Some("7 AEAD_AES_256_GCM inline:KEY44"));
        let unpadded = format!("6 AEAD_AES_128_GCM inline:{}", KEY_28.trim_end_matches('='));
        check(&unpadded, Some("6 AEAD_AES_128_GCM inline:KEY28"));
    }

    #[test]
    fn session_parameters_are_tolerated_unless_they_change_the_packets() {
        let plain = Some("1 AES_CM_128_HMAC_SHA1_80 inline:KEY");
        for harmless in ["WSH=64", "KDR=0", "FEC_ORDER=FEC_SRTP", "-UNKNOWN=1", "WSH=64 -x"] {
            check(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:KEY {harmless}"), plain);
        }
        for harmful in ["KDR=1", "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "NEW=1"] {
            check(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:KEY {harmful}"), None);
        }
    }

    #[test]
    fn lines_that_are_broken_or_unknown_are_left_out() {
        for line in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:KEY",
            "1234567890 AES_CM_128_HMAC_SHA1_80 inline:KEY",
            "1 AES_192_CM_HMAC_SHA1_80 inline:KEY",
            "1 F8_128_HMAC_SHA1_80 inline:KEY",
            "1 AES_CM_128_HMAC_SHA1_80 inline:abc",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY28",
            "1 AEAD_AES_256_GCM inline:KEY",
            "1 AES_CM_128_HMAC_SHA1_80 uri:KEY",
            "1 AES_CM_128_HMAC_SHA1_80 inline:ключ",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^99",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^64",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|0",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:0",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|300:1",
            "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:129",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn no_debug_output_shows_a_key() {
        let line = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")).unwrap();
        let shown = format!("{line:?}");
        assert!(shown.contains("***") && !shown.contains("WVN"), "{shown}");
        let random = OwnKeys::default().of(Suite::AeadAes256Gcm);
        assert_eq!(random.reveal().0.len(), 32);
        assert_eq!(random.reveal().1.len(), 12);
        assert_ne!(random, MasterKey::random(Suite::AeadAes256Gcm));
    }
}
