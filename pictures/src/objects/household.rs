//! What furnishes a room and a kitchen.

use super::super::paint::{Canvas, Colour, Point, RIM, Shape, Surface};
use super::super::{Palette, Variation};
use super::{FLOOR, MIDDLE, disc, opening, rod, slab, turned};

pub(super) fn lamp(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let wide = 0.19 + 0.02 * variation.width;
    let top = 0.2 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, 0.24);
    canvas.glow(
        MIDDLE,
        top + 0.12,
        0.5,
        Colour {
            red: 1.0,
            green: 0.95,
            blue: 0.82,
        },
    );
    if variation.detail < 0.5 {
        canvas.fill(
            &turned(top + 0.2, FLOOR - 0.03, &[0.011, 0.011]),
            palette.dark,
            Surface::Round,
        );
        canvas.fill(
            &turned(FLOOR - 0.035, FLOOR - 0.008, &[0.11, 0.115]),
            palette.dark,
            Surface::Round,
        );
    } else {
        let foot = [0.022, 0.03, 0.075, 0.11, 0.12, 0.105, 0.08];
        canvas.fill(
            &turned(top + 0.24, FLOOR - 0.008, &foot),
            palette.main,
            Surface::Round,
        );
    }
    let shade = [wide * 0.62, wide * 0.8, wide];
    let paper = palette.second.mix(
        Colour {
            red: 1.0,
            green: 0.96,
            blue: 0.86,
        },
        0.55,
    );
    canvas.fill(&turned(top, top + 0.25, &shade), paper, Surface::Round);
    canvas.fill(
        &disc(MIDDLE, top, wide * 1.24, wide * 1.24 * RIM),
        Colour {
            red: 1.0,
            green: 0.98,
            blue: 0.9,
        },
        Surface::Bright,
    );
}

pub(super) fn plant(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.125 + 0.012 * variation.width;
    let top = 0.58;
    let leaf_colour = Colour {
        red: 0.31,
        green: 0.44,
        blue: 0.31,
    };
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 1.8);
    let leaves = [
        (-0.92, -0.39, 0.24),
        (0.92, -0.39, 0.23),
        (-0.76, -0.65, 0.3),
        (0.78, -0.63, 0.29),
        (-0.44, -0.9, 0.33),
        (0.46, -0.89, 0.34),
        (-0.14, -0.99, 0.38),
        (0.2, -0.98, 0.36),
    ];
    for (place, (x, y, length)) in (0_u8..).zip(leaves) {
        let length = length * (1.0 + 0.08 * variation.height);
        let tip = Point(MIDDLE + x * length, top + y * length);
        canvas.fill(
            &rod(Point(MIDDLE, top + 0.02), tip, 0.008),
            leaf_colour.scale(0.7),
            Surface::Flat,
        );
        let centre = Point(MIDDLE + x * length * 0.98, top + y * length * 0.98);
        let width = 0.07 + 0.03 * variation.detail;
        let leaf = Shape::Leaf {
            centre,
            length: 0.2,
            width,
            direction: Point(x, y),
        };
        canvas.fill(
            &leaf,
            leaf_colour.scale(0.86 + 0.05 * f32::from(place)),
            Surface::Soft,
        );
        let vein = rod(
            Point(centre.0 - x * 0.085, centre.1 - y * 0.085),
            Point(centre.0 + x * 0.08, centre.1 + y * 0.08),
            0.004,
        );
        canvas.glaze(&vein, Colour::WHITE, Surface::Flat, 0.22);
    }
    canvas.fill(
        &turned(
            top,
            FLOOR - 0.01,
            &[half, half * 0.96, half * 0.86, half * 0.74],
        ),
        palette.main,
        Surface::Round,
    );
    canvas.fill(
        &turned(top, top + 0.04, &[half * 1.06, half * 1.06]),
        palette.main.scale(1.06),
        Surface::Round,
    );
    opening(
        canvas,
        top,
        half * 1.06,
        palette.main.scale(1.08),
        palette.dark,
    );
}

