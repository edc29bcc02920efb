//! The far end: baresip as a G.711 phone without sound hardware.
//!
//! It speaks a tone from a WAV file, and its `sndfile` filter writes what it decoded. It is commanded over `ctrl_tcp`
//! (netstrings of JSON). It takes the SIP port and, for TLS, the next one.

use super::kamailio::{DOMAIN, Kamailio, password};
use super::netns::Namespace;
use super::pattern::{self, Seen};
use super::process::{Process, Start};
use super::{Bench, Recording, Tone, now_ms, secs, wait_for};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running phone. Dropped, it ends and un-registers.
pub struct Baresip {
    process: Process,
    control: RefCell<Box<dyn Write>>,
    _relay: Option<Process>,
    events: Arc<Mutex<Vec<Event>>>,
    folder: PathBuf,
    user: String,
    /// Where it waits for SIP.
    pub port: u16,
    /// Its RTP ports.
    pub rtp: (u16, u16),
}

/// Something that baresip reported, as `CALL_ESTABLISHED`.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it came, milliseconds since 1970.
    pub at: f64,
    /// Its type.
    pub name: String,
    /// The whole of it.
    pub body: Value,
}

/// How a phone is set up.
pub struct Plan<'a> {
    user: &'a str,
    says: Tone,
    file: Option<&'a std::path::Path>,
    auto_answer: bool,
    codecs: &'a str,
    transport: &'a str,
    encrypts: Option<&'a str>,
    camera: Option<(&'a str, &'a std::path::Path)>,
    single_units: bool,
    namespace: Option<(&'a Namespace, &'a str)>,
}

/// Pictures of 320 × 240, 15 a second; `snapshot` keeps what was decoded.
const CAMERA: &str = "module avformat.so\nmodule fakevideo.so\nmodule snapshot.so\n\
    video_source avformat,sees.y4m\nvideo_display fakevideo,nil\nvideo_size 320x240\nvideo_fps 15\nvideo_bitrate 300000\n\
    videnc_format yuv420p\n";

/// Only `make soak` has calls of 20 minutes.
fn longest_call_s() -> f64 {
    if std::env::var_os("TANDEM_SOAK").is_some() { 1500.0 } else { 300.0 }
}

impl<'a> Plan<'a> {
    /// The phone of account `user`, PCMU and PCMA, which answers when told.
    pub fn new(user: &'a str, says: Tone) -> Self {
        Self {
            user,
            says,
            file: None,
            auto_answer: false,
            codecs: "pcmu,pcma",
            transport: "udp",
            encrypts: None,
            camera: None,
            single_units: false,
            namespace: None,
        }
    }

    /// Says what is in a WAV file of 8 kHz.
    pub fn saying(mut self, file: &'a std::path::Path) -> Self {
        self.file = Some(file);
        self
    }

    /// Answers at once.
    pub fn auto_answer(mut self) -> Self {
        self.auto_answer = true;
        self
    }

    /// Which codecs it has, as `pcma` or `pcmu,pcma`.
    pub fn codecs(mut self, codecs: &'a str) -> Self {
        self.codecs = codecs;
        self
    }

    /// Registers and calls over `udp` or `tcp`.
    pub fn transport(mut self, transport: &'a str) -> Self {
        self.transport = transport;
        self
    }

    /// Encrypts media by keys in SDP: `srtp` if the far side does, `srtp-mand` in any case.
    pub fn encrypts(mut self, how: &'a str) -> Self {
        self.encrypts = Some(how);
        self
    }

    /// Has pictures too, in these codecs (`h264`, `vp8`, or both by a comma); its camera sees a Y4M file, round and round.
    pub fn camera(mut self, codecs: &'a str, file: &'a std::path::Path) -> Self {
        self.camera = Some((codecs, file));
        self
    }

    /// Its H.264 is of packetization-mode 0 alone: of one name baresip takes the first, and that is it.
    pub fn single_units(mut self) -> Self {
        self.single_units = true;
        self
    }

    /// Runs inside `namespace` with `address`; an IPv6 one without brackets makes a phone of IPv6 alone.
    pub fn inside(mut self, namespace: &'a Namespace, address: &'a str) -> Self {
        self.namespace = Some((namespace, address));
        self
    }

