//! A media end for trying out peers with a real browser: reads commands, writes what happens.
//!
//! `tone_peer PORT ADDRESS...` binds PORT on each address. Lines in, SDP with `\n` for line ends:
//! `answer ID CODEC,CODEC SDP`, `offer ID CODEC,CODEC`, `accept ID SDP`, `close ID`.
//! Lines out: `sdp ID SDP`, `event ID MILLISECONDS TEXT`. Each connected page hears 440 Hz.

use std::collections::HashMap;
use std::io::BufRead;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actors::browser::rtc::{Certificate, Outgoing, Output, Peer, PeerConfig};
use actors::browser::sdp::Description;
use actors::lanes::LocalAddress;
use actors::vocabulary::Payload;
use codecs::{CodecId, Encoder, Settings};
use tokio::net::UdpSocket;

struct Call {
    peer: Peer,
    born: Instant,
    tone: Option<Tone>,
    heard: u64,
    first_codec: Option<Payload>,
}

struct Tone {
    codec: CodecId,
    encoder: Box<dyn Encoder>,
    next: Instant,
    samples: usize,
    timestamp: u32,
}

impl Tone {
    fn new(codec: CodecId, now: Instant) -> Self {
        let rate = *codec.spec().sample_rates.last().expect("a rate");
        let encoder = (codec.spec().encoder)(rate, &Settings::default()).expect("an encoder");
        Tone {
            codec,
            encoder,
            next: now,
            samples: 0,
            timestamp: 12_345,
        }
    }

    fn packet(&mut self) -> Outgoing {
        let rate = self.encoder.rate() as usize;
        let frame = rate / 50;
        let pcm: Vec<i16> = (self.samples..self.samples + frame)
            .map(|n| ((n as f64 * 440.0 * std::f64::consts::TAU / rate as f64).sin() * 10_000.0) as i16)
            .collect();
        self.samples += frame;
        let mut payload = vec![0; 1500];
        let length = self.encoder.encode(&pcm, &mut payload).expect("encoded");
        payload.truncate(length);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(self.codec.spec().clock_rate / 50);
        self.next += Duration::from_millis(20);
        Outgoing {
            kind: Payload::Audio(self.codec),
            timestamp,
            marker: false,
            payload: payload.into(),
        }
    }
}

fn codecs(names: &str) -> Vec<CodecId> {
    names.split(',').filter_map(CodecId::from_setting).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect("PORT");
    let mut sockets = HashMap::new();
    let mut local = Vec::new();
    let (datagrams, mut received) = tokio::sync::mpsc::channel::<(SocketAddr, SocketAddr, Vec<u8>)>(1000);
    for address in arguments {
        let bound = SocketAddr::new(address.parse().expect("ADDRESS"), port);
        let socket = std::sync::Arc::new(UdpSocket::bind(bound).await.expect("free port"));
        local.push(LocalAddress {
            bound,
            advertised: bound,
        });
        sockets.insert(bound, socket.clone());
        let datagrams = datagrams.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let _ = datagrams.try_send((from, bound, buffer[..length].to_vec()));
            }
        });
    }
    let (lines, mut commands) = tokio::sync::mpsc::channel::<String>(100);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = lines.blocking_send(line);
        }
    });
    let certificate = Certificate::generate();
    let mut calls: HashMap<String, Call> = HashMap::new();
    let mut owners: HashMap<SocketAddr, String> = HashMap::new();
    loop {
        let deadline = calls
            .values()
            .map(|call| {
                call.tone
                    .as_ref()
                    .map_or(call.peer.deadline(), |tone| tone.next.min(call.peer.deadline()))
            })
            .min()
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
        tokio::select! {
            command = commands.recv() => {
                let Some(command) = command else { return };
                let words: Vec<&str> = command.splitn(4, ' ').collect();
                let now = Instant::now();
                let config = |names: &str| PeerConfig { local: local.clone(), certificate: certificate.clone(), audio: codecs(names) };
                let text = |sdp: &str| sdp.replace("\\n", "\n");
                let made = match words.as_slice() {
                    ["answer", id, names, sdp] => Description::parse(&text(sdp))
                        .and_then(|offer| Peer::answer(&offer, &config(names), now))
                        .map(|(peer, sdp)| Some((*id, peer, sdp))),
                    ["offer", id, names] => { let (peer, sdp) = Peer::offer(&config(names), now); Ok(Some((*id, peer, sdp))) }
                    ["accept", id, first, rest] => {
                        let sdp = text(&format!("{first} {rest}"));
                        Description::parse(&sdp).and_then(|answer| {
                            let call = calls.get_mut(*id).expect("a known ID");
                            call.born = now;
                            call.peer.accept_answer(&answer, now)
                        }).map(|()| None)
                    }
                    ["close", id] => { if let Some(call) = calls.get_mut(*id) { call.peer.close(now) }; Ok(None) }
                    _ => { println!("error {command:?}"); Ok(None) }
                };
                match made {
                    Ok(Some((id, peer, sdp))) => {
                        println!("sdp {id} {}", sdp.replace("\r\n", "\\n"));
                        calls.insert(id.to_owned(), Call { peer, born: now, tone: None, heard: 0, first_codec: None });
                    }
                    Ok(None) => {}
                    Err(error) => println!("error {} {error}", words[1]),
                }
            }
            Some((from, to, datagram)) = received.recv() => {
                let now = Instant::now();
                let owner = owners.get(&from).cloned().or_else(|| {
                    let ufrag = actors::lanes::stun::username(&datagram)?;
                    calls.iter().find(|(_, call)| call.peer.local_ufrag().as_bytes() == ufrag).map(|(id, _)| id.clone())
                });
                if let Some(call) = owner.and_then(|id| calls.get_mut(&id)) {
                    call.peer.receive(now, from, to, &datagram);
                }
            }
            () = tokio::time::sleep_until(deadline.into()) => {}
        }
        let now = Instant::now();
        for (id, call) in &mut calls {
            if call.peer.deadline() <= now {
                call.peer.timeout(now);
            }
            if let Some(tone) = &mut call.tone {
                while tone.next <= now {
                    let _ = call.peer.send(tone.packet(), now);
                }
            }
            while let Some(output) = call.peer.poll() {
                let since = now.duration_since(call.born).as_millis();
                match output {
                    Output::Learnt { from } => {
                        println!("event {id} {since} learnt {from}");
                        owners.insert(from, id.clone());
                    }
                    Output::Transmit { from, to, bytes } => {
                        let _ = sockets[&from].try_send_to(&bytes, to);
                    }
                    Output::Connected => {
                        println!("event {id} {since} connected {:?}", call.peer.agreed());
                        call.tone = Some(Tone::new(call.peer.agreed().audio[0].codec, now));
                    }
                    Output::Packet(packet) => {
                        call.heard += 1;
                        if call.first_codec.is_none() || call.heard.is_multiple_of(250) {
                            println!(
                                "event {id} {since} heard {:?} {} packets",
                                packet.payload_kind, call.heard
                            );
                        }
                        call.first_codec.get_or_insert(packet.payload_kind);
                    }
                    Output::Report(report) => {
                        println!("event {id} {since} {report:?} {:?}", call.peer.counts())
                    }
                    Output::Disconnected(lost) => println!("event {id} {since} lost: {lost}"),
                }
            }
        }
    }
}
