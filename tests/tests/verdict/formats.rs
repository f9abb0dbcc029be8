//! Answers in the formats for CI, read by programs that are not ours.

use std::fs;
use std::path::Path;

use seepmeter_record::MappingClass;
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{FinishedRun, not_run, run, seepmeter, words};
use serde_json::Value;

/// Reads JUnit's XML with Python's parser, asserts that it is of the form that all readers share, and
/// prints it as JSON.
const READER: &str = r#"
import json, sys, xml.etree.ElementTree as etree

def attributes(element, needed, free=()):
    assert set(element.attrib) == set(needed) | (set(free) & set(element.attrib)), element.attrib

root = etree.parse(sys.argv[1]).getroot()
assert root.tag == "testsuites", root.tag
attributes(root, ["name", "tests", "failures", "errors"])
suites = []
for suite in root:
    assert suite.tag == "testsuite", suite.tag
    attributes(suite, ["name", "tests", "failures", "errors", "skipped"])
    cases = []
    for case in suite.findall("testcase"):
        attributes(case, ["classname", "name", "time"])
        assert len(case) <= 1
        for result in case:
            assert result.tag in ("failure", "error", "skipped"), result.tag
            attributes(result, ["message"], ["type"])
        result = case[0].tag if len(case) else "passed"
        message = case[0].get("message") if len(case) else ""
        cases.append({"name": case.get("name"), "class": case.get("classname"), "result": result, "message": message})
    assert [child.tag for child in suite] == ["testcase"] * len(cases) + ["system-out"]
    count = lambda result: sum(case["result"] == result for case in cases)
    assert int(suite.get("tests")) == len(cases)
    for attribute, result in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == count(result), attribute
    suites.append({"name": suite.get("name"), "cases": cases, "output": suite.find("system-out").text or ""})
for attribute in ("tests", "failures", "errors"):
    assert int(root.get(attribute)) == sum(int(suite.get(attribute)) for suite in root), attribute
json.dump(suites, sys.stdout)
"#;

/// A file's name, or a mapping's, that is markup or a command in each of the formats.
const EVIL: &str = "a|b](x)`<i>&\"'::error::%0A\n##[error]\u{1b}[2J@me ]]>";

/// The suites of a file with JUnit's XML; none, loudly, if there is no Python here.
fn junit(file: &Path) -> Option<Value> {
    if run("sh", words!["-c", "command -v python3"]).done().status.code() != Some(0) {
        not_run("the XML of JUnit is read by a real parser", "there is no python3 here");
        return None;
    }
    let done = run("python3", words!["-c", READER, file]).done().expect(0);
    Some(serde_json::from_str(&done.out()).unwrap())
}

/// The suites of what was printed.
fn printed_junit(done: &FinishedRun) -> Option<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("printed.xml");
    fs::write(&file, &done.stdout).unwrap();
    junit(&file)
}

fn results(suite: &Value) -> Vec<(&str, &str)> {
    let cases = suite["cases"].as_array().unwrap().iter();
    cases.map(|case| (case["name"].as_str().unwrap(), case["result"].as_str().unwrap())).collect()
}

#[test]
fn junit_has_a_suite_for_each_file_and_a_case_for_each_gate() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let short = Synthetic::leak(5, 1).write(folder.path(), "short.jsonl");
    let gates =
        ["--fail-on", "growing", "--fail-on", "peak>1TiB", "--fail-on", "subject(x).rate>0"];
    let words = words!["judge", "--format", "junit"].into_iter().chain(gates.map(Into::into));
    let done = seepmeter(words.chain(words![leak, short, "nowhere"])).done().expect(125);
    let Some(suites) = printed_junit(&done) else { return };
    assert_eq!(suites[0]["name"], leak.to_str().unwrap());
    let peak = ("peak>1TiB", "passed");
    let unknown = ("subject(x).rate>0", "skipped");
    assert_eq!(results(&suites[0]), [("growing", "failure"), peak, unknown]);
    assert_eq!(suites[0]["cases"][0]["message"], "the verdict is growing");
    assert_eq!(suites[0]["cases"][0]["class"], "seepmeter.rss");
    assert!(suites[0]["output"].as_str().unwrap().starts_with("growing  rss +"));
    assert_eq!(results(&suites[1]), [("growing", "skipped"), peak, unknown]);
    assert_eq!(results(&suites[2]), [("verdict", "error")]);
}

#[test]
fn a_name_that_is_markup_stays_a_name_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("{}.jsonl", EVIL.replace('/', "-"));
    let file = Synthetic::leak(600, 1)
        .part(EVIL, MappingClass::Heap, |i| 20_000 * i)
        .write(folder.path(), &name);
    let in_format =
        |format: &str| seepmeter(words!["judge", "--format", format, file]).done().expect(0);
    let github = in_format("github").out();
    assert_eq!(github.lines().count(), 1, "{github}");
    assert!(github.starts_with("::warning title="), "{github}");
    assert!(github.contains("a|b](x)`<i>&\"'::error::%250A\\n##[error]\\u{1b}"), "{github}");
    let table = in_format("markdown").out();
    let row = table.lines().nth(4).unwrap();
    assert_eq!((table.lines().count(), row.matches('|').count()), (5, 4), "{table}");
    let row = row.replace("**growing**", "growing");
    assert!(!row.contains(['`', '*', '[', '@', '\u{1b}']) && !row.contains("<i>"), "{row}");
    let done = in_format("junit");
    let Some(suites) = printed_junit(&done) else { return };
    let shown = suites[0]["name"].as_str().unwrap();
    assert!(shown.ends_with("\\n##[error]\\u{1b}[2J@me ]]>.jsonl"), "{shown}");
    assert!(suites[0]["output"].as_str().unwrap().contains("<i>&\"'::error"), "{suites}");
}

