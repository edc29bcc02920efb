//! The messages of RFC 4475 and RFC 5118 over the wire: each answered as its index says, the process alive.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::sip_probe::{self, code};
use support::{Bench, House, secs};

/// A row of the index.
struct Case {
    file: String,
    tcp: bool,
    allowed: Vec<String>,
}

/// Reads the table: file, wire, strict and tolerated answers.
fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder().join("INDEX.md")).unwrap();
    let rows = text.lines().filter(|line| line.contains(".dat |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let allowed = [cells[5], cells[6]].join(" / ");
        Case {
            file: cells[2].into(),
            tcp: cells[4] == "tcp",
            allowed: allowed
                .split(" / ")
                .map(|word| word.trim().to_owned())
                .filter(|word| word != "-")
                .collect(),
        }
    })
    .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

/// Whether an answer (or none) is among the allowed ones.
fn allowed(case: &Case, final_code: Option<u16>) -> bool {
    case.allowed.iter().any(|word| match (word.as_str(), final_code) {
        ("silent", None) => true,
        ("parse-ok", Some(code)) => ![400, 416, 420, 500, 505, 513].contains(&code),
        (word, Some(code)) => word.parse() == Ok(code),
        _ => false,
    })
}

#[test]
fn every_torture_message_is_answered_as_its_index_says() {
    let bench = Bench::new();
    let mut house = House::start(&bench);
    let target: SocketAddr = format!("127.0.0.1:{}", house.sip).parse().unwrap();
    let cases = cases();
    assert!(cases.len() >= 49, "RFC 4475 alone has 49 messages");
    let mut wrong = Vec::new();
    let mut slowest = Duration::ZERO;
    let mut seen = HashSet::new();
    for case in &cases {
        let message = fs::read(folder().join("rfc4475").join(&case.file)).unwrap();
        let codes = answers(target, &message, case.tcp, &mut seen);
        if !allowed(case, codes.last().copied()) {
            wrong.push(format!("{} answered {codes:?}, allowed {:?}", case.file, case.allowed));
        }
        if case.file.ends_with("dblreq.dat") && codes.len() != 1 {
            wrong.push(format!("{}: {} answers, exactly one is right", case.file, codes.len()));
        }
        match sip_probe::options(&target.to_string(), Duration::from_millis(500)) {
            Some(time) => slowest = slowest.max(time),
            None => wrong.push(format!("no answer to OPTIONS within 500 ms after {}", case.file)),
        }
        house.assert_well();
    }
    println!("{} messages, slowest OPTIONS answer {slowest:?}", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    house.wait_metric("tandem_calls_active", 0.0, secs(5));
}

#[test]
fn mutated_torture_messages_do_no_harm() {
    let bench = Bench::new();
    let mut house = House::start(&bench);
    let target: SocketAddr = format!("127.0.0.1:{}", house.sip).parse().unwrap();
    let before = house.size();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut dice = Dice(1);
    let mutants = if std::env::var_os("TANDEM_SOAK").is_some() { 500 } else { 40 };
    for case in cases() {
        let message = fs::read(folder().join("rfc4475").join(&case.file)).unwrap();
        for _ in 0..mutants {
            socket.send_to(&mutate(&message, &mut dice), target).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(
            sip_probe::options(&target.to_string(), secs(1)).is_some(),
            "deaf after mutants of {}",
            case.file
        );
    }
    house.assert_well();
    let after = house.size();
    println!("before {before:?}\nafter  {after:?}");
    assert!(after.descriptors <= before.descriptors + 8);
    assert!(after.memory_kib <= before.memory_kib + 32 * 1024);
}

/// The codes of the final answers. What was `seen` before is the repetition of an answer to an INVITE that nobody
/// acknowledged (RFC 3261, Timer G), perhaps to a message long before this one.
fn answers(target: SocketAddr, message: &[u8], tcp: bool, seen: &mut HashSet<String>) -> Vec<u16> {
    let limit = Duration::from_millis(300);
    let texts: Vec<String> = if tcp {
        let (text, _closed) = sip_probe::stream(target, message, limit);
        text.split_inclusive("\r\n\r\n").map(str::to_owned).collect()
    } else {
        back_to_sender(target, message, limit)
    };
    let new = texts.into_iter().filter(|text| seen.insert(text.clone()));
    new.filter_map(|text| code(&text)).filter(|code| *code >= 200).collect()
}

/// Sends a datagram and collects the answers. They go to the port that the message's Via names, 5060 without one
/// (RFC 3261 18.2.2), so these ports are ours on an address that nobody else uses.
fn back_to_sender(target: SocketAddr, message: &[u8], limit: Duration) -> Vec<String> {
    let sockets: Vec<UdpSocket> = [5060, 5050, 5070]
        .into_iter()
        .map(|port| UdpSocket::bind((SENDER, port)).expect("127.0.0.4 is ours"))
        .collect();
    sockets[0].send_to(message, target).unwrap();
    let (mut all, mut buffer, end) = (Vec::new(), vec![0; 65536], Instant::now() + limit);
    sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
    while Instant::now() < end {
        for socket in &sockets {
            while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    all
}

const SENDER: &str = "127.0.0.4";

/// A small generator: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// One to four cuts, flips, repeats or foreign bytes.
fn mutate(message: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = b"\0\xff\x7f\x80\r\n-;"[dice.below(8)],
            2 => drop(bytes.drain(at..(at + 1 + dice.below(16)).min(bytes.len()))),
            3 => {
                let part = bytes[at..(at + 1 + dice.below(64)).min(bytes.len())].repeat(1 + dice.below(8));
                bytes.splice(at..at, part);
            }
            4 => drop(bytes.splice(at..at, (0..1 + dice.below(8)).map(|n| (n * 37) as u8))),
            _ => bytes.truncate(at),
        }
    }
    bytes.truncate(60_000);
    bytes
}
