//! Every script of `tests/sip` over UDP, over TCP and over TLS. The other files run most of them over UDP and listen to the sound, which no
//! transport of SIP changes: here are no browsers, and all scripts run at once.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::Duration;
use support::dns::{self, Record};
use support::kamailio::DOMAIN;
use support::sipp::{Plan, Transport};
use support::tls::{Claim, certificate};
use support::websocket::{Frame, WebSocket, offer};
use support::{Bench, House, Sipp, house, kamailio, secs};

/// A script, its words, and what the page of its account does meanwhile. `calls` is no word: it says how many dialogs the script takes.
type Row = (&'static str, &'static [(&'static str, &'static str)], fn(&mut Page));

/// Phones and PBXs that the page's account has as its next hop.
const CALLED: &[Row] = &[
    ("registrar_refuse", &[("code", "403"), ("reason", "No")], |page| page.is_not_registered(403)),
    ("registrar_challenge_for_ever", &[], |page| page.is_not_registered(401)),
    ("registrar_mailbox", &[("calls", "2")], |page| {
        let mail = page.hears("notifyMessageSummary");
        assert_eq!((&mail["waiting"], &mail["newMessages"]), (&json!(true), &json!(2)), "{mail}");
        let mail = page.hears("notifyMessageSummary"); // after the refresh
        assert_eq!((&mail["waiting"], &mail["oldMessages"]), (&json!(false), &json!(10)), "{mail}");
        page.socket.close();
    }),
    ("uas_answer", &[], |page| page.talks_for(0)),
    ("uas_answer_at_once", &[], |page| page.talks_for(0)),
    ("uas_ring_answer", &[], |page| page.talks_for(0)),
    ("uas_additions", &[], |page| {
        page.calls_with(&json!({ "sipSDP": ["b=AS:3000", "b=TIAS:2500000"], "sipHeaders": { "X-Tenant": "blue", "X-Ticket": 42 } }));
        page.hears("talk");
        page.hangs_up();
    }),
    ("uas_announcement_refused", &[], |page| page.is_refused(486)),
    ("uas_early_media", &[], |page| page.talks_for(0)),
    ("uas_early_media_cancelled", &[], |page| {
        page.calls();
        page.hears_status("RING_MEDIA");
        page.hangs_up();
    }),
    ("uas_adds_video", &[("port", "0 ")], |page| page.talks_for(3000)),
    ("uas_changes_codec", &[], |page| page.talks_for(7000)),
    ("uas_forks", &[], |page| page.talks_for(500)),
    ("uas_hang_up", &[], |page| {
        page.calls();
        page.hears("talk");
        page.hears("finish");
    }),
    ("uas_held_by_caller", &[], |page| {
        page.calls();
        page.hears("talk");
        page.says("hold", json!({}));
        page.hears("hold");
        page.hangs_up();
    }),
    ("uas_hold", &[("direction", "sendonly"), ("held_at", "127.0.0.1"), ("hold_ms", "300")], Page::is_held),
    ("uas_hold", &[("direction", "inactive"), ("held_at", "127.0.0.1"), ("hold_ms", "300")], Page::is_held),
    ("uas_hold", &[("direction", "inactive"), ("held_at", "0.0.0.0"), ("hold_ms", "300")], Page::is_held),
    ("uas_info", &[], |page| {
        page.calls();
        page.hears("talk");
        for digit in ["5", "#"] {
            assert_eq!(page.hears("notifyDtmf")["dtmf"], digit);
        }
        page.waits(500);
        page.hangs_up();
    }),
    (
        "uas_info_digits",
        &[
            ("formats", "0 101"),
            ("type", "application/dtmf-relay"),
            ("first", "Signal=5"),
            ("second", "Signal=#"),
        ],
        |page| {
            page.calls();
            page.hears("talk");
            page.says("sendDtmf", json!({ "dtmf": "5#", "type": "INFO_RELAY" }));
            page.waits(1500);
            page.hangs_up();
        },
    ),
    ("uas_message", &[], |page| {
        page.says("sendMessage", json!({ "id": "m1", "to": "2001", "body": "I want you\r\nto see." }));
        page.hears_status("ACCEPTED");
    }),
    ("uas_message_in_call", &[], |page| {
        page.calls();
        page.is_written_to();
        page.hangs_up();
    }),
    ("uas_refer", &[("target", "1003"), ("outcome", "200 OK")], |page| {
        page.calls();
        page.hears("talk");
        page.says("transfer", json!({ "target": "1003" }));
        assert_eq!(page.hears("finish")["reason"], "transferred");
    }),
    ("uas_refer", &[("target", "1003"), ("outcome", "486 Busy Here")], |page| page.transfers_in_vain(486)),
    ("uas_refuse_refer", &[("target", "1003"), ("answer", "603 Decline")], |page| {
        page.transfers_in_vain(603)
    }),
    ("uas_refresh", &[], |page| page.talks_for(2500)),
    ("uas_refuse_hold", &[], |page| {
        page.calls();
        page.hears("talk");
        page.says("hold", json!({}));
        page.hears("talk");
        page.hangs_up();
    }),
    ("uas_reinvite_without_offer", &[], |page| page.talks_for(1500)),
    ("uas_reject", &[("code", "404"), ("reason", "Not Found")], |page| page.is_refused(404)),
    ("uas_reliable", &[], |page| page.talks_for(500)),
    ("uas_ring", &[], |page| {
        page.calls();
        page.hears("ring");
        page.hangs_up();
    }),
    ("uas_ring_early_media", &[], |page| page.talks_for(0)),
    ("uas_ring_reject", &[("code", "603"), ("reason", "Decline")], |page| page.is_refused(603)),
    ("uas_session_timer", &[], |page| page.talks_for(5000)), // two refreshes, each after half of 4 s
    ("uas_trying", &[], |page| {
        page.calls();
        page.waits(1000);
        page.hangs_up();
    }),
    ("uas_video", &[("video", SINGLE_UNITS)], |page| {
        let told = page.calls_with_pictures();
        assert!(told.contains("packetization-mode=0;profile-level-id=42e01f\r\n"), "{told}");
        assert!(
            told.contains("a=sendrecv\r\na=rtpmap:114 H264/90000\r\n"),
            "its pictures are wanted: {told}"
        );
        page.hears("talk");
        page.hangs_up();
    }),
    ("uas_video", &[("video", "m=video 0 RTP/AVP 120")], |page| {
        let told = page.calls_with_pictures();
        let (_, video) = told.split_once("m=video ").expect("an answer for pictures");
        assert!(
            !video.starts_with("9 ") && video.contains("a=sendrecv\r\n"),
            "a still one stands in: {told}"
        );
        page.hears("talk");
        page.hangs_up();
    }),
];

