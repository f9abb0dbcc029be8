//! Reports to be shared: paths, arguments and the host become tokens.

use std::collections::HashMap;

use seepmeter_record::{
    Bytes, EventKind, Frame, Header, Image, Record, Subject, SubjectKind, TargetOrigin,
};

use seepmeter_verdict::{Conclusion, MetricOutcome, Part, RunSeries, Scope, Verdict};

use crate::compared::ComparedRuns;

/// Replaces paths, arguments, marks and the host by tokens such as `path-3`: the same text by the same token
/// within one report. Names of programs, of threads and of functions, pids and figures stay.
#[derive(Debug, Default)]
pub struct Redactor {
    tokens: HashMap<(&'static str, String), String>,
    counts: HashMap<&'static str, usize>,
}

impl Redactor {
    /// A record as [`RunFacts`](crate::RunFacts) may observe it.
    #[must_use]
    pub fn record(&mut self, record: &Record) -> Record {
        match record {
            Record::Header(header) => Record::Header(self.header(header).into()),
            Record::Subject(subject) => {
                let name = subject.name.to_string();
                let name = match subject.kind {
                    SubjectKind::Process => self.process(&name),
                    _ => self.text(&name),
                };
                Record::Subject(Subject { name: name.into(), ..Subject::clone(subject) }.into())
            }
            Record::Event(event) => {
                let mut event = event.clone();
                self.event(&mut event.kind);
                Record::Event(event)
            }
            Record::Image(image) => {
                let path = self.text(&image.path.to_string()).into();
                Record::Image(Image { path, ..Image::clone(image) }.into())
            }
            Record::Frame(frame) => Record::Frame(self.frame(frame).into()),
            Record::Footer(footer) => {
                let mut footer = footer.clone();
                // As the user named it: `csv,path=/home/…`.
                footer.dropped.iter_mut().for_each(|it| it.sink = self.option(&it.sink));
                Record::Footer(footer)
            }
            other => other.clone(),
        }
    }

    /// The names in all verdicts.
    pub fn conclusion(&mut self, conclusion: &mut Conclusion) {
        for metric in &mut conclusion.metrics {
            metric.epochs.iter_mut().for_each(|verdict| self.verdict(verdict));
            if let MetricOutcome::Verdicts(verdicts) = &mut metric.outcome {
                verdicts.iter_mut().for_each(|verdict| self.verdict(verdict));
            }
        }
        for gate in &mut conclusion.gates {
            gate.gate = self.words(&gate.gate);
            gate.why = self.words(&gate.why);
        }
    }

    /// The names in the series that they were made from.
    pub fn series(&mut self, series: &mut [RunSeries]) {
        for run in series {
            run.target = self.target(run.scope, &run.target);
            run.parts.iter_mut().for_each(|known| self.part(&mut known.part));
        }
    }

    /// The names in a comparison.
    pub fn compared(&mut self, compared: &mut ComparedRuns) {
        compared.others.iter_mut().for_each(|run| run.name = self.text(&run.name));
        for (name, _) in &mut compared.comparison.subjects {
            *name = self.text(name);
        }
    }

    fn header(&mut self, header: &Header) -> Header {
        let mut header = header.clone();
        header.host = self.token("host", &header.host.to_string()).into();
        for target in &mut header.targets {
            match &mut target.origin {
                TargetOrigin::Command(words) => self.command(words),
                TargetOrigin::Cgroup(path) => *path = self.text(&path.to_string()).into(),
                TargetOrigin::Pid(_) => {}
            }
        }
        for (_, value) in header.samplers.iter_mut().flat_map(|sampler| &mut sampler.options) {
            *value = self.text(value);
        }
        header
    }

    /// The name that a JIT compiler gives its code may have the path of a script.
    fn frame(&mut self, frame: &Frame) -> Frame {
        let mut frame = frame.clone();
        let inlined = frame.inlined.iter_mut();
        let functions = inlined.map(|call| &mut call.function).chain(&mut frame.function);
        functions.for_each(|name| *name = self.function(&name.to_string()).into());
        (frame.file, frame.line) = (None, None);
        frame.inlined.iter_mut().for_each(|call| (call.file, call.line) = (None, None));
        frame
    }

