//! The painter: shapes as distances, light as arithmetic.
//!
//! Coordinates are those of a unit square with y downwards. A shape is a signed distance (negative inside), which gives
//! smooth edges at every size.

use image::{DynamicImage, Rgb, Rgb32FImage, RgbImage};

/// A colour with parts from 0 to 1, as sRGB has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colour {
    pub(super) red: f32,
    pub(super) green: f32,
    pub(super) blue: f32,
}

impl Colour {
    pub(super) const WHITE: Self = Self {
        red: 1.0,
        green: 1.0,
        blue: 1.0,
    };

    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        let blend = |a: f32, b: f32| a + (b - a) * share;
        Self {
            red: blend(self.red, other.red),
            green: blend(self.green, other.green),
            blue: blend(self.blue, other.blue),
        }
    }

    pub(super) fn scale(self, light: f32) -> Self {
        Self {
            red: self.red * light,
            green: self.green * light,
            blue: self.blue * light,
        }
    }
}

/// A point of the unit square.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point(pub(super) f32, pub(super) f32);

/// A form on the canvas.
pub(super) enum Shape {
    Ellipse {
        centre: Point,
        width: f32,
        height: f32,
    },
    /// An ellipse along an axis given by its direction (a vector of length 1).
    Leaf {
        centre: Point,
        length: f32,
        width: f32,
        direction: Point,
    },
    Slab {
        centre: Point,
        width: f32,
        height: f32,
        corner: f32,
    },
    /// A rod from one point to another, with a thickness at each.
    Rod {
        from: Point,
        to: Point,
        thick_from: f32,
        thick_to: f32,
    },
    Ring {
        centre: Point,
        width: f32,
        height: f32,
        thickness: f32,
    },
    /// A solid of revolution seen from the side: half widths at even steps from its top to its bottom, joined smoothly.
    /// Its top and bottom bulge like the rims of something round.
    Turned {
        x: f32,
        top: f32,
        bottom: f32,
        half_widths: Vec<f32>,
    },
    /// What is in the first and above the line.
    Above { shape: Box<Shape>, y: f32 },
    /// What is in the first and not in the second.
    Without { shape: Box<Shape>, hole: Box<Shape> },
}

/// How a surface takes the light, which comes from the upper left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Surface {
    /// Round about an upright axis: clay, glass.
    Round,
    /// Like a pillow.
    Soft,
    /// Flat.
    Flat,
    /// Gives light itself.
    Bright,
}

