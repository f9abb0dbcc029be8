//! The sinks `svg` and `png`: pictures of live runs, of recordings, of trees, and of names that are markup.

use std::path::Path;

use seepmeter_record::conventions::attribute;
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{seepmeter, test_target, words};

const MIB: i64 = 1 << 20;

/// The picture of a recording, with these options of the sink.
fn picture(recording: &Path, options: &str) -> String {
    let sink = format!("svg{options}");
    let drawn = seepmeter(words!["replay", "-q", "--no-summary", "-o", sink, recording]).done();
    let svg = drawn.expect(0).out();
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" "), "{svg}");
    assert!(svg.ends_with("</svg>\n"), "{svg}");
    svg
}

/// How many shapes of a class there are.
fn shapes(svg: &str, class: &str) -> usize {
    svg.matches(&format!(" class=\"{class}\"")).count()
}

#[test]
fn a_live_run_and_its_replay_have_the_same_picture() {
    let folder = tempfile::tempdir().unwrap();
    let target = words![test_target(), "saw", "4", "4", "5"];
    let sinks =
        words!["run", "-q", "-i", "2ms", "-o", "svg,path=x.svg", "-o", "jsonl,path=r", "--"];
    let _ = seepmeter(sinks.into_iter().chain(target)).in_folder(folder.path()).done().expect(0);
    let live = std::fs::read_to_string(folder.path().join("x.svg")).unwrap();
    assert!(live.contains(">inconclusive</tspan>"), "{live}");
    assert_eq!(picture(&folder.path().join("r"), ""), live);
}

#[test]
fn the_picture_of_a_leak_has_its_curve_its_floors_its_line_and_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).with(attribute::CGROUP_LIMIT, 64 << 30);
    let svg = picture(&leak.write(folder.path(), "leak.jsonl"), "");
    assert!(svg.contains(">growing</tspan>") && svg.contains("<title id=\"title\">growing: rss"));
    assert!(shapes(&svg, "ffloor") + shapes(&svg, "sfloor") > 10, "{svg}");
    assert_eq!(shapes(&svg, "sgrowing"), 2, "the line and its entry in the legend: {svg}");
    assert!(svg.contains("limit 64 GiB (cgroup) in "), "{svg}");
    assert!(svg.contains("@media (prefers-color-scheme:dark)"), "{svg}");
    let large = picture(&folder.path().join("leak.jsonl"), ",width=1600,height=900");
    assert!(large.contains(" viewBox=\"0 0 1600 900\" "), "{large}");
}

#[test]
fn the_picture_of_a_tree_has_a_line_for_each_process() {
    let folder = tempfile::tempdir().unwrap();
    let script = "\"$0\" saw 4 4 2 & \"$0\" saw 4 4 2; wait";
    let words = words![
        "run",
        "-q",
        "-i",
        "20ms",
        "-o",
        "svg,path=x.svg",
        "--",
        "sh",
        "-c",
        script,
        test_target()
    ];
    let _ = seepmeter(words).in_folder(folder.path()).done().expect(0);
    let svg = std::fs::read_to_string(folder.path().join("x.svg")).unwrap();
    assert!(svg.contains(">3 processes</tspan>"), "{svg}");
    for class in ["sp0", "sp1"] {
        assert!(shapes(&svg, class) >= 2, "a curve and its entry in the legend: {svg}");
    }
}

#[test]
fn a_target_whose_name_is_markup_shows_its_name_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let name = "</script><img src=x onerror=alert(1)>\u{1b}[2J";
    let svg = picture(&Synthetic::leak(300, 1).named(name).write(folder.path(), "r.jsonl"), "");
    assert!(!svg.contains("<img") && !svg.contains("</script") && !svg.contains('\u{1b}'), "{svg}");
    assert!(svg.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"), "{svg}");
}

#[test]
fn a_png_has_as_many_pixels_as_its_options_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::leak(300, 1).named("記憶体").write(folder.path(), "r.jsonl");
    for (options, width, height) in [("", 1440, 680), (",scale=1,width=400,theme=dark", 400, 340)] {
        let sink = format!("png,path=x.png{options}");
        let words = words!["replay", "-q", "--no-summary", "-o", sink, recording];
        let _ = seepmeter(words).in_folder(folder.path()).done().expect(0);
        let png = std::fs::read(folder.path().join("x.png")).unwrap();
        // The signature, and the first chunk with both sides (PNG, 5.2 and 11.2.1).
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{:?}", &png[..8]);
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), (width, height), "{options}");
        assert!(png.len() > 4000, "{} bytes", png.len());
    }
}

#[test]
fn a_hundred_thousand_samples_make_a_small_picture_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let long = Synthetic::rss(100_000, |i| if i == 76_543 { 900 * MIB } else { 50 * MIB });
    let svg = picture(&long.write(folder.path(), "long.jsonl"), "");
    assert!(svg.contains("100000 samples in ") && svg.contains(">768 MiB</tspan>"), "{svg}");
    assert!(svg.len() < 64_000, "{} bytes", svg.len());
}

#[test]
fn what_cannot_be_drawn_is_an_error_before_the_run() {
    let run = |sink: &str| seepmeter(words!["run", "-q", "-o", sink, "--", "echo", "never"]).done();
    let not_judged = run("svg,path=x.svg,metric=pss");
    let _ = not_judged.expect_complaint(125, &["metric=pss", "--metric pss", "rss"]);
    let _ = run("svg,width=10").expect_complaint(125, &["width", "320", "4096"]);
    let _ = run("png").expect_complaint(125, &["`path` must be given"]);
    let large = run("png,path=x.png,width=4096,height=4096,scale=4");
    let _ = large.expect_complaint(125, &["16384 by 16384", "32 million"]);
}

#[test]
fn a_run_in_which_nothing_was_sampled_has_a_picture_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let svg = picture(&Synthetic::rss(0, |_| 0).write(folder.path(), "r.jsonl"), "");
    assert!(svg.contains("nothing was sampled"), "{svg}");
}
