//! A peer that sends bytes and reads answers, over UDP or TCP.
use std::net::SocketAddr;
use std::time::Duration;

use sip::message::{Message, Response, parse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// A peer with a UDP socket.
pub struct UdpPeer {
    pub socket: UdpSocket,
    pub to: SocketAddr,
}

impl UdpPeer {
    /// Sends from `from` to `to`.
    pub async fn new(from: SocketAddr, to: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind(from).await.unwrap(), to }
    }

    /// Any free port of loopback.
    pub async fn any(to: SocketAddr) -> Self {
        let ip = if to.is_ipv4() { "127.0.0.1" } else { "::1" };
        Self::new(SocketAddr::new(ip.parse().unwrap(), 0), to).await
    }

    pub async fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.to).await.unwrap();
    }

    /// The next datagram, if one comes within `wait`.
    pub async fn bytes(&self, wait: Duration) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        let (length, _) = timeout(wait, self.socket.recv_from(&mut buffer)).await.ok()?.unwrap();
        buffer.truncate(length);
        Some(buffer)
    }

    /// The next message.
    pub async fn message(&self, wait: Duration) -> Option<Message> {
        self.bytes(wait).await.map(|bytes| parse(&bytes).unwrap())
    }

    /// The code of the next final response; `None`: nothing came.
    pub async fn code(&self, wait: Duration) -> Option<u16> {
        loop {
            match code_of(&self.bytes(wait).await?) {
                100..=199 => {}
                code => return Some(code),
            }
        }
    }

    /// Asks for OPTIONS; whether a 200 came within `wait`.
    pub async fn probe(&self, wait: Duration) -> bool {
        self.send(&request("OPTIONS", "UDP", self.socket.local_addr().unwrap(), "")).await;
        self.code(wait).await == Some(200)
    }
}

/// A request with fresh Call-ID and branch. `more`: further header lines, and a body behind an empty line.
pub fn request(method: &str, transport: &str, from: SocketAddr, more: &str) -> Vec<u8> {
    let (branch, call_id) = (sip::message::random_branch(), sip::message::random_call_id());
    let end = if more.contains("\r\n\r\n") { "" } else { "\r\n" };
    format!(
        "{method} sip:test@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch={branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:peer@127.0.0.1>;tag=peer\r\nTo: <sip:test@127.0.0.1>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:peer@{from}>\r\n{more}{end}"
    )
    .into_bytes()
}

/// A peer with a TCP connection.
pub struct TcpPeer {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl TcpPeer {
    pub async fn new(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect(to).await.unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![] }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message without a body; `None`: nothing came, or the end.
    pub async fn bytes(&mut self, wait: Duration) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return Some(self.buffer.drain(..end + 4).collect());
            }
            let mut some = [0; 4096];
            let length =
                timeout(wait, self.stream.read(&mut some)).await.ok()?.ok().filter(|length| *length > 0)?;
            self.buffer.extend_from_slice(&some[..length]);
        }
    }

    /// Reads over a body.
    pub async fn skip(&mut self, length: usize) {
        let buffered = length.min(self.buffer.len());
        self.buffer.drain(..buffered);
        self.stream.read_exact(&mut vec![0; length - buffered]).await.unwrap();
    }

    pub async fn code(&mut self, wait: Duration) -> Option<u16> {
        loop {
            match code_of(&self.bytes(wait).await?) {
                100..=199 => {}
                code => return Some(code),
            }
        }
    }

    /// Whether the other side closes within `wait`; what it sends before is skipped.
    pub async fn closes(&mut self, wait: Duration) -> bool {
        let until_end = async {
            let mut some = [0; 4096];
            while !matches!(self.stream.read(&mut some).await, Ok(0) | Err(_)) {}
        };
        timeout(wait, until_end).await.is_ok()
    }
}

/// The code of a response, read with care: answers to broken requests echo what was broken.
pub fn code_of(bytes: &[u8]) -> u16 {
    let line = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
    line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no response: {line}"))
}

/// As a response.
pub fn response(bytes: &[u8]) -> Response {
    match parse(bytes).unwrap() {
        Message::Response(response) => response,
        Message::Request(request) => panic!("a response was expected: {request:?}"),
    }
}
