//! A name server of a handful of records, over UDP on loopback (RFC 1035 §4).
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

/// What the server knows: name without the final dot, and a record.
pub type Zone = &'static [(&'static str, Record)];

/// One record.
#[derive(Clone, Copy)]
pub enum Record {
    A(Ipv4Addr),
    /// Priority, weight, port, target.
    Srv(u16, u16, u16, &'static str),
    /// Order, preference, service, replacement.
    Naptr(u16, u16, &'static str, &'static str),
    /// Questions for this name are never answered.
    Silence,
}

/// Starts a server and tells its address.
pub async fn serve(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    actix_rt::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = answer(zone, &buffer[..length]) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

fn answer(zone: Zone, query: &[u8]) -> Option<Vec<u8>> {
    let (mut name, mut at) = (String::new(), 12);
    while query[at] != 0 {
        let length = usize::from(query[at]);
        let label = String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase();
        name = if name.is_empty() { label } else { format!("{name}.{label}") };
        at += 1 + length;
    }
    let (question, kind) = (&query[12..at + 5], query[at + 2]);
    let of_name: Vec<Record> =
        zone.iter().filter(|(known, _)| *known == name).map(|(_, record)| *record).collect();
    if of_name.iter().any(|record| matches!(record, Record::Silence)) {
        return None;
    }
    let data: Vec<Vec<u8>> = of_name.iter().filter_map(|record| data(*record, kind)).collect();
    let code = if of_name.is_empty() && !is_above(zone, &name) { 3 } else { 0 };
    let mut out = query[..2].to_vec();
    out.extend([0x84, code, 0, 1, 0, data.len() as u8, 0, 0, 0, 0]);
    out.extend(question);
    for data in data {
        out.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        out.extend(data);
    }
    Some(out)
}

/// A name above others exists, though it has no records.
fn is_above(zone: Zone, name: &str) -> bool {
    zone.iter().any(|(known, _)| known.ends_with(&format!(".{name}")))
}

fn data(record: Record, kind: u8) -> Option<Vec<u8>> {
    match (record, kind) {
        (Record::A(address), 1) => Some(address.octets().to_vec()),
        (Record::Srv(priority, weight, port, target), 33) => {
            let numbers = [priority, weight, port].into_iter().flat_map(u16::to_be_bytes);
            Some(numbers.chain(labels(target)).collect())
        }
        (Record::Naptr(order, preference, service, replacement), 35) => {
            let mut out: Vec<u8> = [order, preference].into_iter().flat_map(u16::to_be_bytes).collect();
            for text in ["s", service, ""] {
                out.push(text.len() as u8);
                out.extend(text.as_bytes());
            }
            out.extend(labels(replacement));
            Some(out)
        }
        _ => None,
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut out = vec![];
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}
