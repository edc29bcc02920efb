//! The program under test.

use super::netns::Namespace;
use super::process::{Process, Start};
use super::{Bench, secs, wait_for};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// A running `tandem serve` with settings made for the test. Dropped, it is ended by its id.
pub struct House {
    process: Process,
    /// WebSocket and pages, plain.
    pub web: u16,
    /// REST, metrics and probes, on loopback.
    pub rest: u16,
    /// SIP, UDP and TCP.
    pub sip: u16,
    /// SIP over TLS.
    pub sip_tls: u16,
    /// WebRTC, one port because the test runs one lane.
    pub webrtc: u16,
    /// First and last port for RTP.
    pub rtp: (u16, u16),
    /// The address on which it listens.
    pub address: String,
}

/// How a house is set up; everything has a default for loopback.
pub struct Plan<'a> {
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    namespace: Option<&'a Namespace>,
    address: String,
}

impl<'a> Plan<'a> {
    /// One lane, loopback, no denied SIP targets, ports that rest only 200 ms.
    pub fn new() -> Self {
        let plan =
            Self { settings: vec![], environment: vec![], namespace: None, address: "127.0.0.1".into() };
        plan.set("security.sip_target_deny", "[]").set("media.lanes", "1").set("media.port_rest_ms", "200")
    }