    /// `operator/` of C++ is no path.
    fn function(&mut self, name: &str) -> String {
        if name.contains("operator/") { name.to_owned() } else { self.text(name) }
    }

    fn command(&mut self, words: &mut [Bytes]) {
        for (place, word) in words.iter_mut().enumerate() {
            let text = word.to_string();
            let shown = if place == 0 { self.text(&text) } else { self.token("argument", &text) };
            *word = shown.into();
        }
    }

    fn event(&mut self, kind: &mut EventKind) {
        match kind {
            EventKind::Exec { name: Some(name) } => *name = self.process(&name.to_string()).into(),
            EventKind::Marker { text, .. } => *text = self.token("mark", &text.to_string()).into(),
            EventKind::SamplerFailed { reason: text }
            | EventKind::SinkFailed { reason: text }
            | EventKind::Skipped { reason: text, .. }
            | EventKind::MarksDropped { reason: text, .. }
            | EventKind::NotFollowed { reason: text, .. }
            | EventKind::Incomplete { text, .. }
            | EventKind::Discovery { text, .. }
            | EventKind::Fallback { text } => *text = self.words(&text.to_string()).into(),
            _ => {}
        }
    }

    fn verdict(&mut self, verdict: &mut Verdict) {
        verdict.target = self.target(verdict.scope, &verdict.target);
        if let Some(epoch) = &mut verdict.epoch {
            epoch.target = self.process(&epoch.target);
        }
        if let Some(masked) = &mut verdict.masked {
            self.part(&mut masked.part);
        }
        for share in verdict.shares.iter_mut().flatten() {
            self.part(&mut share.part);
            share.mostly = share.mostly.as_deref().map(|name| self.text(name));
        }
        verdict.stale.iter_mut().for_each(|stale| self.part(&mut stale.part));
    }

    /// What a verdict is on.
    fn target(&mut self, scope: Scope, name: &str) -> String {
        match scope {
            Scope::AllTargets => name.to_owned(),
            Scope::Target | Scope::Descendant | Scope::Role => self.process(name),
            Scope::Cgroup | Scope::Series => self.text(name),
        }
    }

    fn part(&mut self, part: &mut Part) {
        for name in [&mut part.name, &mut part.family] {
            *name = match part.kind {
                SubjectKind::Process => self.process(name),
                _ => self.text(name),
            };
        }
    }

    /// The name of a process: its program stays, and what it is told apart by.
    fn process(&mut self, name: &str) -> String {
        // `python3 worker.py (pid 11)`, `python3 worker.py (2 processes)`.
        let (own, end) = match name.rsplit_once(" (") {
            Some((own, end)) if is_count(end) => (own, format!(" ({end}")),
            _ => (name, String::new()),
        };
        let mut words = own.split(' ');
        let program = self.text(words.next().unwrap_or_default());
        let rest = words.map(|word| match word {
            "(child)" => " (child)".to_owned(),
            word => format!(" {}", self.token("argument", word)),
        });
        let rest: String = rest.collect();
        format!("{program}{rest}{end}")
    }

    /// A name that may have a path, which goes on up to the permissions of a mapping or to the end.
    fn text(&mut self, name: &str) -> String {
        let Some(begin) = begin_of_path(name) else { return name.to_owned() };
        let (before, path) = name.split_at(begin);
        match path.rsplit_once(' ') {
            Some((path, end)) if is_permissions(end) => {
                format!("{before}{} {end}", self.token("path", path))
            }
            _ => format!("{before}{}", self.token("path", path)),
        }
    }

    /// A sentence, each word of which may have a path.
    fn words(&mut self, sentence: &str) -> String {
        let word = |word: &str| {
            let Some(begin) = begin_of_path(word) else { return word.to_owned() };
            let (before, path) = word.split_at(begin);
            // `subject(/usr/bin/tool).rss>1MiB`
            let end = path.find([')', '`', '"']).unwrap_or(path.len());
            let (path, after) = path.split_at(end);
            format!("{before}{}{after}", self.token("path", path))
        };
        let words: Vec<String> = sentence.split(' ').map(word).collect();
        words.join(" ")
    }

    /// A sink as it was named: its options are arguments.
    fn option(&mut self, named: &str) -> String {
        match named.split_once(',') {
            Some((name, options)) => {
                format!("{},{}", self.text(name), self.token("argument", options))
            }
            None => self.text(named),
        }
    }