/// A phone whose H.264 is of packetization-mode 0, which it does not say.
const SINGLE_UNITS: &str =
    "m=video [media_port+2] RTP/AVP 121\na=rtpmap:121 H264/90000\na=fmtp:121 profile-level-id=42801F";

/// Phones behind a PBX, which send the page to another phone there.
const TRANSFERRING: &[Row] = &[
    ("uas_transfers", &[("target", "1003@pbx.test"), ("domain", DOMAIN)], |page| page.talks_for(5500)),
    ("uas_transfers_and_leaves", &[("target", "1003@pbx.test"), ("domain", DOMAIN)], |page| {
        page.talks_for(5500)
    }),
    (
        "uas_transfers_in_vain",
        &[("target", "1009@pbx.test"), ("domain", DOMAIN), ("outcome", "404")],
        |page| page.talks_for(3500),
    ),
];

/// Phones and PBXs that come to the page of their own accord.
const CALLING: &[Row] = &[
    ("uac_call", &[], |page| {
        page.answers(&json!({}));
        page.hangs_up();
    }),
    ("uac_hang_up", &[], |page| {
        page.answers(&json!({}));
        page.hears("finish");
    }),
    (
        "uac_codecs",
        &[("rtp_port", "9"), ("first", "RTP/AVP 0"), ("second", "RTP/AVP 8"), ("talk_ms", "500")],
        |page| {
            page.answers(&json!({}));
            page.hears("finish");
        },
    ),
    ("uac_cancel", &[], |page| {
        page.is_called();
        page.hears("finish");
    }),
    ("uac_refused", &[], |page| {
        page.is_called();
        page.hears("ring");
        page.hangs_up();
    }),
    ("uac_reliable", &[], |page| {
        page.is_called();
        page.waits(700); // the 200 of the PRACK comes first
        page.takes_the_call(&json!({}));
        page.hangs_up();
    }),
    ("uac_session_timer", &[], |page| {
        page.answers(&json!({}));
        page.waits(700);
        page.hangs_up();
    }),
    ("uac_without_offer", &[], |page| {
        page.answers(&json!({}));
        page.hangs_up();
    }),
    ("uac_additions", &[], |page| {
        page.answers(&json!({ "sipSDP": ["b=AS:3000", "b=RS:1000"] }));
        page.hangs_up();
    }),
    ("uac_message", &[], |page| page.hears_status("RECEIVED")),
    ("uac_message_in_call", &[], |page| {
        page.answers(&json!({}));
        page.is_written_to();
        page.hangs_up();
    }),
    ("uac_mailbox", &[], |page| drop(page.socket.expect("notifyMessageSummary", LIMIT))),
    ("uac_options", &[], |_| ()),
];

