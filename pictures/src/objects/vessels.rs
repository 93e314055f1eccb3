//! What holds something: clay and glass.

use super::super::paint::{Canvas, Colour, Point, RIM, Shape, Surface};
use super::super::{Palette, Variation};
use super::{FLOOR, MIDDLE, disc, opening, rod, scaled, slab, turned};

pub(super) fn mug(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.155 + 0.018 * variation.width;
    let top = 0.44 - 0.04 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 2.0);
    let handle = Shape::Ring {
        centre: Point(MIDDLE + half + 0.025, (top + FLOOR) / 2.0 - 0.01),
        width: 0.17,
        height: (FLOOR - top) * 0.56,
        thickness: 0.038,
    };
    canvas.fill(&handle, palette.main.scale(0.84), Surface::Soft);
    let profile = if variation.detail < 0.5 {
        scaled(&[1.0, 0.99, 0.98, 0.97, 0.95, 0.86], half)
    } else {
        scaled(&[0.92, 0.93, 0.99, 1.04, 1.0, 0.76], half)
    };
    let body = turned(top, FLOOR - 0.015, &profile);
    canvas.fill(&body, palette.main, Surface::Round);
    if variation.detail > 0.3 {
        let dipped = Shape::Above {
            shape: Box::new(turned(top, FLOOR - 0.015, &profile)),
            y: top + 0.1 + 0.08 * variation.detail,
        };
        canvas.fill(&dipped, palette.second, Surface::Round);
    }
    let rim = if variation.detail > 0.3 {
        palette.second
    } else {
        palette.main
    };
    let first = profile.first().copied().unwrap_or(half);
    opening(
        canvas,
        top,
        first,
        rim.scale(1.06),
        palette.dark.mix(rim, 0.25),
    );
}

pub(super) fn bowl(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.27 + 0.025 * variation.width;
    let top = 0.56 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 1.3);
    let profile = scaled(&[1.0, 0.98, 0.92, 0.8, 0.6, 0.36, 0.34], half);
    canvas.fill(
        &turned(top, FLOOR - 0.01, &profile),
        palette.main,
        Surface::Round,
    );
    let width = half * 2.0;
    canvas.fill(
        &disc(MIDDLE, top, width, width * RIM),
        palette.second.scale(1.04),
        Surface::Flat,
    );
    canvas.fill(
        &disc(MIDDLE, top + 0.003, width - 0.028, (width - 0.028) * RIM),
        palette.second.scale(0.8),
        Surface::Round,
    );
    canvas.glaze(
        &disc(MIDDLE + 0.01, top + 0.016, width * 0.66, width * 0.05),
        palette.second,
        Surface::Round,
        0.75,
    );
}

pub(super) fn vase(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.15 + 0.02 * variation.width;
    let top = 0.28 - 0.05 * variation.height;
    let profile: &[f32] = if variation.detail < 0.34 {
        &[0.46, 0.36, 0.34, 0.52, 0.86, 1.04, 1.02, 0.82, 0.56]
    } else if variation.detail < 0.67 {
        &[0.34, 0.3, 0.3, 0.34, 0.6, 1.0, 1.18, 1.12, 0.78]
    } else {
        &[0.62, 0.52, 0.62, 0.86, 1.02, 1.0, 0.88, 0.72, 0.6]
    };
    let profile = scaled(profile, half);
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 1.8);
    if variation.detail > 0.6 {
        stems(canvas, palette, top);
    }
    let first = profile.first().copied().unwrap_or(half);
    canvas.fill(
        &turned(top, FLOOR - 0.01, &profile),
        palette.main,
        Surface::Round,
    );
    opening(canvas, top, first, palette.main.scale(1.1), palette.dark);
    if variation.detail > 0.6 {
        let rest = Shape::Above {
            shape: Box::new(rod(
                Point(MIDDLE, top - 0.03),
                Point(MIDDLE, top + 0.01),
                0.03,
            )),
            y: top,
        };
        canvas.glaze(&rest, palette.dark, Surface::Flat, 0.25);
    }
}

fn stems(canvas: &mut Canvas, palette: &Palette, top: f32) {
    let ends = [
        Point(0.42, top - 0.15),
        Point(0.53, top - 0.19),
        Point(0.6, top - 0.11),
    ];
    for end in ends {
        canvas.fill(
            &rod(Point(MIDDLE, top + 0.01), end, 0.007),
            palette.dark.mix(palette.second, 0.3),
            Surface::Flat,
        );
        for (dx, dy) in [
            (0.0, 0.0),
            (0.02, 0.025),
            (-0.02, 0.03),
            (0.012, 0.055),
            (-0.012, 0.06),
        ] {
            let bud = disc(end.0 + dx, end.1 + dy, 0.03, 0.036);
            canvas.fill(&bud, palette.second, Surface::Soft);
        }
    }
}

