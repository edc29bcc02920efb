//! A moving picture whose every frame is known, and a measure of how near another one comes to it.

use std::f32::consts::TAU;

use super::picture::{MAX_SIDE, Picture, View, plane_size};

/// Frame `number` of the pattern: slow waves of light and colour, and a bright ball that goes round once in 60 frames.
///
/// # Panics
/// If [`check_size`](super::picture::check_size) refuses the size.
pub fn picture((width, height): (usize, usize), number: usize) -> Picture {
    let mut picture = Picture::new(width, height).expect("a size that check_size takes");
    draw(&mut picture, number);
    picture
}

/// Draws frame `number` on a picture.
pub fn draw(picture: &mut Picture, number: usize) {
    let size = (picture.width(), picture.height());
    let angle = number as f32 * TAU / 60.0;
    let (mut across, mut down) = ([0; MAX_SIDE], [0; MAX_SIDE]);
    for plane in 0..3 {
        let (columns, rows) = plane_size(size.0, size.1, plane);
        let wave = |steps: &mut [i32], periods: f32, shift: f32| {
            let each = periods * TAU / steps.len() as f32;
            steps
                .iter_mut()
                .enumerate()
                .for_each(|(at, step)| *step = (64.0 * (at as f32 * each + shift).sin()) as i32);
        };
        wave(&mut across[..columns], 3.0, angle);
        wave(&mut down[..rows], 2.0 * (plane + 1) as f32, -angle);
        for (row, down) in picture.plane_mut(plane).chunks_exact_mut(columns).zip(&down[..rows]) {
            for (pixel, across) in row.iter_mut().zip(&across[..columns]) {
                *pixel = (118 + ((across * down) >> 7)) as u8;
            }
        }
    }
    draw_ball(picture, (0.5 + 0.3 * angle.cos(), 0.5 + 0.3 * angle.sin()));
}

/// A bright ball with a soft edge, its middle in parts of the picture.
fn draw_ball(picture: &mut Picture, middle: (f32, f32)) {
    let (width, height) = (picture.width(), picture.height());
    let radius = width.min(height) as i32 / 8;
    let (x, y) = ((middle.0 * width as f32) as i32, (middle.1 * height as f32) as i32);
    let rows = picture.plane_mut(0).chunks_exact_mut(width);
    for (dy, row) in
        rows.enumerate().map(|(at, row)| (at as i32 - y, row)).filter(|(dy, _)| dy.abs() < radius)
    {
        for dx in 1 - radius..radius {
            let inside = radius * radius - dx * dx - dy * dy;
            if let Some(pixel) = row.get_mut((x + dx) as usize).filter(|_| inside > 0) {
                *pixel = pixel.saturating_add((inside * 90 / (radius * radius)) as u8);
            }
        }
    }
}

/// Peak signal-to-noise ratio of the brightness of two pictures, in dB: above 30 they look the same at a glance, 99 is the same. Other
/// sizes give 0.
pub fn psnr(one: View<'_>, other: View<'_>) -> f64 {
    if (one.width(), one.height()) != (other.width(), other.height()) {
        return 0.0;
    }
    let mut error = 0;
    for (one, other) in one.planes()[0].rows(one.width()).zip(other.planes()[0].rows(other.width())) {
        for (one, other) in one.iter().zip(other) {
            let far = u64::from(one.abs_diff(*other));
            error += far * far;
        }
    }
    let mean = error as f64 / (one.width() * one.height()) as f64;
    if mean == 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 / mean).log10() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_moves_and_the_measure_tells() {
        let first = picture((320, 240), 0);
        assert_eq!(psnr(first.view(), first.view()), 99.0);
        let next = psnr(first.view(), picture((320, 240), 1).view());
        let far = psnr(first.view(), picture((320, 240), 30).view());
        assert!(next > far && far < 26.0, "next {next:.1} dB, far {far:.1} dB");
        assert_eq!(psnr(first.view(), picture((160, 120), 0).view()), 0.0);
    }
}
