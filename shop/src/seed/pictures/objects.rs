//! The objects: each is a few solids, from back to front.

use super::paint::{Canvas, Colour, Point, RIM, Shape, Surface};
use super::{Palette, Variation};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $name:literal),+ $(,)?) => {
        /// A kind of object that can be drawn.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind),+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// Its name, such as `mug`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),+
                }
            }
        }
    };
}

kinds! {
    /// A mug with a handle.
    Mug => "mug",
    /// A shallow bowl.
    Bowl => "bowl",
    /// A vase.
    Vase => "vase",
    /// A bottle with a label.
    Bottle => "bottle",
    /// A teapot.
    Teapot => "teapot",
    /// A table lamp.
    Lamp => "lamp",
    /// A candle in a glass.
    Candle => "candle",
    /// A plant in a pot.
    Plant => "plant",
    /// A chair.
    Chair => "chair",
    /// A side table.
    Table => "table",
    /// A cushion.
    Cushion => "cushion",
    /// Folded blankets.
    Blanket => "blanket",
    /// A tote bag.
    Bag => "bag",
    /// A cutting board.
    Board => "board",
    /// A notebook.
    Notebook => "notebook",
    /// A wall clock.
    Clock => "clock",
    /// Headphones.
    Headphones => "headphones",
    /// A loudspeaker.
    Speaker => "speaker",
    /// A shirt.
    Shirt => "shirt",
}

impl Kind {
    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its place among the kinds.
    pub(super) fn number(self) -> u64 {
        (0..).zip(Self::ALL).find(|(_, kind)| *kind == self).map_or(0, |(place, _)| place)
    }
}

/// Where the middle of what stands on the table is.
const MIDDLE: f32 = 0.5;
/// The line on which it stands.
const FLOOR: f32 = 0.79;

/// Paints an object onto an empty still life.
pub(super) fn paint(kind: Kind, canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    match kind {
        Kind::Mug => mug(canvas, palette, variation),
        Kind::Bowl => bowl(canvas, palette, variation),
        Kind::Vase => vase(canvas, palette, variation),
        Kind::Bottle => bottle(canvas, palette, variation),
        Kind::Teapot => teapot(canvas, palette, variation),
        Kind::Lamp => lamp(canvas, palette, variation),
        Kind::Candle => candle(canvas, palette, variation),
        Kind::Plant => plant(canvas, palette, variation),
        Kind::Chair => chair(canvas, palette, variation),
        Kind::Table => table(canvas, palette, variation),
        Kind::Cushion => cushion(canvas, palette, variation),
        Kind::Blanket => blanket(canvas, palette, variation),
        Kind::Bag => bag(canvas, palette, variation),
        Kind::Board => board(canvas, palette, variation),
        Kind::Notebook => notebook(canvas, palette, variation),
        Kind::Clock => clock(canvas, palette, variation),
        Kind::Headphones => headphones(canvas, palette, variation),
        Kind::Speaker => speaker(canvas, palette, variation),
        Kind::Shirt => shirt(canvas, palette, variation),
    }
}

fn turned(top: f32, bottom: f32, half_widths: &[f32]) -> Shape {
    Shape::Turned { x: MIDDLE, top, bottom, half_widths: half_widths.to_vec() }
}

fn scaled(half_widths: &[f32], factor: f32) -> Vec<f32> {
    half_widths.iter().map(|half| half * factor).collect()
}

fn slab(x: f32, y: f32, width: f32, height: f32, corner: f32) -> Shape {
    Shape::Slab { centre: Point(x, y), width, height, corner }
}

fn rod(from: Point, to: Point, thickness: f32) -> Shape {
    Shape::Rod { from, to, thick_from: thickness, thick_to: thickness }
}

fn disc(x: f32, y: f32, width: f32, height: f32) -> Shape {
    Shape::Ellipse { centre: Point(x, y), width, height }
}

