//! Calls through a whole switch, PCMU forwarded: processor time of its threads per packet that leaves them, kernel included.
//!
//! The pages (str0m, as the load alone may be) and the phones are threads of the same process, left out of the figure. `FORWARD` sets how many calls
//! and for how many seconds, `FORWARD=1x2` for a look with callgrind and `--separate-threads=yes`. With `TRANSCODE=1` the pages speak Opus.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use actors::handle::{
    Account, ActivityLimits, Additions, AddressPolicy, AnswerTiming, CallId, CallStatus, CodecId, FromPage,
    HeaderRules, MediaSettings, PlaceCall, ReferPolicy, Secret, SipSettings, SrtpPolicy, Switch,
    SwitchSettings, TlsSettings, ToPage,
};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

const TICK: Duration = Duration::from_millis(20);
const PCMU: [u8; 160] = [0x55; 160];
/// 20 ms of silence.
const OPUS: [u8; 3] = [0xf8, 0xff, 0xfe];

/// Whether the pages speak another codec than the phones.
fn transcoded() -> bool {
    std::env::var_os("TRANSCODE").is_some()
}

fn settings() -> SwitchSettings {
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
            lanes: 2,
            webrtc_port: 27_990,
            webrtc_addresses: vec!["127.0.0.1".parse().unwrap()],
            rtp_ports: (26_000, 27_900),
            port_rest: Duration::ZERO,
            advertised_address: None,
            audio_codecs: vec![CodecId::Pcmu],
            page_codecs: vec![if transcoded() { CodecId::Opus } else { CodecId::Pcmu }],
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

/// A socket that never waits.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// One call's two ends.
struct Ends {
    page: Rtc,
    mid: Mid,
    page_socket: UdpSocket,
    page_wake: Instant,
    connected: bool,
    phone: UdpSocket,
    /// Where the gateway takes the phone's sound.
    gateway: SocketAddr,
    due: Instant,
    sent: u16,
    /// By the page, and by the phone.
    heard: [u32; 2],
}

impl Ends {
    fn new() -> (Self, String, str0m::change::SdpPendingOffer) {
        let now = Instant::now();
        let page_socket = socket();
        let mut page = Rtc::builder()
            .set_rtp_mode(true)
            .enable_pcmu(!transcoded(), false)
            .enable_opus(transcoded(), false)
            .build(now);
        page.add_local_candidate(Candidate::host(page_socket.local_addr().unwrap(), "udp").unwrap());
        let mut api = page.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let gateway = "127.0.0.1:9".parse().unwrap();
        let (connected, phone) = (false, socket());
        let ends = Self {
            page,
            mid,
            page_socket,
            page_wake: now,
            connected,
            phone,
            gateway,
            due: now,
            sent: 0,
            heard: [0; 2],
        };
        (ends, offer.to_sdp_string(), pending)
    }

    /// Takes what has come, and sends what is due.
    fn turn(&mut self, now: Instant) {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = self.page_socket.recv_from(&mut buffer) {
            let to = self.page_socket.local_addr().unwrap();
            let Ok(receive) = Receive::new(Protocol::Udp, from, to, &buffer[..length]) else { continue };
            self.page.handle_input(Input::Receive(now, receive)).unwrap();
            self.page_out();
        }
        while let Ok(length) = self.phone.recv(&mut buffer) {
            self.heard[1] += u32::from(length == 172);
        }
        if self.connected && self.due <= now {
            self.due += TICK;
            self.sent += 1;
            let timestamp = u32::from(self.sent) * 160;
            let mut rtp = [0; 172];
            rtp[..4].copy_from_slice(&[0x80, 0, (self.sent >> 8) as u8, self.sent as u8]);
            rtp[4..8].copy_from_slice(&timestamp.to_be_bytes());
            let _ = self.phone.send_to(&rtp, self.gateway);
            let (number, timestamp, payload) = match transcoded() {
                true => (111, timestamp * 6, &OPUS[..]),
                false => (0, timestamp, &PCMU[..]),
            };
            let write = RtpWrite::new(number.into(), u64::from(self.sent).into(), timestamp, now, payload);
            self.page.direct_api().stream_tx_by_mid(self.mid, None).unwrap().write_rtp(write);
            self.page_wake = now;
        }
        if self.page_wake <= now {
            self.page.handle_input(Input::Timeout(now)).unwrap();
            self.page_out();
        }
    }

    fn page_out(&mut self) {
        loop {
            match self.page.poll_output().unwrap() {
                Output::Timeout(at) => return self.page_wake = at,
                Output::Transmit(out) => drop(self.page_socket.send_to(&out.contents, out.destination)),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(_)) => self.heard[0] += 1,
                Output::Event(_) => {}
            }
        }
    }
}

/// Runs all ends until `end`, or until `done`.
fn run(calls: &mut [Ends], end: Instant, done: impl Fn(&[Ends]) -> bool) {
    let mut now = Instant::now();
    while now < end && !done(calls) {
        calls.iter_mut().for_each(|ends| ends.turn(now));
        std::thread::sleep(Duration::from_micros(500));
        now = Instant::now();
    }
}

