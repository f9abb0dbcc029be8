//! The sink `png`: the picture of the sink `svg`, painted.

use std::path::PathBuf;

use seepmeter_chart::{Picture, PictureSize, Theme};
use seepmeter_plugin::{Error, choices, options};

use super::drawing::{Drawing, PictureFormat};
use super::output::{Destination, Output};
use super::output_sink::OutputSink;

choices! {
    /// What is behind the picture.
    pub enum Ground {
        /// A light ground.
        Light = "light",
        /// A dark ground.
        Dark = "dark",
    }
}

options! {
    /// Options of the sink `png`.
    pub struct PngOptions {
        /// The picture's file; `-` is standard output.
        path: PathBuf,
        /// What to draw, of the metrics that are judged (`--metric`); without it the first of them.
        metric: Option<String>,
        /// How wide the picture is, in pixels of a plain screen.
        width: u32 = "720",
        /// How high it is, likewise.
        height: u32 = "340",
        /// So many pixels of the file for each of those, from 1 to 4: fine screens have two.
        scale: f64 = "2",
        /// The ground: `light` or `dark`.
        theme: Ground = "light",
    }
}

/// The sink `png`.
pub type Png = Drawing<PngFormat>;

/// PNG.
pub struct PngFormat {
    scale: f64,
    theme: Theme,
}

impl PictureFormat for PngFormat {
    fn bytes(&self, picture: &Picture) -> Result<Vec<u8>, Error> {
        picture.png(self.theme, self.scale).map_err(|why| Error::failed(why.to_string()))
    }
}

impl OutputSink for Png {
    const NAME: &'static str = "png";
    const ABOUT: &'static str = "draws at the end what svg draws, for what shows no SVG";
    type Options = PngOptions;

    fn destination(options: &PngOptions) -> Result<Destination, Error> {
        Ok(Destination::of(Some(&options.path)))
    }

    fn new(options: PngOptions, output: Output) -> Result<Self, Error> {
        let PngOptions { path: _, metric, width, height, scale, theme } = options;
        if !(1.0..=4.0).contains(&scale) {
            return Err(Error::failed("option `scale`: from 1 to 4 are possible".to_owned()));
        }
        let size = PictureSize { width, height };
        Picture::check_pixels(size, scale).map_err(|why| Error::failed(why.to_string()))?;
        let theme = match theme {
            Ground::Light => Theme::Light,
            Ground::Dark => Theme::Dark,
        };
        Drawing::new(PngFormat { scale, theme }, output, metric, size)
    }
}