/// The opening of something turned: its rim, its inside, and what it holds.
fn opening(canvas: &mut Canvas, y: f32, half_width: f32, rim: Colour, inside: Colour) {
    let width = half_width * 2.0;
    canvas.fill(&disc(MIDDLE, y, width, width * RIM), rim, Surface::Flat);
    let inner = width - 0.022;
    canvas.fill(&disc(MIDDLE, y + 0.002, inner, inner * RIM), inside, Surface::Round);
}

fn mug(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
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
        let dipped = Shape::Above { shape: Box::new(turned(top, FLOOR - 0.015, &profile)), y: top + 0.1 + 0.08 * variation.detail };
        canvas.fill(&dipped, palette.second, Surface::Round);
    }
    let rim = if variation.detail > 0.3 { palette.second } else { palette.main };
    let first = profile.first().copied().unwrap_or(half);
    opening(canvas, top, first, rim.scale(1.06), palette.dark.mix(rim, 0.25));
}

fn bowl(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.27 + 0.025 * variation.width;
    let top = 0.56 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 1.3);
    let profile = scaled(&[1.0, 0.98, 0.92, 0.8, 0.6, 0.36, 0.34], half);
    canvas.fill(&turned(top, FLOOR - 0.01, &profile), palette.main, Surface::Round);
    let width = half * 2.0;
    canvas.fill(&disc(MIDDLE, top, width, width * RIM), palette.second.scale(1.04), Surface::Flat);
    canvas.fill(&disc(MIDDLE, top + 0.003, width - 0.028, (width - 0.028) * RIM), palette.second.scale(0.8), Surface::Round);
    canvas.glaze(&disc(MIDDLE + 0.01, top + 0.016, width * 0.66, width * 0.05), palette.second, Surface::Round, 0.75);
}

fn vase(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
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
    canvas.fill(&turned(top, FLOOR - 0.01, &profile), palette.main, Surface::Round);
    opening(canvas, top, first, palette.main.scale(1.1), palette.dark);
    if variation.detail > 0.6 {
        let rest = Shape::Above { shape: Box::new(rod(Point(MIDDLE, top - 0.03), Point(MIDDLE, top + 0.01), 0.03)), y: top };
        canvas.glaze(&rest, palette.dark, Surface::Flat, 0.25);
    }
}

fn stems(canvas: &mut Canvas, palette: &Palette, top: f32) {
    let ends = [Point(0.42, top - 0.15), Point(0.53, top - 0.19), Point(0.6, top - 0.11)];
    for end in ends {
        canvas.fill(&rod(Point(MIDDLE, top + 0.01), end, 0.007), palette.dark.mix(palette.second, 0.3), Surface::Flat);
        for (dx, dy) in [(0.0, 0.0), (0.02, 0.025), (-0.02, 0.03), (0.012, 0.055), (-0.012, 0.06)] {
            let bud = disc(end.0 + dx, end.1 + dy, 0.03, 0.036);
            canvas.fill(&bud, palette.second, Surface::Soft);
        }
    }
}

fn bottle(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.105 + 0.012 * variation.width;
    let top = 0.24 - 0.04 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 2.0);
    let shoulder: &[f32] = if variation.detail < 0.5 {
        &[0.36, 0.36, 0.38, 0.78, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.98]
    } else {
        &[0.34, 0.34, 0.36, 0.46, 0.72, 0.94, 1.0, 1.0, 1.0, 1.0, 0.96]
    };
    canvas.fill(&turned(top, FLOOR - 0.01, &scaled(shoulder, half)), palette.main, Surface::Round);
    let cap = half * 0.46;
    canvas.fill(&turned(top - 0.035, top + 0.035, &[cap, cap]), palette.dark, Surface::Round);
    let label = half * 1.003;
    let label_top = top + (FLOOR - top) * 0.52;
    canvas.fill(&turned(label_top, label_top + 0.14, &[label, label]), palette.second, Surface::Round);
    for (line, width) in [(0.045, 0.9), (0.075, 0.55), (0.095, 0.55)] {
        canvas.glaze(&slab(MIDDLE, label_top + line + half * 0.1, half * width, 0.009, 0.004), palette.dark, Surface::Flat, 0.75);
    }
}

