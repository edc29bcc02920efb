//! A WebSocket client of forty lines, for frames that the SDK would never send (RFC 6455).

use super::kamailio::{DOMAIN, Kamailio};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// An open socket. Pings of the protocol of Tandem are answered while it reads.
pub struct WebSocket {
    stream: TcpStream,
    waiting: Vec<u8>,
}

/// What came.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A text frame, as JSON where it is some.
    Text(Value),
    /// The other side closed, with this code (1005: without one).
    Close(u16),
}

impl WebSocket {
    /// Opens one at a port of loopback.
    #[track_caller]
    pub fn open(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Origin: http://localhost:{port}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("an answer to the upgrade");
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        Self { stream, waiting: vec![] }
    }

    /// Opens one and sends `connection` with an account that does not register.
    #[track_caller]
    pub fn session(port: u16, login: &str, proxy: &str, sip_port: u16) -> Self {
        let mut socket = Self::open(port);
        socket.send("connection", json!({
            "appKey": "defaultApp", "mediaProviders": ["WebRTC"], "clientVersion": "2.0", "clientOSVersion": "bench",
            "clientBrowserVersion": "bench", "msePacketizationVersion": 2, "sipLogin": login, "sipAuthenticationName": login,
            "sipPassword": "none", "sipDomain": proxy, "sipOutboundProxy": proxy, "sipPort": sip_port, "sipRegisterRequired": false,
        }));
        socket.expect("getUserData", Duration::from_secs(5));
        socket
    }

    /// Sends one message in the protocol's shape.
    pub fn send(&mut self, message: &str, data: Value) {
        self.send_text(&json!({ "message": message, "data": [data] }).to_string());
    }

    /// Opens one and sends `connection` with an account of the test PBX, as the SDK does.
    #[track_caller]
    pub fn account(port: u16, pbx: &Kamailio, login: &str, password: &str) -> Self {
        let mut socket = Self::open(port);
        socket.send("connection", json!({
            "appKey": "defaultApp", "mediaProviders": ["WebRTC"], "clientVersion": "2.0", "clientOSVersion": "bench",
            "clientBrowserVersion": "bench", "msePacketizationVersion": 2, "sipLogin": login,
            "sipAuthenticationName": login, "sipPassword": password, "sipDomain": DOMAIN,
            "sipOutboundProxy": pbx.address, "sipPort": pbx.port, "sipRegisterRequired": true,
        }));
        socket
    }

    /// Sends any text. Errors are for [`WebSocket::next`] to show: the other side may have closed.
    pub fn send_text(&mut self, text: &str) {
        let _ = self.try_send(0x81, text.as_bytes());
    }

    /// Sends a frame with this first byte.
    pub fn try_send(&mut self, first: u8, body: &[u8]) -> std::io::Result<()> {
        let mut frame = vec![first];
        match body.len() {
            0..126 => frame.push(0x80 | body.len() as u8),
            126..65536 => {
                frame.push(0x80 | 126);
                frame.extend((body.len() as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((body.len() as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]); // a mask that changes nothing
        frame.extend(body);
        self.stream.write_all(&frame)
    }

    /// Cuts it off, as a tab that is closed does.
    pub fn close(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// The next frame within `limit`.
    pub fn next(&mut self, limit: Duration) -> Option<Frame> {
        let end = Instant::now() + limit;
        loop {
            if let Some((first, body)) = self.take_frame() {
                match first & 15 {
                    1 => {
                        let text = String::from_utf8_lossy(&body).into_owned();
                        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                        if value["message"] == "ping" {
                            self.send("pong", Value::Null);
                            continue;
                        }
                        return Some(Frame::Text(value));
                    }
                    8 => {
                        return Some(Frame::Close(
                            body.get(..2).map_or(1005, |c| u16::from_be_bytes([c[0], c[1]])),
                        ));
                    }
                    9 => drop(self.try_send(0x8a, &body)),
                    _ => {}
                }
                continue;
            }
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut part = [0; 16384];
            match self.stream.read(&mut part) {
                Ok(0) => return Some(Frame::Close(1006)),
                Ok(count) => self.waiting.extend(&part[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(_) => return Some(Frame::Close(1006)),
            }
        }
    }

    /// Reads on until a message with this name comes; gives its first argument.
    #[track_caller]
    pub fn expect(&mut self, message: &str, limit: Duration) -> Value {
        self.expect_where(message, limit, |_| true)
    }

    /// Reads on until a message with this name comes whose first argument `wanted` likes.
    #[track_caller]
    pub fn expect_where(&mut self, message: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let (end, mut seen) = (Instant::now() + limit, Vec::<String>::new());
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match self.next(left) {
                Some(Frame::Text(frame)) if frame["message"] == message && wanted(&frame["data"][0]) => {
                    return frame["data"][0].clone();
                }
                Some(Frame::Text(frame)) => seen.push(frame.to_string().chars().take(200).collect()),
                Some(close) => panic!("{close:?} instead of {message}, after {seen:#?}"),
                None => break,
            }
        }
        panic!("no {message} within {limit:?}, but {seen:#?}");
    }

    /// Asserts that the session is alive: `ping` is answered by `pong`.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        self.send("ping", Value::Null);
        self.expect("pong", Duration::from_secs(2));
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let bytes = &self.waiting;
        let (length, head) = match *bytes.get(1)? & 127 {
            126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        let frame = (bytes[0], bytes.get(head..head + length)?.to_vec());
        self.waiting.drain(..head + length);
        Some(frame)
    }
}

/// An audio offer as Chromium makes it, for calls that need no media.
pub fn offer() -> &'static str {
    include_str!("offer.sdp")
}
