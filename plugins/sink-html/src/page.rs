//! The file: the template, filled.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seepmeter_chart::{Bin, Chart, ChartMark, Ink, NoChart, Theme};
use seepmeter_record::human;
use seepmeter_verdict::{GateOutcome, GateResult, MetricConclusion, explanation};
use sha2::{Digest, Sha256};

use crate::content::ReportContent;
use crate::{escape, measured};

const TEMPLATE: &str = include_str!("../page/page.html");
const SECTIONS: &str = include_str!("../page/sections.html");
const COMPARED: &str = include_str!("../page/compared.html");
const STYLE: &str =
    concat!(include_str!("../vendor/uplot/uPlot.min.css"), "\n", include_str!("../page/page.css"));

/// Each report is a copy of uPlot, with its licence.
const LICENCE: &str = include_str!("../vendor/uplot/LICENSE");

/// In the order in which they run.
const SCRIPTS: [&str; 9] = [
    include_str!("../vendor/uplot/uPlot.iife.min.js"),
    include_str!("../page/figures.js"),
    include_str!("../page/curve.js"),
    include_str!("../page/growth.js"),
    include_str!("../page/compared.js"),
    include_str!("../page/stacks.js"),
    include_str!("../page/flame.js"),
    include_str!("../page/files.js"),
    include_str!("../page/main.js"),
];

/// Rows of the table behind the curve, and of that of marks.
const MOST_CURVE_ROWS: usize = 40;
const MOST_MARK_ROWS: usize = 200;

impl ReportContent<'_> {
    /// The report, as an HTML file that loads nothing.
    ///
    /// # Errors
    /// There is nothing to draw; [`page_without_chart`] is for that.
    pub fn page(&self) -> Result<String, NoChart> {
        let chart = self.chart()?;
        let (document, left_out) = self.document();
        let title = format!("{}: {}", chart.classification, chart.headline);
        let body = filled(SECTIONS, |name| match name {
            "classification" => chart.classification.as_str().to_owned(),
            "headline" => escape::html(&chart.headline),
            "details" => self.details(&chart),
            "next" => self.next_step(),
            "gates" => self.gates(),
            "description" => escape::html(&described(&chart)),
            "compared" => self.compared_section(),
            "curve-table" => curve_table(&chart),
            "marks" => marks_table(&chart),
            "measured" => pairs(&measured::facts(self, &chart)),
            "explanation" => self.explanation(),
            "verdicts" => self.all_verdicts(),
            "left-out" if left_out > 0 => {
                format!(" The {left_out} smallest shares of parts are left out.")
            }
            _ => String::new(),
        });
        let data = format!(
            "<script type=\"application/json\" id=\"data\">{}</script>\n<script type=\"application/json\" id=\"verdict-json\">{}</script>\n",
            escape::json(&self.data(&chart)),
            escape::json_text(&document)
        );
        Ok(file(&title, &body, &data))
    }

    /// The verdict's other lines, without the next step.
    fn details(&self, chart: &Chart) -> String {
        let lines = chart.details.iter().filter(|line| !line.starts_with("next: "));
        lines.map(|line| format!("<p>{}</p>\n", escape::html(line))).collect()
    }

    fn next_step(&self) -> String {
        let Some(verdict) = self.verdict() else { return String::new() };
        let step = verdict.next_step.map(|step| step.in_words());
        let step =
            step.map(|step| format!("<p class=\"next\"><b>Next:</b> {}</p>\n", escape::html(step)));
        step.unwrap_or_default()
    }

    fn gates(&self) -> String {
        let strict = self.conclusion.strict;
        let line = |gate: &GateOutcome| {
            let result = match gate.result(strict) {
                GateResult::Passed => "passed",
                GateResult::Failed => "failed",
                _ => "not decided",
            };
            let (gate, why) = (escape::html(&gate.gate), escape::html(&gate.why));
            format!("<li><b>gate {gate}: {result}</b> {why}</li>\n")
        };
        let lines: String = self.conclusion.gates.iter().map(line).collect();
        if lines.is_empty() { lines } else { format!("<ul class=\"gates\">\n{lines}</ul>\n") }
    }

    /// What differs from the base, in words; the scripts draw it below.
    fn compared_section(&self) -> String {
        let Some(compared) = self.compared else { return String::new() };
        filled(COMPARED, |name| match name {
            "lines" => escape_lines(&compared.lines()),
            _ => String::new(),
        })
    }

    /// What each stage of the judging found.
    fn explanation(&self) -> String {
        let Some(verdict) = self.verdict() else { return String::new() };
        let lines = explanation(&verdict.judgement, verdict.unit);
        lines.iter().map(|line| format!("<li>{}</li>\n", escape::html(line))).collect()
    }

    /// The lines of all verdicts, if there are several.
    fn all_verdicts(&self) -> String {
        let lines = |metric: &MetricConclusion| match metric.lines(false) {
            Ok(lines) => lines,
            Err(why) => vec![format!("no verdict on {}: {why}", metric.metric)],
        };
        let metrics = &self.conclusion.metrics;
        let is_alone = metrics.len() == 1 && self.shown().is_some_and(is_single);
        if is_alone {
            return String::new();
        }
        let all: Vec<String> = metrics.iter().flat_map(lines).collect();
        format!(
            "<details class=\"verdicts\"><summary>All verdicts</summary>\n<pre>{}</pre></details>\n",
            escape_lines(&all)
        )
    }
}