fn teapot(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
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
        let handle = Shape::Ring { centre: Point(MIDDLE + half + 0.01, 0.63), width: 0.18, height: 0.18, thickness: 0.03 };
        canvas.fill(&handle, palette.main.scale(0.82), Surface::Soft);
    } else {
        let arch = Shape::Ring { centre: Point(MIDDLE, top + 0.05), width: half * 1.75, height: 0.42, thickness: 0.024 };
        canvas.fill(&Shape::Above { shape: Box::new(arch), y: top + 0.06 }, palette.second.scale(0.85), Surface::Soft);
    }
    let body = scaled(&[0.5, 0.78, 0.96, 1.04, 1.0, 0.84, 0.58], half);
    canvas.fill(&turned(top, FLOOR - 0.01, &body), palette.main, Surface::Round);
    let lid = scaled(&[0.1, 0.32, 0.46, 0.52], half);
    canvas.fill(&turned(top - 0.045, top + 0.006, &lid), palette.main.scale(1.07), Surface::Round);
    canvas.fill(&disc(MIDDLE, top - 0.068, 0.05, 0.046), palette.second, Surface::Soft);
}

fn lamp(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let wide = 0.19 + 0.02 * variation.width;
    let top = 0.2 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, 0.24);
    canvas.glow(MIDDLE, top + 0.12, 0.5, Colour { red: 1.0, green: 0.95, blue: 0.82 });
    if variation.detail < 0.5 {
        canvas.fill(&turned(top + 0.2, FLOOR - 0.03, &[0.011, 0.011]), palette.dark, Surface::Round);
        canvas.fill(&turned(FLOOR - 0.035, FLOOR - 0.008, &[0.11, 0.115]), palette.dark, Surface::Round);
    } else {
        let foot = [0.022, 0.03, 0.075, 0.11, 0.12, 0.105, 0.08];
        canvas.fill(&turned(top + 0.24, FLOOR - 0.008, &foot), palette.main, Surface::Round);
    }
    let shade = [wide * 0.62, wide * 0.8, wide];
    let paper = palette.second.mix(Colour { red: 1.0, green: 0.96, blue: 0.86 }, 0.55);
    canvas.fill(&turned(top, top + 0.25, &shade), paper, Surface::Round);
    canvas.fill(&disc(MIDDLE, top, wide * 1.24, wide * 1.24 * RIM), Colour { red: 1.0, green: 0.98, blue: 0.9 }, Surface::Bright);
}

fn candle(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.125 + 0.015 * variation.width;
    let top = 0.5 - 0.04 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 2.0);
    canvas.glow(MIDDLE, top - 0.07, 0.32, Colour { red: 1.0, green: 0.93, blue: 0.75 });
    canvas.fill(&turned(top, FLOOR - 0.01, &[half, half, half, half * 0.97]), palette.main, Surface::Round);
    opening(canvas, top, half, palette.main.scale(1.12), palette.second.scale(0.98));
    canvas.fill(&rod(Point(MIDDLE, top), Point(MIDDLE, top - 0.028), 0.006), palette.dark, Surface::Flat);
    let flame = Shape::Leaf { centre: Point(MIDDLE, top - 0.068), length: 0.1, width: 0.042, direction: Point(0.0, 1.0) };
    canvas.fill(&flame, Colour { red: 1.0, green: 0.78, blue: 0.36 }, Surface::Bright);
    canvas.glaze(&disc(MIDDLE, top - 0.052, 0.02, 0.042), Colour::WHITE, Surface::Bright, 0.75);
    let label_top = top + (FLOOR - top) * 0.42;
    canvas.fill(&slab(MIDDLE - half * 0.06, label_top + 0.05, half * 0.95, 0.1, 0.004), palette.second, Surface::Flat);
    canvas.glaze(&slab(MIDDLE - half * 0.06, label_top + 0.05, half * 0.55, 0.008, 0.004), palette.dark, Surface::Flat, 0.7);
}

