//! What those who wait may hear, made of the settings.
use std::sync::Arc;

use codecs::{CodecId, Settings};

use super::{Repeated, music};
use crate::vocabulary::MediaSettings;

/// The sounds of a switch, shared by all its calls.
#[derive(Debug)]
pub struct Sounds {
    music: Arc<Repeated>,
    ring_back: Option<Arc<Repeated>>,
}

/// Our own music, and no country's tone.
impl Default for Sounds {
    fn default() -> Self {
        Self { music: Arc::new(Repeated::new(&Settings::default(), music::round)), ring_back: None }
    }
}

impl Sounds {
    /// As the operator wants them.
    pub fn new(media: &MediaSettings) -> Self {
        let encoding = &media.encoding;
        let music = match media.hold_music.clone() {
            Some(file) => Repeated::new(encoding, move |rate| music::of_file(&file, rate)),
            None => Repeated::new(encoding, music::round),
        };
        let ring_back = media.ring_back.map(|tone| Repeated::new(encoding, move |rate| tone.round(rate)));
        Self { music: Arc::new(music), ring_back: ring_back.map(Arc::new) }
    }

    /// Encodes the music in these codecs, on a thread of its own: minutes of sound take seconds.
    pub fn prepare(&self, codecs: Vec<CodecId>) {
        let music = self.music.clone();
        std::thread::spawn(move || {
            for codec in codecs {
                music.encoded(codec);
            }
        });
    }

    /// For a side that is held.
    pub fn music(&self) -> Arc<Repeated> {
        self.music.clone()
    }

    /// For a page whose call rings.
    pub fn ring_back(&self) -> Option<Arc<Repeated>> {
        self.ring_back.clone()
    }

    /// For a page whose far side has left and is being replaced. It is not told and makes no sound of its own: it hears music
    /// if it is to hear no country's tone.
    pub fn waiting(&self) -> Arc<Repeated> {
        self.ring_back().unwrap_or_else(|| self.music())
    }
}