pub(super) fn chair(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let wood = palette.second.scale(0.82);
    let half = 0.17 + 0.012 * variation.width;
    let seat = 0.575;
    let back = 0.24 - 0.025 * variation.height;
    let floor = 0.86;
    canvas.shadow(MIDDLE, floor - 0.02, half * 2.1);
    for side in [-1.0, 1.0] {
        canvas.fill(
            &rod(
                Point(MIDDLE + side * half * 0.78, seat),
                Point(MIDDLE + side * half * 0.86, floor - 0.055),
                0.02,
            ),
            wood.scale(0.72),
            Surface::Round,
        );
        canvas.fill(
            &rod(
                Point(MIDDLE + side * half * 0.84, seat),
                Point(MIDDLE + side * half * 0.76, back),
                0.024,
            ),
            wood,
            Surface::Round,
        );
    }
    if variation.detail < 0.5 {
        canvas.fill(
            &slab(MIDDLE, back + 0.065, half * 1.85, 0.15, 0.05),
            palette.main,
            Surface::Soft,
        );
    } else {
        for line in [0.02, 0.085, 0.15] {
            canvas.fill(
                &slab(MIDDLE, back + line, half * 1.7, 0.034, 0.015),
                wood.scale(1.05),
                Surface::Flat,
            );
        }
    }
    canvas.fill(
        &slab(MIDDLE, seat, half * 2.1, 0.06, 0.028),
        palette.main,
        Surface::Soft,
    );
    canvas.fill(
        &slab(MIDDLE, seat + 0.04, half * 1.95, 0.026, 0.01),
        wood,
        Surface::Flat,
    );
    for side in [-1.0, 1.0] {
        canvas.fill(
            &rod(
                Point(MIDDLE + side * half * 0.92, seat + 0.045),
                Point(MIDDLE + side * half * 1.06, floor),
                0.026,
            ),
            wood,
            Surface::Round,
        );
    }
}

pub(super) fn table(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.25 + 0.025 * variation.width;
    let top = 0.45 - 0.03 * variation.height;
    let floor = 0.84;
    let wood = palette.second.scale(0.88);
    canvas.shadow(MIDDLE, floor - 0.02, half * 1.7);
    if variation.detail < 0.5 {
        canvas.fill(
            &rod(
                Point(MIDDLE, top + 0.02),
                Point(MIDDLE + 0.01, floor - 0.05),
                0.026,
            ),
            wood.scale(0.68),
            Surface::Round,
        );
        for side in [-1.0, 1.0] {
            canvas.fill(
                &rod(
                    Point(MIDDLE + side * half * 0.6, top + 0.02),
                    Point(MIDDLE + side * half * 0.78, floor),
                    0.028,
                ),
                wood,
                Surface::Round,
            );
        }
    } else {
        canvas.fill(
            &turned(top, floor - 0.03, &[0.1, 0.045, 0.03, 0.03, 0.05, 0.14]),
            palette.main,
            Surface::Round,
        );
    }
    canvas.fill(
        &turned(top, top + 0.028, &[half, half]),
        wood.scale(0.92),
        Surface::Round,
    );
    canvas.fill(
        &disc(MIDDLE, top, half * 2.0, half * 2.0 * RIM),
        wood.scale(1.12),
        Surface::Flat,
    );
    canvas.shadow(MIDDLE + 0.03, top + 0.006, 0.1);
    canvas.fill(
        &turned(top - 0.1, top, &[0.026, 0.026, 0.05, 0.056, 0.04]),
        palette.main,
        Surface::Round,
    );
    opening(
        canvas,
        top - 0.1,
        0.026,
        palette.main.scale(1.1),
        palette.dark,
    );
}