fn plant(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.125 + 0.012 * variation.width;
    let top = 0.58;
    let leaf_colour = Colour { red: 0.31, green: 0.44, blue: 0.31 };
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 1.8);
    let leaves = [
        (-0.92, -0.39, 0.24), (0.92, -0.39, 0.23), (-0.76, -0.65, 0.3), (0.78, -0.63, 0.29), (-0.44, -0.9, 0.33),
        (0.46, -0.89, 0.34), (-0.14, -0.99, 0.38), (0.2, -0.98, 0.36),
    ];
    for (place, (x, y, length)) in (0_u8..).zip(leaves) {
        let length = length * (1.0 + 0.08 * variation.height);
        let tip = Point(MIDDLE + x * length, top + y * length);
        canvas.fill(&rod(Point(MIDDLE, top + 0.02), tip, 0.008), leaf_colour.scale(0.7), Surface::Flat);
        let centre = Point(MIDDLE + x * length * 0.98, top + y * length * 0.98);
        let width = 0.07 + 0.03 * variation.detail;
        let leaf = Shape::Leaf { centre, length: 0.2, width, direction: Point(x, y) };
        canvas.fill(&leaf, leaf_colour.scale(0.86 + 0.05 * f32::from(place)), Surface::Soft);
        let vein = rod(Point(centre.0 - x * 0.085, centre.1 - y * 0.085), Point(centre.0 + x * 0.08, centre.1 + y * 0.08), 0.004);
        canvas.glaze(&vein, Colour::WHITE, Surface::Flat, 0.22);
    }
    canvas.fill(&turned(top, FLOOR - 0.01, &[half, half * 0.96, half * 0.86, half * 0.74]), palette.main, Surface::Round);
    canvas.fill(&turned(top, top + 0.04, &[half * 1.06, half * 1.06]), palette.main.scale(1.06), Surface::Round);
    opening(canvas, top, half * 1.06, palette.main.scale(1.08), palette.dark);
}

fn chair(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let wood = palette.second.scale(0.82);
    let half = 0.17 + 0.012 * variation.width;
    let seat = 0.575;
    let back = 0.24 - 0.025 * variation.height;
    let floor = 0.86;
    canvas.shadow(MIDDLE, floor - 0.02, half * 2.1);
    for side in [-1.0, 1.0] {
        canvas.fill(&rod(Point(MIDDLE + side * half * 0.78, seat), Point(MIDDLE + side * half * 0.86, floor - 0.055), 0.02), wood.scale(0.72), Surface::Round);
        canvas.fill(&rod(Point(MIDDLE + side * half * 0.84, seat), Point(MIDDLE + side * half * 0.76, back), 0.024), wood, Surface::Round);
    }
    if variation.detail < 0.5 {
        canvas.fill(&slab(MIDDLE, back + 0.065, half * 1.85, 0.15, 0.05), palette.main, Surface::Soft);
    } else {
        for line in [0.02, 0.085, 0.15] {
            canvas.fill(&slab(MIDDLE, back + line, half * 1.7, 0.034, 0.015), wood.scale(1.05), Surface::Flat);
        }
    }
    canvas.fill(&slab(MIDDLE, seat, half * 2.1, 0.06, 0.028), palette.main, Surface::Soft);
    canvas.fill(&slab(MIDDLE, seat + 0.04, half * 1.95, 0.026, 0.01), wood, Surface::Flat);
    for side in [-1.0, 1.0] {
        canvas.fill(&rod(Point(MIDDLE + side * half * 0.92, seat + 0.045), Point(MIDDLE + side * half * 1.06, floor), 0.026), wood, Surface::Round);
    }
}

