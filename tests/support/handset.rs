//! The sound of a scripted phone, in any codec under any payload type: it says a tone in the codec in which it is spoken to.

use super::sound::Recording;
use super::{Bench, Tone, now_ms};
use codecs::tone::Tone as Sine;
use codecs::{CodecId, Encoder, MAX_PAYLOAD, Settings};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A handset that is off the hook. Dropped, it is silent.
pub struct Handset {
    /// Its RTP port.
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Arrival, payload type, payload.
    heard: Vec<(f64, u8, Vec<u8>)>,
    /// What it says instead of its tone: this packet once, and then nothing until then.
    silence: Option<(u8, Vec<u8>, Instant)>,
    over: bool,
}

impl Handset {
    /// Waits for sound under one of these payload types.
    #[track_caller]
    pub fn start(bench: &Bench, says: Tone, types: &[(u8, CodecId)]) -> Self {
        let port = bench.rtp_ports().0;
        let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (mine, types) = (Arc::clone(&shared), types.to_vec());
        let thread = std::thread::spawn(move || converse(&socket, says, &types, &mine));
        Self { port, shared, thread: Some(thread) }
    }

    /// Says this packet, and nothing more for a while.
    pub fn fall_silent(&self, payload_type: u8, payload: &[u8], length: Duration) {
        self.shared.lock().unwrap().silence = Some((payload_type, payload.to_vec(), Instant::now() + length));
    }

    /// What it heard under a payload type, decoded; without packets, without time.
    #[track_caller]
    pub fn heard(&self, payload_type: u8, codec: CodecId) -> Recording {
        let rate = codec.spec().full_rate();
        let mut decoder = (codec.spec().decoder)(rate, &Settings::default()).unwrap();
        let (mut samples, mut pcm) = (Vec::new(), vec![0; codecs::codec::max_samples(rate)]);
        let shared = self.shared.lock().unwrap();
        let mine: Vec<_> = shared.heard.iter().filter(|(_, number, _)| *number == payload_type).collect();
        let (started_at, ..) = mine.first().unwrap_or_else(|| panic!("no packet of type {payload_type}"));
        for (_, _, payload) in &mine {
            let length = decoder.decode(payload, &mut pcm).expect("a payload of its codec");
            samples.extend(pcm[..length].iter().map(|sample| f32::from(*sample) / 32_768.0));
        }
        Recording { rate, samples, started_at: *started_at }
    }

    /// Every payload type that it heard, each once, in the order of their first packets.
    pub fn types(&self) -> Vec<u8> {
        let mut types = Vec::new();
        for (_, number, _) in &self.shared.lock().unwrap().heard {
            if !types.contains(number) {
                types.push(*number);
            }
        }
        types
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        self.shared.lock().unwrap().over = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What it says now.
struct Speech {
    number: u8,
    encoder: Box<dyn Encoder>,
    tone: Sine,
    clock: u32,
    /// When its time line began.
    since: Instant,
}

fn converse(socket: &UdpSocket, says: Tone, types: &[(u8, CodecId)], shared: &Mutex<Shared>) {
    let mut speech: Option<Speech> = None;
    let mut remote: Option<SocketAddr> = None;
    let (mut sequence, mut due) = (1000u16, Instant::now());
    let mut said_silence = false;
    while !shared.lock().unwrap().over {
        let mut packet = [0; 2048];
        if let Ok((length, from)) = socket.recv_from(&mut packet) {
            if length < 12 {
                continue;
            }
            let number = packet[1] & 0x7f;
            shared.lock().unwrap().heard.push((now_ms(), number, packet[12..length].to_vec()));
            remote = Some(from);
            let spoken = types.iter().find(|(known, _)| *known == number);
            if let Some((number, codec)) =
                spoken.filter(|_| speech.as_ref().is_none_or(|speech| speech.number != number))
            {
                let spec = codec.spec();
                let rate = spec.full_rate();
                let encoder = (spec.encoder)(rate, &Settings::default()).unwrap();
                let tone = Sine::new(rate, says.hz, says.dbfs);
                speech = Some(Speech { number: *number, encoder, tone, clock: spec.clock_rate, since: due });
            }
        }
        let now = Instant::now();
        let (Some(speech), Some(remote)) = (&mut speech, remote) else {
            due = now;
            continue;
        };
        if now < due {
            continue;
        }
        let timestamp = (due - speech.since).as_millis() as u32 * (speech.clock / 1000);
        due += Duration::from_millis(20);
        let mut payload = [0; MAX_PAYLOAD];
        let mut pcm = vec![0; speech.encoder.rate() as usize / 50];
        speech.tone.fill(&mut pcm);
        let length = speech.encoder.encode(&pcm, &mut payload).unwrap();
        let silence = shared.lock().unwrap().silence.clone().filter(|(_, _, until)| now < *until);
        let (number, payload) = match &silence {
            Some(_) if said_silence => continue,
            Some((number, payload, _)) => (*number, &payload[..]),
            None => (speech.number, &payload[..length]),
        };
        said_silence = silence.is_some();
        let mut datagram = vec![0x80, number];
        datagram.extend(sequence.to_be_bytes());
        datagram.extend(timestamp.to_be_bytes());
        datagram.extend([0, 0, 0, speech.number]); // another codec is another source
        datagram.extend(payload);
        sequence = sequence.wrapping_add(1);
        let _ = socket.send_to(&datagram, remote);
    }
}
