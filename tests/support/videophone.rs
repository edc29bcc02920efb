//! A scripted phone with a camera (videophone.py): it knows one way of asking for key frames and no other, and can lose packets.

use super::netns::Namespace;
use super::pattern::{self, Mark, Seen};
use super::process::{Process, Start};
use super::{Bench, secs, wait_for};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;

/// The phone. It answers each call at once, sound as PCMU. Dropped, it ends.
pub struct Videophone {
    /// Its SIP port.
    pub port: u16,
    /// Its sound; pictures are two above.
    pub rtp: u16,
    process: Process,
    input: RefCell<ChildStdin>,
    folder: PathBuf,
    suffix: &'static str,
}

/// How often the 60 pictures of a film come, at 15 a second: longer than any call.
const ROUNDS: &str = "30";

impl Videophone {
    /// A phone of H.264 on loopback, which shows [`pattern::PHONE_MARK`].
    #[track_caller]
    pub fn start(bench: &Bench) -> Self {
        Self::of(bench, "h264", None)
    }

    /// A phone of `h264` or `vp8`, perhaps with an address in a namespace.
    #[track_caller]
    pub fn of(bench: &Bench, codec: &str, place: Option<(&Namespace, &str)>) -> Self {
        let folder = bench.subfolder("videophone");
        let suffix = if codec == "vp8" { "ivf" } else { "h264" };
        let film = folder.join("film").with_extension(suffix);
        for (name, size) in [("film-large", (320, 240)), ("film-small", (160, 120))] {
            shoot(&folder.join(name).with_extension(suffix), pattern::PHONE_MARK, size);
        }
        let (port, rtp) = (bench.port(), bench.phone_port());
        let (namespace, address) = place.map_or((None, "127.0.0.1"), |(there, at)| (Some(there), at));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/videophone.py");
        let start = Start::new("videophone", "python3", &bench.path("videophone.log"), namespace)
            .args([&*script.to_string_lossy(), address])
            .args([port.to_string(), rtp.to_string()])
            .args([&film, &folder]);
        let (mut process, input) = start.env("PYTHONDONTWRITEBYTECODE", "1").spawn_talking();
        process.wait_for_log("ready", secs(10));
        Self { port, rtp, process, input: RefCell::new(input), folder, suffix }
    }

    /// Changes some of its habits (`HABITS` in videophone.py), and waits until it has.
    #[track_caller]
    pub fn habits(&self, habits: Value) {
        let before = self.all("habits").len();
        writeln!(self.input.borrow_mut(), "{habits}").unwrap();
        self.wait("habits", before, secs(5));
    }

    /// Loses its next packets.
    #[track_caller]
    pub fn loses(&self, packets: u32) {
        self.habits(json!({ "lose": packets }));
    }

    /// Everything of one kind that it has said so far.
    pub fn all(&self, event: &str) -> Vec<Value> {
        let log = self.process.log();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|said| said["event"] == event).collect()
    }

    /// The same, since a moment.
    pub fn since(&self, event: &str, at: f64) -> Vec<Value> {
        let mut all = self.all(event);
        all.retain(|said| said["at"].as_f64().unwrap() >= at);
        all
    }

    /// Waits for the `nth` (from 0) of them.
    #[track_caller]
    pub fn wait(&self, event: &str, nth: usize, limit: Duration) -> Value {
        wait_for(&format!("{event} at the videophone"), limit, || self.all(event).into_iter().nth(nth))
    }

    /// Waits for the first since a moment.
    #[track_caller]
    pub fn wait_since(&self, event: &str, at: f64, limit: Duration) -> Value {
        let what = format!("{event} at the videophone");
        wait_for(&what, limit, || self.since(event, at).into_iter().next())
    }

    /// When it answered its `nth` call.
    #[track_caller]
    pub fn answered(&self, nth: usize) -> f64 {
        let first = |said: &Value| said["again"] == false;
        let said = wait_for("a call at the videophone", secs(5), || {
            self.all("answered").into_iter().filter(first).nth(nth)
        });
        said["at"].as_f64().unwrap()
    }

    /// The pictures that it could show in its `nth` call, which began at `from`: decoded by ffmpeg, with their times.
    #[track_caller]
    pub fn shown(&self, nth: usize) -> Vec<Seen> {
        let starts: Vec<f64> = (nth..=nth + 1)
            .filter_map(|nth| {
                self.all("answered").iter().filter(|said| said["again"] == false).nth(nth)?["at"].as_f64()
            })
            .collect();
        let end = starts.get(1).copied().unwrap_or(f64::INFINITY);
        let mine = self.since("shown", starts[0]).into_iter().filter_map(|said| said["at"].as_f64());
        let times: Vec<f64> = mine.filter(|at| *at < end).collect();
        let file = self.folder.join(format!("shown-{}", nth + 1)).with_extension(self.suffix);
        let pictures = pattern::of_file(&file).into_iter().zip(times);
        pictures.map(|(seen, at)| Seen { at, ..seen }).collect()
    }
}

impl Videophone {
    /// The same with the width of each picture.
    #[track_caller]
    pub fn shown_wide(&self, nth: usize) -> Vec<(Seen, u32)> {
        let shown = self.shown(nth);
        let file = self.folder.join(format!("shown-{}", nth + 1)).with_extension(self.suffix);
        let told = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v", "-show_entries", "frame=width", "-of", "csv=p=0"])
            .arg(file)
            .output()
            .expect("ffprobe");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let widths = told.lines().filter_map(|line| line.trim().trim_end_matches(',').parse().ok());
        shown.into_iter().zip(widths).collect()
    }
}

/// Encodes one endless group of pictures.
#[track_caller]
fn shoot(film: &Path, mark: Mark, size: (usize, usize)) {
    let source = film.with_extension("y4m");
    pattern::write_y4m(&source, mark, size, 15, 60);
    let common = ["-v", "error", "-y", "-stream_loop", ROUNDS, "-i"];
    let how = if film.extension().is_some_and(|suffix| suffix == "ivf") {
        "-vf noise=alls=3:allf=t -c:v libvpx -b:v 300k -g 99999 -deadline realtime -cpu-used 8 -lag-in-frames 0 -auto-alt-ref 0"
    } else {
        "-c:v libx264 -vf noise=alls=3:allf=t -profile:v baseline -preset veryfast -pix_fmt yuv420p -b:v 300k -maxrate 300k -bufsize 300k \
         -x264-params keyint=infinite:scenecut=0:bframes=0:slices=1 -bsf:v h264_metadata=aud=insert -f h264"
    };
    let status =
        Command::new("ffmpeg").args(common).arg(&source).args(how.split_whitespace()).arg(film).status();
    assert!(status.expect("ffmpeg").success());
    std::fs::remove_file(source).unwrap();
}