#[test]
fn files_are_written_in_their_formats_and_what_is_printed_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let plain = seepmeter(words!["judge", leak]).done().expect(0).out();
    let formats =
        ["--format", "junit=a=b.xml", "--format", "markdown=t.md", "--format", "json=v.json"];
    let words = words!["judge"].into_iter().chain(formats.map(Into::into)).chain(words![leak]);
    let done = seepmeter(words).in_folder(folder.path()).done().expect(0);
    assert_eq!((done.out(), done.err()), (plain, String::new()));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let verdict: Value = serde_json::from_str(&read("v.json")).unwrap();
    assert_eq!(verdict["schema"], "seepmeter.verdict/1");
    assert!(read("t.md").contains("| **growing** | rss +"), "{}", read("t.md"));
    if let Some(suites) = junit(&folder.path().join("a=b.xml")) {
        assert_eq!(results(&suites[0]), [("rss", "passed")], "nobody has named a gate");
    }
}

#[test]
fn an_older_file_stays_as_it_is_if_there_is_nothing_to_say_and_no_input_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let older = folder.path().join("older.xml");
    fs::write(&older, "older").unwrap();
    let format = format!("--format=junit={}", older.display());
    let scale = words!["scale", format, "-n", "1,2,3", "--", "sh", "-c", "exit 3"];
    let _ = seepmeter(scale).done().expect(3);
    let failure = fs::read_to_string(&older).unwrap();
    assert!(failure.contains("<error ") && failure.contains("exited with status 3"), "{failure}");
    fs::write(&older, "older").unwrap();
    // JSON has nothing to say of a failure.
    let (new, nothing) = (folder.path().join("new.json"), folder.path().join("nothing"));
    for file in [&older, &new] {
        let format = format!("--format=json={}", file.display());
        let _ = seepmeter(words!["judge", format, nothing]).done().expect(125);
        let _ = seepmeter(words!["compare", format, nothing, "--", nothing]).done().expect(125);
    }
    assert_eq!(fs::read_to_string(&older).unwrap(), "older");
    assert!(!new.exists());
    let leak = Synthetic::leak(600, 1).write(folder.path(), "leak.jsonl");
    let before = fs::read(&leak).unwrap();
    let format = format!("--format=junit={}", leak.display());
    seepmeter(words!["judge", format, leak])
        .done()
        .expect_complaint(125, &["a file that is judged"]);
    assert_eq!(fs::read(&leak).unwrap(), before);
}

#[test]
fn a_run_gives_its_verdict_in_several_formats_and_its_streams_stay_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let formats = ["--format", "github", "--format", "junit=r.xml", "--format", "markdown=r.md"];
    let words =
        words!["run", "-q", "--no-summary", "--fail-on", "growing", "--fail-on", "peak>1KiB"];
    let words = words.into_iter().chain(formats.map(Into::into));
    let command = words!["--", "sh", "-c", "echo out; sleep 0.2"];
    let done = seepmeter(words.chain(command)).in_folder(folder.path()).done().expect(100);
    assert_eq!(done.out(), "out\n");
    let said = done.err();
    assert!(said.contains("::warning title=gate growing not decided::the verdict is"), "{said}");
    assert!(said.contains("::error title=gate peak>1KiB failed::it is "), "{said}");
    let table = fs::read_to_string(folder.path().join("r.md")).unwrap();
    assert!(table.contains("| gate <code>peak&gt;1KiB</code> | **failed** | it is "), "{table}");
    let Some(suites) = junit(&folder.path().join("r.xml")) else { return };
    assert_eq!(results(&suites[0]), [("growing", "skipped"), ("peak>1KiB", "failure")]);
}

#[test]
fn a_gate_that_cannot_decide_fails_in_junit_as_well_if_that_is_strict() {
    let folder = tempfile::tempdir().unwrap();
    let words = words!["run", "-q", "--no-summary", "--strict", "--fail-on", "growing"];
    let words = words.into_iter().chain(words!["--format", "junit=r.xml", "--", "sleep", "0.2"]);
    let _ = seepmeter(words).in_folder(folder.path()).done().expect(100);
    let Some(suites) = junit(&folder.path().join("r.xml")) else { return };
    assert_eq!(results(&suites[0]), [("growing", "failure")]);
}

#[test]
fn comparisons_and_bytes_per_unit_have_a_case_for_each_gate() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed| Synthetic::flat(600, seed).write(folder.path(), name);
    let files = [run("a", 1), run("b", 2), run("c", 3), run("d", 4)];
    let words = words!["compare", "--format", "junit", "--fail-on", "worse", files[0], files[1]];
    let words = words.into_iter().chain(words!["--", files[2], files[3]]);
    let done = seepmeter(words).done().expect(0);
    let Some(suites) = printed_junit(&done) else { return };
    assert_eq!(suites[0]["cases"][0]["name"], "worse");
    let leak = "my $n = shift; push @kept, 'x' x 1000 for 1 .. $n";
    let words =
        words!["scale", "--format", "junit", "--fail-on", "growing", "-n", "2000,4000,8000"];
    let words = words.into_iter().chain(words!["--", "perl", "-e", leak, "{n}"]);
    let done = seepmeter(words).done().expect(100);
    let suites = printed_junit(&done).unwrap();
    assert_eq!(results(&suites[0]), [("growing", "failure")]);
    assert!(suites[0]["output"].as_str().unwrap().starts_with("leaks  1.0"), "{suites}");
}
