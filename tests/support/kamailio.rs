//! The user's PBX: Kamailio as registrar and proxy with digest, with or without rtpengine for the sound.

use super::netns::Namespace;
use super::process::{Process, Start};
use super::{Bench, secs, sip_probe, wait_for};
use std::fs;
use std::path::PathBuf;

/// The two schemes of a PBX: the phones exchange RTP themselves, or everything passes through the PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// RTP from phone to gateway.
    Direct,
    /// RTP through rtpengine.
    Relayed,
}

/// A running registrar and proxy for [`DOMAIN`]; accounts `1001`–`1009`, password `pw` + the number.
pub struct Kamailio {
    process: Option<Process>,
    relay: Option<Process>,
    /// Where it listens, UDP and TCP.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its port for TLS, where it has a certificate.
    pub tls_port: u16,
    /// RTP ports of the relay.
    pub relay_ports: (u16, u16),
    control: u16,
    config: PathBuf,
    log: PathBuf,
    memory: PathBuf,
    namespace: Option<String>,
}

/// How a PBX is set up.
pub struct Plan<'a> {
    media: Media,
    routes: Vec<(String, String)>,
    max_expires: u32,
    algorithm: &'static str,
    nonce_expire: u32,
    ring_ms: u32,
    addresses: Vec<String>,
    namespace: Option<&'a Namespace>,
    port: Option<u16>,
    tls: Option<(PathBuf, PathBuf)>,
}

impl<'a> Plan<'a> {
    /// Direct media, MD5, registrations of at most two minutes, on loopback.
    pub fn new() -> Self {
        Self {
            media: Media::Direct,
            routes: vec![],
            max_expires: 120,
            algorithm: "MD5",
            nonce_expire: 300,
            ring_ms: 120_000,
            addresses: vec!["127.0.0.1".into()],
            namespace: None,
            port: None,
            tls: None,
        }
    }

    /// Who carries the sound.
    pub fn media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// Calls to `user` go to this address (as `127.0.0.1:5090` or `127.0.0.1:5090;transport=tcp`), registered or not.
    pub fn route(mut self, user: &str, target: &str) -> Self {
        self.routes.push((user.into(), target.into()));
        self
    }

    /// The longest registration that it grants, in seconds.
    pub fn max_expires(mut self, seconds: u32) -> Self {
        self.max_expires = seconds;
        self
    }

