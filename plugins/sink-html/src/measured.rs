//! How a run was measured, in words.

use std::fmt::Write;

use seepmeter_chart::Chart;
use seepmeter_record::{End, TargetOrigin, human};

use crate::content::ReportContent;
use crate::escape;
use crate::run_facts::RunFacts;

/// No more words of a command are shown.
const MOST_WORDS: usize = 64;

/// A line: what it is about, and what there is to say.
pub(crate) type Fact = (&'static str, String);

/// The facts, in the order in which they are shown.
pub(crate) fn facts(content: &ReportContent<'_>, chart: &Chart) -> Vec<Fact> {
    let facts = content.facts;
    let mut all = Vec::new();
    targets(facts, &mut all);
    machine(facts, &mut all);
    sampling(facts, chart, &mut all);
    not_seen(facts, chart, &mut all);
    all.push(("In this page", bins(chart)));
    own_cost(facts, &mut all);
    all
}

fn targets(facts: &RunFacts, all: &mut Vec<Fact>) {
    for target in facts.header.iter().flat_map(|header| &header.targets) {
        match &target.origin {
            TargetOrigin::Command(words) => {
                let shown = words.iter().take(MOST_WORDS).map(|word| quoted(&word.to_string()));
                let mut line = shown.collect::<Vec<_>>().join(" ");
                if words.len() > MOST_WORDS {
                    let _ = write!(line, " … ({} words)", words.len());
                }
                all.push(("Command", line));
            }
            TargetOrigin::Pid(pid) => all.push(("Attached to", format!("process {pid}"))),
            TargetOrigin::Cgroup(path) => all.push(("Attached to", format!("cgroup {path}"))),
        }
        let end = facts.footer.as_ref().and_then(|footer| footer.end_of(target.subject));
        if let Some(subject) = facts.targets.get(&target.subject) {
            let end = end.map_or("the recording has no end".to_owned(), end_in_words);
            all.push(("Target", format!("{}, {end}", escape::name(&subject.called()))));
        }
    }
}

/// A word of a command as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%{}".contains(c);
    let word = escape::name(word);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn end_in_words(end: End) -> String {
    match end {
        End::Exited(status) => format!("exited with status {status}"),
        End::Killed(signal) => format!("killed by signal {signal}"),
        End::Gone => "ended".to_owned(),
        End::Left => "still running".to_owned(),
        End::NotStarted(errno) => format!("not started (errno {errno})"),
    }
}

fn machine(facts: &RunFacts, all: &mut Vec<Fact>) {
    let Some(header) = &facts.header else { return };
    all.push(("Started", header.start.clone()));
    let host = escape::name(&header.host.to_string());
    let kernel = escape::name(&header.kernel.to_string());
    let page = human::bytes(i64::try_from(header.page_size).unwrap_or(i64::MAX));
    all.push(("Machine", format!("{host}, Linux {kernel}, pages of {page}")));
}

fn sampling(facts: &RunFacts, chart: &Chart, all: &mut Vec<Fact>) {
    for (place, sampler) in facts.header.iter().flat_map(|header| &header.samplers).enumerate() {
        let every = human::duration(sampler.interval);
        let mut line = match sampler.first_interval {
            Some(first) => {
                format!("{}, every {} at first, then {every}", sampler.name, human::duration(first))
            }
            None => format!("{}, every {every}", sampler.name),
        };
        let options: Vec<String> =
            sampler.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if !options.is_empty() {
            let _ = write!(line, " ({})", options.join(", "));
        }
        let slowed = facts.backed_off.iter().find(|(id, _)| usize::from(id.0) == place);
        if let Some((_, interval)) = slowed {
            let interval = human::duration(*interval);
            let _ = write!(line, "; slowed to every {interval} by its budget");
        }
        all.push(("Sampler", line));
    }
    let watched = match &facts.footer {
        Some(footer) => format!(
            "{}: {}, {} late, {} missed",
            human::duration(footer.t),
            human::count(footer.samples, "sample"),
            footer.late,
            footer.missed
        ),
        None => {
            let span = chart.curve.end.saturating_sub(chart.curve.start);
            format!("{}: {}", human::duration(span), human::count(chart.samples, "sample"))
        }
    };
    all.push(("Watched", watched));
}

/// What was dropped, left out, or never seen.
fn not_seen(facts: &RunFacts, chart: &Chart, all: &mut Vec<Fact>) {
    let gaps = chart.curve.gaps();
    if !gaps.is_empty() {
        let length = gaps.iter().map(|gap| gap.to.saturating_sub(gap.from)).sum();
        let count = human::count(gaps.len() as u64, "gap");
        all.push(("Not sampled", format!("{count}, {} together", human::duration(length))));
    }
    for (finding, times) in &facts.findings {
        let again = if *times > 1 { format!(" ({times} times)") } else { String::new() };
        all.push(("Not seen", format!("{}{again}", escape::name(finding))));
    }
    if facts.more_findings > 0 {
        all.push(("Not seen", format!("{} more", facts.more_findings)));
    }
    for dropped in facts.footer.iter().flat_map(|footer| &footer.dropped) {
        let samples = human::count(dropped.samples, "sample");
        let sink = escape::name(&dropped.sink);
        all.push(("Dropped", format!("{samples} by sink {sink}, which was too slow")));
    }
}

/// How the curve was reduced to what is in the page.
fn bins(chart: &Chart) -> String {
    let samples = human::count(chart.samples, "sample");
    let bins = chart.curve.bins.len();
    let mut line = match chart.samples > bins as u64 {
        true => format!(
            "{samples} in {bins} bins, each from its lowest to its highest value, so that no peak and no floor is lost"
        ),
        false => format!("all {samples}"),
    };
    for note in &chart.notes {
        let _ = write!(line, "; {note}");
    }
    line
}

fn own_cost(facts: &RunFacts, all: &mut Vec<Fact>) {
    let version = facts.header.as_ref().map(|header| format!("version {}", header.seepmeter));
    let cost = facts.footer.as_ref().map(|footer| footer.cost);
    let cpu = cost.and_then(|cost| cost.cpu);
    let cpu = cpu.map(|cpu| format!("{} of CPU time", human::duration(cpu)));
    let peak = cost.and_then(|cost| i64::try_from(cost.peak_rss?).ok());
    let peak = peak.map(|peak| format!("{} peak rss", human::bytes(peak)));
    let known: Vec<String> = version.into_iter().chain(cpu).chain(peak).collect();
    if !known.is_empty() {
        all.push(("Seepmeter itself", known.join(", ")));
    }
}