fn table(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.25 + 0.025 * variation.width;
    let top = 0.45 - 0.03 * variation.height;
    let floor = 0.84;
    let wood = palette.second.scale(0.88);
    canvas.shadow(MIDDLE, floor - 0.02, half * 1.7);
    if variation.detail < 0.5 {
        canvas.fill(&rod(Point(MIDDLE, top + 0.02), Point(MIDDLE + 0.01, floor - 0.05), 0.026), wood.scale(0.68), Surface::Round);
        for side in [-1.0, 1.0] {
            canvas.fill(&rod(Point(MIDDLE + side * half * 0.6, top + 0.02), Point(MIDDLE + side * half * 0.78, floor), 0.028), wood, Surface::Round);
        }
    } else {
        canvas.fill(&turned(top, floor - 0.03, &[0.1, 0.045, 0.03, 0.03, 0.05, 0.14]), palette.main, Surface::Round);
    }
    canvas.fill(&turned(top, top + 0.028, &[half, half]), wood.scale(0.92), Surface::Round);
    canvas.fill(&disc(MIDDLE, top, half * 2.0, half * 2.0 * RIM), wood.scale(1.12), Surface::Flat);
    canvas.shadow(MIDDLE + 0.03, top + 0.006, 0.1);
    canvas.fill(&turned(top - 0.1, top, &[0.026, 0.026, 0.05, 0.056, 0.04]), palette.main, Surface::Round);
    opening(canvas, top - 0.1, 0.026, palette.main.scale(1.1), palette.dark);
}

fn cushion(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let (width, height) = (0.5 + 0.03 * variation.width, 0.42 + 0.04 * variation.height);
    let y = FLOOR - height / 2.0 + 0.01;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width * 0.95);
    // The sides of a cushion are drawn in; four large discs take them away.
    let pinch = |shape: Shape, hole: Shape| Shape::Without { shape: Box::new(shape), hole: Box::new(hole) };
    let big = 1.9;
    let body = slab(MIDDLE, y, width, height, 0.055);
    let body = pinch(body, disc(MIDDLE, y - height / 2.0 - big / 2.0 + 0.016, big, big));
    let body = pinch(body, disc(MIDDLE - width / 2.0 - big / 2.0 + 0.016, y, big, big));
    let body = pinch(body, disc(MIDDLE + width / 2.0 + big / 2.0 - 0.016, y, big, big));
    canvas.fill(&body, palette.main, Surface::Soft);
    if variation.detail < 0.6 {
        for stripe in [-0.32, -0.26, 0.26, 0.32] {
            canvas.glaze(&slab(MIDDLE + stripe * width, y, 0.014, height * 0.93, 0.005), palette.second, Surface::Soft, 0.85);
        }
    } else {
        canvas.fill(&disc(MIDDLE, y, 0.036, 0.036), palette.second, Surface::Soft);
    }
}

fn blanket(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let width = 0.5 + 0.03 * variation.width;
    let thick = 0.088 + 0.008 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width);
    let colours = [palette.main, palette.second, palette.main.mix(palette.second, 0.5), palette.dark.mix(palette.main, 0.6)];
    let count = if variation.detail < 0.5 { 3 } else { 4 };
    for (place, colour) in (0_u8..).zip(colours).take(count) {
        let y = FLOOR - thick / 2.0 - f32::from(place) * thick * 0.94;
        let layer_width = width - 0.012 * f32::from(place % 3);
        canvas.fill(&slab(MIDDLE, y, layer_width, thick, thick * 0.48), colour, Surface::Soft);
        let fold = slab(MIDDLE + 0.035, y, layer_width - 0.09, 0.006, 0.003);
        canvas.glaze(&fold, palette.dark, Surface::Flat, 0.22);
        for thread in 0_u8..9 {
            let x = MIDDLE - layer_width / 2.0 + 0.09 + f32::from(thread) * layer_width / 11.0;
            canvas.glaze(&slab(x, y - thick * 0.22, 0.004, thick * 0.3, 0.002), Colour::WHITE, Surface::Flat, 0.16);
        }
    }
}

