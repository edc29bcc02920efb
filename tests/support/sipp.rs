//! Phones that follow a script: SIPp with the scenarios in `tests/sip`.

use super::process::{Process, Start};
use super::{Bench, secs};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A running scenario.
pub struct Sipp {
    process: Process,
    scenario: String,
    messages: PathBuf,
    errors: PathBuf,
    /// Where it listens.
    pub port: u16,
    /// Its RTP port; it sends back what comes in.
    pub rtp: u16,
}

/// How a scenario is run.
pub struct Plan {
    scenario: String,
    args: Vec<String>,
    words: Vec<(String, String)>,
    calls: u32,
    limit: Duration,
    address: String,
    tcp: bool,
    rate: u32,
}

impl Plan {
    /// One call of `tests/sip/<scenario>.xml`, at most a minute.
    pub fn new(scenario: &str) -> Self {
        let address = "127.0.0.1".into();
        Self {
            scenario: scenario.into(),
            args: vec![],
            words: vec![],
            calls: 1,
            limit: secs(60),
            address,
            tcp: false,
            rate: 10,
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

    /// SIP over TCP.
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// A word of the scenario: `[name]` becomes `value`. Done here, since SIPp wants a number in a status line.
    pub fn key(mut self, name: &str, value: &str) -> Self {
        self.words.push((format!("[{name}]"), value.into()));
        self
    }

    /// Calls `user` of `domain` by way of `next_hop` (`host:port`), as the user `caller`.
    pub fn calling(mut self, user: &str, domain: &str, next_hop: &str, caller: &str) -> Self {
        self.args.extend(["-s".into(), user.into(), next_hop.into()]);
        self.key("domain", domain).key("caller", caller)
    }

    /// Starts it.
    #[track_caller]
    pub fn start(self, bench: &Bench) -> Sipp {
        let (port, rtp) = (bench.port(), bench.rtp_ports().0);
        let name = format!("sipp-{}-{port}", self.scenario);
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
            .args([
                "-timeout",
                &format!("{}s", self.limit.as_secs()),
                "-timeout_error",
                "-nostdin",
                "-rtp_echo",
            ])
            .args(["-t", if self.tcp { "t1" } else { "u1" }, "-aa"])
            .args(["-trace_msg", "-message_file", &messages.to_string_lossy(), "-message_overwrite", "true"])
            .args(["-trace_err", "-error_file", &errors.to_string_lossy()])
            .args(self.args)
            .env("TERM", "dumb")
            .spawn();
        process.wait_bound(port, self.tcp, None, secs(5));
        Sipp { process, scenario: self.scenario, messages, errors, port, rtp }
    }
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

    /// Waits until a message holds `text`.
    #[track_caller]
    pub fn wait_for_message(&self, text: &str, limit: Duration) {
        let what = format!("{text:?} in the messages of sipp {}", self.scenario);
        super::wait_for(&what, limit, || self.messages().contains(text).then_some(()));
    }
}
