//! Phones that follow a script: SIPp with the scenarios in `tests/sip`. Debian's SIPp has no TLS: there socat speaks it, and SIPp TCP with socat.

use super::process::{Process, Start};
use super::{Bench, secs};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A running scenario.
pub struct Sipp {
    process: Process,
    _tunnels: Vec<Process>,
    scenario: String,
    messages: PathBuf,
    errors: PathBuf,
    /// Where it is called.
    pub port: u16,
    /// Its RTP port; it sends back what comes in.
    pub rtp: u16,
}

/// How a scenario is run.
pub struct Plan {
    scenario: String,
    called: Option<(String, String)>,
    words: Vec<(String, String)>,
    calls: u32,
    limit: Duration,
    address: String,
    transport: Transport,
    rate: u32,
    echoes: bool,
}

/// What carries its SIP.
#[derive(Clone)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
    /// Connections with TLS; who calls it sees this chain, made by this key (files).
    Tls(PathBuf, PathBuf),
}

impl Plan {
    /// One call of `tests/sip/<scenario>.xml`, at most a minute.
    pub fn new(scenario: &str) -> Self {
        let address = "127.0.0.1".into();
        Self {
            scenario: scenario.into(),
            called: None,
            words: vec![],
            calls: 1,
            limit: secs(60),
            address,
            transport: Transport::Udp,
            rate: 10,
            echoes: true,
        }
    }

    /// A phone that puts its caller on hold for `ms`, by a direction and an address in `c=`.
    pub fn holding(direction: &str, held_at: &str, ms: u64) -> Self {
        let hold = Self::new("uas_hold").limit(secs(60) + Duration::from_millis(ms));
        hold.key("direction", direction).key("held_at", held_at).key("hold_ms", &ms.to_string())
    }

    /// How many calls it takes or makes; a second apart would be `rate` 1.
    pub fn calls(mut self, calls: u32, rate: u32) -> Self {
        (self.calls, self.rate) = (calls, rate);
        self
    }

    /// When it gives up.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Listens on another address; an IPv6 one without brackets.
    pub fn address(mut self, address: &str) -> Self {
        self.address = address.into();
        self
    }

    /// SIP over this.
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Sends the RTP of a capture with its answer, and nothing of what it hears. It begins before the answer is written: SIPp reads its socket
    /// between two steps of a script, and an ACK that came before a step that plays would be none that it waits for.
    pub fn greeting_with(mut self, capture: &std::path::Path) -> Self {
        self.echoes = false;
        let play = format!("<nop><action><exec play_pcap_audio=\"{}\"/></action></nop>", capture.display());
        let answer = "<send retrans=\"500\">";
        self.words.push((answer.into(), play + answer));
        self
    }

    /// Has these lines behind those of the sound in its SDP.
    pub fn describing(mut self, lines: &str) -> Self {
        let lines: String = lines.lines().map(|line| format!("\n      {line}")).collect();
        self.words.push(("      a=sendrecv".into(), format!("      a=sendrecv{lines}")));
        self
    }

    /// SIP over TCP.
    pub fn tcp(self) -> Self {
        self.over(Transport::Tcp)
    }

    /// A word of the scenario: `[name]` becomes `value`. Done here, since SIPp wants a number in a status line.
    pub fn key(mut self, name: &str, value: &str) -> Self {
        self.words.push((format!("[{name}]"), value.into()));
        self
    }

    /// Calls `user` of `domain` by way of `next_hop` (`host:port`), as the user `caller`.
    pub fn calling(mut self, user: &str, domain: &str, next_hop: &str, caller: &str) -> Self {
        self.called = Some((user.into(), next_hop.into()));
        self.key("domain", domain).key("caller", caller)
    }