pub(super) fn bottle(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.105 + 0.012 * variation.width;
    let top = 0.24 - 0.04 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 2.0);
    let shoulder: &[f32] = if variation.detail < 0.5 {
        &[0.36, 0.36, 0.38, 0.78, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.98]
    } else {
        &[0.34, 0.34, 0.36, 0.46, 0.72, 0.94, 1.0, 1.0, 1.0, 1.0, 0.96]
    };
    canvas.fill(
        &turned(top, FLOOR - 0.01, &scaled(shoulder, half)),
        palette.main,
        Surface::Round,
    );
    let cap = half * 0.46;
    canvas.fill(
        &turned(top - 0.035, top + 0.035, &[cap, cap]),
        palette.dark,
        Surface::Round,
    );
    let label = half * 1.003;
    let label_top = top + (FLOOR - top) * 0.52;
    canvas.fill(
        &turned(label_top, label_top + 0.14, &[label, label]),
        palette.second,
        Surface::Round,
    );
    for (line, width) in [(0.045, 0.9), (0.075, 0.55), (0.095, 0.55)] {
        canvas.glaze(
            &slab(
                MIDDLE,
                label_top + line + half * 0.1,
                half * width,
                0.009,
                0.004,
            ),
            palette.dark,
            Surface::Flat,
            0.75,
        );
    }
}

pub(super) fn teapot(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.2 + 0.015 * variation.width;
    let top = 0.5 - 0.02 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 1.7);
    let spout = Shape::Rod {
        from: Point(MIDDLE - half * 0.7, 0.69),
        to: Point(MIDDLE - half - 0.1, 0.53),
        thick_from: 0.1,
        thick_to: 0.036,
    };
    canvas.fill(&spout, palette.main.scale(1.02), Surface::Soft);
    if variation.detail < 0.5 {
        let handle = Shape::Ring {
            centre: Point(MIDDLE + half + 0.01, 0.63),
            width: 0.18,
            height: 0.18,
            thickness: 0.03,
        };
        canvas.fill(&handle, palette.main.scale(0.82), Surface::Soft);
    } else {
        let arch = Shape::Ring {
            centre: Point(MIDDLE, top + 0.05),
            width: half * 1.75,
            height: 0.42,
            thickness: 0.024,
        };
        canvas.fill(
            &Shape::Above {
                shape: Box::new(arch),
                y: top + 0.06,
            },
            palette.second.scale(0.85),
            Surface::Soft,
        );
    }
    let body = scaled(&[0.5, 0.78, 0.96, 1.04, 1.0, 0.84, 0.58], half);
    canvas.fill(
        &turned(top, FLOOR - 0.01, &body),
        palette.main,
        Surface::Round,
    );
    let lid = scaled(&[0.1, 0.32, 0.46, 0.52], half);
    canvas.fill(
        &turned(top - 0.045, top + 0.006, &lid),
        palette.main.scale(1.07),
        Surface::Round,
    );
    canvas.fill(
        &disc(MIDDLE, top - 0.068, 0.05, 0.046),
        palette.second,
        Surface::Soft,
    );
}

pub(super) fn candle(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.125 + 0.015 * variation.width;
    let top = 0.5 - 0.04 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 2.0);
    canvas.glow(
        MIDDLE,
        top - 0.07,
        0.32,
        Colour {
            red: 1.0,
            green: 0.93,
            blue: 0.75,
        },
    );
    canvas.fill(
        &turned(top, FLOOR - 0.01, &[half, half, half, half * 0.97]),
        palette.main,
        Surface::Round,
    );
    opening(
        canvas,
        top,
        half,
        palette.main.scale(1.12),
        palette.second.scale(0.98),
    );
    canvas.fill(
        &rod(Point(MIDDLE, top), Point(MIDDLE, top - 0.028), 0.006),
        palette.dark,
        Surface::Flat,
    );
    let flame = Shape::Leaf {
        centre: Point(MIDDLE, top - 0.068),
        length: 0.1,
        width: 0.042,
        direction: Point(0.0, 1.0),
    };
    canvas.fill(
        &flame,
        Colour {
            red: 1.0,
            green: 0.78,
            blue: 0.36,
        },
        Surface::Bright,
    );
    canvas.glaze(
        &disc(MIDDLE, top - 0.052, 0.02, 0.042),
        Colour::WHITE,
        Surface::Bright,
        0.75,
    );
    let label_top = top + (FLOOR - top) * 0.42;
    canvas.fill(
        &slab(
            MIDDLE - half * 0.06,
            label_top + 0.05,
            half * 0.95,
            0.1,
            0.004,
        ),
        palette.second,
        Surface::Flat,
    );
    canvas.glaze(
        &slab(
            MIDDLE - half * 0.06,
            label_top + 0.05,
            half * 0.55,
            0.008,
            0.004,
        ),
        palette.dark,
        Surface::Flat,
        0.7,
    );
}
