//! What every whole-house test starts with: the machine to itself, a folder, and ports nobody else has.

use std::cell::RefCell;
use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// One test's place on the machine.
///
/// While it lives no other bench runs here, whichever runner or clone started it: media tests measure gaps of 60 ms and
/// a browser needs a core for itself. Two benches in one test share the place.
pub struct Bench {
    folder: PathBuf,
    _alone: Arc<File>,
}

thread_local! {
    static MINE: RefCell<Weak<File>> = const { RefCell::new(Weak::new()) };
}

impl Bench {
    /// Waits for the machine, then makes an empty folder named after the test.
    pub fn new() -> Self {
        let alone = MINE.with_borrow_mut(|mine| {
            mine.upgrade().unwrap_or_else(|| {
                let file = File::create(std::env::temp_dir().join("tandem-bench.lock")).unwrap();
                file.lock().unwrap();
                let file = Arc::new(file);
                *mine = Arc::downgrade(&file);
                file
            })
        });
        let test = std::thread::current().name().unwrap_or("main").replace("::", "-");
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_string_lossy();
        let program = program.rsplit_once('-').map_or(&*program, |(name, _hash)| name);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program).join(test);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, _alone: alone }
    }

    /// A bench of its own for a part of the test that runs beside others, with a folder inside this one's.
    pub fn part(&self, name: &str) -> Self {
        Self { folder: self.subfolder(name), _alone: Arc::clone(&self._alone) }
    }

    /// A path inside the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a folder inside the test's folder.
    pub fn subfolder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A port free for UDP and TCP on every address. Its neighbour is free too: some peers take it unasked.
    pub fn port(&self) -> u16 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let port = SINGLE.start + step(&NEXT, 2, SINGLE.end - SINGLE.start);
            if [port, port + 1].into_iter().all(free) {
                return port;
            }
        }
    }

    /// The first and the last of 200 ports for RTP, checked at its first ports.
    pub fn rtp_ports(&self) -> (u16, u16) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let from = RTP.start + step(&NEXT, RTP_BLOCK, RTP.end - RTP.start);
            if (from..from + 8).all(free) {
                return (from, from + RTP_BLOCK - 1);
            }
        }
    }

    /// A port for the sound of a scripted phone: it and the seven behind it are free.
    pub fn phone_port(&self) -> u16 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let from = PHONES.start + step(&NEXT, PHONE_BLOCK, PHONES.end - PHONES.start);
            if (from..from + PHONE_BLOCK).all(free) {
                return from;
            }
        }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// The next offset in a range, round and round. Each process starts elsewhere, so that a port still lingering from the
/// run before is not met again at once.
fn step(next: &AtomicU32, width: u16, range: u16) -> u16 {
    let count = next.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() % 1000);
    (count % u32::from(range / width)) as u16 * width
}

fn free(port: u16) -> bool {
    UdpSocket::bind(("0.0.0.0", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok()
}

// All below the kernel's ephemeral range (32768), away from the defaults of every peer and of Tandem.
const SINGLE: Range<u16> = 11000..19000;
const RTP: Range<u16> = 20000..29800;
const RTP_BLOCK: u16 = 200;
const PHONES: Range<u16> = 29800..32760;
const PHONE_BLOCK: u16 = 8;
