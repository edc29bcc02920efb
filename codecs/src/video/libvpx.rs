//! VP8 (RFC 6386) by Debian's libvpx; the only file that calls it.
//!
//! Settings for a call: one thread, no picture held back, constant bitrate with pictures left out where it must be, key frames only when asked
//! for, a fixed speed. A picture of another size gets a new encoder: libvpx itself takes none larger than its first.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint};
use std::ptr;
use vpx_sys as vpx;

use super::codec::{BITRATES, Coded, MAX_CODED, VideoDecoder, VideoEncoder, VideoSettings};
use super::format::VIDEO_CLOCK;
use super::picture::{View, check_size, plane_size};
use crate::error::CodecError;
use crate::payload::vp8::FrameHead;

/// libvpx's handle of a codec, which frees what belongs to it. In a box, for libvpx keeps pointers into it.
struct Context(Box<vpx::vpx_codec_ctx_t>);

impl Context {
    /// A context that `init` makes.
    fn new(init: impl FnOnce(*mut vpx::vpx_codec_ctx_t) -> vpx::vpx_codec_err_t) -> Result<Self, CodecError> {
        let mut context = Box::new(vpx::vpx_codec_ctx_t::default());
        match init(&raw mut *context) {
            vpx::VPX_CODEC_OK => Ok(Self(context)),
            _ => Err(library("no codec")), // libvpx frees what it had made
        }
    }

    fn as_mut_ptr(&mut self) -> *mut vpx::vpx_codec_ctx_t {
        &raw mut *self.0
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed nowhere else.
        unsafe { vpx::vpx_codec_destroy(self.as_mut_ptr()) };
    }
}

// SAFETY: libvpx ties a codec to no thread, and with one thread makes none; each has one owner.
unsafe impl Send for Context {}

pub(super) struct Vp8Decoder(Context);

impl Vp8Decoder {
    pub(super) fn new() -> Result<Self, CodecError> {
        let config = vpx::vpx_codec_dec_cfg { threads: 1, w: 0, h: 0 };
        let version = vpx::VPX_DECODER_ABI_VERSION as c_int;
        // SAFETY: the interface is static data of the library, the configuration is read during the call.
        let init = |context| unsafe {
            vpx::vpx_codec_dec_init_ver(context, vpx::vpx_codec_vp8_dx(), &raw const config, 0, version)
        };
        Context::new(init).map(Self)
    }
}

impl VideoDecoder for Vp8Decoder {
    fn decode(&mut self, coded: &[u8]) -> Result<Option<View<'_>>, CodecError> {
        match coded.len() {
            0 => return Err(CodecError::EmptyPayload),
            1..=MAX_CODED => {}
            length => return Err(CodecError::PayloadLength { length, least: 1, most: MAX_CODED }),
        }
        FrameHead::parse(coded)?; // which refuses absurd sizes
        // SAFETY: the context is alive; `coded` is read during the call, and its length fits.
        let result = unsafe {
            vpx::vpx_codec_decode(
                self.0.as_mut_ptr(),
                coded.as_ptr(),
                coded.len() as c_uint,
                ptr::null_mut(),
                0,
            )
        };
        let mut place: vpx::vpx_codec_iter_t = ptr::null();
        // SAFETY: the context is alive; `place` starts as null. The image is the library's and lives until the next call to decode. It is asked
        // for after an error too, so that none stays behind.
        let image = unsafe { vpx::vpx_codec_get_frame(self.0.as_mut_ptr(), &raw mut place).as_ref() };
        if result != vpx::VPX_CODEC_OK {
            return Err(CodecError::Malformed { codec: NAME, reason: "a frame that libvpx refuses" });
        }
        image.map(view).transpose()
    }
}

