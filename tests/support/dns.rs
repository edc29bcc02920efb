//! A name server with the records that a test gives it: NAPTR, SRV and A (RFC 3263).

use std::net::{Ipv4Addr, UdpSocket};

/// One record of a zone.
#[derive(Clone, Debug)]
pub enum Record {
    /// Name and address.
    A(&'static str, Ipv4Addr),
    /// Name, port and target.
    Srv(&'static str, u16, &'static str),
    /// Name, service (as `SIP+D2T`) and where its SRV records stand.
    Naptr(&'static str, &'static str, &'static str),
}

/// Answers from `zone` at a port of loopback, until the test program ends.
pub fn serve(port: u16, zone: Vec<Record>) {
    let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..length], &zone) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// The answer to a query with one question (RFC 1035 section 4). A name without records of the kind gets an empty one.
fn answer(query: &[u8], zone: &[Record]) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let (name, question) = (labels.join("."), query.get(12..at + 4)?);
    let places = zone.iter().zip(0_u16..);
    let found: Vec<Vec<u8>> = places.filter_map(|(record, place)| data(record, place, &name, kind)).collect();
    // Identification, "answer, authoritative, recursion desired and available", one question, the answers.
    let mut out = query[..2].to_vec();
    out.extend([0x85, 0x80, 0, 1, 0, found.len() as u8, 0, 0, 0, 0]);
    out.extend(question);
    for data in found {
        out.extend([0xc0, 12]); // the name of the question
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

/// The data of a record, if it is about this name and of this kind; its place is the priority of an SRV.
fn data(record: &Record, place: u16, wanted: &str, kind: u16) -> Option<Vec<u8>> {
    match record {
        Record::A(name, address) if *name == wanted && kind == 1 => Some(address.octets().to_vec()),
        Record::Srv(name, port, target) if *name == wanted && kind == 33 => {
            let numbers = [place, 1, *port].into_iter().flat_map(u16::to_be_bytes);
            Some(numbers.chain(encoded(target)).collect())
        }
        Record::Naptr(name, service, target) if *name == wanted && kind == 35 => {
            let mut out = vec![0, 1, 0, 1, 1, b's', service.len() as u8];
            out.extend(service.bytes());
            out.push(0);
            out.extend(encoded(target));
            Some(out)
        }
        _ => None,
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| std::iter::once(label.len() as u8).chain(label.bytes()));
    labels.chain(std::iter::once(0)).collect()
}