/// This one comes into a call that is there; [`takes_a_place`] runs it.
const REPLACING: &str = "uac_replaces";

/// One house, one PBX and one set of phones for each transport, beside each other: they wait most of their time.
#[test]
fn every_script_runs_over_udp_tcp_and_tls() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for way in ["udp", "tcp", "tls"] {
            let part = bench.part(way);
            std::thread::Builder::new()
                .name(way.into())
                .spawn_scoped(scope, || every_script(way, part))
                .unwrap();
        }
    });
}

#[test]
fn no_script_is_missing_here() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sip")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut scripts: Vec<String> = files.filter_map(|name| Some(name.strip_suffix(".xml")?.into())).collect();
    let mut here: Vec<&str> = [CALLED, TRANSFERRING, CALLING].concat().iter().map(|row| row.0).collect();
    here.push(REPLACING);
    here.sort_unstable();
    here.dedup();
    scripts.sort_unstable();
    assert_eq!(here, scripts);
}

/// How long any step may take.
const LIMIT: Duration = secs(10);

/// A house whose accounts are all reached in one way, and what it takes to make phones for them.
struct Stage {
    house: House,
    /// `udp`, `tcp` or `tls`.
    way: &'static str,
    transport: Transport,
    bench: Bench,
}

impl Stage {
    fn has_tls(&self) -> bool {
        self.way == "tls"
    }

    fn phone(&self, (script, words, _): Row) -> Sipp {
        let plan = words.iter().fold(Plan::new(script), |plan, (name, value)| match *name {
            "calls" => plan.calls(value.parse().unwrap(), 10),
            name => plan.key(name, value),
        });
        plan.over(self.transport.clone()).start(&self.bench)
    }

    fn caller(&self, script: &str, user: &str, words: &[(&str, &str)]) -> Sipp {
        let port = if self.has_tls() { self.house.sip_tls } else { self.house.sip };
        let plan = words.iter().fold(Plan::new(script), |plan, (name, value)| plan.key(name, value));
        let plan = plan.over(self.transport.clone());
        plan.calling(user, DOMAIN, &format!("127.0.0.1:{port}"), "trunk").start(&self.bench)
    }

    /// Where a domain is reached.
    fn records(&self, domain: &'static str, port: u16) -> [Record; 2] {
        let service = match self.way {
            "tls" => "_sips._tcp.",
            "tcp" => "_sip._tcp.",
            _ => "_sip._udp.",
        };
        let service: &str = format!("{service}{domain}").leak();
        [Record::Srv(service, port, domain), Record::A(domain, Ipv4Addr::LOCALHOST)]
    }
}

