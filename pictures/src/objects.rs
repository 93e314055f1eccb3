//! The objects: each is a few solids, from back to front.

mod belongings;
mod household;
mod vessels;

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
        (0..)
            .zip(Self::ALL)
            .find(|(_, kind)| *kind == self)
            .map_or(0, |(place, _)| place)
    }
}

/// Where the middle of what stands on the table is.
const MIDDLE: f32 = 0.5;
/// The line on which it stands.
const FLOOR: f32 = 0.79;

/// Paints an object onto an empty still life.
pub(super) fn paint(kind: Kind, canvas: &mut Canvas, palette: &Palette, variation: &Variation) {
    match kind {
        Kind::Mug => vessels::mug(canvas, palette, variation),
        Kind::Bowl => vessels::bowl(canvas, palette, variation),
        Kind::Vase => vessels::vase(canvas, palette, variation),
        Kind::Bottle => vessels::bottle(canvas, palette, variation),
        Kind::Teapot => vessels::teapot(canvas, palette, variation),
        Kind::Lamp => household::lamp(canvas, palette, variation),
        Kind::Candle => vessels::candle(canvas, palette, variation),
        Kind::Plant => household::plant(canvas, palette, variation),
        Kind::Chair => household::chair(canvas, palette, variation),
        Kind::Table => household::table(canvas, palette, variation),
        Kind::Cushion => household::cushion(canvas, palette, variation),
        Kind::Blanket => household::blanket(canvas, palette, variation),
        Kind::Bag => belongings::bag(canvas, palette, variation),
        Kind::Board => household::board(canvas, palette, variation),
        Kind::Notebook => belongings::notebook(canvas, palette, variation),
        Kind::Clock => belongings::clock(canvas, palette, variation),
        Kind::Headphones => belongings::headphones(canvas, palette, variation),
        Kind::Speaker => belongings::speaker(canvas, palette, variation),
        Kind::Shirt => belongings::shirt(canvas, palette, variation),
    }
}

fn turned(top: f32, bottom: f32, half_widths: &[f32]) -> Shape {
    Shape::Turned {
        x: MIDDLE,
        top,
        bottom,
        half_widths: half_widths.to_vec(),
    }
}

fn scaled(half_widths: &[f32], factor: f32) -> Vec<f32> {
    half_widths.iter().map(|half| half * factor).collect()
}

fn slab(x: f32, y: f32, width: f32, height: f32, corner: f32) -> Shape {
    Shape::Slab {
        centre: Point(x, y),
        width,
        height,
        corner,
    }
}

fn rod(from: Point, to: Point, thickness: f32) -> Shape {
    Shape::Rod {
        from,
        to,
        thick_from: thickness,
        thick_to: thickness,
    }
}

fn disc(x: f32, y: f32, width: f32, height: f32) -> Shape {
    Shape::Ellipse {
        centre: Point(x, y),
        width,
        height,
    }
}

/// The opening of something turned: its rim, its inside, and what it holds.
fn opening(canvas: &mut Canvas, y: f32, half_width: f32, rim: Colour, inside: Colour) {
    let width = half_width * 2.0;
    canvas.fill(&disc(MIDDLE, y, width, width * RIM), rim, Surface::Flat);
    let inner = width - 0.022;
    canvas.fill(
        &disc(MIDDLE, y + 0.002, inner, inner * RIM),
        inside,
        Surface::Round,
    );
}
