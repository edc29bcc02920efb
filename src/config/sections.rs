//! The settings, section by section: which key has which kind of value, and where it goes.
use std::net::SocketAddr;
use std::path::PathBuf;

use actors::handle::{
    ActivityLimits, AddressClass, AddressPolicy, Alpn, AnswerTiming, FarSides, Fingerprint, HeaderRule,
    HeaderRules, MediaSettings, ReferPolicy, RingBack, Secret, SipSettings, SrtpPolicy, StandInRules,
    SwitchSettings, TlsSettings, VideoSettings, wav,
};

use super::reader::{Reader, ip, one_of};
use super::{LogSettings, RestSettings, WebSettings, codecs};
use crate::origin::OriginRule;

/// One day: no interval of ours is sensibly longer.
const DAY_MS: i64 = 24 * 3600 * 1000;

pub(super) fn switch(reader: &mut Reader) -> SwitchSettings {
    SwitchSettings {
        sip: sip(reader),
        media: media(reader),
        second_incoming_rings: reader.word("calls.second_incoming", &[("ring", true), ("486", false)]),
        no_answer: reader.duration_s("sip.no_answer_s", 1..=3600),
        max_duration: Some(reader.duration_s("calls.max_duration_s", 0..=7 * 86_400))
            .filter(|limit| !limit.is_zero()),
        activity: ActivityLimits {
            detecting: reader.flag("rtp_activity_detecting"),
            first: reader.duration_s("media.timeout_first_s", 0..=86_400),
            running: reader.duration_s("media.timeout_s", 0..=86_400),
            hold: reader.duration_s("media.timeout_hold_s", 0..=86_400),
        },
    }
}

fn sip(reader: &mut Reader) -> SipSettings {
    SipSettings {
        listen: reader.listeners("listen.sip"),
        advertised_address: reader.address("sip.advertised_address"),
        user_agent: reader.text("sip.user_agent"),
        dns_servers: reader.list("sip.dns_servers", |item| {
            item.parse().or_else(|_| ip(item).map(|address| SocketAddr::new(address, 53)))
        }),
        target_policy: target_policy(reader),
        register_expires: reader.duration_s("sip.register_expires_s", 60..=86_400),
        keep_alive: Some(reader.duration_s("sip.keep_alive_s", 0..=600)).filter(|every| !every.is_zero()),
        mailbox_subscribe: reader.flag("sip.mailbox_subscribe"),
        tls: sip_tls(reader),
        srtp: reader.word(
            "sip.srtp",
            &[
                ("off", SrtpPolicy::Off),
                ("optional", SrtpPolicy::Optional),
                ("required", SrtpPolicy::Required),
            ],
        ),
        refer_policy: reader.word(
            "sip.refer_policy",
            &[
                ("off", ReferPolicy::Off),
                ("in-dialog", ReferPolicy::InDialog),
                ("own-domain", ReferPolicy::OwnDomain),
            ],
        ),
        page_headers: HeaderRules::new(reader.list("sip.page_headers", |item| item.parse::<HeaderRule>())),
    }
}

fn sip_tls(reader: &mut Reader) -> TlsSettings {
    TlsSettings {
        listen: reader.listeners("listen.sip_tls"),
        certificate: certificate(reader, "sip"),
        ca_file: reader.file("sip.tls_ca_file"),
        pins: reader.list("sip.tls_pin_sha256", |item| {
            item.parse::<Fingerprint>().map_err(|problem| problem.to_string())
        }),
        alpn: reader.list("sip.tls_alpn", |item| item.parse::<Alpn>().map_err(str::to_owned)),
        only: reader.flag("sip_use_tls"),
    }
}

/// Certificate chain and key of a TLS listener, of `section`.
fn certificate(reader: &mut Reader, section: &str) -> Option<(PathBuf, PathBuf)> {
    let (chain, key) = (format!("{section}.tls_certificate_file"), format!("{section}.tls_key_file"));
    match (reader.file(&chain), reader.file(&key)) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        _ => {
            reader.clash(&chain, "…", format!("must be given together with {key}, or neither"));
            None
        }
    }
}

/// Addresses that no request may go to, whoever asks.
fn target_policy(reader: &mut Reader) -> AddressPolicy {
    const CLASSES: &[(&str, AddressClass)] = &[
        ("loopback", AddressClass::Loopback),
        ("link-local", AddressClass::LinkLocal),
        ("multicast", AddressClass::Multicast),
        ("metadata", AddressClass::Metadata),
    ];
    AddressPolicy::deny(reader.list("security.sip_target_deny", |item| one_of(item, CLASSES)))
}

