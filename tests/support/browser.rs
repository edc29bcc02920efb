//! Chromium with the unmodified WebSDK, commanded through `tests/web/driver.mjs`.

use super::kamailio::{DOMAIN, Kamailio, password};
use super::netns::Namespace;
use super::pattern::{self, Mark, Seen};
use super::process::{Process, Start};
use super::{Bench, House, Recording, Tone, secs};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The driver with its browsers. Dropped, all of them end.
pub struct Web {
    input: Option<Mutex<ChildStdin>>,
    process: Process,
    state: Arc<State>,
    next: AtomicU64,
    folder: PathBuf,
}

/// One page in a browser and a profile of its own, with its own microphone.
pub struct Page<'w> {
    web: &'w Web,
    name: String,
}

/// Something that happened in a page: a frame, a status of the SDK, an error.
#[derive(Clone, Debug)]
pub struct Event {
    /// Milliseconds since 1970.
    pub at: f64,
    /// `sent`, `received`, `session`, `call`, `incoming`, `track`, `socket closed`, `page error` …
    pub kind: String,
    /// All of it.
    pub body: Value,
}

/// The SIP account that a page connects with.
#[derive(Clone, Debug)]
pub struct Account {
    /// SIP user.
    pub login: String,
    /// Its secret.
    pub password: String,
    /// SIP domain.
    pub domain: String,
    /// Next hop.
    pub proxy: String,
    /// Port of the next hop; 0 leaves it out, and the DNS decides (RFC 3263).
    pub port: u16,
    /// Whether it registers.
    pub register: bool,
}

#[derive(Default)]
struct State {
    events: Mutex<Vec<(String, Event)>>,
    answers: Mutex<HashMap<u64, Result<Value, String>>>,
    changed: Condvar,
}

impl Account {
    /// An account of the test PBX.
    pub fn at(pbx: &Kamailio, user: &str) -> Self {
        Self {
            login: user.into(),
            password: password(user),
            domain: DOMAIN.into(),
            proxy: pbx.address.clone(),
            port: pbx.port,
            register: true,
        }
    }

    /// An account that calls a SIP peer at `address` without registering.
    pub fn direct(user: &str, address: &str, port: u16) -> Self {
        let (domain, proxy) = (address.to_owned(), address.to_owned());
        Self { login: user.into(), password: "none".into(), domain, proxy, port, register: false }
    }
}

impl Web {
    /// Starts the driver; browsers come with the pages.
    #[track_caller]
    pub fn start(bench: &Bench) -> Self {
        Self::start_in(bench, None)
    }

    /// Starts it inside a namespace.
    #[track_caller]
    pub fn start_in(bench: &Bench, namespace: Option<&Namespace>) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/driver.mjs");
        assert!(script.with_file_name("node_modules").is_dir(), "run scripts/setup.sh --tests first");
        let (process, input, output) =
            Start::new("browser driver", "node", &bench.path("driver.log"), namespace)
                .args([script])
                .spawn_piped();
        let state = Arc::new(State::default());
        let heard = Arc::clone(&state);
        std::thread::spawn(move || listen(output, &heard));
        Self {
            input: Some(Mutex::new(input)),
            process,
            state,
            next: AtomicU64::new(1),
            folder: bench.subfolder("web"),
        }
    }

    /// Opens a page whose microphone hears `says`.
    #[track_caller]
    pub fn page(&self, name: &str, says: Tone) -> Page<'_> {
        self.page_with(name, says, json!({}))
    }

    /// Opens a page; `options` go to the driver (`flags`, `url`).
    #[track_caller]
    pub fn page_with(&self, name: &str, says: Tone, options: Value) -> Page<'_> {
        let mic = self.folder.join(format!("{name}-says.wav"));
        says.write(&mic, 48000, 20.0); // Chromium plays it round and round
        self.page_of_file(name, &mic, options)
    }

    /// Opens a page whose microphone hears a file of 48 kHz, round and round.
    #[track_caller]
    pub fn page_of_file(&self, name: &str, mic: &Path, options: Value) -> Page<'_> {
        let mut order = json!({ "page": name, "do": "open", "mic": mic });
        order.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        self.order(order, secs(60)).expect("the browser opens its page");
        Page { web: self, name: name.into() }
    }

    /// Opens a page that says `says` and whose camera sees `mark`, 15 pictures a second.
    #[track_caller]
    pub fn page_with_camera(&self, name: &str, says: Tone, mark: Mark, size: (usize, usize)) -> Page<'_> {
        let camera = self.folder.join(format!("{name}-sees.y4m"));
        pattern::write_y4m(&camera, mark, size, 15, 60);
        self.page_with(name, says, json!({ "camera": camera }))
    }

    /// The same with pictures that take many packets.
    pub fn page_with_grainy_camera(
        &self,
        name: &str,
        says: Tone,
        mark: Mark,
        size: (usize, usize),
    ) -> Page<'_> {
        let camera = self.folder.join(format!("{name}-sees.y4m"));
        pattern::write_speckled_y4m(&camera, mark, size, 15, 60);
        self.page_with(name, says, json!({ "camera": camera }))
    }

    /// Sends an order and waits for its answer.
    fn order(&self, mut order: Value, limit: Duration) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        order["id"] = id.into();
        let mut input = self.input.as_ref().expect("open until dropped").lock().unwrap();
        writeln!(input, "{order}").expect("the browser driver runs");
        drop(input);
        let (answers, end) = (self.state.answers.lock().unwrap(), Instant::now() + limit);
        let mut answers = answers;
        loop {
            if let Some(answer) = answers.remove(&id) {
                return answer;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the browser driver did not answer {order}");
            answers = self.state.changed.wait_timeout(answers, left.min(secs(1))).unwrap().0;
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.input = None; // the driver closes its browsers and ends
        let end = Instant::now() + secs(10);
        while self.process.ended().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        if std::thread::panicking() {
            let events = self.state.events.lock().unwrap();
            eprintln!("---- what happened in the pages");
            for (page, event) in events.iter() {
                let text: String = event.body.to_string().chars().take(400).collect();
                eprintln!("{:.0} {page} {text}", event.at);
            }
        }
    }
}