/// A decoded image, lent as long as it lives.
fn view(image: &vpx::vpx_image_t) -> Result<View<'_>, CodecError> {
    let (width, height) = (image.d_w as usize, image.d_h as usize);
    check_size(width, height)?;
    if image.fmt != vpx::vpx_img_fmt::VPX_IMG_FMT_I420 {
        return Err(library("an image of another format"));
    }
    let plane = |at: usize| {
        let stride = image.stride[at] as usize; // libvpx' strides are above 0
        let (columns, rows) = plane_size(width & !1, height & !1, at);
        let length = stride * (rows - 1) + columns;
        // SAFETY: libvpx' planes have `stride` from row to row, at least as many rows as `d_h` shows (for colour half of them), and a border
        // behind each row.
        (unsafe { std::slice::from_raw_parts(image.planes[at].cast_const(), length) }, stride)
    };
    View::new(width, height, [plane(0), plane(1), plane(2)])
}

pub(super) struct Vp8Encoder {
    settings: VideoSettings,
    /// Made for the size of the first picture, and again for each other size.
    encoder: Option<Live>,
}

struct Live {
    context: Context,
    config: vpx::vpx_codec_enc_cfg_t,
}

// SAFETY: the pointers of its settings are null; for the context see above.
unsafe impl Send for Live {}

impl Vp8Encoder {
    pub(super) fn new(settings: VideoSettings) -> Self {
        Self { settings, encoder: None }
    }

    /// The encoder for pictures of this size, and whether it is new.
    fn for_size(&mut self, width: c_uint, height: c_uint) -> Result<(&mut Live, bool), CodecError> {
        let fits = |live: &&mut Live| (live.config.g_w, live.config.g_h) == (width, height);
        let new = self.encoder.as_mut().filter(fits).is_none();
        if new {
            self.encoder = Some(Live::new(&self.settings, width, height)?);
        }
        self.encoder.as_mut().map(|live| (live, new)).ok_or(library("no encoder"))
    }
}

impl Live {
    fn new(settings: &VideoSettings, width: c_uint, height: c_uint) -> Result<Self, CodecError> {
        // SAFETY: takes nothing, gives static data of the library.
        let interface = unsafe { vpx::vpx_codec_vp8_cx() };
        let mut config = vpx::vpx_codec_enc_cfg_t::default();
        // SAFETY: fills the struct, whose layout the version below confirms.
        if unsafe { vpx::vpx_codec_enc_config_default(interface, &raw mut config, 0) } != vpx::VPX_CODEC_OK {
            return Err(library("no settings"));
        }
        (config.g_w, config.g_h) = (width, height);
        config.g_timebase = vpx::vpx_rational { num: 1, den: VIDEO_CLOCK as c_int };
        config.g_threads = 1;
        config.g_lag_in_frames = 0;
        config.g_pass = vpx::vpx_enc_pass::VPX_RC_ONE_PASS;
        config.rc_end_usage = vpx::vpx_rc_mode::VPX_CBR;
        config.rc_target_bitrate = kilobits(settings.bitrate);
        config.rc_dropframe_thresh = 30; // percent of the buffer below which pictures are left out
        config.rc_resize_allowed = 0;
        (config.rc_min_quantizer, config.rc_max_quantizer) = (2, 56);
        (config.rc_undershoot_pct, config.rc_overshoot_pct) = (100, 15);
        // Milliseconds at the target rate: what a key frame may borrow, and how soon a change of the bitrate is felt.
        (config.rc_buf_initial_sz, config.rc_buf_optimal_sz, config.rc_buf_sz) = (500, 600, 1_000);
        config.kf_mode = vpx::vpx_kf_mode::VPX_KF_DISABLED;
        let version = vpx::VPX_ENCODER_ABI_VERSION as c_int;
        // SAFETY: the interface is the library's, the configuration is copied during the call.
        let init = |context| unsafe {
            vpx::vpx_codec_enc_init_ver(context, interface, &raw const config, 0, version)
        };
        let mut context = Context::new(init)?;
        // How large a key frame may be, in percent of a picture's share: half of the buffer.
        let key_percent = (config.rc_buf_optimal_sz * settings.max_fps / 20).max(300);
        use vpx::vp8e_enc_control_id as control;
        for (id, value) in [
            (control::VP8E_SET_CPUUSED, -(settings.vp8_speed as c_int)),
            (control::VP8E_SET_STATIC_THRESHOLD, 1),
            (control::VP8E_SET_MAX_INTRA_BITRATE_PCT, key_percent as c_int),
        ] {
            // SAFETY: the context is alive; each of these controls reads one `int`.
            if unsafe { vpx::vpx_codec_control_(context.as_mut_ptr(), id as c_int, value) }
                != vpx::VPX_CODEC_OK
            {
                return Err(library("a control refused"));
            }
        }
        Ok(Self { context, config })
    }
}

