//! Behaviour of parser and offer/answer, over SDP in the styles of the peers we meet.

mod answering;
mod hold;
mod offering;
mod parsing;
mod peculiar;
mod properties;
mod secure;
mod shapes;
mod video;

use super::*;

/// Our side: 203.0.113.5:20000 with the default codecs.
fn local() -> LocalMedia {
    with_codecs(&["opus", "PCMA", "PCMU"])
}

/// The same with the named codecs.
fn with_codecs(names: &[&str]) -> LocalMedia {
    LocalMedia::audio("203.0.113.5".parse().unwrap(), 20000, names.iter().map(|name| codec(name)).collect())
}

fn codec(name: &str) -> Format {
    match name {
        "opus" => Format::new(111, "opus", 48000, 2).with_fmtp("useinbandfec=1"),
        "PCMA" => Format::new(8, "PCMA", 8000, 1),
        "PCMU" => Format::new(0, "PCMU", 8000, 1),
        "G722" => Format::new(9, "G722", 8000, 1),
        "speex" => Format::new(97, "speex", 16000, 1),
        "G729" => Format::new(18, "G729", 8000, 1).with_fmtp("annexb=no"),
        other => panic!("no {other} in these tests"),
    }
}

/// A terse remote description: session-level `c=` and the given lines below it, with `_` for a blank; in `a=crypto`, where names have
/// one, `~`.
fn remote(lines: &str) -> Session {
    let lines = lines
        .split_whitespace()
        .map(|word| word.replace(if word.starts_with("a=crypto") { '~' } else { '_' }, " "))
        .collect::<Vec<_>>()
        .join("\r\n");
    parse(&format!(
        "v=0\r\no=- 7 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n{lines}\r\n"
    ))
}

fn parse(text: &str) -> Session {
    Session::parse(text.as_bytes()).expect("well-formed test SDP")
}

/// The stream in one line: `PT encoding → address (rtcp) direction`, and `held` if the remote holds.
fn show(agreed: &Agreed) -> String {
    let Some(audio) = &agreed.audio else {
        return "none".into();
    };
    let or_dash = |address: Option<std::net::SocketAddr>| address.map_or("-".into(), |a| a.to_string());
    format!(
        "{} {} to {} rtcp {} {}{}",
        audio.send.payload_type,
        audio.send,
        or_dash(audio.remote_rtp),
        or_dash(audio.remote_rtcp),
        audio.direction,
        if audio.remote_holds { " held" } else { "" }
    )
}
