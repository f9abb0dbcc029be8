use seepmeter_analysis::Series;

use super::*;
use crate::made_up::{part, run_of, series};
use crate::{JudgeOptions, RunSeries, Scope};

/// A name that is markup, or a command, in each of the formats.
const EVIL: &str = "a|b](x)`<i>&\"'::error title=x::%0A\n##[error]\u{1b}[2J\u{ffff}@me ]]>";

fn conclude(gates: &[&str], strict: bool, runs: &[RunSeries]) -> ReportBody {
    let gates = gates.iter().map(|gate| gate.parse().unwrap()).collect();
    let options = JudgeOptions { gates, strict, ..JudgeOptions::default() };
    ReportBody::Run(Conclusion::of(&options, |_| Ok(runs.to_vec())))
}

fn leak() -> RunSeries {
    RunSeries::of_resident("worker", series(600, |i| 50_000_000 + 20_000 * i + i % 7 * 900))
}

fn short() -> RunSeries {
    RunSeries::of_resident("worker", Series::from_pairs([(0, 1)]))
}

/// Two targets, one of which has an evil name, and their sum.
fn evil() -> Vec<RunSeries> {
    let whole = series(600, |i| 50_000_000 + 20_000 * i + i % 7 * 900);
    let target = RunSeries { scope: Scope::Target, ..RunSeries::of_resident(EVIL, whole.clone()) };
    let sum = run_of(vec![part(EVIL, whole)]);
    let sum = RunSeries { target: "2 targets".to_owned(), scope: Scope::AllTargets, ..sum };
    vec![target, sum]
}

fn render(body: ReportBody, format: ReportFormat) -> String {
    Report::of(body).render(format).unwrap()
}

