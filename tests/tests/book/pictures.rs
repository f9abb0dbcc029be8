//! The pictures of the book are what the sink `svg` draws of the recordings.

use seepmeter_tests::{seepmeter, words};

use crate::examples::ROOT;

#[test]
fn each_picture_of_the_book_is_what_the_sink_draws_of_the_recording_of_its_name() {
    let bless = std::env::var_os("SEEPMETER_BLESS").is_some();
    let folder = std::fs::read_dir(format!("{ROOT}/docs/src/pictures")).unwrap();
    let mut pictures = 0;
    for path in folder.map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let recording = format!("{ROOT}/tests/recordings/{name}.jsonl.zst");
        let words = words!["replay", "-q", "--no-summary", "-o", "svg", recording];
        let drawn = seepmeter(words).done().expect(0).out();
        if bless {
            std::fs::write(&path, &drawn).unwrap();
        }
        let shown = std::fs::read_to_string(&path).unwrap();
        assert!(shown == drawn, "{}: it is not drawn so; cargo xtask bless", path.display());
        pictures += 1;
    }
    assert!(pictures > 5, "{pictures} are not all");
}
