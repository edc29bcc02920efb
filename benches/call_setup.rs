//! Call set-up: from the page's `call` to the INVITE on the wire, and what a set-up costs the processor.
//!
//! One process holds the switch and a SIP peer that is nothing but a socket; the page's WebSocket is left out. Calls are made one
//! after the other, each refused with 486 as soon as its INVITE is there.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use actors::handle::{
    Account, ActivityLimits, Additions, AddressPolicy, AnswerTiming, CallId, CodecId, FromPage, HeaderRules,
    MediaSettings, PlaceCall, ReferPolicy, Secret, SipSettings, SrtpPolicy, Switch, SwitchSettings,
    TlsSettings,
};

const CALLS: usize = 500;
const OFFER: &str = include_str!("../actors/tests/sdp/offer-audio.sdp");

fn settings() -> SwitchSettings {
    let loopback = "127.0.0.1".parse().unwrap();
    SwitchSettings {
        sip: SipSettings {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            advertised_address: None,
            user_agent: "bench".to_owned(),
            dns_servers: vec![],
            target_policy: AddressPolicy::allow_all(),
            register_expires: Duration::from_secs(600),
            keep_alive: None,
            mailbox_subscribe: false,
            tls: TlsSettings::default(),
            srtp: SrtpPolicy::Off,
            refer_policy: ReferPolicy::InDialog,
            page_headers: HeaderRules::default(),
        },
        media: MediaSettings {
            lanes: 1,
            webrtc_port: 29_900,
            webrtc_addresses: vec![loopback],
            rtp_ports: (28_000, 29_899),
            port_rest: Duration::ZERO,
            advertised_address: None,
            audio_codecs: vec![CodecId::Opus, CodecId::Pcma, CodecId::Pcmu],
            page_codecs: vec![CodecId::Opus, CodecId::Pcma, CodecId::Pcmu],
            telephone_events: true,
            allow_outside_codecs: true,
            answer_audio: AnswerTiming::AtOnce,
            video: Default::default(),
            encoding: Default::default(),
            hold_music: None,
            ring_back: None,
        },
        second_incoming_rings: true,
        no_answer: Duration::from_secs(180),
        max_duration: None,
        activity: ActivityLimits::never(),
    }
}

/// User and system time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Reads until an INVITE comes; refuses it. The ACK is read by the next round.
fn take_invite(phone: &UdpSocket) -> Instant {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = phone.recv_from(&mut buffer).expect("an INVITE within its time");
        let at = Instant::now();
        let text = String::from_utf8_lossy(&buffer[..length]);
        if !text.starts_with("INVITE") {
            continue;
        }
        let kept = text
            .lines()
            .filter(|line| ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)));
        let to = text.lines().find(|line| line.starts_with("To:")).unwrap();
        let mut answer = "SIP/2.0 486 Busy Here\r\n".to_owned();
        kept.for_each(|line| answer.push_str(&format!("{line}\r\n")));
        answer.push_str(&format!("{to};tag=b\r\nContent-Length: 0\r\n\r\n"));
        phone.send_to(answer.as_bytes(), from).unwrap();
        return at;
    }
}

fn main() {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let port = phone.local_addr().unwrap().port();
    let (asked, invited) = std::sync::mpsc::channel();
    actix_rt::System::new().block_on(async move {
        let switch = Switch::start(settings(), std::sync::Arc::new(|_| ())).await.unwrap();
        let account = Account {
            login: "1001".to_owned(),
            auth_name: "1001".to_owned(),
            password: Secret::new("x"),
            domain: "127.0.0.1".to_owned(),
            outbound_proxy: None,
            port: Some(port),
            register: false,
        };
        let (events, mut told) = tokio::sync::mpsc::channel(256);
        let session = switch.open_session(Some(account), events).await.unwrap();
        std::thread::spawn(move || {
            for _ in 0..CALLS {
                asked.send(take_invite(&phone)).unwrap();
            }
        });
        let mut waits = Vec::with_capacity(CALLS);
        let before = cpu();
        for number in 0..CALLS {
            let call_id = CallId::parse(&format!("call-{number}")).unwrap();
            let call = PlaceCall {
                call_id: call_id.clone(),
                callee: "1002".to_owned(),
                visible_name: None,
                sdp: OFFER.to_owned(),
                additions: Additions::default(),
            };
            let start = Instant::now();
            assert!(session.tell(FromPage::Call(call)));
            loop {
                let word = told.recv().await.expect("the session lives");
                if format!("{word:?}").contains("Finish") {
                    break;
                }
            }
            waits.push(invited.recv().unwrap() - start);
        }
        let spent = (cpu() - before) / CALLS as u32;
        waits.sort();
        let at = |share: f64| waits[((CALLS as f64 * share) as usize).min(CALLS - 1)];
        println!(
            "call() to INVITE on the wire: p50 {:?}, p95 {:?} (target: 30 ms), worst {:?}",
            at(0.5),
            at(0.95),
            at(1.0)
        );
        println!("processor time of a set-up, refused with 486: {spent:?} (target: 5 ms)");
        drop(session);
        switch.stop().await;
        actix_rt::System::current().stop();
    });
}