    /// Starts it and waits until it is registered at `pbx`.
    #[track_caller]
    pub fn start(self, bench: &Bench, pbx: &Kamailio) -> Baresip {
        let (user, folder) = (self.user, bench.subfolder(&format!("baresip-{}", self.user)));
        let (port, control_port, rtp) = (bench.port(), bench.port(), bench.rtp_ports());
        let (namespace, address) = match self.namespace {
            Some((namespace, address)) => (Some(namespace), address),
            None => (None, "127.0.0.1"),
        };
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        // It keeps no more than 128 characters of a path: its files are named from the working directory.
        // Longer than any call of the tests: at the end of the file it hangs up.
        match self.file {
            Some(file) => drop(fs::copy(file, folder.join("says.wav")).unwrap()),
            None => self.says.write(&folder.join("says.wav"), 8000, longest_call_s()),
        }
        let place = folder.display();
        let config = format!(
            "poll_method epoll\nsip_listen {host}:{port}\nnet_interface {address}\ncall_local_timeout 3600\ncall_max_calls 4\n\
             audio_path {place}\naudio_player aubridge,nowhere\naudio_source aufile,says.wav\naudio_alert aubridge,nowhere\n\
             audio_level no\nrtp_ports {}-{}\nrtcp_mux no\njitter_buffer_delay 1-8\nmodule_path {}\n\
             module g711.so\nmodule g722.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule_tmp account.so\n\
             module_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen {host}:{control_port}\nsnd_path .\n\
             statmode_default off\nringback_disabled yes\n",
            rtp.0, rtp.1, MODULES
        );
        let config = match self.encrypts {
            Some(_) => config + "module srtp.so\n",
            None => config,
        };
        let config = match self.camera {
            Some((codecs, file)) => {
                fs::copy(file, folder.join("sees.y4m")).unwrap();
                let module = |codec| if codec == "vp8" { "module vp8.so\n" } else { "module avcodec.so\n" };
                config + &codecs.split(',').map(module).collect::<String>() + CAMERA
            }
            None => config,
        };
        let account = format!(
            "<sip:{user}@{DOMAIN};transport={t}>;auth_user={user};auth_pass={};outbound=\"sip:{};transport={t}\";answermode={};audio_codecs={};regint=60{}{}\n",
            password(user),
            pbx.proxy(),
            if self.auto_answer { "auto" } else { "manual" },
            self.codecs,
            self.encrypts.map_or(String::new(), |how| format!(";mediaenc={how}")),
            if self.single_units { ";video_codecs=h264" } else { "" },
            t = self.transport,
        );
        fs::write(folder.join("config"), config).unwrap();
        fs::write(folder.join("accounts"), account).unwrap();
        fs::write(folder.join("contacts"), "").unwrap();
        let mut process =
            Start::new("baresip", "baresip", &bench.path(&format!("baresip-{user}.log")), namespace)
                .args(["-f", &folder.to_string_lossy(), "-v"])
                .args(address.contains(':').then_some("-6"))
                .directory(&folder)
                .spawn();
        process.wait_for_log("binding]", secs(10));
        let (reader, control, relay) = reach(bench, user, namespace, address, control_port);
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        std::thread::spawn(move || listen(reader, &heard));
        Baresip {
            process,
            control: RefCell::new(control),
            _relay: relay,
            events,
            folder,
            user: user.into(),
            port,
            rtp,
        }
    }
}

impl Baresip {
    /// A phone that answers when told and says `says`.
    #[track_caller]
    pub fn start(bench: &Bench, pbx: &Kamailio, user: &str, says: Tone) -> Self {
        Plan::new(user, says).start(bench, pbx)
    }

    /// Calls a user of the domain, or a whole URI.
    pub fn dial(&self, target: &str) {
        let uri = if target.contains(':') { target.to_owned() } else { format!("sip:{target}@{DOMAIN}") };
        self.command("dial", &uri);
    }

    /// Answers the call that rings.
    pub fn answer(&self) {
        self.command("accept", "");
    }

    /// Ends the call, or refuses the one that rings (486).
    pub fn hang_up(&self) {
        self.command("hangup", "");
    }

    /// Ends without a word, as if its power were cut.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops dead until [`Baresip::thaw`].
    pub fn freeze(&mut self) {
        self.process.signal("STOP");
    }

    /// Goes on.
    pub fn thaw(&mut self) {
        self.process.signal("CONT");
    }