impl Page<'_> {
    /// Opens the session; gives nothing until [`Page::wait_session`] is asked.
    #[track_caller]
    pub fn connect(&self, house: &House, account: &Account) {
        self.connect_with(&house.url(), account, json!({}));
    }

    /// Opens the session at `url`; `more` are further options of `createSession`.
    #[track_caller]
    pub fn connect_with(&self, url: &str, account: &Account, more: Value) {
        let mut sip = json!({
            "login": account.login, "authenticationName": account.login, "password": account.password,
            "domain": account.domain, "outboundProxy": account.proxy, "port": account.port.to_string(),
            "registerRequired": account.register,
        });
        if account.port == 0 {
            sip.as_object_mut().unwrap().remove("port");
        }
        let mut options = json!({ "urlServer": url, "sipOptions": sip });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.run("connect", json!([options]));
    }

    /// Connects and waits until the account is registered (or the session open, for one that does not register).
    #[track_caller]
    pub fn connect_and_wait(&self, house: &House, account: &Account) {
        self.connect(house, account);
        self.wait_session(if account.register { "REGISTERED" } else { "ESTABLISHED" }, secs(10));
    }

    /// Calls somebody, audio only; gives the callId.
    #[track_caller]
    pub fn call(&self, callee: &str) -> String {
        self.call_with(callee, json!({}))
    }

    /// Calls with further options of `createCall`.
    #[track_caller]
    pub fn call_with(&self, callee: &str, options: Value) -> String {
        self.run("call", json!([callee, options])).as_str().unwrap().to_owned()
    }

    /// Waits for the `nth` (from 0) incoming call; gives its event.
    #[track_caller]
    pub fn wait_incoming(&self, nth: usize, limit: Duration) -> Event {
        self.wait("an incoming call", limit, |event| event.kind == "incoming", nth)
    }

    /// Answers a call, audio only.
    #[track_caller]
    pub fn answer(&self, call: &str) {
        self.run("answer", json!([call]));
    }

    /// Hangs up, refuses or cancels.
    #[track_caller]
    pub fn hang_up(&self, call: &str) {
        self.run("hangup", json!([call]));
    }

    /// Sends silence from now on.
    #[track_caller]
    pub fn mute(&self, call: &str) {
        self.run("mute", json!([call]));
    }

    /// Puts the far side on hold.
    #[track_caller]
    pub fn hold(&self, call: &str) {
        self.run("hold", json!([call]));
    }

    /// Takes it back.
    #[track_caller]
    pub fn unhold(&self, call: &str) {
        self.run("unhold", json!([call]));
    }

    /// Asks that the far side call `target` instead.
    #[track_caller]
    pub fn transfer(&self, call: &str, target: &str) {
        self.run("transfer", json!([call, target]));
    }

    /// Sends `dtmf` — a JSON string or number — as `RFC2833`, `INFO` or `INFO_RELAY`.
    #[track_caller]
    pub fn press(&self, call: &str, dtmf: Value, kind: &str) {
        self.run("dtmf", json!([call, dtmf, kind]));
    }

    /// Closes the session.
    #[track_caller]
    pub fn disconnect(&self) {
        self.run("disconnect", json!([]));
    }

    /// Any function of `bench` in the page.
    #[track_caller]
    pub fn run(&self, what: &str, args: Value) -> Value {
        let order = json!({ "page": self.name, "do": what, "args": args });
        self.web
            .order(order, secs(20))
            .unwrap_or_else(|error| panic!("{what} in page {}: {error}", self.name))
    }

    /// Any expression in the page.
    #[track_caller]
    pub fn eval(&self, expression: &str) -> Value {
        self.run("eval", json!([expression]))
    }

    /// What the page heard in a call since its remote track came.
    #[track_caller]
    pub fn heard(&self, call: &str) -> Recording {
        self.heard_so_far(call).unwrap_or_else(|| panic!("page {} got no sound at all", self.name))
    }

    /// The same, `None` while there is no remote track yet.
    pub fn heard_so_far(&self, call: &str) -> Option<Recording> {
        let file = self.web.folder.join(format!("{}-heard-{call}.wav", self.name));
        let order = json!({ "page": self.name, "do": "record", "file": file, "args": [call] });
        let answer = self.web.order(order, secs(20)).expect("the page records");
        Some(Recording::read(&file, answer["startedAt"].as_f64()?))
    }

    /// The pictures of the far side that the page has shown in a call.
    #[track_caller]
    pub fn seen(&self, call: &str) -> Vec<Seen> {
        pattern::of_page(&self.run("pictures", json!([call])))
    }

    /// Waits until a tone is heard in a call; gives when it began.
    #[track_caller]
    pub fn wait_heard(&self, call: &str, tone: Tone, limit: Duration) -> f64 {
        let what = format!("{} Hz in page {}", tone.hz, self.name);
        super::wait_for(&what, limit, || Some(self.heard_so_far(call)?.find(tone)?.first_at))
    }

    /// What happened so far in this page.
    pub fn events(&self) -> Vec<Event> {
        let events = self.web.state.events.lock().unwrap();
        events.iter().filter(|(page, _)| *page == self.name).map(|(_, event)| event.clone()).collect()
    }

    /// The frames that came from the server, as message name and event.
    pub fn received(&self) -> Vec<(String, Event)> {
        let frames = self.events().into_iter().filter(|event| event.kind == "received");
        frames
            .map(|event| (event.body["frame"]["message"].as_str().unwrap_or("?").to_owned(), event))
            .collect()
    }

    /// Waits for a status of the session.
    #[track_caller]
    pub fn wait_session(&self, status: &str, limit: Duration) -> Event {
        self.wait(
            &format!("session {status}"),
            limit,
            |e| e.kind == "session" && e.body["status"] == status,
            0,
        )
    }

    /// Waits for the first time that a call has a status.
    #[track_caller]
    pub fn wait_call(&self, call: &str, status: &str, limit: Duration) -> Event {
        self.wait_call_nth(call, status, 0, limit)
    }

    /// Waits for the `nth` (from 0) time that a call gets a status.
    #[track_caller]
    pub fn wait_call_nth(&self, call: &str, status: &str, nth: usize, limit: Duration) -> Event {
        let mine = |e: &Event| e.kind == "call" && e.body["callId"] == call && e.body["status"] == status;
        self.wait(&format!("call {status}"), limit, mine, nth)
    }

    /// Waits for the `nth` event that `wanted` likes.
    #[track_caller]
    pub fn wait(&self, what: &str, limit: Duration, wanted: impl Fn(&Event) -> bool, nth: usize) -> Event {
        let what = format!("{what} in page {}", self.name);
        super::wait_for(&what, limit, || self.events().into_iter().filter(|event| wanted(event)).nth(nth))
    }

    /// Whether something like this happened already.
    pub fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events().iter().any(wanted)
    }

    /// Closes the browser at once, as a user does with the tab.
    #[track_caller]
    pub fn close(self) {
        self.run("close", json!([]));
    }
}

fn listen(output: ChildStdout, state: &State) {
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        let Ok(body) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(id) = body["id"].as_u64() {
            let answer = match body["error"].as_str() {
                Some(error) => Err(error.to_owned()),
                None => Ok(body["result"].clone()),
            };
            state.answers.lock().unwrap().insert(id, answer);
            state.changed.notify_all();
        } else {
            let page = body["page"].as_str().unwrap_or_default().to_owned();
            let kind = body["event"].as_str().unwrap_or_default().to_owned();
            let at = body["at"].as_f64().unwrap_or_default();
            state.events.lock().unwrap().push((page, Event { at, kind, body }));
        }
    }
}