pub(super) fn cushion(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let (width, height) = (0.5 + 0.03 * variation.width, 0.42 + 0.04 * variation.height);
    let y = FLOOR - height / 2.0 + 0.01;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width * 0.95);
    // The sides of a cushion are drawn in; four large discs take them away.
    let pinch = |shape: Shape, hole: Shape| Shape::Without {
        shape: Box::new(shape),
        hole: Box::new(hole),
    };
    let big = 1.9;
    let body = slab(MIDDLE, y, width, height, 0.055);
    let body = pinch(
        body,
        disc(MIDDLE, y - height / 2.0 - big / 2.0 + 0.016, big, big),
    );
    let body = pinch(
        body,
        disc(MIDDLE - width / 2.0 - big / 2.0 + 0.016, y, big, big),
    );
    let body = pinch(
        body,
        disc(MIDDLE + width / 2.0 + big / 2.0 - 0.016, y, big, big),
    );
    canvas.fill(&body, palette.main, Surface::Soft);
    if variation.detail < 0.6 {
        for stripe in [-0.32, -0.26, 0.26, 0.32] {
            canvas.glaze(
                &slab(MIDDLE + stripe * width, y, 0.014, height * 0.93, 0.005),
                palette.second,
                Surface::Soft,
                0.85,
            );
        }
    } else {
        canvas.fill(
            &disc(MIDDLE, y, 0.036, 0.036),
            palette.second,
            Surface::Soft,
        );
    }
}

pub(super) fn blanket(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let width = 0.5 + 0.03 * variation.width;
    let thick = 0.088 + 0.008 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width);
    let colours = [
        palette.main,
        palette.second,
        palette.main.mix(palette.second, 0.5),
        palette.dark.mix(palette.main, 0.6),
    ];
    let count = if variation.detail < 0.5 { 3 } else { 4 };
    for (place, colour) in (0_u8..).zip(colours).take(count) {
        let y = FLOOR - thick / 2.0 - f32::from(place) * thick * 0.94;
        let layer_width = width - 0.012 * f32::from(place % 3);
        canvas.fill(
            &slab(MIDDLE, y, layer_width, thick, thick * 0.48),
            colour,
            Surface::Soft,
        );
        let fold = slab(MIDDLE + 0.035, y, layer_width - 0.09, 0.006, 0.003);
        canvas.glaze(&fold, palette.dark, Surface::Flat, 0.22);
        for thread in 0_u8..9 {
            let x = MIDDLE - layer_width / 2.0 + 0.09 + f32::from(thread) * layer_width / 11.0;
            canvas.glaze(
                &slab(x, y - thick * 0.22, 0.004, thick * 0.3, 0.002),
                Colour::WHITE,
                Surface::Flat,
                0.16,
            );
        }
    }
}

pub(super) fn board(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let wood = Colour {
        red: 0.76,
        green: 0.58,
        blue: 0.39,
    }
    .mix(palette.second, 0.25);
    let width = 0.3 + 0.025 * variation.width;
    let top = 0.33 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width * 1.05);
    let side = slab(
        MIDDLE + 0.012,
        (top + FLOOR) / 2.0,
        width,
        FLOOR - top,
        0.045,
    );
    canvas.fill(&side, wood.scale(0.68), Surface::Flat);
    let grip = slab(MIDDLE, top - 0.055, 0.095, 0.18, 0.045);
    canvas.fill(
        &slab(MIDDLE + 0.012, top - 0.055, 0.095, 0.18, 0.045),
        wood.scale(0.68),
        Surface::Flat,
    );
    canvas.fill(&grip, wood, Surface::Flat);
    let face = || slab(MIDDLE, (top + FLOOR) / 2.0, width, FLOOR - top, 0.045);
    canvas.fill(&face(), wood, Surface::Flat);
    for (place, shift) in (0_u8..).zip([-0.41, -0.27, -0.16, -0.02, 0.09, 0.24, 0.36]) {
        let bow = 0.006 * f32::from(place % 3);
        let grain = Shape::Rod {
            from: Point(MIDDLE + shift * width, top + 0.03),
            to: Point(MIDDLE + shift * width + bow, FLOOR - 0.03),
            thick_from: 0.003,
            thick_to: 0.008,
        };
        canvas.glaze(&grain, palette.dark, Surface::Flat, 0.11);
    }
    canvas.fill(
        &disc(MIDDLE, top - 0.09, 0.04, 0.04),
        palette.dark.mix(palette.wall, 0.55),
        Surface::Flat,
    );
    if variation.detail > 0.5 {
        canvas.glaze(
            &slab(MIDDLE, FLOOR - 0.12, width, 0.03, 0.0),
            palette.main,
            Surface::Flat,
            0.9,
        );
    }
}