fn bag(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.2 + 0.015 * variation.width;
    let top = 0.42 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, half * 2.1);
    let handle = |width: f32, height: f32| Shape::Ring { centre: Point(MIDDLE, top + 0.02), width, height, thickness: 0.022 };
    let behind = Shape::Above { shape: Box::new(handle(half * 1.0, 0.36)), y: top + 0.02 };
    canvas.fill(&behind, palette.second.scale(0.66), Surface::Flat);
    let body = [half * 0.94, half * 0.97, half, half * 1.03, half * 1.04];
    let cloth = Shape::Turned { x: MIDDLE, top: top + 0.01, bottom: FLOOR - 0.03, half_widths: body.to_vec() };
    canvas.fill(&cloth, palette.main, Surface::Soft);
    canvas.fill(&disc(MIDDLE, top + 0.01, half * 1.88, half * 1.88 * RIM), palette.main.scale(0.62), Surface::Flat);
    let front = Shape::Above { shape: Box::new(handle(half * 1.1, 0.3)), y: top + 0.06 };
    canvas.fill(&front, palette.second.scale(0.9), Surface::Flat);
    for side in [-1.0, 1.0] {
        let x = MIDDLE + side * half * 0.55;
        canvas.fill(&slab(x, top + 0.085, 0.024, 0.08, 0.004), palette.second.scale(0.9), Surface::Flat);
    }
    if variation.detail > 0.4 {
        canvas.fill(&slab(MIDDLE, 0.62, half * 0.9, 0.13, 0.006), palette.second, Surface::Flat);
    } else {
        canvas.fill(&disc(MIDDLE, 0.62, 0.13, 0.13), palette.second, Surface::Flat);
    }
}

fn board(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let wood = Colour { red: 0.76, green: 0.58, blue: 0.39 }.mix(palette.second, 0.25);
    let width = 0.3 + 0.025 * variation.width;
    let top = 0.33 - 0.03 * variation.height;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width * 1.05);
    let side = slab(MIDDLE + 0.012, (top + FLOOR) / 2.0, width, FLOOR - top, 0.045);
    canvas.fill(&side, wood.scale(0.68), Surface::Flat);
    let grip = slab(MIDDLE, top - 0.055, 0.095, 0.18, 0.045);
    canvas.fill(&slab(MIDDLE + 0.012, top - 0.055, 0.095, 0.18, 0.045), wood.scale(0.68), Surface::Flat);
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
    canvas.fill(&disc(MIDDLE, top - 0.09, 0.04, 0.04), palette.dark.mix(palette.wall, 0.55), Surface::Flat);
    if variation.detail > 0.5 {
        canvas.glaze(&slab(MIDDLE, FLOOR - 0.12, width, 0.03, 0.0), palette.main, Surface::Flat, 0.9);
    }
}

fn notebook(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let (width, height) = (0.34 + 0.02 * variation.width, 0.48 + 0.02 * variation.height);
    let y = FLOOR - height / 2.0 - 0.005;
    canvas.shadow(MIDDLE, FLOOR + 0.002, width * 1.05);
    canvas.fill(&slab(MIDDLE + 0.022, y + 0.004, width, height - 0.014, 0.012), palette.main.scale(0.6), Surface::Flat);
    canvas.fill(&slab(MIDDLE + 0.014, y + 0.002, width, height - 0.022, 0.006), Colour { red: 0.96, green: 0.94, blue: 0.89 }, Surface::Flat);
    canvas.fill(&slab(MIDDLE, y, width, height, 0.014), palette.main, Surface::Flat);
    canvas.glaze(&slab(MIDDLE - width / 2.0 + 0.024, y, 0.006, height, 0.0), palette.dark, Surface::Flat, 0.28);
    if variation.detail < 0.5 {
        canvas.fill(&slab(MIDDLE + width / 2.0 - 0.045, y, 0.014, height, 0.0), palette.dark, Surface::Flat);
    } else {
        canvas.fill(&slab(MIDDLE + 0.055, y + height / 2.0 + 0.02, 0.014, 0.06, 0.0), palette.second, Surface::Flat);
    }
    canvas.fill(&slab(MIDDLE + 0.0, y - height * 0.18, width * 0.42, 0.09, 0.004), palette.second, Surface::Flat);
    canvas.glaze(&slab(MIDDLE, y - height * 0.18, width * 0.26, 0.008, 0.004), palette.dark, Surface::Flat, 0.7);
}

