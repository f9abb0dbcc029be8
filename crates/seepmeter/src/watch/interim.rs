//! The verdict while it forms: it may end the watch, and the status line shows it.
//!
//! All of this happens once a second on the main thread, which only asks: the router judges when it is awake, and
//! no sampler is woken.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;
use seepmeter_engine::{Live, PendingAnswer};
use seepmeter_process::proc::ProcRoot;
use seepmeter_record::{Restart, human};
use seepmeter_verdict::{
    Conclusion, CurrentTotal, INTERIM_GROWTH, MetricConclusion, SettledVerdict, VerdictLine,
};

use super::WatchedTarget;
use crate::flags::InterimFlags;
use crate::terminal::status_line::StatusLine;
use crate::terminal::{self, When};

/// How often what is known so far is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// How long a restart stands in the status line.
const NOTE: Duration = Duration::from_secs(5);

/// No judgement that is shown is older than this, however long the watch is.
const OLDEST: Duration = Duration::from_secs(60);

/// Between judgements, so many times as long as the last one took is left to the stream. An answer is taken once a
/// second, so that a quick judgement seems to take a second.
const MOST_OF_IT: u32 = 4;

/// The verdict while it forms.
#[derive(Debug)]
pub(crate) struct Interim {
    settled: Option<SettledVerdict>,
    status: Option<StatusLine>,
    begin: Instant,
    next: Instant,
    next_judgement: Instant,
    /// When the last judgement was asked for.
    asked: Instant,
    pending_judgement: Option<PendingAnswer<Conclusion>>,
    pending_total: Option<PendingAnswer<Option<CurrentTotal>>>,
    total: Option<CurrentTotal>,
    headline: Option<VerdictLine>,
    /// What the status line has instead of both, and until when, if not until further notice.
    note: Option<(String, Option<Instant>)>,
}

impl Interim {
    /// What the flags ask for; none if nobody wants to know the verdict before its end.
    pub(crate) fn new(
        flags: &InterimFlags,
        quiet: bool,
        targets: &[WatchedTarget],
    ) -> Option<Self> {
        let status = shows_status(flags.status, quiet, targets).then(StatusLine::new);
        let settled = flags.until_verdict.then(SettledVerdict::default);
        let now = Instant::now();
        (status.is_some() || settled.is_some()).then(|| Self {
            settled,
            status,
            begin: now,
            next: now + EVERY,
            next_judgement: now,
            asked: now,
            pending_judgement: None,
            pending_total: None,
            total: None,
            headline: None,
            note: None,
        })
    }

    /// The target has ended and may be started again.
    pub(super) fn wait_for_successor(&mut self, called: &str) {
        self.note = Some((format!("{called} has ended; waiting for its restart"), None));
    }

    /// An epoch has begun. What was known of the one before says nothing about it.
    pub(super) fn restarted(&mut self, restart: &Restart) {
        self.settled.iter_mut().for_each(|settled| *settled = SettledVerdict::default());
        (self.pending_judgement, self.pending_total) = (None, None);
        (self.total, self.headline) = (None, None);
        self.next_judgement = Instant::now();
        let until = Instant::now() + NOTE;
        self.note = Some((format!("restarted: {restart}"), Some(until)));
    }

    /// When [`Interim::serve`] is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Takes in what was answered, shows it and asks anew; true if the verdict is sure, and so the watch ends.
    pub(super) fn serve(&mut self, live: &Live) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = now + EVERY;
        let sure = self.take_judgement(now);
        if let Some(status) = &self.status {
            if let Some(total) = self.pending_total.take().and_then(|pending| pending.take()) {
                self.total = total;
            }
            status.show(self.line(now));
            self.pending_total = Some(live.request_current());
        }
        if self.pending_judgement.is_none() && now >= self.next_judgement {
            let wait = (now - self.begin).mul_f64(INTERIM_GROWTH - 1.0);
            self.next_judgement = now + wait.clamp(EVERY, OLDEST);
            self.asked = now;
            self.pending_judgement = Some(live.request_conclusion());
        }
        sure
    }

    /// Clears the status line, since seepmeter is about to be stopped.
    pub(super) fn clear(&self) {
        self.status.iter().for_each(StatusLine::clear);
    }

    fn take_judgement(&mut self, now: Instant) -> bool {
        let conclusion = self.pending_judgement.as_ref().and_then(PendingAnswer::take);
        let Some(conclusion) = conclusion else { return false };
        self.pending_judgement = None;
        // The router, which the samplers wait for, must have most of its time for them.
        self.next_judgement = self.next_judgement.max(now + MOST_OF_IT * (now - self.asked));
        let Ok(verdict) = conclusion.main() else { return false };
        self.headline = verdict.verdict_lines(Default::default()).into_iter().next();
        // That an earlier epoch had an answer is no reason to end this one.
        let Some(Ok(current)) = conclusion.metrics.first().map(MetricConclusion::current) else {
            return false;
        };
        self.settled.as_mut().is_some_and(|settled| settled.observe(&current.judgement))
    }

    /// `1 m 20 s  rss 10.2 MiB  inconclusive  rss: not enough data yet; …`, in one line of the terminal.
    fn line(&self, now: Instant) -> String {
        let seconds = Duration::from_secs((now - self.begin).as_secs());
        let elapsed = human::duration(seconds.as_nanos() as u64);
        let total = self.total.as_ref().map(|total| {
            format!("  {} {}", total.metric, human::amount(total.value as f64, total.unit))
        });
        let headline = self.headline.as_ref().map(|line| format!("  {}", line.text));
        let note = self.note.as_ref().filter(|(_, until)| until.is_none_or(|until| now < until));
        let line = match note {
            Some((note, _)) => format!("{elapsed}  {note}"),
            None => {
                format!("{elapsed}{}{}", total.unwrap_or_default(), headline.unwrap_or_default())
            }
        };
        let stderr = io::stderr();
        // A terminal that does not say how wide it is has 80 columns.
        let line = terminal::cut(&line, terminal::width(&stderr).unwrap_or(80) - 1);
        let verdict = self.headline.as_ref().and_then(|line| line.verdict);
        match terminal::has_colour(&stderr) {
            true => terminal::with_painted_verdict(&line, verdict).into_owned(),
            false => line,
        }
    }
}

/// Whether there is to be a status line.
fn shows_status(when: When, quiet: bool, targets: &[WatchedTarget]) -> bool {
    let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
    is_terminal
        && match when {
            When::Always => true,
            When::Auto => !quiet && !is_dumb() && !targets.iter().any(writes_to_our_terminal),
            When::Never => false,
        }
}

/// Whether the terminal can't clear a line.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

/// Whether the terminal of standard error is also where a target writes to: each would spoil the other's lines.
/// Of another user's target that is not known; such a one has seldom our terminal.
fn writes_to_our_terminal(target: &WatchedTarget) -> bool {
    let Ok(ours) = fstat(io::stderr()) else { return true };
    let folder = ProcRoot::default().process(target.process.pid());
    let is_ours = |fd: &str| {
        let theirs = std::fs::metadata(folder.file(fd));
        theirs.is_ok_and(|theirs| theirs.rdev() == ours.st_rdev)
    };
    is_ours("fd/1") || is_ours("fd/2")
}
