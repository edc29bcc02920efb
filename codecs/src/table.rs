//! The one table of codecs. A new codec is one file under `audio/`, one [`CodecId`] and one row here.

use crate::audio;
use crate::codec::{CodecId, CodecSpec};

/// Every codec that we can transcode, one row each.
pub static CODECS: [CodecSpec; 4] = [
    CodecSpec {
        id: CodecId::Opus,
        name: "opus",
        setting: "opus",
        clock_rate: 48_000,
        sdp_channels: 2,
        static_payload_type: None,
        fmtp: Some("minptime=10;useinbandfec=1"),
        sample_rates: &[8_000, 12_000, 16_000, 24_000, 48_000],
        ptimes_ms: &[10, 20, 40, 60],
        default_ptime_ms: 20,
        decoder: audio::opus::decoder,
        encoder: audio::opus::encoder,
    },
    CodecSpec {
        id: CodecId::Pcmu,
        name: "PCMU",
        setting: "ulaw",
        clock_rate: 8_000,
        sdp_channels: 1,
        static_payload_type: Some(0),
        fmtp: None,
        sample_rates: &[8_000],
        ptimes_ms: &[10, 20, 30, 40, 50, 60],
        default_ptime_ms: 20,
        decoder: audio::g711::pcmu_decoder,
        encoder: audio::g711::pcmu_encoder,
    },
    CodecSpec {
        id: CodecId::Pcma,
        name: "PCMA",
        setting: "alaw",
        clock_rate: 8_000,
        sdp_channels: 1,
        static_payload_type: Some(8),
        fmtp: None,
        sample_rates: &[8_000],
        ptimes_ms: &[10, 20, 30, 40, 50, 60],
        default_ptime_ms: 20,
        decoder: audio::g711::pcma_decoder,
        encoder: audio::g711::pcma_encoder,
    },
    CodecSpec {
        id: CodecId::G722,
        name: "G722",
        setting: "g722",
        clock_rate: 8_000, // by an error that RFC 3551 §4.5.2 keeps; it samples at 16 kHz
        sdp_channels: 1,
        static_payload_type: Some(9),
        fmtp: None,
        sample_rates: &[16_000],
        ptimes_ms: &[10, 20, 30, 40, 50, 60],
        default_ptime_ms: 20,
        decoder: audio::g722::decoder,
        encoder: audio::g722::encoder,
    },
];