#[test]
fn an_annotation_is_one_line_with_its_level_whatever_a_target_is_called() {
    let text = render(conclude(&["growing", "peak>1TiB"], false, &[leak()]), ReportFormat::Github);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("::warning title=memory%3A growing::rss +19.6 KiB/s"), "{text}");
    assert_eq!(lines[1], "::error title=gate growing failed::the verdict is growing");
    assert!(lines[2].starts_with("::notice title=gate peak>1TiB passed::it is "), "{text}");
    let text = render(conclude(&[], false, &evil()), ReportFormat::Github);
    for line in text.lines() {
        assert!(line.starts_with("::warning title=memory%3A growing::rss"), "{line}");
        assert!(line.contains("%250A\\n##"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn of_several_targets_the_sum_comes_first_and_each_has_a_name_of_its_own_without_its_pid() {
    let worker = |pid| RunSeries { scope: Scope::Target, pid: Some(pid), ..leak() };
    let sum = RunSeries { target: "2 targets".to_owned(), scope: Scope::AllTargets, ..leak() };
    let body = conclude(&[], false, &[worker(7), worker(8), sum]);
    let text = render(body, ReportFormat::Junit);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| Some(line.split_once("name=\"rss of ")?.1.split_once('"')?.0))
        .collect();
    assert_eq!(names, ["2 targets", "worker", "worker #2"], "{text}");
}

#[test]
fn a_verdict_by_work_is_reported_in_each_format() {
    let counter = series(600, |i| 30 * i);
    let still = series(600, |i| i / 100);
    let body = |counter: &Series, gates: &[&str]| {
        let verdicts = vec![leak().judge_by_work("n", counter)];
        let gates = gates.iter().map(|gate| {
            let gate: crate::Gate = gate.parse().unwrap();
            gate.evaluate_work(&verdicts[0])
        });
        ReportBody::Work { gates: gates.collect(), verdicts: verdicts.clone(), strict: false }
    };
    let leaks = || body(&counter, &["per-unit>16B"]);
    let github = render(leaks(), ReportFormat::Github);
    assert!(github.starts_with("::warning title=memory%3A leaks::66"), "{github}");
    assert!(github.contains("\n::error title=gate per-unit>16B failed::it is "), "{github}");
    let junit = render(leaks(), ReportFormat::Junit);
    assert!(junit.contains("name=\"per-unit&gt;16B\"") && junit.contains("<failure "), "{junit}");
    let markdown = render(leaks(), ReportFormat::Markdown);
    assert!(markdown.contains("| rss | **leaks** | 66"), "{markdown}");
    assert!(render(leaks(), ReportFormat::Text).starts_with("leaks 66"));
    assert!(render(leaks(), ReportFormat::Json).contains("\"schema\":\"seepmeter.work/1\""));
    // What is not known is no pass.
    let undecided = || body(&still, &["per-unit>16B"]);
    assert!(render(undecided(), ReportFormat::Junit).contains("<skipped "));
    let github = render(undecided(), ReportFormat::Github);
    assert!(github.contains("::warning title=gate per-unit>16B not decided::"), "{github}");
}

#[test]
fn a_gate_that_cannot_decide_is_a_warning_and_if_that_is_strict_a_failure() {
    let loose = render(conclude(&["growing"], false, &[short()]), ReportFormat::Github);
    assert!(
        loose.contains("::warning title=gate growing not decided::the verdict is inc"),
        "{loose}"
    );
    let strict = render(conclude(&["growing"], true, &[short()]), ReportFormat::Github);
    assert!(strict.contains("::error title=gate growing failed::the verdict is inc"), "{strict}");
    let junit = |strict| render(conclude(&["growing"], strict, &[short()]), ReportFormat::Junit);
    assert!(junit(false).contains("tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\""));
    assert!(junit(true).contains("tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\""));
    let table = render(conclude(&["growing"], false, &[short()]), ReportFormat::Markdown);
    assert!(
        table.contains("| gate <code>growing</code> | **not decided** | the verdict"),
        "{table}"
    );
}

#[test]
fn without_a_gate_each_answer_is_a_case_that_fails_nothing() {
    let grows = render(conclude(&[], false, &[leak()]), ReportFormat::Junit);
    assert!(grows.contains("<testcase classname=\"seepmeter.rss\" name=\"rss\" time=\"0\"/>"));
    assert!(grows.contains("<system-out>growing  rss +19.6 KiB/s"), "{grows}");
    let unknown = render(conclude(&[], false, &[short()]), ReportFormat::Junit);
    assert!(unknown.contains("skipped=\"1\""), "{unknown}");
}

#[test]
fn what_has_no_answer_is_an_error_in_every_format_for_ci() {
    let body = || ReportBody::Failure("cannot judge x: a < b | c, 5 %".to_owned());
    let github = render(body(), ReportFormat::Github);
    assert_eq!(github, "::error title=no verdict::cannot judge x: a < b | c, 5 %25\n");
    let junit = render(body(), ReportFormat::Junit);
    let message = "<error type=\"verdict\" message=\"cannot judge x: a &lt; b | c, 5 %\"/>";
    assert!(junit.contains(message), "{junit}");
    let table = render(body(), ReportFormat::Markdown);
    assert!(table.ends_with("| verdict | **none** | cannot judge x: a &lt; b &#124; c, 5 % |\n"));
    assert_eq!(render(body(), ReportFormat::Text) + &render(body(), ReportFormat::Json), "");
}

#[test]
fn gates_that_could_not_be_evaluated_because_there_is_no_sum_are_an_error_too() {
    let mut runs = evil();
    runs.truncate(1);
    runs.push(runs[0].clone());
    let text = render(conclude(&["growing"], false, &runs), ReportFormat::Github);
    assert!(
        text.contains("::error title=no verdict::the sum of all targets is not known"),
        "{text}"
    );
}

#[test]
fn a_name_is_neither_markup_nor_the_end_of_a_cell_in_a_table() {
    let text = render(conclude(&[], false, &evil()), ReportFormat::Markdown);
    assert!(
        text.starts_with("### Memory\n\n| what | result | figures |\n|---|---|---|\n"),
        "{text}"
    );
    let rows: Vec<&str> = text.lines().skip(4).collect();
    for row in &rows {
        assert_eq!(row.matches('|').count(), 4, "{row}");
        for bad in ["<i>", "`", "](", "##[", "@me"] {
            assert!(!row.contains(bad), "{bad}: {row}");
        }
    }
    assert_eq!(rows.len(), 2, "{text}");
}

#[test]
fn xml_has_no_character_that_it_forbids_and_no_element_of_a_name() {
    let text = render(conclude(&["subject(a).rate>0"], false, &evil()), ReportFormat::Junit);
    assert!(text.chars().all(|c| c == '\n' || (' '..'\u{fffe}').contains(&c)), "{text}");
    assert!(!text.contains("<i>") && !text.contains("]]>"), "{text}");
    assert!(text.contains("a|b](x)`&lt;i&gt;&amp;&quot;&apos;"), "{text}");
}

#[test]
fn several_files_are_named_in_every_format() {
    let section = |file: &str, body| ReportSection { file: Some(file.to_owned()), body };
    let report = Report {
        sections: vec![
            section("a:b.jsonl", conclude(&["growing"], false, &[leak()])),
            section("c.jsonl", ReportBody::Failure("it is empty".to_owned())),
        ],
        explain: false,
        name_files: true,
    };
    let render = |format| report.render(format).unwrap();
    assert!(render(ReportFormat::Text).starts_with("a:b.jsonl: growing  rss"));
    assert!(render(ReportFormat::Json).contains("\"file\":\"a:b.jsonl\""));
    assert!(render(ReportFormat::Github).contains("title=a%3Ab.jsonl%3A gate growing failed::"));
    let junit = render(ReportFormat::Junit);
    assert!(
        junit.contains("<testsuites name=\"seepmeter\" tests=\"2\" failures=\"1\" errors=\"1\">")
    );
    assert!(junit.contains("<testsuite name=\"a:b.jsonl\" tests=\"1\" failures=\"1\""), "{junit}");
    assert!(render(ReportFormat::Markdown).contains("<br>a:b.jsonl | **growing** | rss"));
}
