//! A picture made smaller: each new pixel is the mean of the area that it stands for, so that fine patterns do not flicker.

use super::picture::{Picture, View, plane_size};
use crate::error::CodecError;

/// The largest even size of the same shape that fits into `most`, turned as the picture is. Never larger than the picture itself.
pub fn fit((width, height): (usize, usize), (long, short): (usize, usize)) -> (usize, usize) {
    let (long, short) = (long.max(short), long.min(short));
    let (most_width, most_height) = if width >= height { (long, short) } else { (short, long) };
    let even = |side: usize| (side & !1).max(2);
    if width <= most_width && height <= most_height {
        (even(width), even(height))
    } else if width * most_height > most_width * height {
        (even(most_width), even((height * most_width + width / 2) / width))
    } else {
        (even((width * most_height + height / 2) / height), even(most_height))
    }
}

/// Scales pictures of one size to pictures of another. Allocates only when a size changes.
#[derive(Debug, Default)]
pub struct Scaler {
    sizes: Option<[(usize, usize); 2]>,
    /// For brightness and for colour.
    columns: [Vec<Span>; 2],
    /// Mean of the rows that make one new row, in 256ths.
    row: Vec<u16>,
}

/// The old pixels of one new one.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    count: u32,
    /// Weights of the first and the last pixel; all sum up to 256.
    first: u16,
    last: u16,
    /// Weight of each pixel between them, and what is left over by rounding, which the first gets.
    inner: u16,
}

impl Scaler {
    /// Draws `from` on `to`, whose size says how small. Larger pictures than `from` are not made.
    pub fn scale(&mut self, from: View<'_>, to: &mut Picture) -> Result<(), CodecError> {
        let sizes = [(from.width(), from.height()), (to.width(), to.height())];
        if sizes[1].0 > sizes[0].0 || sizes[1].1 > sizes[0].1 {
            return Err(CodecError::BufferTooSmall { have: sizes[0].0, need: sizes[1].0 });
        }
        if self.sizes != Some(sizes) {
            for (at, columns) in self.columns.iter_mut().enumerate() {
                let (old, new) = (sizes[0].0 >> at, sizes[1].0 >> at);
                columns.clear();
                columns.extend((0..new).map(|column| Span::new(column, old, new)));
            }
            self.row.clear();
            self.row.resize(sizes[0].0, 0);
            self.sizes = Some(sizes);
        }
        for (at, plane) in from.planes().into_iter().enumerate() {
            let (old_width, old_height) = plane_size(sizes[0].0, sizes[0].1, at);
            let (new_width, new_height) = plane_size(sizes[1].0, sizes[1].1, at);
            let columns = &self.columns[at.min(1)];
            let mean = &mut self.row[..old_width];
            for (number, new) in to.plane_mut(at).chunks_exact_mut(new_width).enumerate() {
                let span = Span::new(number, old_height, new_height);
                mean.fill(0);
                let rows = &plane.bytes()[span.start as usize * plane.stride()..];
                for (place, row) in rows.chunks(plane.stride()).take(span.count as usize).enumerate() {
                    let weight = span.weight(place as u32);
                    // Weights sum up to 256, so nothing wraps; checked sums would not be vectors.
                    let add = |(sum, pixel): (&mut u16, &u8)| {
                        *sum = sum.wrapping_add(u16::from(*pixel).wrapping_mul(weight));
                    };
                    mean.iter_mut().zip(row).for_each(add);
                }
                new.iter_mut().zip(columns).for_each(|(pixel, span)| *pixel = span.mean(mean));
            }
        }
        Ok(())
    }
}

impl Span {
    /// The part of `old` pixels that number `place` of `new` ones covers.
    fn new(place: usize, old: usize, new: usize) -> Self {
        // In parts of 1/new of an old pixel: the span has `old` of them, each pixel in it up to `new`.
        let (from, to) = (place * old, (place + 1) * old);
        let (start, end) = (from / new, to.div_ceil(new));
        let count = end - start;
        let share = |parts: usize| (parts * 256 / old) as u16;
        let (last, inner) = (if count > 1 { share(to - (end - 1) * new) } else { 0 }, share(new));
        let first = 256 - last - inner * count.saturating_sub(2) as u16;
        Self { start: start as u32, count: count as u32, first, last, inner }
    }

