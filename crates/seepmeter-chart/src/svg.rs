//! A picture as SVG: one file that needs nothing else, runs nothing, and has the colours that the reader's system
//! asks for.

use std::fmt::Write;

use seepmeter_record::printable;

use crate::ink::{Ink, Theme};
use crate::picture::{Anchor, Picture, Shape, TextRun};

impl Picture {
    /// The text of an SVG file (SVG 1.1; <https://www.w3.org/TR/SVG11/>). The same picture has the same text.
    #[must_use]
    pub fn svg(&self) -> String {
        let (width, height) = (self.size.width, self.size.height);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n",
            escaped(&self.title),
            escaped(&self.description.join("; ")),
        );
        self.push_style(&mut out);
        for shape in &self.shapes {
            push_shape(&mut out, shape);
        }
        out.push_str("</svg>\n");
        out
    }

    /// The colours of both themes, of the inks that are used.
    fn push_style(&self, out: &mut String) {
        let used: Vec<Ink> = Ink::all().filter(|ink| self.uses(*ink)).collect();
        let rules = |theme: Theme| -> String {
            let rule = |ink: &Ink| {
                let (class, colour) = (ink.class(), ink.colour(theme));
                format!(".f{class}{{fill:#{colour:06x}}}.s{class}{{stroke:#{colour:06x}}}\n")
            };
            used.iter().map(rule).collect()
        };
        let (light, dark) = (rules(Theme::Light), rules(Theme::Dark));
        out.push_str("<style>\ntext{font-family:system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}\n");
        out.push_str(&light);
        // Writing to a String does not fail.
        let _ = write!(out, "@media (prefers-color-scheme:dark){{\n{dark}}}\n</style>\n");
    }

    fn uses(&self, ink: Ink) -> bool {
        self.shapes.iter().any(|shape| match shape {
            Shape::Rect { ink: of, .. }
            | Shape::Line { ink: of, .. }
            | Shape::Area { ink: of, .. }
            | Shape::Disc { ink: of, .. } => *of == ink,
            Shape::Text { runs, .. } => runs.iter().any(|run| run.ink == ink),
        })
    }
}

fn push_shape(out: &mut String, shape: &Shape) {
    // Writing to a String does not fail.
    let _ = match shape {
        Shape::Rect { ink, at: (x, y), size: (width, height) } => writeln!(
            out,
            "<rect class=\"f{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            ink.class(),
            number(*x),
            number(*y),
            number(*width),
            number(*height)
        ),
        Shape::Line { ink, points, width, dashes } => {
            let dashes = dashes.map_or(String::new(), |(dash, space)| {
                format!(" stroke-dasharray=\"{} {}\"", number(dash), number(space))
            });
            writeln!(
                out,
                "<path class=\"s{}\" fill=\"none\" stroke-width=\"{}\" stroke-linejoin=\"round\"{dashes} d=\"{}\"/>",
                ink.class(),
                number(*width),
                path(points)
            )
        }
        Shape::Area { ink, points, opacity } => writeln!(
            out,
            "<path class=\"f{}\" fill-opacity=\"{}\" d=\"{}Z\"/>",
            ink.class(),
            number(*opacity),
            path(points)
        ),
        Shape::Disc { ink, at: (x, y), radius, filled } => {
            let (class, fill) = (ink.class(), if *filled { "" } else { " fill=\"none\"" });
            let class = if *filled { format!("f{class}") } else { format!("s{class}") };
            writeln!(
                out,
                "<circle class=\"{class}\"{fill} cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                number(*x),
                number(*y),
                number(*radius)
            )
        }
        Shape::Text { at: (x, y), anchor, size, runs } => writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{}>{}</text>",
            number(*x),
            number(*y),
            number(*size),
            match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            },
            runs.iter().map(span).collect::<String>()
        ),
    };
}

fn span(run: &TextRun) -> String {
    let weight = if run.bold { " font-weight=\"bold\"" } else { "" };
    format!("<tspan class=\"f{}\"{weight}>{}</tspan>", run.ink.class(), escaped(&run.text))
}

fn path(points: &[(f64, f64)]) -> String {
    let mut out = String::with_capacity(points.len() * 12);
    for (place, (x, y)) in points.iter().enumerate() {
        let command = if place == 0 { 'M' } else { 'L' };
        let _ = write!(out, "{command}{} {}", number(*x), number(*y));
    }
    out
}

/// A coordinate with a tenth of a pixel.
fn number(value: f64) -> String {
    // What is no number would make the file invalid; nothing is drawn there.
    let value = if value.is_finite() { value } else { -1.0 };
    let text = format!("{value:.1}");
    let text = if value.abs() < 1.0 { format!("{value:.2}") } else { text };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" || text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

/// Text as XML has it: markup is text, and so is what XML or a reader's eye must not get
/// (<https://www.w3.org/TR/xml/#charsets>).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in printable(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::PictureSize;

    #[test]
    fn coordinates_are_short_and_what_is_no_number_does_not_break_the_file() {
        let all = [0.0, -0.001, 12.34, 100.0, 0.125, 640.0, f64::NAN, f64::INFINITY];
        let texts = all.map(number);
        assert_eq!(texts, ["0", "0", "12.3", "100", "0.12", "640", "-1", "-1"]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_name_is_the_file_is_valid_xml_and_has_the_name_as_text(name: String) {
            let svg = Picture::without_chart(&name, PictureSize::default()).svg();
            let document = roxmltree::Document::parse(&svg).expect("valid XML");
            let title = document.descendants().find(|node| node.has_tag_name("title"));
            let shown = title.and_then(|node| node.text()).unwrap_or_default();
            let text = printable(&name);
            let is_no_xml = text.contains(['\u{fffe}', '\u{ffff}']);
            proptest::prop_assert!(is_no_xml || shown == text);
            let allowed = ["svg", "title", "desc", "style", "rect", "text", "tspan"];
            let mut tags = document.descendants().filter(|node| node.is_element());
            proptest::prop_assert!(tags.all(|node| allowed.contains(&node.tag_name().name())));
        }
    }

    #[test]
    fn a_hostile_name_is_shown_and_nothing_else() {
        let hostile =
            "</script><img src=x onerror=alert(1)>\u{0}\u{1b}[2J\u{ffff}]]>&amp;\u{202e}\"'";
        let svg = Picture::without_chart(hostile, PictureSize::default()).svg();
        assert!(!svg.contains("<img") && !svg.contains("</script") && !svg.contains("]]>"));
        let illegal = |c: char| (c.is_control() && c != '\n') || c == '\u{ffff}' || c == '\u{202e}';
        assert!(!svg.contains(illegal), "{svg}");
        assert!(svg.contains("&lt;/script&gt;&lt;img src=x"), "{svg}");
        assert!(svg.contains("&amp;amp;"), "{svg}");
    }
}
