//! A phone made of two sockets, for tests that must hold each packet in hand: it answers one call, and its sound comes from where the
//! test wants.

use super::tone::Tone;
use super::{rtp, wait_for};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The phone. Dropped, it says nothing more.
pub struct Device {
    /// Its SIP port.
    pub port: u16,
    socket: UdpSocket,
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    sdp: String,
}

#[derive(Default)]
struct State {
    /// The INVITE that it answered, and where it came from.
    invite: Option<(String, SocketAddr)>,
    /// Codes that its own requests heard.
    codes: Vec<u16>,
    acknowledged: bool,
}

/// The numbers of a stream: where it is.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Its source.
    pub ssrc: u32,
    /// Of its next packet.
    pub sequence: u16,
    /// Of its next packet.
    pub timestamp: u32,
}

/// Sends a tone as PCMU, a packet every 20 ms, until it is stopped.
pub struct Speaker {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Stream>,
}

const TAG: &str = "device";

impl Device {
    /// Answers the first call at once; `told`: the address that its SDP names for sound.
    pub fn start(told: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let sdp = format!(
            "v=0\r\no=device 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
            told.ip(),
            told.port()
        );
        let (state, over) = (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (socket, state, over, sdp) =
                (socket.try_clone().unwrap(), state.clone(), over.clone(), sdp.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while !over.load(Ordering::Relaxed) {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    if let Some(answer) = state.lock().unwrap().hears(&text, from, port, &sdp) {
                        socket.send_to(answer.as_bytes(), from).unwrap();
                    }
                }
            })
        };
        Self { port, socket, state, over, thread: Some(thread), sdp }
    }

    /// Where the house wants its sound; waits for the call.
    #[track_caller]
    pub fn house_rtp(&self) -> SocketAddr {
        wait_for("a call at the device", Duration::from_secs(5), || {
            let state = self.state.lock().unwrap();
            let (invite, _) = state.invite.as_ref().filter(|_| state.acknowledged)?;
            let ip = invite.lines().find_map(|line| line.strip_prefix("c=IN IP4 "))?.trim();
            let port = invite.lines().find_map(|line| line.strip_prefix("m=audio "))?.split(' ').next()?;
            Some(SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap()))
        })
    }

    /// Sends a re-INVITE with the same SDP, and acknowledges its 200.
    #[track_caller]
    pub fn reinvites(&self) {
        let (invite, peer) = self.state.lock().unwrap().invite.clone().expect("a call");
        for method in ["INVITE", "ACK"] {
            let (kind, body) = match method {
                "INVITE" => ("Content-Type: application/sdp\r\n", self.sdp.as_str()),
                _ => ("", ""),
            };
            let uri = header(&invite, "Contact").trim_start_matches('<');
            let request = format!(
                "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bK{TAG}{method};rport\r\nMax-Forwards: 70\r\n\
                 From: {};tag={TAG}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 {method}\r\nContact: <sip:device@127.0.0.1:{}>\r\n\
                 {kind}Content-Length: {}\r\n\r\n{body}",
                uri.split('>').next().unwrap(),
                self.port,
                header(&invite, "To"),
                header(&invite, "From"),
                header(&invite, "Call-ID"),
                self.port,
                body.len()
            );
            self.socket.send_to(request.as_bytes(), peer).unwrap();
            if method == "INVITE" {
                wait_for("200 to the re-INVITE", Duration::from_secs(3), || {
                    self.state.lock().unwrap().codes.contains(&200).then_some(())
                });
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    /// The answer to a message, if it wants one.
    fn hears(&mut self, text: &str, from: SocketAddr, port: u16, sdp: &str) -> Option<String> {
        if let Some(code) = super::sip_probe::code(text) {
            self.codes.push(code);
            return None;
        }
        let method = text.split(' ').next()?;
        let (kind, body) = match method {
            "INVITE" => ("Content-Type: application/sdp\r\n", sdp),
            "ACK" => {
                self.acknowledged = true;
                return None;
            }
            _ => ("", ""),
        };
        if method == "INVITE" {
            self.invite = Some((text.to_owned(), from));
        }
        let vias: String =
            text.lines().filter(|line| line.starts_with("Via:")).map(|v| format!("{v}\r\n")).collect();
        let to = header(text, "To");
        let tag = if to.contains(";tag=") { String::new() } else { format!(";tag={TAG}") };
        Some(format!(
            "SIP/2.0 200 OK\r\n{vias}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:device@127.0.0.1:{port}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            header(text, "From"),
            header(text, "Call-ID"),
            header(text, "CSeq"),
            body.len()
        ))
    }
}

impl Speaker {
    /// Speaks from `socket` to `to`, where `stream` goes on.
    pub fn start(socket: &UdpSocket, to: SocketAddr, tone: Tone, stream: Stream) -> Self {
        let (socket, over) = (socket.try_clone().unwrap(), Arc::new(AtomicBool::new(false)));
        let ends = over.clone();
        let thread = std::thread::spawn(move || {
            let sound: Vec<u8> =
                tone.samples(8000, 1.0).iter().map(|sample| rtp::to_mulaw(*sample)).collect();
            let (mut stream, start, mut frame) = (stream, Instant::now(), 0u32);
            while !ends.load(Ordering::Relaxed) {
                let at = frame as usize % 50 * 160;
                let _ = socket.send_to(&stream.packet(0, &sound[at..at + 160]), to);
                stream.step();
                frame += 1;
                std::thread::sleep(
                    (start + Duration::from_millis(20) * frame).saturating_duration_since(Instant::now()),
                );
            }
            stream
        });
        Self { over, thread }
    }

    /// Stops; gives where the stream would go on.
    pub fn stop(self) -> Stream {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Stream {
    /// A stream of its own.
    pub fn new(ssrc: u32) -> Self {
        Self { ssrc, sequence: 1000, timestamp: ssrc }
    }

    /// Its next packet.
    pub fn packet(&self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn step(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
    }
}

/// The value of a header field; empty: there is none.
fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().trim()
}