fn clock(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let size = 0.46 + 0.03 * variation.width;
    let y = 0.41;
    let soft = |shift: f32, growth: f32| disc(MIDDLE + shift, y + shift * 1.3, size + growth, size + growth);
    for (shift, growth) in [(0.012, 0.0), (0.018, 0.01), (0.024, 0.02), (0.03, 0.03), (0.036, 0.04)] {
        canvas.glaze(&soft(shift, growth), palette.dark, Surface::Bright, 0.055);
    }
    canvas.fill(&disc(MIDDLE, y, size, size), palette.main, Surface::Soft);
    canvas.fill(&disc(MIDDLE, y, size - 0.045, size - 0.045), palette.second.mix(Colour::WHITE, 0.45), Surface::Flat);
    let radius = size / 2.0 - 0.055;
    // Directions of the hours: sines and cosines of multiples of 30 degrees.
    let hours = [
        (0.0, -1.0), (0.5, -0.866), (0.866, -0.5), (1.0, 0.0), (0.866, 0.5), (0.5, 0.866),
        (0.0, 1.0), (-0.5, 0.866), (-0.866, 0.5), (-1.0, 0.0), (-0.866, -0.5), (-0.5, -0.866),
    ];
    for (place, (x, dy)) in (0_u8..).zip(hours) {
        let (inner, thick) = if place % 3 == 0 { (radius - 0.035, 0.011) } else { (radius - 0.018, 0.006) };
        let mark = rod(Point(MIDDLE + x * inner, y + dy * inner), Point(MIDDLE + x * radius, y + dy * radius), thick);
        canvas.fill(&mark, palette.dark, Surface::Flat);
    }
    let (hour, minute) = if variation.detail < 0.5 { ((-0.58, -0.81), (0.64, -0.77)) } else { ((0.82, 0.57), (-0.17, -0.98)) };
    canvas.fill(&rod(Point(MIDDLE, y), Point(MIDDLE + hour.0 * 0.1, y + hour.1 * 0.1), 0.015), palette.dark, Surface::Flat);
    canvas.fill(&rod(Point(MIDDLE, y), Point(MIDDLE + minute.0 * 0.15, y + minute.1 * 0.15), 0.01), palette.dark, Surface::Flat);
    canvas.fill(&disc(MIDDLE, y, 0.03, 0.03), palette.main, Surface::Flat);
}

fn headphones(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let width = 0.4 + 0.02 * variation.width;
    let cup = 0.21 + 0.015 * variation.height;
    let y = FLOOR - 0.1 - cup / 2.0;
    for side in [-1.0, 1.0] {
        canvas.shadow(MIDDLE + side * width / 2.0, FLOOR + 0.002, 0.13);
    }
    let band = Shape::Ring { centre: Point(MIDDLE, y), width, height: 0.56, thickness: 0.034 };
    canvas.fill(&Shape::Above { shape: Box::new(band), y: y + 0.02 }, palette.main, Surface::Soft);
    let padding = Shape::Ring { centre: Point(MIDDLE, y), width: width - 0.04, height: 0.52, thickness: 0.022 };
    canvas.fill(&Shape::Above { shape: Box::new(padding), y: y - 0.13 }, palette.second.scale(0.9), Surface::Soft);
    for side in [-1.0, 1.0] {
        let x = MIDDLE + side * width / 2.0;
        canvas.fill(&slab(x - side * 0.045, y + 0.1, 0.075, cup * 0.96, 0.036), palette.dark, Surface::Soft);
        canvas.fill(&slab(x + side * 0.012, y + 0.1, 0.085, cup, 0.042), palette.main, Surface::Soft);
        canvas.fill(&slab(x + side * 0.036, y + 0.1, 0.016, cup * 0.52, 0.008), palette.second, Surface::Flat);
        canvas.fill(&slab(x, y - 0.01, 0.022, 0.08, 0.008), palette.second.scale(0.75), Surface::Flat);
    }
}

