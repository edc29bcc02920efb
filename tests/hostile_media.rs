//! Hostile RTP, RTCP, STUN, DTLS and SRTP at the ports of a call: the call goes on, its sound unbroken, and nothing grows.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::UdpSocket;
use std::time::Duration;
use support::browser::Account;
use support::device::{Speaker, Stream};
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::{Bench, Device, House, Web, Wiretap, fairly, secs};

/// A small generator of numbers; the same seed gives the same attack.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What attackers begin with: one packet of each kind that comes to these ports.
fn seeds() -> Vec<Vec<u8>> {
    let sound = Stream::new(9).packet(0, &[0x55; 160]);
    let strange = Stream::new(9).packet(77, &[0x78; 60]);
    let mut extended = vec![0x9f, 0x80, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9]; // extension, 15 CSRC that are not there
    extended.extend([0xbe, 0xde, 0xff, 0xff]);
    let padded = [&[0xa0][..], &sound[1..], &[0xff]].concat();
    let digit = Stream::new(9).packet(101, &[5, 0x80, 0xff, 0xff]);
    let sender_report = [&[0x80, 200, 0, 6][..], &[7; 24]].concat();
    let short_report = vec![0x81, 201, 0xff, 0xff];
    let bye = vec![0x81, 203, 0, 1, 0, 0, 0, 9];
    let feedback = [&[0x8f, 206, 0, 40][..], &[1; 30]].concat();
    let mut check = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    check.extend([7; 12]);
    check.extend([0, 6, 0, 9]);
    check.extend(*b"abcd:page\0\0\0");
    let hello = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1, 0, 0, 28][..], &[0; 28]].concat();
    let alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 0];
    let long = Stream::new(9).packet(0, &[0x55; 1600]);
    let huge = Stream::new(9).packet(0, &[0x55; 40_000]);
    let turn = vec![0x40, 0, 0, 4, 1, 2, 3, 4];
    vec![
        sound,
        strange,
        extended,
        padded,
        digit,
        sender_report,
        short_report,
        bye,
        feedback,
        check,
        hello,
        alert,
        long,
        huge,
        turn,
        vec![],
        vec![0x80],
    ]
}

/// One to four cuts, flips or foreign bytes.
fn mutated(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut packet = seed.to_vec();
    for _ in 0..dice.below(4) {
        if packet.is_empty() {
            break;
        }
        let at = dice.below(packet.len().min(64));
        match dice.below(3) {
            0 => packet.truncate(at),
            1 => packet[at] ^= 1 << dice.below(8),
            _ => packet[at] = dice.next() as u8,
        }
    }
    packet
}