    fn token(&mut self, kind: &'static str, text: &str) -> String {
        let key = (kind, text.to_owned());
        if let Some(token) = self.tokens.get(&key) {
            return token.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let token = format!("{kind}-{count}");
        self.tokens.insert(key, token.clone());
        token
    }
}

/// Where a path begins: at the begin of the first word that has a slash and is no rate, or in it behind what can't be
/// of a path.
fn begin_of_path(text: &str) -> Option<usize> {
    let mut start = 0;
    for word in text.split_inclusive(' ') {
        if let Some(slash) = word.find('/').filter(|slash| !is_rate(word, *slash)) {
            let own = word[..slash].rfind(['=', '(', '`', '"']).map_or(0, |at| at + 1);
            return Some(start + own);
        }
        start += word.len();
    }
    None
}

/// `MiB/s`, `rate>1.5MiB/min`: a number or a unit of bytes for a time, as they are written for people.
fn is_rate(word: &str, slash: usize) -> bool {
    let time = word[slash + 1..].trim_end_matches([' ', ',', ';', '.', ')']);
    let amount = word[..slash].trim_end_matches(['B', 'i', 'K', 'M', 'G', 'T', 'k']);
    let is_number = || amount.ends_with(|c: char| c.is_ascii_digit());
    let before = amount.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_whole = before.is_empty() || before.ends_with(['+', '-', '–', '>', '<', '=']);
    ["s", "min", "h", "d"].contains(&time) && is_whole && (amount.is_empty() || is_number())
}

/// `pid 11)`, `3 processes)`.
fn is_count(text: &str) -> bool {
    let Some(text) = text.strip_suffix(')') else { return false };
    let number = text.strip_prefix("pid ").or_else(|| text.strip_suffix(" processes"));
    let number = number.or_else(|| text.strip_suffix(" process"));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `r-xp`, as in /proc/PID/maps (proc_pid_maps(5)).
fn is_permissions(text: &str) -> bool {
    let may = ["r-", "w-", "x-", "ps"];
    text.len() == may.len() && text.chars().zip(may).all(|(c, may)| may.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_arguments_become_tokens_and_what_tells_parts_apart_stays() {
        let mut redactor = Redactor::default();
        for (name, shown) in [
            ("/home/alice/my app/lib.so r-xp", "path-1 r-xp"),
            ("/home/alice/my app/lib.so rw-p", "path-1 rw-p"),
            ("/memfd:alice (deleted) rw-s", "path-2 rw-s"),
            ("files /var/log/alice.log", "files path-3"),
            ("libs/alice.so r--p", "path-4 r--p"),
            ("path=out/alice.jsonl", "path=path-5"),
            ("[heap]", "[heap]"),
            ("stack of thread 12 (worker)", "stack of thread 12 (worker)"),
            ("anonymous mappings of 64 KiB–1 MiB", "anonymous mappings of 64 KiB–1 MiB"),
        ] {
            assert_eq!(redactor.text(name), shown);
        }
        for (name, shown) in [
            ("python3 alice.py (pid 11)", "python3 argument-1 (pid 11)"),
            ("python3 alice.py (2 processes)", "python3 argument-1 (2 processes)"),
            ("python3 alice.py (child)", "python3 argument-1 (child)"),
            ("/home/alice/tool --key secret", "path-6 argument-2 argument-3"),
            ("node", "node"),
        ] {
            assert_eq!(redactor.process(name), shown);
        }
        let (script, shown) = ("handle /home/alice/app.js:10", "handle path-7");
        for (name, shown) in [
            (script, shown),
            ("f<a::b>(int)", "f<a::b>(int)"),
            ("x::operator/(y)", "x::operator/(y)"),
        ] {
            assert_eq!(redactor.function(name), shown);
        }
        for (sentence, shown) in [
            ("cannot read /proc/7/maps: denied", "cannot read path-8 denied"),
            ("subject(/bin/alice).rate>1MiB/s", "subject(path-9).rate>1MiB/s"),
            ("+1.42 MiB/min, -3/s and 2kB/h.", "+1.42 MiB/min, -3/s and 2kB/h."),
            ("alice/s is in v1/s", "path-10 is in path-11"),
        ] {
            assert_eq!(redactor.words(sentence), shown);
        }
    }
}