/// Takes each INVITE, and answers it with the next phone's port; gives where the gateway wants the sound.
fn answer(sip: &UdpSocket, phones: &[u16], taken: &tokio::sync::mpsc::UnboundedSender<SocketAddr>) {
    let mut buffer = [0; 4096];
    for phone in phones {
        let (text, from) = loop {
            let (length, from) = sip.recv_from(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("INVITE") {
                break (text, from);
            }
        };
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let port: u16 = line("m=audio").split(' ').nth(1).unwrap().parse().unwrap();
        let at = sip.local_addr().unwrap();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {phone} RTP/AVP 0\r\n"
        );
        let kept = ["Via:", "From:", "Call-ID:", "CSeq:"].map(line).join("\r\n");
        let response = format!(
            "SIP/2.0 200 OK\r\n{kept}\r\n{};tag=b\r\nContact: <sip:{at}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            line("To:"),
            sdp.len()
        );
        sip.send_to(response.as_bytes(), from).unwrap();
        taken.send(SocketAddr::new(from.ip(), port)).unwrap();
    }
}

/// Processor time of all threads of this process but those of the load.
fn spent() -> Duration {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        let (name, rest) = stat.rsplit_once(')').unwrap();
        if !name.contains("(load") {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    Duration::from_millis(ticks * 10)
}

/// The load: sound both ways for so long, once all calls stand.
fn load(mut calls: Vec<Ends>, seconds: u32) {
    run(&mut calls, Instant::now() + Duration::from_secs(60), |calls| {
        calls.iter().all(|ends| ends.connected)
    });
    assert!(calls.iter().all(|ends| ends.connected), "every page is connected");
    let (start, count) = (Instant::now(), calls.len() as u32);
    for (number, ends) in calls.iter_mut().enumerate() {
        ends.due = start + TICK * number as u32 / count;
    }
    run(&mut calls, start + Duration::from_millis(500), |_| false);
    calls.iter_mut().for_each(|ends| ends.heard = [0; 2]);
    let before = spent();
    run(&mut calls, start + Duration::from_millis(500) + Duration::from_secs(seconds.into()), |_| false);
    let spent = spent() - before;
    let heard: u32 = calls.iter().flat_map(|ends| ends.heard).sum();
    println!(
        "{count} calls for {seconds} s: {heard} packets of {}, {:.1} µs each",
        count * seconds * 100,
        spent.as_secs_f64() * 1e6 / f64::from(heard)
    );
}

fn main() {
    let wanted = std::env::var("FORWARD").unwrap_or("20x5".to_owned());
    let (count, seconds) = wanted.split_once('x').unwrap();
    let (count, seconds): (usize, u32) = (count.parse().unwrap(), seconds.parse().unwrap());
    let sip = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = sip.local_addr().unwrap().port();
    actix_rt::System::new().block_on(async move {
        let switch = Switch::start(settings(), std::sync::Arc::new(|_| ())).await.unwrap();
        let (events, mut told) = tokio::sync::mpsc::channel(256);
        let account = Account {
            login: "1001".to_owned(),
            auth_name: "1001".to_owned(),
            password: Secret::new("x"),
            domain: "127.0.0.1".to_owned(),
            outbound_proxy: None,
            port: Some(port),
            register: false,
        };
        let mut sessions = vec![];
        let made: Vec<_> = (0..count).map(|_| Ends::new()).collect();
        let ports: Vec<u16> = made.iter().map(|(ends, ..)| ends.phone.local_addr().unwrap().port()).collect();
        let (taken, mut gateways) = tokio::sync::mpsc::unbounded_channel();
        let phones = std::thread::Builder::new().name("load-sip".into());
        phones.spawn(move || answer(&sip, &ports, &taken)).unwrap();
        let mut calls = vec![];
        for (number, (mut ends, sdp, pending)) in made.into_iter().enumerate() {
            let session = switch.open_session(Some(account.clone()), events.clone()).await.unwrap();
            let call = PlaceCall {
                call_id: CallId::parse(&format!("call-{number}")).unwrap(),
                callee: "1002".to_owned(),
                visible_name: None,
                sdp,
                additions: Additions::default(),
            };
            assert!(session.tell(FromPage::Call(call)));
            let answer = loop {
                match told.recv().await.unwrap() {
                    ToPage::RemoteDescription { sdp, .. } => break sdp,
                    word @ (ToPage::Refused { .. } | ToPage::CallStatus(_, CallStatus::Failed(_))) => {
                        panic!("{word:?}")
                    }
                    _ => {}
                }
            };
            ends.page.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
            ends.gateway = gateways.recv().await.unwrap();
            calls.push(ends);
            sessions.push(session);
        }
        let loaded = std::thread::Builder::new().name("load".into());
        let loaded = loaded.spawn(move || load(calls, seconds)).unwrap();
        while !loaded.is_finished() {
            while told.try_recv().is_ok() {}
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        loaded.join().unwrap();
        drop(sessions);
        switch.stop().await;
        actix_rt::System::current().stop();
    });
}