fn every_script(way: &'static str, bench: Bench) {
    let domains =
        |kind: &str, count: usize| (0..count).map(|n| format!("{kind}{n}.test")).collect::<Vec<_>>();
    let phones: &[String] = domains("phone", CALLED.len()).leak();
    let names: Vec<&str> =
        phones.iter().map(String::as_str).chain([DOMAIN, "replaced.test", "127.0.0.1"]).collect();
    let (ca, (chain, key)) =
        certificate(&bench.subfolder("certificates"), Claim { names: &names, until: 2090 });
    let dns = bench.port();
    let house = house::Plan::new().set("sip.dns_servers", &format!("[\"127.0.0.1:{dns}\"]"));
    let house = house.set("sip.tls_ca_file", &format!("\"{}\"", ca.display()));
    let house = house.set("sip.mailbox_subscribe", "true").start(&bench);
    let transport = match way {
        "tls" => Transport::Tls(chain.clone(), key.clone()),
        "tcp" => Transport::Tcp,
        _ => Transport::Udp,
    };
    let stage = Stage { house, way, transport, bench };

    let called: Vec<Sipp> = CALLED.iter().map(|row| stage.phone(*row)).collect();
    let transferring: Vec<Sipp> = TRANSFERRING.iter().map(|row| stage.phone(*row)).collect();
    let targets = Plan::new("uas_ring_answer").calls(2, 10).over(stage.transport.clone()).start(&stage.bench);
    let mut replaced = stage.phone(("uas_answer", &[], |_| ()));
    let route = |phone: &Sipp| format!("{};transport={way}", phone.target());
    let pbx = kamailio::Plan::new().tls((chain, key)).route("1003", &route(&targets));
    let pbx = transferring
        .iter()
        .enumerate()
        .fold(pbx, |pbx, (n, phone)| pbx.route(&format!("300{n}"), &route(phone)));
    let pbx = pbx.start(&stage.bench);
    let zone = called.iter().zip(phones).flat_map(|(phone, domain)| stage.records(domain, phone.port));
    let pbx_port = if stage.has_tls() { pbx.tls_port } else { pbx.port };
    let zone =
        zone.chain(stage.records(DOMAIN, pbx_port)).chain(stage.records("replaced.test", replaced.port));
    dns::serve(dns, zone.collect());

    let open = |domain: &str, callee: &str, registers| Page::open(&stage.house, domain, callee, registers);
    let called = CALLED.iter().zip(called).zip(phones);
    let mut called = called
        .map(|((row, phone), domain)| (*row, open(domain, "2001", row.0.starts_with("registrar")), phone));
    // One address may have 32 connections at a time.
    all_at_once(called.by_ref().take(25));
    let transferring = TRANSFERRING.iter().zip(transferring).enumerate();
    let transferring =
        transferring.map(|(n, (row, phone))| (*row, open(DOMAIN, &format!("300{n}"), false), phone));
    all_at_once(called.chain(transferring));
    all_at_once(CALLING.iter().map(|row| {
        let page = open(DOMAIN, "", false);
        let phone = stage.caller(row.0, &page.login, row.1);
        (*row, page, phone)
    }));
    takes_a_place(&stage, &mut replaced);
    let mut house = stage.house;
    house.assert_no_call_left(secs(5));
    house.assert_well();
    for other in ["udp", "tcp", "tls"].into_iter().filter(|other| *other != way) {
        assert_eq!(
            house.metric("tandem_sip_requests_total", &format!("transport=\"{other}\"")),
            0.0,
            "{other}"
        );
    }
}

/// Lets each page do its part while its phone follows its script.
fn all_at_once(rows: impl Iterator<Item = (Row, Page, Sipp)>) {
    std::thread::scope(|scope| {
        let play = |((script, _, plays), mut page, mut phone): (Row, Page, Sipp)| {
            let play = move || {
                plays(&mut page);
                phone.assert_passed(LIMIT);
            };
            (script, std::thread::Builder::new().name(script.into()).spawn_scoped(scope, play).unwrap())
        };
        let running: Vec<_> = rows.map(play).collect();
        let failed = running.into_iter().filter_map(|(script, thread)| thread.join().err().map(|_| script));
        assert_eq!(failed.collect::<Vec<_>>(), [""; 0]);
    });
}

/// Somebody takes the place of the phone that the page talks to.
fn takes_a_place(stage: &Stage, phone: &mut Sipp) {
    let mut page = Page::open(&stage.house, "replaced.test", "2001", false);
    page.calls();
    page.hears("talk");
    phone.wait_for_message("\nACK ", secs(2));
    let replaced = phone.dialog();
    let mut other = stage.caller(REPLACING, &page.login, &[("replaced", &replaced)]);
    phone.assert_passed(LIMIT); // it got its BYE
    page.waits(500);
    page.hangs_up();
    other.assert_passed(LIMIT);
}