    /// Puts the far side on hold (re-INVITE, sendonly).
    pub fn hold(&self) {
        self.command("hold", "");
    }

    /// Takes it back (re-INVITE, sendrecv).
    pub fn resume(&self) {
        self.command("resume", "");
    }

    /// Presses keys; each becomes a telephone-event.
    pub fn press(&self, digits: &str) {
        for digit in digits.chars() {
            self.command("sndcode", &digit.to_string());
            std::thread::sleep(Duration::from_millis(300));
            self.command("sndcode", "");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Any command of the menu.
    pub fn command(&self, command: &str, params: &str) {
        let text = json!({ "command": command, "params": params, "token": command }).to_string();
        self.control.borrow_mut().write_all(format!("{}:{text},", text.len()).as_bytes()).unwrap();
    }

    /// The picture of the far side that it shows now.
    #[track_caller]
    pub fn sees(&self) -> Seen {
        let photo = || {
            let mut all = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
            all.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("snapshot-recv"))
        };
        while let Some(old) = photo() {
            fs::remove_file(old).unwrap(); // files are named by the second
        }
        self.command("snapshot", "");
        let photo = wait_for("a snapshot", secs(3), photo);
        // It is written a little later than it is there.
        wait_for("a whole snapshot", secs(3), || pattern::of_file(&photo).into_iter().next())
    }

    /// What it reported so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Waits for the `nth` (from 0) event of a type.
    #[track_caller]
    pub fn wait_nth(&self, name: &str, nth: usize, limit: Duration) -> Event {
        let what = format!("{name} at baresip {}", self.user);
        wait_for(&what, limit, || self.events().into_iter().filter(|event| event.name == name).nth(nth))
    }

    /// Waits for the first event of a type.
    #[track_caller]
    pub fn wait(&self, name: &str, limit: Duration) -> Event {
        self.wait_nth(name, 0, limit)
    }

    /// What it decoded since the sound of its `nth` call (from 0) began. The file holds decoded frames only: where no
    /// packet came there is no silence in it; [`super::Wiretap::heard`] has the true time line.
    #[track_caller]
    pub fn decoded_nth(&self, nth: usize) -> Recording {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.to_string_lossy().ends_with("-dec.wav"));
        files.sort();
        let file = files.get(nth).unwrap_or_else(|| panic!("baresip {} decoded nothing", self.user));
        Recording::read(file, 0.0)
    }

    /// What it decoded in its first call.
    #[track_caller]
    pub fn decoded(&self) -> Recording {
        self.decoded_nth(0)
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Connects to the control port; in a namespace a shell in there carries the bytes.
fn reach(
    bench: &Bench,
    user: &str,
    namespace: Option<&Namespace>,
    address: &str,
    port: u16,
) -> (Box<dyn Read + Send>, Box<dyn Write>, Option<Process>) {
    let Some(namespace) = namespace else {
        let stream = wait_for("baresip's control port", secs(5), || TcpStream::connect((address, port)).ok());
        return (Box::new(stream.try_clone().unwrap()), Box::new(stream), None);
    };
    let script = format!("exec 3<>/dev/tcp/{address}/{port}; cat <&3 & exec cat >&3");
    let log = bench.path(&format!("baresip-{user}-control.log"));
    let start = Start::new("baresip control", "bash", &log, Some(namespace)).args(["-c", &script]);
    let (relay, input, output) = start.spawn_piped();
    (Box::new(output), Box::new(input), Some(relay))
}

/// Reads netstrings until the phone ends.
fn listen(mut reader: impl Read, events: &Mutex<Vec<Event>>) {
    let (mut waiting, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = reader.read(&mut part) {
        waiting.extend(&part[..count]);
        while let Some((body, rest)) = netstring(&waiting) {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            if let Some(name) = body["type"].as_str().map(str::to_owned) {
                events.lock().unwrap().push(Event { at: now_ms(), name, body });
            }
            waiting.drain(..waiting.len() - rest);
        }
    }
}

/// The first whole netstring and how many bytes follow it.
fn netstring(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let colon = bytes.iter().position(|b| *b == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    let end = colon + 1 + length;
    (bytes.len() > end).then(|| (&bytes[colon + 1..end], bytes.len() - end - 1))
}

const MODULES: &str = "/usr/lib/baresip/modules";
