//! A whole switch in the test's process, and the phone that it knows.
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use actors::handle::{
    Account, ActivityLimits, AnswerTiming, CodecId, MediaSettings, Secret, SessionHandle, SipSettings,
    Switch, SwitchSettings, ToPage,
};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::sleep;

use super::peer::UdpPeer;

static NEXT_PORT: AtomicU16 = AtomicU16::new(25_000);

/// A whole switch, and a phone that the test plays.
pub struct House {
    pub switch: Switch,
    pub phone: UdpPeer,
}

impl House {
    /// Where a second call rings.
    pub async fn new() -> Self {
        Self::with(true).await
    }

    /// Where a second call rings, or hears 486.
    pub async fn with(second_incoming_rings: bool) -> Self {
        Self::of(super::settings(), second_incoming_rings).await
    }

    /// With these settings of SIP.
    pub async fn of(mut sip: SipSettings, second_incoming_rings: bool) -> Self {
        let first = NEXT_PORT.fetch_add(200, Ordering::Relaxed);
        // The phone needs the house's address: a free port, found by binding it once.
        let at = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        sip.listen = vec![at];
        let settings = SwitchSettings {
            sip,
            media: MediaSettings {
                lanes: 1,
                webrtc_port: 0,
                webrtc_addresses: vec!["127.0.0.1".parse().unwrap()],
                rtp_ports: (first, first + 199),
                port_rest: Duration::ZERO,
                advertised_address: None,
                audio_codecs: vec![CodecId::Opus, CodecId::Pcmu],
                page_codecs: vec![CodecId::Opus, CodecId::Pcmu],
                telephone_events: true,
                allow_outside_codecs: true,
                answer_audio: AnswerTiming::AtOnce,
                video: Default::default(),
                encoding: Default::default(),
                hold_music: None,
                ring_back: None,
            },
            second_incoming_rings,
            no_answer: Duration::from_secs(180),
            max_duration: None,
            activity: ActivityLimits::never(),
        };
        let switch = Switch::start(settings, Arc::new(|_| ())).await.unwrap();
        Self { switch, phone: UdpPeer::any(at).await }
    }

    /// An account at the phone's address, which does not register.
    pub fn account(&self) -> Account {
        Account {
            login: "1001".into(),
            auth_name: "1001".into(),
            password: Secret::new("pw"),
            domain: "127.0.0.1".into(),
            outbound_proxy: None,
            port: Some(self.phone.socket.local_addr().unwrap().port()),
            register: false,
        }
    }

    /// Waits until the metrics have this line: lanes work on threads of their own.
    pub async fn shows(&self, line: &str) {
        for _ in 0..100 {
            if self.switch.metrics().lines().any(|has| has == line) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("no {line} in {}", self.switch.metrics());
    }
}

/// A page of the house's account, and the phone that all of its calls reach.
pub struct Scene {
    pub house: House,
    pub session: SessionHandle,
    pub page: Receiver<ToPage>,
}

impl Scene {
    pub async fn new() -> Self {
        let house = House::new().await;
        let (tell, page) = channel(256);
        let session = house.switch.open_session(Some(house.account()), tell).await.unwrap();
        Self { house, session, page }
    }
}