fn speaker(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let (width, height) = (0.29 + 0.02 * variation.width, 0.46 + 0.03 * variation.height);
    let y = FLOOR - height / 2.0;
    canvas.shadow(MIDDLE, FLOOR + 0.005, width * 1.1);
    canvas.fill(&slab(MIDDLE + 0.016, y, width + 0.03, height, 0.022), palette.main.scale(0.62), Surface::Flat);
    canvas.fill(&slab(MIDDLE, y, width, height, 0.02), palette.main, Surface::Flat);
    let low = y + height * 0.17;
    canvas.fill(&disc(MIDDLE, low, 0.22, 0.22), palette.dark, Surface::Soft);
    canvas.fill(&disc(MIDDLE, low, 0.19, 0.19), palette.dark.mix(palette.second, 0.22), Surface::Soft);
    canvas.fill(&disc(MIDDLE, low, 0.08, 0.08), if variation.detail < 0.5 { palette.dark } else { palette.second }, Surface::Soft);
    let high = y - height * 0.27;
    canvas.fill(&disc(MIDDLE, high, 0.115, 0.115), palette.dark, Surface::Soft);
    canvas.fill(&disc(MIDDLE, high, 0.05, 0.05), palette.second, Surface::Soft);
}

fn shirt(canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    let half = 0.165 + 0.012 * variation.width;
    let top = 0.26;
    let bottom = 0.75 + 0.015 * variation.height;
    let sleeve = if variation.detail < 0.5 { Point(0.13, 0.17) } else { Point(0.15, 0.36) };
    let cloth = palette.main.mix(Colour::WHITE, 0.12);
    for shift in [0.008, 0.016, 0.024] {
        canvas.glaze(&slab(MIDDLE + shift, (top + bottom) / 2.0 + shift, half * 2.0, bottom - top, 0.03), palette.dark, Surface::Bright, 0.05);
    }
    for side in [-1.0, 1.0] {
        let shoulder = Point(MIDDLE + side * (half - 0.035), top + 0.06);
        let cuff = Point(MIDDLE + side * (half + sleeve.0), top + sleeve.1);
        let arm = Shape::Rod { from: shoulder, to: cuff, thick_from: 0.12, thick_to: 0.085 };
        canvas.fill(&arm, cloth.scale(0.9), Surface::Flat);
    }
    let body = [half * 0.93, half, half * 0.98, half * 0.97, half * 0.98, half];
    canvas.fill(&Shape::Turned { x: MIDDLE, top: top + 0.015, bottom, half_widths: body.to_vec() }, cloth, Surface::Flat);
    canvas.fill(&disc(MIDDLE, top + 0.004, half * 1.0, 0.1), palette.wall.scale(0.82), Surface::Flat);
    let collar = Shape::Ring { centre: Point(MIDDLE, top + 0.004), width: half * 1.0, height: 0.1, thickness: 0.02 };
    canvas.fill(&collar, cloth.scale(0.82), Surface::Flat);
    if variation.detail > 0.3 {
        for stripe in 0_u8..4 {
            let y = top + 0.17 + 0.075 * f32::from(stripe);
            canvas.glaze(&slab(MIDDLE, y, half * 1.94, 0.022, 0.0), palette.second, Surface::Flat, 0.85);
        }
    } else {
        canvas.fill(&slab(MIDDLE + half * 0.42, top + 0.15, 0.075, 0.085, 0.008), cloth.scale(0.88), Surface::Flat);
    }
}