impl VideoEncoder for Vp8Encoder {
    fn encode(
        &mut self,
        picture: View<'_>,
        key: bool,
        at: u64,
        coded: &mut Vec<u8>,
    ) -> Result<Coded, CodecError> {
        coded.clear();
        let duration = u64::from(VIDEO_CLOCK / self.settings.max_fps);
        let (width, height) = (picture.width() as c_uint, picture.height() as c_uint);
        let (live, new) = self.for_size(width, height)?;
        let image = image(picture);
        let flags = if key || new { vpx::VPX_EFLAG_FORCE_KF } else { 0 };
        let context = live.context.as_mut_ptr();
        // SAFETY: the context is alive; the image describes planes that `picture` has checked against its size, which is the context's, and the
        // library only reads and copies them.
        let result = unsafe {
            let deadline = vpx::VPX_DL_REALTIME.into();
            vpx::vpx_codec_encode(context, &raw const image, at as i64, duration, flags.into(), deadline)
        };
        if result != vpx::VPX_CODEC_OK {
            return Err(library("a picture not encoded"));
        }
        let (mut place, mut kind): (vpx::vpx_codec_iter_t, _) = (ptr::null(), Coded::Nothing);
        // SAFETY: as above; `place` starts as null and is only handed back.
        while let Some(packet) = unsafe { vpx::vpx_codec_get_cx_data(context, &raw mut place).as_ref() } {
            if packet.kind != vpx::vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: this is what a packet of that kind holds: `sz` bytes at `buf`, until the next call to encode.
            let (frame, bytes) = unsafe {
                let frame = packet.data.frame;
                (frame, std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize))
            };
            coded.extend_from_slice(bytes);
            kind = if frame.flags & vpx::VPX_FRAME_IS_KEY == 0 { Coded::Delta } else { Coded::Key };
        }
        Ok(kind)
    }

    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        self.settings.bitrate = bitrate.clamp(*BITRATES.start(), *BITRATES.end());
        let Some(live) = &mut self.encoder else { return Ok(()) };
        live.config.rc_target_bitrate = kilobits(self.settings.bitrate);
        // SAFETY: the context is alive, the configuration is copied during the call.
        match unsafe { vpx::vpx_codec_enc_config_set(live.context.as_mut_ptr(), &raw const live.config) } {
            vpx::VPX_CODEC_OK => Ok(()),
            _ => Err(library("a bitrate refused")),
        }
    }
}

/// The lent picture as libvpx wants it.
fn image(picture: View<'_>) -> vpx::vpx_image_t {
    let mut image = vpx::vpx_image_t { fmt: vpx::vpx_img_fmt::VPX_IMG_FMT_I420, ..Default::default() };
    image.bit_depth = 8;
    image.bps = 12;
    (image.w, image.h) = (picture.width() as c_uint, picture.height() as c_uint);
    (image.d_w, image.d_h) = (image.w, image.h);
    (image.x_chroma_shift, image.y_chroma_shift) = (1, 1);
    for (at, plane) in picture.planes().into_iter().enumerate() {
        image.planes[at] = plane.bytes().as_ptr().cast_mut();
        image.stride[at] = plane.stride() as c_int;
    }
    image
}

fn kilobits(bitrate: u32) -> c_uint {
    bitrate / 1_000
}

const fn library(reason: &'static str) -> CodecError {
    CodecError::Library { codec: NAME, reason }
}

const NAME: &str = "VP8";
