//! What is asked of calls through `actors::handle`, with two linphonecs as their far sides: a hold, and an attended transfer (RFC 5589 §7). They hear
//! of it by SIP of their own, and talk to each other in the end. The page is the test's; it has no sound.

#![allow(clippy::unwrap_used)]

mod support;

use actors::handle::{
    Account, Additions, CallId, CallStatus, FromPage, PlaceCall, Secret, SessionHandle, Switch, ToPage,
    TransferTo,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::kamailio::{DOMAIN, Kamailio, password};
use support::scene::{OTHER_TONE, PHONE_TONE};
use support::tls::{Claim, certificate};
use support::websocket::offer;
use support::{Bench, Linphone, fairly, kamailio, secs, wait_for};
use tandem::config::Settings;
use tokio::sync::mpsc::{Receiver, channel};

/// A switch of the usual settings that encrypts its sound in any case, on threads of its own; it lives as long as the test program.
fn switch(bench: &Bench) -> Switch {
    let rtp = bench.rtp_ports();
    let set = [
        ("LISTEN__SIP", format!("127.0.0.1:{}", bench.port())),
        ("LISTEN__SIP_TLS", format!("127.0.0.1:{}", bench.port())),
        ("MEDIA__WEBRTC_PORT", bench.port().to_string()),
        ("MEDIA__RTP_PORT_FROM", rtp.0.to_string()),
        ("MEDIA__RTP_PORT_TO", rtp.1.to_string()),
        ("SIP__SRTP", "required".into()),
        ("SECURITY__SIP_TARGET_DENY", String::new()),
    ];
    let set = set.map(|(key, value)| (format!("TANDEM_{key}"), value));
    let settings = Settings::load(None, set).unwrap().switch;
    let (tell, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            tell.send(Switch::start(settings, Arc::new(|_| ())).await.unwrap()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
}

struct Page {
    session: SessionHandle,
    told: Receiver<ToPage>,
}

impl Page {
    async fn open(switch: &Switch, pbx: &Kamailio) -> Self {
        let account = Account {
            login: "1001".into(),
            auth_name: "1001".into(),
            password: Secret::new(password("1001")),
            domain: DOMAIN.into(),
            outbound_proxy: Some(pbx.address.clone()),
            port: Some(pbx.port),
            register: false,
        };
        let (tell, told) = channel(256);
        Self { session: switch.open_session(Some(account), tell).await.unwrap(), told }
    }

    /// A call to somebody, answered.
    async fn talks_to(&mut self, callee: &str) -> CallId {
        let call_id = CallId::random();
        self.session.tell(FromPage::Call(PlaceCall {
            call_id: call_id.clone(),
            callee: callee.into(),
            visible_name: None,
            sdp: offer().to_owned(),
            additions: Additions::default(),
        }));
        self.is_told(&call_id, CallStatus::Established).await;
        call_id
    }

    async fn is_told(&mut self, call_id: &CallId, wanted: CallStatus) {
        let told = async {
            loop {
                let ToPage::CallStatus(view, status) = self.told.recv().await.expect("a session") else {
                    continue;
                };
                if view.call_id == *call_id && status == wanted {
                    return;
                }
                assert!(!matches!(status, CallStatus::Finish(_) | CallStatus::Failed(_)), "{status:?}");
            }
        };
        tokio::time::timeout(secs(10), told).await.unwrap_or_else(|_| panic!("never {wanted:?}"));
    }
}

#[test]
fn rq14_two_linphones_are_held_and_joined_as_asked_from_above() {
    fairly(|| {
        let bench = Bench::new();
        let (_, files) =
            certificate(&bench.subfolder("certificates"), Claim { names: &[DOMAIN], until: 2090 });
        let pbx = kamailio::Plan::new().tls(files).start(&bench);
        let first = Linphone::start(&bench, &pbx, "1002", PHONE_TONE, true);
        let second = Linphone::start(&bench, &pbx, "1003", OTHER_TONE, true);
        let switch = switch(&bench);
        let runtime = actix_rt::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut page = Page::open(&switch, &pbx).await;
            let one = page.talks_to("1002").await;
            for held in [true, false, true] {
                assert_eq!(switch.hold(&one, held).await, Ok(()));
                page.is_told(&one, if held { CallStatus::Hold } else { CallStatus::Established }).await;
                wait_for("linphone to hear of the hold", secs(3), || (first.is_held() == held).then_some(()));
            }
            let two = page.talks_to("1003").await;
            let asked = Instant::now();
            assert_eq!(switch.transfer(&one, &TransferTo::Call(two.clone())).await, Ok(()));
            println!("joined after {:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_secs(3)).await;
            let metrics = switch.metrics();
            assert!(
                metrics.contains("tandem_calls_total{direction=\"outgoing\",result=\"transferred\"} 1"),
                "{metrics}"
            );
        });
        for (phone, tone) in [(first, OTHER_TONE), (second, PHONE_TONE)] {
            let found = phone.heard().find(tone).expect("each hears the other");
            assert!(found.last_at - found.first_at > 1500.0, "{found:?}");
        }
    });
}
