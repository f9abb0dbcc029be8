//! A picture as PNG: painted here, with a font that is part of the program.

use seepmeter_record::printable;
use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash,
    Transform,
};
use ttf_parser::{Face, OutlineBuilder};

use crate::ink::{Ink, Theme};
use crate::picture::{Anchor, Picture, PictureSize, Shape, TextRun};

/// Inter, of the SIL Open Font License; see fonts/README.md.
const FONT: &[u8] = include_bytes!("../fonts/inter-subset.ttf");

/// Bold letters are painted with an edge of this part of their size.
const BOLD: f64 = 0.05;

/// No picture has more pixels: it takes four bytes of memory for each.
const MOST_PIXELS: u64 = 32_000_000;

/// Why there is no PNG.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PngError {
    /// It would be too large.
    #[error("a picture of {width} by {height} pixels is too large: 32 million are the most")]
    TooLarge {
        /// How wide it would be.
        width: u64,
        /// How high it would be.
        height: u64,
    },
    /// The font that is part of the program can't be read.
    #[error("the font of the program is damaged: {0}")]
    Font(String),
    /// The encoder failed.
    #[error("cannot encode the picture: {0}")]
    Encode(String),
}

impl Picture {
    /// How many pixels the PNG of a picture of this size has, in width and height.
    ///
    /// # Errors
    /// As [`Picture::png`].
    pub fn check_pixels(size: PictureSize, scale: f64) -> Result<(u64, u64), PngError> {
        let pixels = |side: u32| (f64::from(side) * scale).round().max(1.0) as u64;
        let (width, height) = (pixels(size.width), pixels(size.height));
        if width.saturating_mul(height) > MOST_PIXELS {
            return Err(PngError::TooLarge { width, height });
        }
        Ok((width, height))
    }

    /// The bytes of a PNG file (<https://www.w3.org/TR/png-3/>), with `scale` pixels for each of the picture's.
    ///
    /// A character that the font does not have is painted as its escape, `\u{8a18}`.
    ///
    /// # Errors
    /// A picture of more than 32 million pixels.
    pub fn png(&self, theme: Theme, scale: f64) -> Result<Vec<u8>, PngError> {
        let (width, height) = Self::check_pixels(self.size, scale)?;
        let too_large = PngError::TooLarge { width, height };
        let pixmap = Pixmap::new(width as u32, height as u32).ok_or(too_large)?;
        let font = Face::parse(FONT, 0).map_err(|error| PngError::Font(error.to_string()))?;
        let transform = Transform::from_scale(scale as f32, scale as f32);
        let mut canvas = Canvas { pixmap, font, theme, transform };
        self.shapes.iter().for_each(|shape| canvas.paint(shape));
        canvas.pixmap.encode_png().map_err(|error| PngError::Encode(error.to_string()))
    }
}

/// What is painted on.
struct Canvas {
    pixmap: Pixmap,
    font: Face<'static>,
    theme: Theme,
    transform: Transform,
}

impl Canvas {
    fn paint(&mut self, shape: &Shape) {
        match shape {
            Shape::Rect { ink, at: (x, y), size: (width, height) } => {
                let [x, y, width, height] = [*x, *y, *width, *height].map(|side| side as f32);
                // One without an area is not seen.
                if let Some(rect) = Rect::from_xywh(x, y, width, height) {
                    self.fill(&PathBuilder::from_rect(rect), *ink, 1.0);
                }
            }
            Shape::Line { ink, points, width, dashes } => {
                if let Some(path) = path_of(points, false) {
                    self.stroke(&path, *ink, *width, *dashes);
                }
            }
            Shape::Area { ink, points, opacity } => {
                if let Some(path) = path_of(points, true) {
                    self.fill(&path, *ink, *opacity);
                }
            }
            Shape::Disc { ink, at: (x, y), radius, filled } => {
                let circle = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
                match circle {
                    Some(path) if *filled => self.fill(&path, *ink, 1.0),
                    Some(path) => self.stroke(&path, *ink, 1.0, None),
                    None => {}
                }
            }
            Shape::Text { at, anchor, size, runs } => self.text(*at, *anchor, *size, runs),
        }
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, size: f64, runs: &[TextRun]) {
        let shown: Vec<(Ink, bool, String)> =
            runs.iter().map(|run| (run.ink, run.bold, self.shown(&run.text))).collect();
        let scale = size / f64::from(self.font.units_per_em());
        let width: f64 = shown.iter().map(|(.., text)| self.advance(text) * scale).sum();
        let mut x = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        for (ink, bold, text) in shown {
            let mut outline = Outline { path: PathBuilder::new(), at: (x, y), scale };
            for c in text.chars() {
                let Some(glyph) = self.font.glyph_index(c) else { continue };
                // A space has no outline.
                let _ = self.font.outline_glyph(glyph, &mut outline);
                let wide = f64::from(self.font.glyph_hor_advance(glyph).unwrap_or(0));
                outline.at.0 += wide * scale;
            }
            x = outline.at.0;
            if let Some(path) = outline.path.finish() {
                self.fill(&path, ink, 1.0);
                if bold {
                    self.stroke(&path, ink, size * BOLD, None);
                }
            }
        }
    }

    /// The text in characters that the font has; the others as their escapes.
    fn shown(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for c in printable(text).chars() {
            match self.font.glyph_index(c) {
                Some(_) => shown.push(c),
                None => shown.extend(c.escape_unicode()),
            }
        }
        shown
    }