fn is_single(metric: &MetricConclusion) -> bool {
    metric.epochs.is_empty() && metric.verdicts().is_ok_and(|all| all.len() == 1)
}

fn escape_lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{}\n", escape::html(line))).collect()
}

/// The report on a run of which there is no chart.
#[must_use]
pub fn page_without_chart(why: &str) -> String {
    let body = format!("<main><p class=\"sentence\">{}</p></main>\n", escape::html(why));
    file(why, &body, "")
}

/// The file around a body and its data.
fn file(title: &str, body: &str, data: &str) -> String {
    let style = format!("{}{STYLE}", colours());
    let scripts: String = match data.is_empty() {
        true => String::new(),
        false => SCRIPTS.iter().map(|script| format!("<script>{script}</script>\n")).collect(),
    };
    let hashes: Vec<String> = SCRIPTS.iter().map(|script| hash(script)).collect();
    filled(TEMPLATE, |name| match name {
        "policy" => format!(
            "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
            if data.is_empty() { "'none'".to_owned() } else { hashes.join(" ") },
            hash(&style)
        ),
        "title" => escape::html(title),
        "style" => style.clone(),
        "body" => body.to_owned(),
        "data" => data.to_owned(),
        "licence" if !data.is_empty() => format!("<!-- uPlot:\n{LICENCE}-->\n"),
        "scripts" => scripts.clone(),
        _ => String::new(),
    })
}

/// A source of a content security policy (<https://www.w3.org/TR/CSP3/#grammardef-hash-source>).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// A template with each `{{name}}` replaced, once: what is put in is not looked at again.
fn filled(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&value(name));
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// The colours of the charts, as variables of both themes; paper is light.
fn colours() -> String {
    let variables = |theme: Theme| -> String {
        let variable = |ink: Ink| format!("--{}:#{:06x};", ink.class(), ink.colour(theme));
        Ink::all().map(variable).collect()
    };
    let (light, dark) = (variables(Theme::Light), variables(Theme::Dark));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )
}

