//! Whose sound is heard: a phone behind NAT, strangers beside it, a phone that moves (RQ02). Everything on loopback.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::{SocketAddr, UdpSocket};
use support::browser::Account;
use support::device::{Speaker, Stream};
use support::scene::{OTHER_TONE, PAGE_TONE, PHONE_TONE};
use support::sound::moment;
use support::wiretap::Capture;
use support::{Bench, Device, House, Page, Web, Wiretap, fairly, secs};

/// What the phone's SDP says: an address of its own network, where nobody is.
const PRIVATE: &str = "127.9.9.9:4000";

struct Cast {
    web: Web,
    device: Device,
    house: House,
    bench: Bench,
}

impl Cast {
    fn new() -> Self {
        let bench = Bench::new();
        let device = Device::start(PRIVATE.parse().unwrap());
        let house = House::start(&bench);
        Self { web: Web::start(&bench), device, house, bench }
    }

    /// A page in a call with the device.
    fn call(&self) -> (Page<'_>, String) {
        let page = self.web.page("1001", PAGE_TONE);
        page.connect_and_wait(&self.house, &Account::direct("1001", "127.0.0.1", self.device.port));
        let call = page.call("2001");
        (page, call)
    }

    fn foreign(&self) -> f64 {
        self.house.metric("tandem_rtp_foreign_source_packets_total", "")
    }
}

fn socket() -> (UdpSocket, (u16, u16)) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, (port, port))
}

/// The first packet of sound that came to a port after a moment.
fn first_at(wire: &Capture, ports: (u16, u16), from: f64) -> Option<f64> {
    wire.rtp_to(ports).iter().map(|packet| packet.at).find(|at| *at >= from)
}

#[test]
fn rq02_a_phone_behind_nat_is_heard_and_hears_within_half_a_second() {
    fairly(|| {
        let cast = Cast::new();
        let (phone, at_phone) = socket();
        let wire = Wiretap::start(&cast.bench);
        let (page, call) = cast.call();
        let to = cast.device.house_rtp();
        let began_at = moment();
        let speaker = Speaker::start(&phone, to, PHONE_TONE, Stream::new(1));
        std::thread::sleep(secs(3));
        let ended_at = moment();
        speaker.stop();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let wire = wire.stop();
        let hears = first_at(&wire, at_phone, began_at).expect("sound for the phone") - began_at;
        let heard = page.heard(&call).between(began_at, ended_at).assert_tone(PHONE_TONE).first_at - began_at;
        println!("the phone gets sound after {hears:.0} ms, the page hears it after {heard:.0} ms");
        assert!(hears < 500.0 && heard < 500.0, "{hears:.0} ms, {heard:.0} ms");
        wire.heard(at_phone).between(began_at + 1000.0, ended_at).assert_tone(PAGE_TONE);
    });
}

#[test]
fn rq02_a_stranger_at_the_port_changes_nothing_hears_nothing_and_is_counted() {
    fairly(|| {
        let cast = Cast::new();
        let ((phone, at_phone), (stranger, at_stranger)) = (socket(), socket());
        let wire = Wiretap::start(&cast.bench);
        let (page, call) = cast.call();
        let to = cast.device.house_rtp();
        let speaker = Speaker::start(&phone, to, PHONE_TONE, Stream::new(1));
        std::thread::sleep(secs(1));
        let (before, began_at) = (cast.foreign(), moment());
        let foe = Speaker::start(&stranger, to, OTHER_TONE, Stream::new(2));
        std::thread::sleep(secs(4));
        let sent = foe.stop().sequence - 1000;
        let counted = cast.foreign() - before;
        let ended_at = moment();
        speaker.stop();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let wire = wire.stop();
        assert!(sent > 180, "{sent} packets in four seconds");
        assert_eq!(counted, f64::from(sent), "packets counted as foreign");
        assert_eq!(first_at(&wire, at_stranger, 0.0), None, "the stranger hears the call");
        page.heard(&call).between(began_at, ended_at).assert_tone(PHONE_TONE);
        wire.heard(at_phone).between(began_at, ended_at).assert_tone(PAGE_TONE);
    });
}

#[test]
fn rq02_a_phone_that_moves_is_heard_by_its_stream_or_by_a_new_offer_alone() {
    fairly(|| {
        let cast = Cast::new();
        let ((first, _), (second, at_second), (third, at_third)) = (socket(), socket(), socket());
        let wire = Wiretap::start(&cast.bench);
        let (page, call) = cast.call();
        let to: SocketAddr = cast.device.house_rtp();
        let speaker = Speaker::start(&first, to, PHONE_TONE, Stream::new(1));
        std::thread::sleep(secs(4)); // the window of the answer is over

        // The same stream from another port: it is the phone.
        let stream = speaker.stop();
        let moved_at = moment();
        let speaker = Speaker::start(&second, to, PHONE_TONE, stream);
        std::thread::sleep(secs(2));
        speaker.stop();

        // Another stream from a third port: anybody could send that.
        let strange_at = moment();
        let speaker = Speaker::start(&third, to, OTHER_TONE, Stream::new(3));
        std::thread::sleep(secs(2));
        let offered_at = moment();
        cast.device.reinvites();
        std::thread::sleep(secs(2));
        let ended_at = moment();
        speaker.stop();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let (wire, heard) = (wire.stop(), page.heard(&call));
        let back = heard.between(moved_at, strange_at).find(PHONE_TONE).expect("the moved phone").gap_ms;
        heard.between(moved_at + 500.0, strange_at).assert_tone(PHONE_TONE);
        assert!(heard.between(strange_at, offered_at).find(OTHER_TONE).is_none(), "a stranger is heard");
        let offered = heard.between(offered_at, ended_at).assert_tone(OTHER_TONE).first_at - offered_at;
        println!("a gap of {back:.0} ms at the move; heard {offered:.0} ms after the offer");
        assert!(back < 500.0 && offered < 500.0, "{back:.0} ms, {offered:.0} ms");
        let follows = first_at(&wire, at_second, moved_at).expect("sound for the moved phone") - moved_at;
        let answers = first_at(&wire, at_third, strange_at).expect("sound after the offer") - offered_at;
        assert!((0.0..500.0).contains(&follows), "the phone's sound follows it after {follows:.0} ms");
        assert!((-1.0..500.0).contains(&answers), "sound for the third port {answers:.0} ms after the offer");
    });
}