    fn weight(&self, place: u32) -> u16 {
        if place == 0 {
            self.first
        } else if place + 1 == self.count {
            self.last
        } else {
            self.inner
        }
    }

    fn mean(&self, pixels: &[u16]) -> u8 {
        let pixels = &pixels[self.start as usize..][..self.count as usize];
        let [first, between @ ..] = pixels else { return 0 };
        let mut sum = u32::from(*first) * u32::from(self.first) + 0x8000;
        if let [between @ .., last] = between {
            let inner: u32 = between.iter().map(|pixel| u32::from(*pixel)).sum();
            sum += inner * u32::from(self.inner) + u32::from(*last) * u32::from(self.last);
        }
        (sum >> 16) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::pattern;
    use proptest::prelude::*;

    #[test]
    fn a_picture_fits_into_the_box_whichever_way_up_it_is() {
        let check = |size, most, expected| assert_eq!(fit(size, most), expected, "{size:?} into {most:?}");
        check((640, 480), (640, 480), (640, 480));
        check((320, 240), (640, 480), (320, 240));
        check((1280, 720), (640, 480), (640, 360));
        check((720, 1280), (640, 480), (360, 640));
        check((1920, 1080), (640, 480), (640, 360));
        check((800, 600), (640, 480), (640, 480));
        check((480, 640), (640, 480), (480, 640));
        check((1000, 10), (640, 480), (640, 6));
        check((2560, 2), (640, 480), (640, 2));
        check((175, 143), (640, 480), (174, 142));
    }

    #[test]
    fn half_the_size_is_the_mean_of_four_pixels() {
        let mut from = Picture::new(4, 2).unwrap();
        from.plane_mut(0).copy_from_slice(&[10, 20, 100, 100, 30, 40, 200, 200]);
        let mut small = Picture::new(2, 2).unwrap();
        Scaler::default().scale(from.view(), &mut small).unwrap();
        assert_eq!(small.plane_mut(0), [15, 100, 35, 200]);
        assert_eq!(small.plane_mut(1), [128]);
    }

    #[test]
    fn a_scaled_pattern_looks_like_the_pattern_at_that_size() {
        let check = |from: (usize, usize), to: (usize, usize)| {
            let mut scaled = Picture::new(to.0, to.1).unwrap();
            Scaler::default().scale(pattern::picture(from, 7).view(), &mut scaled).unwrap();
            let psnr = pattern::psnr(scaled.view(), pattern::picture(to, 7).view());
            assert!(psnr > 27.0, "{from:?} to {to:?}: {psnr:.1} dB");
        };
        check((1280, 720), (640, 360));
        check((1280, 960), (640, 480));
        check((800, 600), (640, 480));
        check((640, 480), (352, 264));
    }

    #[test]
    fn a_picture_is_not_made_larger() {
        let (from, mut to) = (Picture::new(16, 16).unwrap(), Picture::new(32, 8).unwrap());
        assert!(Scaler::default().scale(from.view(), &mut to).is_err());
    }

    proptest! {
        #[test]
        fn one_grey_stays_that_grey_at_any_size(
            old in (1usize..90, 1usize..90), new in (1usize..90, 1usize..90), grey in any::<u8>(),
        ) {
            let mut from = Picture::new(old.0 * 2, old.1 * 2).unwrap();
            from.plane_mut(0).fill(grey);
            from.plane_mut(2).fill(grey);
            let mut to = Picture::new(new.0.min(old.0) * 2, new.1.min(old.1) * 2).unwrap();
            Scaler::default().scale(from.view(), &mut to).unwrap();
            prop_assert!(to.plane_mut(0).iter().all(|pixel| *pixel == grey));
            prop_assert!(to.plane_mut(2).iter().all(|pixel| *pixel == grey));
        }
    }
}