/// The chart in a sentence or two, for who does not see it.
fn described(chart: &Chart) -> String {
    let amount = |value: f64| human::amount(value, chart.unit);
    let Some((lowest, highest)) = chart.curve.range() else {
        return "Nothing was sampled.".to_owned();
    };
    let name = escape::name(&chart.name);
    let mut text = format!(
        "The curve of {name} over {}, from {} to {}.",
        human::duration(chart.curve.end.saturating_sub(chart.curve.start)),
        amount(lowest),
        amount(highest)
    );
    if let Some(fit) = chart.fit {
        let rate = human::rate(fit.rate.estimate, chart.unit);
        let floors = chart.floors.iter().filter(|floor| floor.is_judged).count();
        text.push_str(&format!(" The line through its {floors} judged floors changes by {rate}."));
    }
    if let Some(limit) = &chart.limit {
        text.push_str(&format!(" The {}.", limit.label));
    }
    text.push_str(" The table below the chart has its values.");
    text
}

fn pairs(facts: &[(&str, String)]) -> String {
    let pair = |(term, text): &(&str, String)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape::html(term), escape::html(text))
    };
    facts.iter().map(pair).collect()
}

/// The curve in few bins, as rows.
fn curve_table(chart: &Chart) -> String {
    let curve = chart.curve.in_bins(MOST_CURVE_ROWS);
    let row = |(place, bin): (usize, &Option<Bin>)| {
        let time = human::duration(curve.begin(place));
        let cells = match bin {
            Some(bin) => [bin.min, bin.mean, bin.max].map(|value| human::amount(value, chart.unit)),
            None => ["not sampled", "", ""].map(str::to_owned),
        };
        let fit = chart.fit_at(curve.middle(place)).filter(|_| bin.is_some());
        let fit = fit.map_or(String::new(), |fit| human::amount(fit.estimate, chart.unit));
        format!(
            "<tr><th scope=\"row\">{time}</th><td>{}</td><td>{fit}</td></tr>\n",
            cells.join("</td><td>")
        )
    };
    curve.bins.iter().enumerate().map(row).collect()
}

fn marks_table(chart: &Chart) -> String {
    if chart.marks.is_empty() {
        return String::new();
    }
    let row = |mark: &ChartMark| {
        let (time, label) = (human::duration(mark.t), escape::html(&escape::name(&mark.label)));
        format!("<tr><th scope=\"row\">{time}</th><td>{label}</td></tr>\n")
    };
    let rows: String = chart.marks.iter().take(MOST_MARK_ROWS).map(row).collect();
    let more = chart.marks.len().saturating_sub(MOST_MARK_ROWS);
    let more =
        if more > 0 { format!("<p>{more} more are in the chart.</p>\n") } else { String::new() };
    format!(
        "<details><summary>Marks and events</summary>\n<table class=\"plain\"><thead><tr><th scope=\"col\">at</th><th scope=\"col\">what</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n{more}</details>\n"
    )
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::Classification;

    use super::*;

    #[test]
    fn what_is_put_into_a_template_is_not_filled_again() {
        let value = |name: &str| if name == "a" { "{{b}}".to_owned() } else { "bad".to_owned() };
        assert_eq!(filled("x {{a}} y {{ z", value), "x {{b}} y {{ z");
    }

    #[test]
    fn the_vendored_files_are_those_of_the_package() {
        let hash = |file: &[u8]| {
            Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let files: [(&[u8], &str); 3] = [
            (
                include_bytes!("../vendor/uplot/uPlot.iife.min.js"),
                "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
            ),
            (
                include_bytes!("../vendor/uplot/uPlot.min.css"),
                "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
            ),
            (
                include_bytes!("../vendor/uplot/LICENSE"),
                "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
            ),
        ];
        for (file, expected) in files {
            assert_eq!(hash(file), expected);
        }
    }

    #[test]
    fn no_script_of_the_page_can_end_its_element() {
        for script in SCRIPTS {
            let lower = script.to_lowercase();
            assert!(!lower.contains("</script") && !lower.contains("<!--"));
        }
        assert!(!STYLE.to_lowercase().contains("</style"));
    }

    #[test]
    fn each_classification_has_a_colour_of_its_own_in_the_style() {
        for classification in Classification::ALL {
            let variable = format!("var(--{classification})");
            assert!(STYLE.contains(&variable), "{variable}");
        }
    }
}