    /// Starts it.
    #[track_caller]
    pub fn start(mut self, bench: &Bench) -> Sipp {
        let (port, rtp) = (bench.port(), bench.phone_port());
        let name = format!("sipp-{}-{port}", self.scenario);
        let mut shown = port;
        let mut tunnels = vec![];
        if let Transport::Tls(chain, key) = &self.transport {
            shown = bench.port();
            let (chain, key) = (chain.display(), key.display());
            let tls = format!(
                "OPENSSL-LISTEN:{shown},bind=127.0.0.1,reuseaddr,fork,verify=0,cert={chain},key={key}"
            );
            tunnels.push(tunnel(bench, shown, &tls, &format!("TCP:127.0.0.1:{port}")));
            self.words
                .extend([("[transport]".into(), "TLS".into()), ("[local_port]".into(), shown.to_string())]);
            if let Some((_, next_hop)) = &mut self.called {
                let entrance = bench.port();
                let tcp = format!("TCP-LISTEN:{entrance},bind=127.0.0.1,reuseaddr,fork");
                tunnels.push(tunnel(bench, entrance, &tcp, &format!("OPENSSL:{next_hop},verify=0")));
                *next_hop = format!("127.0.0.1:{entrance}");
            }
        }
        let is_tcp = !matches!(self.transport, Transport::Udp);
        let called = self.called.into_iter().flat_map(|(user, next_hop)| ["-s".into(), user, next_hop]);
        let text =
            fs::read_to_string(format!("{}/tests/sip/{}.xml", env!("CARGO_MANIFEST_DIR"), self.scenario));
        let text = self.words.iter().fold(text.unwrap(), |text, (word, value)| text.replace(word, value));
        let file = bench.path(&format!("{name}.xml"));
        fs::write(&file, text).unwrap();
        let (messages, errors) =
            (bench.path(&format!("{name}.messages")), bench.path(&format!("{name}.errors")));
        let mut process = Start::new("sipp", "sipp", &bench.path(&format!("{name}.log")), None)
            .args(["-sf", &file.to_string_lossy(), "-i", &self.address, "-mi", &self.address])
            .args(["-p", &port.to_string(), "-mp", &rtp.to_string()])
            .args(["-m", &self.calls.to_string(), "-r", &self.rate.to_string(), "-l", "500"])
            .args(["-timeout", &format!("{}s", self.limit.as_secs()), "-timeout_error", "-nostdin"])
            .args(self.echoes.then_some("-rtp_echo"))
            .args(["-t", if is_tcp { "t1" } else { "u1" }, "-aa"])
            .args(["-trace_msg", "-message_file", &messages.to_string_lossy(), "-message_overwrite", "true"])
            .args(["-trace_err", "-error_file", &errors.to_string_lossy()])
            .args(called)
            .env("TERM", "dumb")
            .spawn();
        process.wait_bound(port, is_tcp, None, secs(5));
        Sipp { process, _tunnels: tunnels, scenario: self.scenario, messages, errors, port: shown, rtp }
    }
}

/// socat between two kinds of connection: it takes those that `listening` names and opens one `towards` for each.
fn tunnel(bench: &Bench, port: u16, listening: &str, towards: &str) -> Process {
    let log = bench.path(&format!("socat-{port}.log"));
    let mut socat = Start::new("socat", "socat", &log, None).args([listening, towards]).spawn();
    socat.wait_bound(port, true, None, secs(5));
    socat
}

impl Sipp {
    /// Starts one call of a scenario.
    #[track_caller]
    pub fn start(bench: &Bench, scenario: &str) -> Self {
        Plan::new(scenario).start(bench)
    }

    /// `host:port` for a route of the PBX.
    pub fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits for its end and asserts that every message came as the scenario wants it.
    #[track_caller]
    pub fn assert_passed(&mut self, limit: Duration) {
        let status = self.process.wait(limit);
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        assert!(status.success(), "sipp {}: {status}\n{errors}", self.scenario);
    }

    /// Every message that it sent or received, as text.
    pub fn messages(&self) -> String {
        fs::read_to_string(&self.messages).unwrap_or_default()
    }

    /// The dialog of the last ACK that it got, as a Replaces of the caller's other side names it (RFC 3891).
    #[track_caller]
    pub fn dialog(&self) -> String {
        let messages = self.messages();
        let ack = &messages[messages.rfind("\nACK ").expect("an ACK")..];
        let value = |name: &str| {
            let line = ack.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
        };
        let tag = |name: &str| value(name).split_once(";tag=").unwrap_or_default().1.to_owned();
        format!("{};to-tag={};from-tag={}", value("Call-ID"), tag("From"), tag("To"))
    }

    /// Waits until a message holds `text`.
    #[track_caller]
    pub fn wait_for_message(&self, text: &str, limit: Duration) {
        let what = format!("{text:?} in the messages of sipp {}", self.scenario);
        super::wait_for(&what, limit, || self.messages().contains(text).then_some(()));
    }
}
