//! What one carries, wears, reads, hears, and tells the time by.

use super::super::paint::{Canvas, Colour, Point, RIM, Shape, Surface};
use super::super::{Palette, Variation};
use super::{FLOOR, MIDDLE, disc, rod, slab};

pub(super) fn clock(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let size = 0.46 + 0.03 * variation.width;
    let y = 0.41;
    let soft = |shift: f32, growth: f32| {
        disc(
            MIDDLE + shift,
            y + shift * 1.3,
            size + growth,
            size + growth,
        )
    };
    for (shift, growth) in [
        (0.012, 0.0),
        (0.018, 0.01),
        (0.024, 0.02),
        (0.03, 0.03),
        (0.036, 0.04),
    ] {
        canvas.glaze(&soft(shift, growth), palette.dark, Surface::Bright, 0.055);
    }
    canvas.fill(&disc(MIDDLE, y, size, size), palette.main, Surface::Soft);
    canvas.fill(
        &disc(MIDDLE, y, size - 0.045, size - 0.045),
        palette.second.mix(Colour::WHITE, 0.45),
        Surface::Flat,
    );
    let radius = size / 2.0 - 0.055;
    // Directions of the hours: sines and cosines of multiples of 30 degrees.
    let hours = [
        (0.0, -1.0),
        (0.5, -0.866),
        (0.866, -0.5),
        (1.0, 0.0),
        (0.866, 0.5),
        (0.5, 0.866),
        (0.0, 1.0),
        (-0.5, 0.866),
        (-0.866, 0.5),
        (-1.0, 0.0),
        (-0.866, -0.5),
        (-0.5, -0.866),
    ];
    for (place, (x, dy)) in (0_u8..).zip(hours) {
        let (inner, thick) = if place % 3 == 0 {
            (radius - 0.035, 0.011)
        } else {
            (radius - 0.018, 0.006)
        };
        let mark = rod(
            Point(MIDDLE + x * inner, y + dy * inner),
            Point(MIDDLE + x * radius, y + dy * radius),
            thick,
        );
        canvas.fill(&mark, palette.dark, Surface::Flat);
    }
    let (hour, minute) = if variation.detail < 0.5 {
        ((-0.58, -0.81), (0.64, -0.77))
    } else {
        ((0.82, 0.57), (-0.17, -0.98))
    };
    canvas.fill(
        &rod(
            Point(MIDDLE, y),
            Point(MIDDLE + hour.0 * 0.1, y + hour.1 * 0.1),
            0.015,
        ),
        palette.dark,
        Surface::Flat,
    );
    canvas.fill(
        &rod(
            Point(MIDDLE, y),
            Point(MIDDLE + minute.0 * 0.15, y + minute.1 * 0.15),
            0.01,
        ),
        palette.dark,
        Surface::Flat,
    );
    canvas.fill(&disc(MIDDLE, y, 0.03, 0.03), palette.main, Surface::Flat);
}

pub(super) fn bag(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.2 + 0.015 * variation.width;
    let top = 0.42 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 2.1);
    let handle = |width: f32, height: f32| Shape::Ring {
        centre: Point(MIDDLE, top + 0.02),
        width,
        height,
        thickness: 0.022,
    };
    let behind = Shape::Above {
        shape: Box::new(handle(half * 1.0, 0.36)),
        y: top + 0.02,
    };
    canvas.fill(&behind, palette.second.scale(0.66), Surface::Flat);
    let body = [half * 0.94, half * 0.97, half, half * 1.03, half * 1.04];
    let cloth = Shape::Turned {
        x: MIDDLE,
        top: top + 0.01,
        bottom: FLOOR - 0.03,
        half_widths: body.to_vec(),
    };
    canvas.fill(&cloth, palette.main, Surface::Soft);
    canvas.fill(
        &disc(MIDDLE, top + 0.01, half * 1.88, half * 1.88 * RIM),
        palette.main.scale(0.62),
        Surface::Flat,
    );
    let front = Shape::Above {
        shape: Box::new(handle(half * 1.1, 0.3)),
        y: top + 0.06,
    };
    canvas.fill(&front, palette.second.scale(0.9), Surface::Flat);
    for side in [-1.0, 1.0] {
        let x = MIDDLE + side * half * 0.55;
        canvas.fill(
            &slab(x, top + 0.085, 0.024, 0.08, 0.004),
            palette.second.scale(0.9),
            Surface::Flat,
        );
    }
    if variation.detail > 0.4 {
        canvas.fill(
            &slab(MIDDLE, 0.62, half * 0.9, 0.13, 0.006),
            palette.second,
            Surface::Flat,
        );
    } else {
        canvas.fill(
            &disc(MIDDLE, 0.62, 0.13, 0.13),
            palette.second,
            Surface::Flat,
        );
    }
}