    /// How wide a text is, in units of the font.
    fn advance(&self, text: &str) -> f64 {
        let glyphs = text.chars().filter_map(|c| self.font.glyph_index(c));
        let wide = |glyph| f64::from(self.font.glyph_hor_advance(glyph).unwrap_or(0));
        glyphs.map(wide).sum()
    }

    fn fill(&mut self, path: &Path, ink: Ink, opacity: f64) {
        let paint = self.colour(ink, opacity);
        self.pixmap.fill_path(path, &paint, FillRule::Winding, self.transform, None);
    }

    fn stroke(&mut self, path: &Path, ink: Ink, width: f64, dashes: Option<(f64, f64)>) {
        let dash =
            dashes.and_then(|(dash, space)| StrokeDash::new(vec![dash as f32, space as f32], 0.0));
        let line_join = LineJoin::Round;
        let stroke = Stroke { width: width as f32, dash, line_join, ..Stroke::default() };
        let paint = self.colour(ink, 1.0);
        self.pixmap.stroke_path(path, &paint, &stroke, self.transform, None);
    }

    fn colour(&self, ink: Ink, opacity: f64) -> Paint<'static> {
        let [_, red, green, blue] = ink.colour(self.theme).to_be_bytes();
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        let alpha = (opacity.clamp(0.0, 1.0) * 255.0).round() as u8;
        paint.set_color(Color::from_rgba8(red, green, blue, alpha));
        paint
    }
}

/// A path through points; none of fewer than two, or of points that are no numbers.
fn path_of(points: &[(f64, f64)], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (place, (x, y)) in points.iter().enumerate() {
        match place {
            0 => path.move_to(*x as f32, *y as f32),
            _ => path.line_to(*x as f32, *y as f32),
        }
    }
    if closed {
        path.close();
    }
    path.finish()
}

/// The outline of letters, whose y axis points up.
struct Outline {
    path: PathBuilder,
    at: (f64, f64),
    scale: f64,
}

impl Outline {
    fn point(&self, x: f32, y: f32) -> (f32, f32) {
        let (left, base) = self.at;
        let (x, y) = (f64::from(x) * self.scale, f64::from(y) * self.scale);
        ((left + x) as f32, (base - y) as f32)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.point(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.point(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.point(x1, y1), self.point(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) =
            (self.point(x1, y1), self.point(x2, y2), self.point(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shapes: Vec<Shape>) -> Pixmap {
        let size = PictureSize { width: 100, height: 40 };
        let picture = Picture { size, title: String::new(), description: Vec::new(), shapes };
        Pixmap::decode_png(&picture.png(Theme::Light, 2.0).unwrap()).unwrap()
    }

    fn colour(pixmap: &Pixmap, x: u32, y: u32) -> u32 {
        let pixel = pixmap.pixel(x, y).unwrap().demultiply();
        u32::from_be_bytes([0, pixel.red(), pixel.green(), pixel.blue()])
    }

    fn ground() -> Shape {
        Shape::Rect { ink: Ink::Ground, at: (0.0, 0.0), size: (100.0, 40.0) }
    }

    #[test]
    fn a_line_is_where_its_points_are_in_the_colour_of_its_ink() {
        let points = vec![(10.0, 20.0), (90.0, 20.0)];
        let line = Shape::Line { ink: Ink::Curve, points, width: 4.0, dashes: None };
        let pixmap = of(vec![ground(), line]);
        assert_eq!((pixmap.width(), pixmap.height()), (200, 80));
        assert_eq!(colour(&pixmap, 100, 40), Ink::Curve.colour(Theme::Light));
        for (x, y) in [(100, 30), (100, 50), (10, 40), (190, 40)] {
            assert_eq!(colour(&pixmap, x, y), 0xff_ffff, "at {x}, {y}");
        }
    }

    #[test]
    fn text_is_painted_and_ends_where_it_should() {
        let runs = vec![TextRun { ink: Ink::Text, bold: true, text: "growing".to_owned() }];
        let text = Shape::Text { at: (90.0, 25.0), anchor: Anchor::End, size: 13.0, runs };
        let pixmap = of(vec![ground(), text]);
        let dark = |x: u32| (0..80).any(|y| colour(&pixmap, x, y) < 0x80_8080);
        assert!((100..180).any(dark) && !(182..200).any(dark) && !(0..60).any(dark));
    }

    #[test]
    fn a_character_that_the_font_lacks_is_painted_as_its_escape() {
        let size = PictureSize { width: 100, height: 40 };
        let pixmap = Pixmap::new(size.width, size.height).unwrap();
        let font = Face::parse(FONT, 0).unwrap();
        let transform = Transform::identity();
        let canvas = Canvas { pixmap, font, theme: Theme::Dark, transform };
        assert_eq!(canvas.shown("größer…記\u{1b}"), "größer…\\u{8a18}\\u{1b}");
        let all: String = (' '..='~').collect();
        assert_eq!(canvas.shown(&all), all);
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_an_error_with_its_size() {
        let picture = Picture::without_chart("why", PictureSize::MOST);
        let error = picture.png(Theme::Light, 4.0).unwrap_err();
        assert_eq!(error, PngError::TooLarge { width: 16_384, height: 16_384 });
    }
}