/// So many packets to all these ports in turn, some thousand a second.
fn attack(socket: &UdpSocket, ports: &[u16], packets: usize, dice: &mut Dice) {
    let seeds = seeds();
    for n in 0..packets {
        let packet = mutated(&seeds[n % seeds.len()], dice);
        let _ = socket.send_to(&packet, ("127.0.0.1", ports[dice.below(ports.len())]));
        if n % 8 == 7 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Enough for some five seconds; a soak takes longer.
fn packets() -> usize {
    if std::env::var_os("TANDEM_SOAK").is_some() { 1_000_000 } else { 16_000 }
}

#[test]
fn a_call_goes_on_unbroken_while_strangers_fire_at_all_its_ports() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));
        let (size, began_at) = (scene.house.size().memory_kib, moment());
        // Of the call's own ports those of the page three times: it is one against several.
        let mut ports = vec![scene.house.webrtc; 3];
        ports.extend(scene.house.rtp.0..scene.house.rtp.0 + 4);
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at_stranger = stranger.local_addr().unwrap().port();
        attack(&stranger, &ports, packets(), &mut Dice(0x5eed));
        let (ended_at, grown) = (moment(), scene.house.size().memory_kib.saturating_sub(size));
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let wire = wire.stop();
        let at_page = page.heard(&call).between(began_at, ended_at).assert_tone(PHONE_TONE);
        let at_phone = wire.heard(phone.rtp).between(began_at, ended_at).assert_tone(PAGE_TONE);
        let counted = |place: &str| scene.house.metric("tandem_packets_dropped_total", place);
        let foreign = scene.house.metric("tandem_rtp_foreign_source_packets_total", "");
        for place in
            ["sip_rtp_malformed", "sip_rtp_unknown_payload_type", "sip_rtp_too_long", "sip_rtcp_malformed"]
        {
            println!("{place} {}", counted(place));
        }
        println!(
            "{} packets in {:.1} s: longest gap {:.0} and {:.0} ms, {grown} KiB more; {foreign} foreign, {} unknown to the lane",
            packets(),
            (ended_at - began_at) / 1000.0,
            at_page.gap_ms,
            at_phone.gap_ms,
            counted("webrtc_unknown_peer")
        );
        assert!(grown < 20 * 1024, "{grown} KiB more");
        assert!(foreign > 100.0 && counted("webrtc_unknown_peer") > 1000.0);
        assert!(counted("sip_rtp_malformed") > 10.0 && counted("sip_rtp_unknown_payload_type") > 10.0);
        assert!(counted("sip_rtp_too_long") > 10.0);
        let heard = wire.packets.iter().filter(|packet| packet.to.port() == at_stranger).count();
        assert_eq!(heard, 0, "something answers the stranger");
        wire.assert_one_stream(scene.house.webrtc);
        scene.assert_no_call_left();
    });
}

/// The worst sender is the one whose sound is taken: the phone itself.
#[test]
fn a_phone_that_sends_garbage_between_its_packets_is_heard_unbroken() {
    fairly(|| {
        let bench = Bench::new();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let device = Device::start(phone.local_addr().unwrap());
        let mut house = House::start(&bench);
        let web = Web::start(&bench);
        let page = web.page("1001", PAGE_TONE);
        page.connect_and_wait(&house, &Account::direct("1001", "127.0.0.1", device.port));
        let wire = Wiretap::start(&bench);
        let call = page.call("2001");
        let to = device.house_rtp();
        let speaker = Speaker::start(&phone, to, PHONE_TONE, Stream::new(1));
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));
        let (size, began_at) = (house.size().memory_kib, moment());
        let (mut dice, seeds) = (Dice(0xbad), seeds());
        for n in 0..packets() / 4 {
            let mut packet = mutated(&seeds[n % seeds.len()], &mut dice);
            // Whatever reads as its own kind of sound would be heard, and rightly so.
            if packet.get(1).is_some_and(|kind| kind & 0x7f == 0) {
                packet[1] |= 77;
            }
            let port = if dice.below(4) == 0 { to.port() + 1 } else { to.port() };
            let _ = phone.send_to(&packet, (to.ip(), port));
            if n % 2 == 1 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let (ended_at, grown) = (moment(), house.size().memory_kib.saturating_sub(size));
        speaker.stop();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        let at_page = page.heard(&call).between(began_at, ended_at).assert_tone(PHONE_TONE);
        let port = phone.local_addr().unwrap().port();
        wire.stop().heard((port, port)).between(began_at, ended_at).assert_tone(PAGE_TONE);
        let counted = |place: &str| house.metric("tandem_packets_dropped_total", place);
        println!(
            "longest gap {:.0} ms, {grown} KiB more; {} malformed, {} of an unknown type, {} of RTCP malformed",
            at_page.gap_ms,
            counted("sip_rtp_malformed"),
            counted("sip_rtp_unknown_payload_type"),
            counted("sip_rtcp_malformed")
        );
        assert!(grown < 20 * 1024, "{grown} KiB more");
        assert!(counted("sip_rtp_malformed") > 10.0 && counted("sip_rtp_unknown_payload_type") > 10.0);
        house.assert_no_call_left(secs(5));
        house.assert_well();
    });
}