pub(super) fn notebook(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let (width, height) = (
        0.34 + 0.02 * variation.width,
        0.48 + 0.02 * variation.height,
    );
    let y = FLOOR - height / 2.0 - 0.005;
    canvas.shadow(MIDDLE, FLOOR + 0.002, width * 1.05);
    canvas.fill(
        &slab(MIDDLE + 0.022, y + 0.004, width, height - 0.014, 0.012),
        palette.main.scale(0.6),
        Surface::Flat,
    );
    canvas.fill(
        &slab(MIDDLE + 0.014, y + 0.002, width, height - 0.022, 0.006),
        Colour {
            red: 0.96,
            green: 0.94,
            blue: 0.89,
        },
        Surface::Flat,
    );
    canvas.fill(
        &slab(MIDDLE, y, width, height, 0.014),
        palette.main,
        Surface::Flat,
    );
    canvas.glaze(
        &slab(MIDDLE - width / 2.0 + 0.024, y, 0.006, height, 0.0),
        palette.dark,
        Surface::Flat,
        0.28,
    );
    if variation.detail < 0.5 {
        canvas.fill(
            &slab(MIDDLE + width / 2.0 - 0.045, y, 0.014, height, 0.0),
            palette.dark,
            Surface::Flat,
        );
    } else {
        canvas.fill(
            &slab(MIDDLE + 0.055, y + height / 2.0 + 0.02, 0.014, 0.06, 0.0),
            palette.second,
            Surface::Flat,
        );
    }
    canvas.fill(
        &slab(MIDDLE + 0.0, y - height * 0.18, width * 0.42, 0.09, 0.004),
        palette.second,
        Surface::Flat,
    );
    canvas.glaze(
        &slab(MIDDLE, y - height * 0.18, width * 0.26, 0.008, 0.004),
        palette.dark,
        Surface::Flat,
        0.7,
    );
}

pub(super) fn headphones(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let width = 0.4 + 0.02 * variation.width;
    let cup = 0.21 + 0.015 * variation.height;
    let y = FLOOR - 0.1 - cup / 2.0;
    for side in [-1.0, 1.0] {
        canvas.shadow(MIDDLE + side * width / 2.0, FLOOR + 0.002, 0.13);
    }
    let band = Shape::Ring {
        centre: Point(MIDDLE, y),
        width,
        height: 0.56,
        thickness: 0.034,
    };
    canvas.fill(
        &Shape::Above {
            shape: Box::new(band),
            y: y + 0.02,
        },
        palette.main,
        Surface::Soft,
    );
    let padding = Shape::Ring {
        centre: Point(MIDDLE, y),
        width: width - 0.04,
        height: 0.52,
        thickness: 0.022,
    };
    canvas.fill(
        &Shape::Above {
            shape: Box::new(padding),
            y: y - 0.13,
        },
        palette.second.scale(0.9),
        Surface::Soft,
    );
    for side in [-1.0, 1.0] {
        let x = MIDDLE + side * width / 2.0;
        canvas.fill(
            &slab(x - side * 0.045, y + 0.1, 0.075, cup * 0.96, 0.036),
            palette.dark,
            Surface::Soft,
        );
        canvas.fill(
            &slab(x + side * 0.012, y + 0.1, 0.085, cup, 0.042),
            palette.main,
            Surface::Soft,
        );
        canvas.fill(
            &slab(x + side * 0.036, y + 0.1, 0.016, cup * 0.52, 0.008),
            palette.second,
            Surface::Flat,
        );
        canvas.fill(
            &slab(x, y - 0.01, 0.022, 0.08, 0.008),
            palette.second.scale(0.75),
            Surface::Flat,
        );
    }
}

