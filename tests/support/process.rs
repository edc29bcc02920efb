//! A peer as a child process: its log in a file, its end certain.

use super::netns::Namespace;
use super::wait_for;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running child. Dropped, it is asked to end (TERM) and after four seconds killed, with the process group that is
/// its own; when the test is failing, the tail of its log is printed. Should the test itself be killed, the kernel sends
/// the child a TERM.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What to start and where.
pub struct Start<'a> {
    name: &'a str,
    log: PathBuf,
    command: Command,
}

impl<'a> Start<'a> {
    /// Prepares `program`, in `namespace` if one is given; both output streams go to `log`.
    pub fn new(name: &'a str, program: &str, log: &Path, namespace: Option<&Namespace>) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).process_group(0);
        if let Some(namespace) = namespace {
            command.args(["ip", "netns", "exec", namespace.name()]);
        }
        command.arg(program);
        Self { name, log: log.to_owned(), command }
    }

    /// More arguments.
    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// An environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// The working directory.
    pub fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Starts it with nothing to read.
    pub fn spawn(mut self) -> Process {
        let log = self.log_file();
        self.command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.run()
    }

    /// Starts it with a pipe for commands; what it says goes to the log.
    pub fn spawn_talking(mut self) -> (Process, ChildStdin) {
        let log = self.log_file();
        self.command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = self.run();
        let input = process.child.stdin.take().unwrap();
        (process, input)
    }

    /// Starts it with pipes for a conversation; only its errors go to the log.
    pub fn spawn_piped(mut self) -> (Process, ChildStdin, ChildStdout) {
        let log = self.log_file();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = self.run();
        let (input, output) = (process.child.stdin.take().unwrap(), process.child.stdout.take().unwrap());
        (process, input, output)
    }

    fn log_file(&self) -> File {
        File::options().create(true).append(true).open(&self.log).unwrap()
    }

    fn run(mut self) -> Process {
        let child =
            self.command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name));
        Process { name: self.name.to_owned(), child, log: self.log }
    }
}

impl Process {
    /// Asks it to end and waits for it; kills it after `limit`.
    pub fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        let end = std::time::Instant::now() + limit;
        while std::time::Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill()
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(&mut self) -> ExitStatus {
        self.kill_group();
        self.child.wait().unwrap()
    }

    /// Kills whoever is left of its process group: a peer that forks and is killed leaves its workers behind.
    fn kill_group(&self) {
        let _ = Command::new("sh")
            // dash knows `--` only after `-s`.
            .args(["-c", &format!("kill -s KILL -- -{} 2>/dev/null", self.child.id())])
            .status();
    }

    /// Sends a signal by name, unless it has ended already.
    pub fn signal(&mut self, name: &str) {
        if self.child.try_wait().unwrap().is_none() {
            let _ = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        }
    }

    /// Waits for its own end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("the end of {name}"), limit, || self.child.try_wait().unwrap())
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until its log holds `text`.
    pub fn wait_for_log(&mut self, text: &str, limit: Duration) {
        let what = format!("{:?} in the log of {}", text, self.name);
        wait_for(&what, limit, || {
            let found = self.log().contains(text);
            let ended = self.child.try_wait().unwrap();
            assert!(found || ended.is_none(), "{} ended with {ended:?} before it wrote {text:?}", self.name);
            found.then_some(())
        });
    }

    /// Waits until somebody has bound a port there: many peers have nothing to say when they are ready.
    pub fn wait_bound(&mut self, port: u16, tcp: bool, namespace: Option<&Namespace>, limit: Duration) {
        let what = format!("{} at port {port}", self.name);
        wait_for(&what, limit, || {
            assert_eq!(self.child.try_wait().unwrap(), None, "{} ended while starting", self.name);
            bound(port, tcp, namespace).then_some(())
        });
    }

    /// All that it wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(4));
        self.kill_group();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            eprintln!("---- {} ({}), last {} lines", self.name, self.log.display(), tail.len());
            tail.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Whether a port is bound (UDP) or listened on (TCP), by the kernel's own tables.
fn bound(port: u16, tcp: bool, namespace: Option<&Namespace>) -> bool {
    let kinds = if tcp { ["tcp", "tcp6"] } else { ["udp", "udp6"] };
    let tables = kinds.map(|kind| format!("/proc/net/{kind}"));
    let text = match namespace {
        None => tables.map(|table| fs::read_to_string(table).unwrap_or_default()).concat(),
        Some(namespace) => {
            let command =
                Command::new("ip").args(["netns", "exec", namespace.name(), "cat"]).args(tables).output();
            String::from_utf8_lossy(&command.unwrap().stdout).into_owned()
        }
    };
    let end = format!(":{port:04X}");
    text.lines().map(str::split_whitespace).any(|mut fields| {
        let (local, state) = (fields.nth(1), fields.nth(1));
        local.is_some_and(|local| local.ends_with(&end)) && (!tcp || state == Some("0A"))
    })
}

const TAIL: usize = 60;