    /// `MD5` or `SHA-256`.
    pub fn algorithm(mut self, algorithm: &'static str) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// How long a nonce is good, in seconds.
    pub fn nonce_expire(mut self, seconds: u32) -> Self {
        self.nonce_expire = seconds;
        self
    }

    /// How long it lets a phone ring before it answers 408.
    pub fn ring_ms(mut self, ms: u32) -> Self {
        self.ring_ms = ms;
        self
    }

    /// Runs inside `namespace`, on `address`; an IPv6 one in brackets.
    pub fn inside(mut self, namespace: &'a Namespace, address: &str) -> Self {
        self.namespace = Some(namespace);
        self.addresses = vec![address.into()];
        self
    }

    /// Listens on this port.
    pub fn at_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Listens with TLS too, on a port of its own; certificate and key as PEM files.
    pub fn tls(mut self, files: (PathBuf, PathBuf)) -> Self {
        self.tls = Some(files);
        self
    }

    /// Listens on one more address; an IPv6 one in brackets.
    pub fn also(mut self, address: &str) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(self, bench: &Bench) -> Kamailio {
        let (port, relay_port, relay_ports) =
            (self.port.unwrap_or_else(|| bench.port()), bench.port(), bench.rtp_ports());
        let address = self.addresses[0].clone();
        let relay = (self.media == Media::Relayed).then(|| {
            let log = bench.path("rtpengine.log");
            let mut relay = Start::new("rtpengine", "rtpengine", &log, self.namespace)
                .args([
                    "--foreground",
                    "--log-stderr",
                    "--log-level=5",
                    "--table=-1",
                    "--num-threads=2",
                    "--tos=0",
                ])
                .args([format!("--interface={address}"), format!("--listen-ng={address}:{relay_port}")])
                .args([format!("--port-min={}", relay_ports.0), format!("--port-max={}", relay_ports.1)])
                .args([format!("--pidfile={}", bench.path("rtpengine.pid").display())])
                .spawn();
            relay.wait_bound(relay_port, false, self.namespace, secs(5));
            relay
        });
        let (tls_port, control) = (bench.port(), bench.port());
        let tls = self.tls.as_ref().map(|(chain, key)| {
            format!(
                "enable_tls=yes\nlisten=tls:{address}:{tls_port}\nloadmodule \"tls.so\"\n\
                 modparam(\"tls\", \"certificate\", \"{}\")\nmodparam(\"tls\", \"private_key\", \"{}\")\n\
                 modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\nmodparam(\"tls\", \"verify_certificate\", 0)\n",
                chain.display(),
                key.display()
            )
        });
        let listen = |a: &String| format!("listen=udp:{a}:{port}\nlisten=tcp:{a}:{port}\n");
        let route = |(user, target): &(String, String)| {
            format!("\tif ($rU == \"{user}\") {{ $du = \"sip:{target}\"; route(RELAY); exit; }}\n")
        };
        let text = TEMPLATE
            .replace("@DEFINES@", if relay.is_some() { "#!define WITH_RTPENGINE" } else { "" })
            .replace("@DOMAIN@", DOMAIN)
            .replace("@LISTEN@", &self.addresses.iter().map(listen).collect::<String>())
            .replace("@MODULES@", &modules())
            .replace("@TLS@", &tls.unwrap_or_default())
            .replace("@RTPENGINE@", &format!("{address}:{relay_port}"))
            .replace("@MAX_EXPIRES@", &self.max_expires.to_string())
            .replace("@ALGORITHM@", self.algorithm)
            .replace("@NONCE_EXPIRE@", &self.nonce_expire.to_string())
            .replace("@CONTROL@", &control.to_string())
            .replace("@RING_MS@", &self.ring_ms.to_string())
            .replace("@ROUTES@", &self.routes.iter().map(route).collect::<String>());
        let config = bench.path("kamailio.cfg");
        fs::write(&config, text).unwrap();
        let mut kamailio = Kamailio {
            process: None,
            relay,
            address,
            port,
            tls_port,
            relay_ports,
            control,
            config,
            log: bench.path("kamailio.log"),
            memory: bench.subfolder("kamailio"),
            namespace: self.namespace.map(|n| n.name().to_owned()),
        };
        kamailio.launch(self.namespace);
        kamailio
    }
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Kamailio {
    /// The usual PBX: direct media, on loopback.
    #[track_caller]
    pub fn start(bench: &Bench) -> Self {
        Plan::new().start(bench)
    }

    /// `host:port` of the proxy.
    pub fn proxy(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// Goes down at once: nothing answers at its port any more. Registrations are forgotten.
    pub fn go_down(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Comes back at the same port.
    #[track_caller]
    pub fn come_back(&mut self) {
        assert!(self.namespace.is_none(), "only on loopback");
        self.launch(None);
    }

    /// One line for each request that it saw: `METHOD uri from transport:address:port expires=…`.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines()
            .filter_map(|line| line.split_once("<script>: "))
            .map(|(_, request)| request.to_owned())
            .collect()
    }

    /// How many requests begin with `start`.
    pub fn count(&self, start: &str) -> usize {
        self.requests().iter().filter(|request| request.starts_with(start)).count()
    }

    /// The Contacts that are bound to `user` now, as its location table has them.
    #[track_caller]
    pub fn contacts(&self, user: &str) -> Vec<String> {
        assert!(self.namespace.is_none(), "only on loopback");
        let at = format!("tcp:127.0.0.1:{}", self.control);
        let args = ["-s", &at, "ul.lookup", "location", &format!("s:{user}")];
        let output = std::process::Command::new("kamcmd").args(args).output().expect("kamcmd is installed");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("AoR") || text.contains("AOR not found"), "kamcmd: {text}");
        text.lines().filter_map(|line| Some(line.split_once("Address: ")?.1.trim().to_owned())).collect()
    }

    fn launch(&mut self, namespace: Option<&Namespace>) {
        let mut process = Start::new("kamailio", "kamailio", &self.log, namespace)
            .args(["-DD", "-E", "-m", "64", "-M", "8", "-w", &self.memory.to_string_lossy()])
            .args(["-Y", &self.memory.to_string_lossy(), "-f", &self.config.to_string_lossy()])
            .spawn();
        process.wait_bound(self.port, true, namespace, secs(10)); // TCP comes last
        self.process = Some(process);
        if namespace.is_none() {
            let target = self.proxy();
            wait_for("an answer of Kamailio", secs(10), || sip_probe::options(&target, secs(1)));
        }
    }
}

/// The domain of the test accounts.
pub const DOMAIN: &str = "pbx.test";

/// The password of an account.
pub fn password(user: &str) -> String {
    format!("pw{user}")
}

fn modules() -> String {
    let library = fs::read_dir("/usr/lib")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path().join("kamailio/modules")));
    library
        .filter(|path| path.is_dir())
        .map(|path| format!("{}/", path.display()))
        .next()
        .expect("Kamailio is installed")
}

const TEMPLATE: &str = include_str!("../sip/kamailio.cfg");