impl Shape {
    fn distance(&self, at: Point) -> f32 {
        match self {
            Self::Ellipse {
                centre,
                width,
                height,
            } => ellipse(Point(at.0 - centre.0, at.1 - centre.1), *width, *height),
            Self::Leaf {
                centre,
                length,
                width,
                direction,
            } => {
                let (x, y) = (at.0 - centre.0, at.1 - centre.1);
                let along = x * direction.0 + y * direction.1;
                let across = y * direction.0 - x * direction.1;
                // Pointed at both ends: the part that two circles share.
                let radius = (length * length + width * width) / (4.0 * width);
                let offset = radius - width / 2.0;
                length_of(along, across.abs() + offset) - radius
            }
            Self::Slab {
                centre,
                width,
                height,
                corner,
            } => {
                let x = (at.0 - centre.0).abs() - width / 2.0 + corner;
                let y = (at.1 - centre.1).abs() - height / 2.0 + corner;
                length_of(x.max(0.0), y.max(0.0)) + x.max(y).min(0.0) - corner
            }
            Self::Rod {
                from,
                to,
                thick_from,
                thick_to,
            } => {
                let (x, y) = (at.0 - from.0, at.1 - from.1);
                let (dx, dy) = (to.0 - from.0, to.1 - from.1);
                let share = ((x * dx + y * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
                length_of(x - dx * share, y - dy * share)
                    - (thick_from + (thick_to - thick_from) * share) / 2.0
            }
            Self::Ring {
                centre,
                width,
                height,
                thickness,
            } => {
                ellipse(Point(at.0 - centre.0, at.1 - centre.1), *width, *height).abs()
                    - thickness / 2.0
            }
            Self::Turned {
                x,
                top,
                bottom,
                half_widths,
            } => {
                let half = half_width(half_widths, (at.1 - top) / (bottom - top));
                let side = (at.0 - x).abs() - half;
                let along = ((at.0 - x) / half.max(0.001)).clamp(-1.0, 1.0);
                // The rims: parts of flat ellipses as wide as the solid is there.
                let bulge = (1.0 - along * along).max(0.0).sqrt();
                let first = half_widths.first().copied().unwrap_or_default();
                let last = half_widths.last().copied().unwrap_or_default();
                let above = top - first * RIM * bulge - at.1;
                let below = at.1 - bottom - last * RIM * bulge;
                side.max(above).max(below)
            }
            Self::Above { shape, y } => shape.distance(at).max(at.1 - y),
            Self::Without { shape, hole } => shape.distance(at).max(-hole.distance(at)),
        }
    }

    /// Left, top, right and bottom of the form, not too tight.
    fn bounds(&self) -> (f32, f32, f32, f32) {
        let around = |centre: &Point, x: f32, y: f32| {
            (centre.0 - x, centre.1 - y, centre.0 + x, centre.1 + y)
        };
        match self {
            Self::Ellipse {
                centre,
                width,
                height,
            }
            | Self::Slab {
                centre,
                width,
                height,
                ..
            } => around(centre, width / 2.0, height / 2.0),
            Self::Leaf { centre, length, .. } => around(centre, *length, *length),
            Self::Ring {
                centre,
                width,
                height,
                thickness,
            } => around(centre, width / 2.0 + thickness, height / 2.0 + thickness),
            Self::Rod {
                from,
                to,
                thick_from,
                thick_to,
            } => {
                let thick = thick_from.max(*thick_to);
                (
                    from.0.min(to.0) - thick,
                    from.1.min(to.1) - thick,
                    from.0.max(to.0) + thick,
                    from.1.max(to.1) + thick,
                )
            }
            Self::Turned {
                x,
                top,
                bottom,
                half_widths,
            } => {
                let widest = half_widths.iter().copied().fold(0.0, f32::max) * 1.2;
                (x - widest, top - widest, x + widest, bottom + widest)
            }
            Self::Above { shape, .. } | Self::Without { shape, .. } => shape.bounds(),
        }
    }
}

/// How much a circle seen from slightly above is flattened.
pub(super) const RIM: f32 = 0.16;

fn length_of(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// The distance to an ellipse, good near its edge, where it matters.
fn ellipse(at: Point, width: f32, height: f32) -> f32 {
    let (a, b) = (width / 2.0, height / 2.0);
    let near = length_of(at.0 / a, at.1 / b);
    let slope = length_of(at.0 / (a * a), at.1 / (b * b));
    if slope < 0.000_1 {
        -a.min(b)
    } else {
        near * (near - 1.0) / slope
    }
}

/// The half width at a share of the height, joined by cubic curves (Catmull and Rom).
fn half_width(steps: &[f32], share: f32) -> f32 {
    let last = steps.len().saturating_sub(1);
    let step = |place: usize| steps.get(place.min(last)).copied().unwrap_or_default();
    let mut place = 0_usize;
    let mut rest = share.clamp(0.0, 1.0) * f32::from(u16::try_from(last).unwrap_or(u16::MAX));
    while rest > 1.0 && place + 1 < last {
        rest -= 1.0;
        place += 1;
    }
    let (before, from, to, after) = (
        step(place.saturating_sub(1)),
        step(place),
        step(place + 1),
        step(place + 2),
    );
    let curve = (to - before) * rest
        + (2.0 * before - 5.0 * from + 4.0 * to - after) * rest * rest
        + (3.0 * from - before - 3.0 * to + after) * rest * rest * rest;
    from + curve / 2.0
}

/// From 0 below the first edge to 1 above the second, smoothly.
pub(super) fn smooth(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// What is painted on.
pub(super) struct Canvas {
    pixels: Rgb32FImage,
    side: u16,
}

impl Canvas {
    /// A table before a wall, both lit from the upper left.
    pub(super) fn still_life(side: u16, wall: Colour, table: Colour) -> Self {
        let mut canvas = Self {
            pixels: Rgb32FImage::new(u32::from(side), u32::from(side)),
            side,
        };
        let edge = 0.68;
        for (column, row, pixel) in canvas.pixels.enumerate_pixels_mut() {
            let at = Point(share(column, side), share(row, side));
            let glow = 1.0 - smooth(0.0, 0.95, length_of(at.0 - 0.36, at.1 - 0.3));
            let wall_here = wall.scale(0.92 + 0.1 * glow);
            let depth = smooth(edge, 1.0, at.1);
            let table_here = table.scale(0.97 + 0.06 * depth + 0.03 * glow);
            let here = wall_here.mix(table_here, smooth(edge - 0.012, edge + 0.012, at.1));
            *pixel = Rgb([here.red, here.green, here.blue]);
        }
        canvas
    }

    /// Lays a soft shadow as wide as what stands there.
    pub(super) fn shadow(&mut self, x: f32, y: f32, width: f32) {
        let (long, flat) = (width * 1.5, width * 0.3);
        let centre = Point(x + width * 0.16, y);
        let bounds = (
            centre.0 - long,
            centre.1 - flat,
            centre.0 + long,
            centre.1 + flat,
        );
        self.each(bounds, |at, here| {
            let wide = length_of((at.0 - centre.0) / (long * 0.75), (at.1 - centre.1) / flat);
            let tight = length_of((at.0 - x) / (width * 0.58), (at.1 - y) / (width * 0.11));
            let dark =
                0.2 * (1.0 - smooth(0.0, 1.0, wide)) + 0.3 * (1.0 - smooth(0.35, 1.0, tight));
            here.scale(1.0 - dark)
        });
    }

    /// Lights the air around a lamp or a flame.
    pub(super) fn glow(&mut self, x: f32, y: f32, reach: f32, light: Colour) {
        self.each((x - reach, y - reach, x + reach, y + reach), |at, here| {
            let strength = 1.0 - smooth(0.0, reach, length_of(at.0 - x, at.1 - y));
            here.mix(light, strength * strength * 0.55)
        });
    }

    /// Paints a form.
    pub(super) fn fill(&mut self, shape: &Shape, colour: Colour, surface: Surface) {
        self.glaze(shape, colour, surface, 1.0);
    }

    /// Paints a form so that what is behind it shows through.
    pub(super) fn glaze(&mut self, shape: &Shape, colour: Colour, surface: Surface, cover: f32) {
        let (left, top, right, bottom) = shape.bounds();
        let pixel = 1.0 / f32::from(self.side);
        self.each(
            (left - pixel, top - pixel, right + pixel, bottom + pixel),
            |at, here| {
                let distance = shape.distance(at);
                let inside = (0.5 - distance / pixel).clamp(0.0, 1.0) * cover;
                if inside <= 0.0 {
                    return here;
                }
                let across = (at.0 - left) / (right - left).max(pixel);
                let down = (at.1 - top) / (bottom - top).max(pixel);
                let across = match shape {
                    Shape::Turned {
                        x,
                        top,
                        bottom,
                        half_widths,
                    } => {
                        let half =
                            half_width(half_widths, (at.1 - top) / (bottom - top)).max(pixel);
                        0.5 + (at.0 - x) / half / 2.0
                    }
                    _ => across,
                };
                let lit = match surface {
                    Surface::Round => round_light(across) * (1.04 - 0.1 * down),
                    Surface::Soft => {
                        let edge = smooth(-0.08, 0.0, distance);
                        1.07 - 0.16 * edge - 0.12 * smooth(0.0, 1.0, across * 0.45 + down * 0.55)
                    }
                    Surface::Flat => 1.04 - 0.09 * (across * 0.5 + down * 0.5),
                    Surface::Bright => 1.0,
                };
                let shine = if matches!(surface, Surface::Round) {
                    0.13 * near(across, 0.28, 0.16)
                } else {
                    0.0
                };
                here.mix(colour.scale(lit).mix(Colour::WHITE, shine), inside)
            },
        );
    }

    fn each(&mut self, bounds: (f32, f32, f32, f32), paint: impl Fn(Point, Colour) -> Colour) {
        let side = self.side;
        let inside = |at: f32, low: f32, high: f32| at >= low && at <= high;
        let rows = (0..u32::from(side)).filter(|row| inside(share(*row, side), bounds.1, bounds.3));
        for row in rows {
            let columns = (0..u32::from(side)).skip_while(|column| share(*column, side) < bounds.0);
            for column in columns.take_while(|column| share(*column, side) <= bounds.2) {
                let pixel = self.pixels.get_pixel_mut(column, row);
                let [red, green, blue] = pixel.0;
                let new = paint(
                    Point(share(column, side), share(row, side)),
                    Colour { red, green, blue },
                );
                pixel.0 = [new.red, new.green, new.blue];
            }
        }
    }

    /// The finished picture. A grain finer than a step of eight bits keeps smooth walls from showing steps.
    pub(super) fn into_image(mut self) -> RgbImage {
        for (column, row, pixel) in self.pixels.enumerate_pixels_mut() {
            let mixed = column.wrapping_mul(0x9E37_79B1) ^ row.wrapping_mul(0x85EB_CA77);
            let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D);
            let grain = f32::from(u16::try_from((mixed >> 16) & 0xFFFF).unwrap_or_default())
                / 65_535.0
                - 0.5;
            for part in &mut pixel.0 {
                *part = (*part + grain * 0.008).clamp(0.0, 1.0);
            }
        }
        DynamicImage::ImageRgb32F(self.pixels).into_rgb8()
    }
}

/// The middle of a pixel as a share of the side.
fn share(pixel: u32, side: u16) -> f32 {
    (f32::from(u16::try_from(pixel).unwrap_or(u16::MAX)) + 0.5) / f32::from(side)
}

/// Light on an upright cylinder, from its left edge (0) to its right (1).
fn round_light(across: f32) -> f32 {
    let across = across.clamp(0.0, 1.0);
    0.9 + 0.16 * near(across, 0.3, 0.5)
        - 0.34 * smooth(0.45, 1.0, across)
        - 0.1 * (1.0 - smooth(0.0, 0.14, across))
        + 0.07 * smooth(0.93, 1.0, across)
}

/// 1 at a place and 0 from a distance on.
fn near(value: f32, place: f32, reach: f32) -> f32 {
    1.0 - smooth(0.0, reach, (value - place).abs())
}
