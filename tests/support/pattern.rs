//! Moving pictures that say who made them and which one they are, and that can be read again after any codec.
//!
//! A picture has 8 × 6 cells, black or white. Row 0 is the maker's mark, rows 1 and 2 are the picture's number, rows 3 to 5 the same inverted.
//! So one that is upside down, mirrored, torn between two pictures or made of noise does not read.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who made a picture. No mark reads as another one from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u8);

/// The page's camera.
pub const PAGE_MARK: Mark = Mark(0b1011_0000);
/// The phone's camera.
pub const PHONE_MARK: Mark = Mark(0b1101_0100);

/// A picture that somebody saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When, milliseconds since 1970; 0 where nobody knows.
    pub at: f64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What it says; `None`: nothing that makes sense.
    pub says: Option<(Mark, u16)>,
    /// The place of the brightest cell, row by row.
    pub brightest: usize,
}

impl Seen {
    fn new(at: f64, (width, height): (u32, u32), cells: &[u8]) -> Self {
        let brightest = (0..cells.len()).max_by_key(|at| cells[*at]).unwrap_or_default();
        Self { at, width, height, says: read(cells), brightest }
    }
}

const COLUMNS: usize = 8;
const ROWS: usize = 6;

/// Whether each cell is white, row by row.
fn cells(mark: Mark, number: u16) -> [bool; COLUMNS * ROWS] {
    let [high, low] = number.to_be_bytes();
    let rows = [mark.0, high, low, !mark.0, !high, !low];
    std::array::from_fn(|at| rows[at / COLUMNS] >> (COLUMNS - 1 - at % COLUMNS) & 1 == 1)
}

/// Reads how bright the cells are, 0 to 255.
pub fn read(brightness: &[u8]) -> Option<(Mark, u16)> {
    let row = |row: usize| {
        let cells = &brightness[row * COLUMNS..(row + 1) * COLUMNS];
        cells.iter().fold(0u8, |bits, cell| bits << 1 | u8::from(*cell >= 128))
    };
    let inverted = (0..3).all(|at| row(at) == !row(at + 3));
    inverted.then(|| (Mark(row(0)), u16::from_be_bytes([row(1), row(2)])))
}

/// The luma plane of a picture.
fn luma(mark: Mark, number: u16, (width, height): (usize, usize)) -> Vec<u8> {
    let cells = cells(mark, number);
    let cell = |at: usize| (at / width * ROWS / height) * COLUMNS + at % width * COLUMNS / width;
    (0..width * height).map(|at| if cells[cell(at)] { 235 } else { 16 }).collect()
}

/// Writes so many numbered pictures as Y4M, which Chromium and ffmpeg play round and round.
pub fn write_y4m(path: &Path, mark: Mark, size: (usize, usize), fps: u32, count: u16) {
    write(path, mark, size, fps, count, &vec![128; size.0 * size.1 / 2]);
}

/// The same under a grain of colours, which makes a key frame far longer than a packet.
pub fn write_speckled_y4m(path: &Path, mark: Mark, size: (usize, usize), fps: u32, count: u16) {
    let mut random = 1_u32;
    let grain = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        96 + (random >> 26) as u8
    });
    write(path, mark, size, fps, count, &grain.take(size.0 * size.1 / 2).collect::<Vec<u8>>());
}

fn write(path: &Path, mark: Mark, size: (usize, usize), fps: u32, count: u16, colours: &[u8]) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let (width, height) = size;
    writeln!(file, "YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg").unwrap();
    for number in 0..count {
        file.write_all(b"FRAME\n").unwrap();
        file.write_all(&luma(mark, number, size)).unwrap();
        file.write_all(colours).unwrap();
    }
}

/// The same full of noise, for which no bitrate is enough.
pub fn write_noisy_y4m(path: &Path, (width, height): (usize, usize), fps: u32, count: u16) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg").unwrap();
    let mut noise = 1u32;
    let mut pixel = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        96 + (noise >> 26) as u8
    };
    for _ in 0..count {
        file.write_all(b"FRAME\n").unwrap();
        file.write_all(&(0..width * height).map(|_| pixel()).collect::<Vec<u8>>()).unwrap();
        file.write_all(&vec![128; width * height / 2]).unwrap();
    }
}

/// The same, each cell full of noise: such pictures take as many bits as there are.
pub fn write_grainy_y4m(path: &Path, mark: Mark, size: (usize, usize), fps: u32, count: u16) {
    let clean = path.with_extension("clean.y4m");
    write_y4m(&clean, mark, size, fps, count);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(&clean)
        .args(["-vf", "noise=alls=30:allf=t", "-pix_fmt", "yuv420p"])
        .arg(path)
        .status();
    assert!(status.expect("ffmpeg").success());
    std::fs::remove_file(clean).unwrap();
}

/// The pictures that a page has shown (`bench.pictures` of page.js).
pub fn of_page(pictures: &Value) -> Vec<Seen> {
    let one = |picture: &Value| {
        let number = |name: &str| picture[name].as_f64().unwrap_or_default();
        let cells = picture["cells"].as_array().unwrap().iter();
        let cells: Vec<u8> = cells.map(|cell| cell.as_u64().unwrap() as u8).collect();
        Seen::new(number("at"), (number("width") as u32, number("height") as u32), &cells)
    };
    pictures.as_array().unwrap().iter().map(one).collect()
}

/// Reads all pictures of a file that ffmpeg can decode: a stream of one codec, or a still picture.
pub fn of_file(path: &Path) -> Vec<Seen> {
    let path: PathBuf = path.into();
    let size = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v",
            "-show_entries",
            "stream=width,height",
            "-of",
            "csv=p=0",
        ])
        .arg(&path)
        .output()
        .expect("ffprobe");
    let size = String::from_utf8_lossy(&size.stdout).into_owned();
    let mut numbers = size.trim().split(',').filter_map(|word| word.trim().parse::<u32>().ok());
    let (Some(width), Some(height)) = (numbers.next(), numbers.next()) else { return vec![] };
    // The middle of each cell: twice as many rows and columns as five, area by area.
    let filter = format!("scale={}:{}:flags=area,format=gray", COLUMNS * 5, ROWS * 5);
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args(["-vf", &filter, "-f", "rawvideo", "-vsync", "passthrough", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg");
    let seen = decoded.stdout.chunks_exact(COLUMNS * ROWS * 25).map(|picture| {
        let middle = |at: usize| picture[(at / COLUMNS * 5 + 2) * COLUMNS * 5 + at % COLUMNS * 5 + 2];
        let cells: Vec<u8> = (0..COLUMNS * ROWS).map(middle).collect();
        Seen::new(0.0, (width, height), &cells)
    });
    seen.collect()
}

/// Asserts that pictures of `mark` were seen, that nearly all could be read, and that they moved; gives how many different ones.
#[track_caller]
pub fn assert_moving(seen: &[Seen], mark: Mark, least: usize) -> usize {
    let read: Vec<_> = seen.iter().filter_map(|picture| picture.says).collect();
    let foreign: Vec<_> = read.iter().filter(|(from, _)| *from != mark).collect();
    assert!(foreign.is_empty(), "pictures of somebody else: {foreign:?}");
    let mut numbers: Vec<u16> = read.iter().map(|(_, number)| *number).collect();
    numbers.dedup();
    assert!(
        numbers.len() >= least && read.len() * 10 >= seen.len() * 9,
        "{} pictures, {} can be read, {} move; wanted {least}",
        seen.len(),
        read.len(),
        numbers.len()
    );
    numbers.len()
}
