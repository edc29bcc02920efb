//! Raw SIP over UDP and TCP: for messages that no well-behaved peer would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Sends an OPTIONS and gives the time to its answer, whatever the code; `None` when none came within `limit`.
pub fn options(target: &str, limit: Duration) -> Option<Duration> {
    let target = target.to_socket_addrs().unwrap().next().unwrap();
    let socket = UdpSocket::bind(if target.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
    let me = socket.local_addr().unwrap();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = format!("probe-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let request = format!(
        "OPTIONS sip:{target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@{me}>;tag={id}\r\nTo: <sip:{target}>\r\nCall-ID: {id}\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:probe@{me}>\r\nContent-Length: 0\r\n\r\n"
    );
    let start = Instant::now();
    socket.send_to(request.as_bytes(), target).unwrap();
    answers(&socket, limit, |text| text.contains(&id)).map(|_| start.elapsed())
}

/// Sends one datagram from a socket of its own; gives every answer that came within `limit`.
pub fn datagram(target: SocketAddr, message: &[u8], limit: Duration) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(message, target).unwrap();
    let mut all = Vec::new();
    let end = Instant::now() + limit;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match answers(&socket, left, |_| true) {
            Some(answer) => all.push(answer),
            None => break,
        }
    }
    all
}

/// Sends one message as a TCP stream; gives what came back within `limit` and whether the other side closed.
pub fn stream(target: SocketAddr, message: &[u8], limit: Duration) -> (String, bool) {
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(2)).unwrap();
    let _ = stream.write_all(message);
    let (mut all, mut part, end) = (Vec::new(), [0; 65536], Instant::now() + limit);
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut part) {
            Ok(0) => return (String::from_utf8_lossy(&all).into_owned(), true),
            Ok(n) => all.extend(&part[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return (String::from_utf8_lossy(&all).into_owned(), true);
            }
            Err(_) => break,
        }
    }
    (String::from_utf8_lossy(&all).into_owned(), false)
}

/// The code of a response.
pub fn code(response: &str) -> Option<u16> {
    response.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

fn answers(socket: &UdpSocket, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let (mut buffer, end) = (vec![0; 65536], Instant::now() + limit);
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left)).unwrap();
        // A refused port shows as an error of the next call: nobody is there yet.
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if wanted(&text) {
            return Some(text);
        }
    }
    None
}