pub(super) fn speaker(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let (width, height) = (
        0.29 + 0.02 * variation.width,
        0.46 + 0.03 * variation.height,
    );
    let y = FLOOR - height / 2.0;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width * 1.1);
    canvas.fill(
        &slab(MIDDLE + 0.016, y, width + 0.03, height, 0.022),
        palette.main.scale(0.62),
        Surface::Flat,
    );
    canvas.fill(
        &slab(MIDDLE, y, width, height, 0.02),
        palette.main,
        Surface::Flat,
    );
    let low = y + height * 0.17;
    canvas.fill(&disc(MIDDLE, low, 0.22, 0.22), palette.dark, Surface::Soft);
    canvas.fill(
        &disc(MIDDLE, low, 0.19, 0.19),
        palette.dark.mix(palette.second, 0.22),
        Surface::Soft,
    );
    canvas.fill(
        &disc(MIDDLE, low, 0.08, 0.08),
        if variation.detail < 0.5 {
            palette.dark
        } else {
            palette.second
        },
        Surface::Soft,
    );
    let high = y - height * 0.27;
    canvas.fill(
        &disc(MIDDLE, high, 0.115, 0.115),
        palette.dark,
        Surface::Soft,
    );
    canvas.fill(
        &disc(MIDDLE, high, 0.05, 0.05),
        palette.second,
        Surface::Soft,
    );
}

pub(super) fn shirt(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.165 + 0.012 * variation.width;
    let top = 0.26;
    let bottom = 0.75 + 0.015 * variation.height;
    let sleeve = if variation.detail < 0.5 {
        Point(0.13, 0.17)
    } else {
        Point(0.15, 0.36)
    };
    let cloth = palette.main.mix(Colour::WHITE, 0.12);
    for shift in [0.008, 0.016, 0.024] {
        canvas.glaze(
            &slab(
                MIDDLE + shift,
                (top + bottom) / 2.0 + shift,
                half * 2.0,
                bottom - top,
                0.03,
            ),
            palette.dark,
            Surface::Bright,
            0.05,
        );
    }
    for side in [-1.0, 1.0] {
        let shoulder = Point(MIDDLE + side * (half - 0.035), top + 0.06);
        let cuff = Point(MIDDLE + side * (half + sleeve.0), top + sleeve.1);
        let arm = Shape::Rod {
            from: shoulder,
            to: cuff,
            thick_from: 0.12,
            thick_to: 0.085,
        };
        canvas.fill(&arm, cloth.scale(0.9), Surface::Flat);
    }
    let body = [
        half * 0.93,
        half,
        half * 0.98,
        half * 0.97,
        half * 0.98,
        half,
    ];
    canvas.fill(
        &Shape::Turned {
            x: MIDDLE,
            top: top + 0.015,
            bottom,
            half_widths: body.to_vec(),
        },
        cloth,
        Surface::Flat,
    );
    canvas.fill(
        &disc(MIDDLE, top + 0.004, half * 1.0, 0.1),
        palette.wall.scale(0.82),
        Surface::Flat,
    );
    let collar = Shape::Ring {
        centre: Point(MIDDLE, top + 0.004),
        width: half * 1.0,
        height: 0.1,
        thickness: 0.02,
    };
    canvas.fill(&collar, cloth.scale(0.82), Surface::Flat);
    if variation.detail > 0.3 {
        for stripe in 0_u8..4 {
            let y = top + 0.17 + 0.075 * f32::from(stripe);
            canvas.glaze(
                &slab(MIDDLE, y, half * 1.94, 0.022, 0.0),
                palette.second,
                Surface::Flat,
                0.85,
            );
        }
    } else {
        canvas.fill(
            &slab(MIDDLE + half * 0.42, top + 0.15, 0.075, 0.085, 0.008),
            cloth.scale(0.88),
            Surface::Flat,
        );
    }
}