/// The page of an account of its own, as its socket sees it.
struct Page {
    socket: WebSocket,
    login: String,
    callee: String,
    call: String,
}

impl Page {
    fn open(house: &House, domain: &str, callee: &str, registers: bool) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1010);
        let login = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let mut socket = WebSocket::open(house.web);
        socket.send("connection", json!({
            "appKey": "defaultApp", "sipLogin": login, "sipAuthenticationName": login, "sipPassword": "secret", "sipDomain": domain,
            "sipRegisterRequired": registers, "tandemEvents": ["message-summary", "dtmf", "remote-hold"],
        }));
        socket.expect("getUserData", LIMIT);
        Self { socket, callee: callee.into(), call: format!("call-of-{login}"), login }
    }

    fn says(&mut self, message: &str, what: Value) {
        let mut data = json!({ "callId": self.call });
        data.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        self.socket.send(message, data);
    }

    fn hears(&mut self, message: &str) -> Value {
        self.socket.expect(message, LIMIT)
    }

    /// Any message of this status.
    fn hears_status(&mut self, status: &str) {
        while let Some(Frame::Text(frame)) = self.socket.next(LIMIT) {
            if frame["data"][0]["status"] == status {
                return;
            }
        }
        panic!("no {status}");
    }

    fn waits(&mut self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn calls(&mut self) {
        self.calls_with(&json!({}));
    }

    /// The phone holds it once, and takes it back.
    fn is_held(&mut self) {
        self.calls();
        self.hears("talk");
        for held in [true, false] {
            assert_eq!(self.hears("remoteHold")["held"], held);
        }
        self.hangs_up();
    }

    fn calls_with(&mut self, more: &Value) {
        let mut frame = json!({ "incoming": false, "hasVideo": false, "hasAudio": true, "status": "PENDING", "mediaProvider": "WebRTC",
            "sdp": offer(), "callee": self.callee });
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.says("call", frame);
    }

    /// With a camera; gives what the page is told.
    fn calls_with_pictures(&mut self) -> String {
        let offer = include_str!("../actors/tests/sdp/offer-video.sdp");
        self.calls_with(&json!({ "hasVideo": true, "sdp": offer }));
        while let Some(Frame::Text(frame)) = self.socket.next(LIMIT) {
            if frame["message"] == "setRemoteSDP" {
                return frame["data"][1].as_str().unwrap().to_owned();
            }
        }
        panic!("no description");
    }

    fn hangs_up(&mut self) {
        self.says("hangup", json!({}));
        self.hears("finish");
    }

    /// Calls, talks for so long and hangs up.
    fn talks_for(&mut self, ms: u64) {
        self.calls();
        self.hears("talk");
        self.waits(ms);
        self.hangs_up();
    }

    fn is_refused(&mut self, code: u16) {
        self.calls();
        assert_eq!(self.hears("finish")["sipStatus"], code);
    }

    fn is_not_registered(&mut self, code: u16) {
        assert_eq!(self.hears("fail")["sipStatus"], code);
    }

    fn transfers_in_vain(&mut self, code: u16) {
        self.calls();
        self.hears("talk");
        self.says("transfer", json!({ "target": "1003" }));
        assert_eq!(self.hears("talk")["sipStatus"], code);
        self.hangs_up();
    }

    fn is_called(&mut self) {
        self.call = self.hears("notifyIncomingCall")["callId"].as_str().unwrap().to_owned();
    }

    /// Hears, in its call, what the `…_message_in_call` write.
    fn is_written_to(&mut self) {
        let text = self.hears("notifyMessage");
        assert_eq!(
            (&text["status"], &text["body"]),
            (&json!("RECEIVED"), &json!("Watson, come here.")),
            "{text}"
        );
    }

    fn answers(&mut self, more: &Value) {
        self.is_called();
        self.takes_the_call(more);
    }

    fn takes_the_call(&mut self, more: &Value) {
        let frame: Value = serde_json::from_str(include_str!("frames/frame-answer-audio.json")).unwrap();
        let mut answer =
            json!({ "incoming": true, "hasVideo": false, "hasAudio": true, "sdp": frame["data"][0]["sdp"] });
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.says("answer", answer);
        self.hears("talk");
    }
}