fn media(reader: &mut Reader) -> MediaSettings {
    let lanes = match reader.number("media.lanes", 0..=64) {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(64),
        lanes => lanes.unsigned_abs() as usize,
    };
    let webrtc_port = reader.port("media.webrtc_port");
    if usize::from(webrtc_port) + lanes > 65_536 {
        reader.clash("media.webrtc_port", webrtc_port, format!("leaves no port for each of {lanes} lanes"));
    }
    let rtp_ports = (reader.port("media.rtp_port_from"), reader.port("media.rtp_port_to"));
    if rtp_ports.1 <= rtp_ports.0 {
        let problem =
            format!("must be above media.rtp_port_from = {}: RTP takes ports in pairs", rtp_ports.0);
        reader.clash("media.rtp_port_to", rtp_ports.1, problem);
    }
    let answers: &[_] = &[("at_once", AnswerTiming::AtOnce), ("on_sip_sdp", AnswerTiming::OnSipSdp)];
    let codecs = codecs::read(reader);
    let video = VideoSettings {
        sip: codecs.video,
        answer: reader.word("media.answer_video", answers),
        encoding: codecs::video_encoding(reader),
        stand_in: StandInRules {
            far_sides: far_sides(reader),
            delay: reader.duration_ms("rtp_generator_start_timeout", 0..=60_000),
        },
    };
    MediaSettings {
        lanes,
        webrtc_port,
        webrtc_addresses: reader.list("media.webrtc_addresses", ip),
        rtp_ports,
        port_rest: reader.duration_ms("media.port_rest_ms", 0..=3_600_000),
        advertised_address: reader.address("media.advertised_address"),
        audio_codecs: codecs.sip,
        page_codecs: codecs.page,
        telephone_events: codecs.telephone_events,
        allow_outside_codecs: reader.flag("allow_outside_codecs"),
        encoding: codecs::encoding(reader),
        answer_audio: reader.word("media.answer_audio", answers),
        video,
        hold_music: hold_music(reader),
        ring_back: ring_back(reader),
    }
}

fn far_sides(reader: &mut Reader) -> FarSides {
    const KEY: &str = "generate_av_for_ua";
    let patterns = reader.list(KEY, |item| Ok(item.to_owned()));
    FarSides::read(patterns.iter().map(String::as_str)).unwrap_or_else(|problem| {
        reader.clash(KEY, "…", problem);
        FarSides::nobody()
    })
}

fn hold_music(reader: &mut Reader) -> Option<wav::Wav> {
    reader.content("media.hold_music_file", wav::MAX_FILE, |bytes| {
        wav::Wav::read(bytes).map_err(|error| error.to_string())
    })
}

fn ring_back(reader: &mut Reader) -> Option<&'static RingBack> {
    reader.maybe("media.ring_back", |country| {
        let known = || RingBack::countries().collect::<Vec<_>>().join(", ");
        RingBack::of(country).ok_or_else(|| format!("must be empty, or a country: {}", known()))
    })
}

pub(super) fn web(reader: &mut Reader) -> WebSettings {
    WebSettings {
        listen: reader.listeners("listen.web"),
        listen_tls: reader.listeners("listen.web_tls"),
        certificate: certificate(reader, "web"),
        allowed_origins: reader.list("web.allowed_origins", OriginRule::parse),
        ping_interval: reader.duration_ms("keep_alive.server_interval", 0..=DAY_MS),
        ping_probes: reader.number("keep_alive.probes", 1..=10_000) as u32,
    }
}

pub(super) fn rest(reader: &mut Reader) -> RestSettings {
    let listen = reader.listeners("listen.rest");
    let token = reader.text("rest.token");
    let outside = listen.iter().find(|address| !address.ip().is_loopback());
    if let (true, Some(address)) = (token.is_empty(), outside) {
        reader.clash("listen.rest", address, "is not on loopback and needs rest.token");
    }
    // Guessing must be hopeless even without a lock-out: 16 characters.
    if !token.is_empty() && token.len() < 16 {
        reader.clash("rest.token", "", "must have at least 16 characters");
    }
    RestSettings {
        listen,
        token: (!token.is_empty()).then(|| Secret::new(token)),
        allowed_hosts: reader.list("rest.allowed_hosts", |host| match host.contains([':', '/', ' ']) {
            true => Err("must be a host name without port".into()),
            false => Ok(host.to_ascii_lowercase()),
        }),
    }
}

pub(super) fn log(reader: &mut Reader) -> LogSettings {
    LogSettings {
        json: reader.word("log.format", &[("text", false), ("json", true)]),
        filter: reader.read("log.filter", |value| {
            let text = value.as_str().ok_or("must be a text in quotes")?;
            let filter: Result<tracing_subscriber::EnvFilter, _> = text.parse();
            filter.map(|_| text.to_owned()).map_err(|error| error.to_string())
        }),
    }
}

/// Settings whose feature comes with a later part: checked today, so that a file written now keeps working.
pub(super) fn later(reader: &mut Reader) {
    reader.duration_ms("client_timeout", 0..=30 * DAY_MS);
    reader.duration_ms("client_timeout_check_interval", 100..=DAY_MS);
    reader.list("rest.allowed_origins", OriginRule::parse);
    reader.text("cdr.url");
    reader.text("cluster.url");
}