    /// A setting by its dotted key, the value as TOML. A key set again replaces what it was.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.into(), value.into()));
        self
    }

    /// An environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Runs inside `namespace` and listens on `address` there; `[::]`: on all of both families.
    pub fn inside(mut self, namespace: &'a Namespace, address: &str) -> Self {
        self.namespace = Some(namespace);
        self.address = address.into();
        self
    }

    /// Starts the house and waits until it is ready.
    #[track_caller]
    pub fn start(self, bench: &Bench) -> House {
        let (web, web_tls, rest, sip) = (bench.port(), bench.port(), bench.port(), bench.port());
        let (sip_tls, webrtc, rtp) = (bench.port(), bench.port(), bench.rtp_ports());
        let address = self.address;
        // "[::]" takes IPv6 alone: who wants it wants both.
        let both = |port: u16| match address.as_str() {
            "[::]" => format!("[\"0.0.0.0:{port}\", \"[::]:{port}\"]"),
            one => format!("\"{one}:{port}\""),
        };
        let mut settings = vec![
            ("listen.web", both(web)),
            ("listen.web_tls", format!("\"{address}:{web_tls}\"")),
            ("listen.rest", format!("\"127.0.0.1:{rest}\"")),
            ("listen.sip", both(sip)),
            ("listen.sip_tls", format!("\"{address}:{sip_tls}\"")),
            ("media.webrtc_port", webrtc.to_string()),
            ("media.rtp_port_from", rtp.0.to_string()),
            ("media.rtp_port_to", rtp.1.to_string()),
        ];
        settings.retain(|(key, _)| !self.settings.iter().any(|(known, _)| known == key));
        let lines = settings.iter().map(|(key, value)| format!("{key} = {value}\n"));
        let own = self.settings.iter().map(|(key, value)| format!("{key} = {value}\n"));
        let file = bench.path("tandem.toml");
        fs::write(&file, lines.chain(own).collect::<String>()).unwrap();

        let log = bench.path("tandem.log");
        let mut start = Start::new("tandem", program(), &log, self.namespace);
        start =
            start.args(["serve", "--config", &file.to_string_lossy()]).directory(&bench.subfolder("home"));
        for (key, value) in &self.environment {
            start = start.env(key, value);
        }
        let mut house = House { process: start.spawn(), web, rest, sip, sip_tls, webrtc, rtp, address };
        if let Some(namespace) = self.namespace {
            house.wait_ready_inside(namespace);
        } else {
            house.wait_ready();
        }
        house
    }
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl House {
    /// The usual house on loopback.
    #[track_caller]
    pub fn start(bench: &Bench) -> Self {
        Plan::new().start(bench)
    }

    /// `tandem demo` as a newcomer starts it: the fixed ports of the contract, which must be free.
    #[track_caller]
    pub fn demo(bench: &Bench) -> Self {
        for port in [8080, 8081, 5060, 5061, 5070, 30000] {
            assert!(
                std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(),
                "the demo needs port {port}, which is taken"
            );
        }
        let start = Start::new("tandem demo", program(), &bench.path("tandem.log"), None).args(["demo"]);
        let process = start.directory(&bench.subfolder("home")).spawn();
        let address = "127.0.0.1".into();
        let mut house = Self {
            process,
            web: 8080,
            rest: 8081,
            sip: 5060,
            sip_tls: 5061,
            webrtc: 30000,
            rtp: (20000, 29999),
            address,
        };
        house.wait_ready();
        house
    }

    /// What the SDK is given as `urlServer`.
    pub fn url(&self) -> String {
        match self.address.contains(':') {
            true => format!("ws://[{}]:{}", self.address, self.web),
            false => format!("ws://{}:{}", self.address, self.web),
        }
    }

    /// Asks for a page of the REST listener; gives code and body.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http_get(self.rest, path)
    }

    /// Every line of `/metrics` as name (with labels) and value.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let (code, text) = self.get("/metrics").expect("no answer to /metrics");
        assert_eq!(code, 200, "/metrics: {text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// The sum of one metric over the label values that hold `labels` (as `direction="out"`; empty: all).
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let metrics = self.metrics();
        let mine =
            metrics.iter().filter(|(key, _)| key.split('{').next() == Some(name) && key.contains(labels));
        mine.map(|(_, value)| value).sum()
    }

    /// Waits until a metric has a value; the name may carry its labels in braces.
    #[track_caller]
    pub fn wait_metric(&self, metric: &str, value: f64, limit: Duration) {
        let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
        let labels = labels.trim_end_matches('}');
        wait_for(&format!("{metric} = {value}"), limit, || {
            (self.metric(name, labels) - value).abs().lt(&0.01).then_some(())
        });
    }

    /// Asserts that no call, no actor of one and no transcoder is alive within `limit`.
    #[track_caller]
    pub fn assert_no_call_left(&self, limit: Duration) {
        self.wait_metric("tandem_calls_active", 0.0, limit);
        self.wait_metric("tandem_transcoders_active", 0.0, limit);
        let alive = || -> Vec<_> {
            let kinds =
                ["call", "browser", "dialog", "transcoder", "generator", "still_generator", "machine"]
                    .map(|kind| format!("\"{kind}\""));
            let of_a_call = |name: &str| {
                name.starts_with("tandem_actors_alive{")
                    && kinds.iter().any(|kind| name.contains(kind.as_str()))
            };
            self.metrics().into_iter().filter(|(name, count)| of_a_call(name) && *count > 0.0).collect()
        };
        let end = std::time::Instant::now() + limit;
        while !alive().is_empty() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(alive(), [], "left over after {limit:?}");
    }

    /// Resident memory in KiB, open descriptors and threads.
    pub fn size(&self) -> Size {
        let proc = PathBuf::from(format!("/proc/{}", self.process.id()));
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        Size {
            memory_kib: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
            descriptors: fs::read_dir(proc.join("fd")).unwrap().count(),
            threads: fs::read_dir(proc.join("task")).unwrap().count(),
            udp_sockets: sockets(&proc, "udp") + sockets(&proc, "udp6"),
        }
    }

    /// Asserts that it runs and answers, and that nothing in it panicked.
    #[track_caller]
    pub fn assert_well(&mut self) {
        assert_eq!(self.process.ended(), None, "tandem has ended");
        assert_eq!(self.get("/livez").map(|(code, _)| code), Some(200));
        assert!(!self.log().contains("panicked at"), "something in tandem panicked");
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn wait_ready(&mut self) {
        wait_for("tandem's /readyz", secs(15), || {
            assert_eq!(self.process.ended(), None, "tandem ended while starting");
            (http_get(self.rest, "/readyz")?.0 == 200).then_some(())
        });
    }

    fn wait_ready_inside(&mut self, namespace: &Namespace) {
        let ask = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{} && printf 'GET /readyz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -1 <&3",
            self.rest
        );
        wait_for("tandem's /readyz", secs(15), || {
            assert_eq!(self.process.ended(), None, "tandem ended while starting");
            let args = ["netns", "exec", namespace.name(), "bash", "-c", &ask];
            let output = std::process::Command::new("ip").args(args).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains(" 200 ").then_some(())
        });
    }
}

/// What the process takes from the machine.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Resident memory.
    pub memory_kib: usize,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// UDP sockets, both families.
    pub udp_sockets: usize,
}

/// The built program.
pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_tandem")
}

/// A GET on loopback; `None` when nobody answers.
pub fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let code = answer.split(' ').nth(1)?.parse().ok()?;
    Some((code, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

/// Sockets of one kind that belong to the process.
fn sockets(proc: &std::path::Path, kind: &str) -> usize {
    let table = fs::read_to_string(proc.join("net").join(kind)).unwrap_or_default();
    let inodes: Vec<String> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(9))
        .map(|i| format!("socket:[{i}]"))
        .collect();
    let fds = fs::read_dir(proc.join("fd")).unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    fds.filter(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str())).count()
}
