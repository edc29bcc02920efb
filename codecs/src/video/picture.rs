//! A picture in memory: I420, that is a plane of brightness and two of colour at half its width and height.

use crate::error::CodecError;

/// Most pixels of a picture that we take: 1920×1088, which is full HD in whole macroblocks, either way up. A picture of that size takes 3 MiB, a
/// decoder keeps some ten of them; VP8 could announce 16,383×16,383 (400 MB each) in ten bytes.
pub const MAX_PIXELS: usize = 1920 * 1088;
/// Longest side, so that no row is absurd.
pub const MAX_SIDE: usize = 2560;

/// Refuses a size that no call has: before a decoder makes room for it.
pub fn check_size(width: usize, height: usize) -> Result<(), CodecError> {
    let fine =
        (2..=MAX_SIDE).contains(&width) && (2..=MAX_SIDE).contains(&height) && width * height <= MAX_PIXELS;
    fine.then_some(()).ok_or(CodecError::PictureSize { width, height })
}

/// A picture that is lent: the planes lie where its owner (often a decoder's library) has them. Sides are even: what a codec shows beyond that, one
/// row or column, is left out.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    width: usize,
    height: usize,
    planes: [Plane<'a>; 3],
}

/// Rows of bytes, `stride` apart.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl<'a> Plane<'a> {
    /// The rows, each of `width`.
    pub fn rows(self, width: usize) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.chunks(self.stride).map(move |row| &row[..width])
    }

    /// From the first row on.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// From one row to the next.
    pub fn stride(self) -> usize {
        self.stride
    }
}

impl<'a> View<'a> {
    /// Planes Y, U and V with their strides. An error if they are too short for the size.
    pub fn new(width: usize, height: usize, planes: [(&'a [u8], usize); 3]) -> Result<Self, CodecError> {
        check_size(width, height)?;
        let (width, height) = (width & !1, height & !1);
        let plane = |at: usize| {
            let (bytes, stride) = planes[at];
            let (columns, rows) = plane_size(width, height, at);
            let need = stride * (rows - 1) + columns;
            let bytes = bytes.get(..need).filter(|_| stride >= columns);
            bytes
                .map(|bytes| Plane { bytes, stride })
                .ok_or(CodecError::BufferTooSmall { have: planes[at].0.len(), need })
        };
        Ok(Self { width, height, planes: [plane(0)?, plane(1)?, plane(2)?] })
    }

    /// Pixels in a row; even.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows; even.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Y, U, V.
    pub fn planes(&self) -> [Plane<'a>; 3] {
        self.planes
    }
}

/// A picture of our own, its planes one behind the other in one buffer that is used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Picture {
    /// A black picture. Odd sides lose a row or column.
    pub fn new(width: usize, height: usize) -> Result<Self, CodecError> {
        let mut picture = Self { width: 0, height: 0, bytes: vec![] };
        picture.resize(width, height)?;
        Ok(picture)
    }

    /// Another size: the picture is black then. The same size changes nothing.
    pub fn resize(&mut self, width: usize, height: usize) -> Result<(), CodecError> {
        check_size(width, height)?;
        let (width, height) = (width & !1, height & !1);
        if (width, height) != (self.width, self.height) {
            (self.width, self.height) = (width, height);
            self.bytes.clear();
            self.bytes.resize(width * height, BLACK);
            self.bytes.resize(width * height * 3 / 2, NO_COLOUR);
        }
        Ok(())
    }

    /// Pixels in a row; even.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows; even.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The picture, lent.
    pub fn view(&self) -> View<'_> {
        let plane = |at| {
            let (columns, _) = plane_size(self.width, self.height, at);
            Plane { bytes: &self.bytes[self.range(at)], stride: columns }
        };
        View { width: self.width, height: self.height, planes: [plane(0), plane(1), plane(2)] }
    }

    /// A plane to draw on, 0 to 2, its rows without a gap.
    pub fn plane_mut(&mut self, at: usize) -> &mut [u8] {
        let range = self.range(at);
        &mut self.bytes[range]
    }

    fn range(&self, at: usize) -> std::ops::Range<usize> {
        let whole = self.width * self.height;
        [0..whole, whole..whole * 5 / 4, whole * 5 / 4..whole * 3 / 2][at].clone()
    }
}

/// Columns and rows of a plane.
pub fn plane_size(width: usize, height: usize, plane: usize) -> (usize, usize) {
    if plane == 0 { (width, height) } else { (width / 2, height / 2) }
}

/// Black in the range that video uses (ITU-R BT.601).
const BLACK: u8 = 16;
/// Grey of the colour planes.
const NO_COLOUR: u8 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_no_call_has_is_refused() {
        let check =
            |width, height, fine| assert_eq!(check_size(width, height).is_ok(), fine, "{width}x{height}");
        check(640, 480, true);
        check(1920, 1088, true);
        check(1088, 1920, true);
        check(16, 16, true);
        check(1, 1, false);
        check(0, 480, false);
        check(1920, 1090, false);
        check(16_383, 16_383, false);
        check(16_383, 16, false);
        check(usize::MAX, 2, false);
    }

    #[test]
    fn odd_sides_lose_a_row_and_a_column() {
        let bytes = [0; 100];
        let view = View::new(5, 3, [(&bytes, 8), (&bytes, 4), (&bytes, 4)]).unwrap();
        assert_eq!((view.width(), view.height()), (4, 2));
        assert_eq!(Picture::new(5, 3).unwrap().view().planes()[1].rows(2).count(), 1);
    }

    #[test]
    fn planes_that_are_too_short_are_refused() {
        let bytes = [0; 15];
        let view =
            |strides: [usize; 3]| View::new(4, 4, strides.map(|stride| (&bytes[..], stride))).map(drop);
        assert_eq!(view([4, 2, 2]), Err(CodecError::BufferTooSmall { have: 15, need: 16 }));
        assert!(View::new(2, 2, [(&bytes, 1), (&bytes, 1), (&bytes, 1)]).is_err(), "rows that overlap");
    }

    #[test]
    fn another_size_is_another_picture_and_the_same_size_keeps_it() {
        let mut picture = Picture::new(4, 4).unwrap();
        picture.plane_mut(0)[3] = 200;
        picture.resize(4, 4).unwrap();
        assert_eq!(picture.plane_mut(0)[3], 200);
        picture.resize(2, 2).unwrap();
        assert_eq!(picture, Picture::new(2, 2).unwrap());
        assert!(picture.resize(0, 2).is_err());
    }
}
