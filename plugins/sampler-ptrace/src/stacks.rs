//! The subjects of stacks: each named once, when it is first seen.

use std::collections::HashMap;
use std::rc::Rc;

use seepmeter_plugin::record::{Attr, Event, EventKind, SubjectId, subject_kind};
use seepmeter_plugin::{NewSubject, Stream};
use seepmeter_symbols::{AddressSpace, End, Frame, Images, Name, StackId, Stacks};

/// How many frames are kept of stacks that were seen, so that one is known again before it is named.
const FRAMES_KEPT: usize = 250_000;

/// How many subjects there are at most. All further stacks are one: whoever stands in so many places
/// stands in none of them often.
const MOST_SUBJECTS: usize = 20_000;

/// A name has at most so many frames: the outermost and the innermost of a deep recursion.
const OUTERMOST: usize = 32;
const INNERMOST: usize = 96;

/// The stacks that were told.
pub(crate) struct StackBook {
    process: SubjectId,
    stacks: Stacks,
    by_stack: HashMap<StackId, SubjectId>,
    /// Stacks that read alike are one subject: they differ in where within their functions they stood.
    by_name: HashMap<Box<str>, SubjectId>,
    others: Option<SubjectId>,
}

/// A stack in words.
struct Words {
    /// From the outermost frame to the innermost, with semicolons between them.
    name: String,
    /// A line a frame, the innermost first: the function, the file that it is in, its source line.
    frames: String,
}

impl StackBook {
    pub(crate) fn new(process: SubjectId) -> Self {
        Self {
            process,
            stacks: Stacks::new(FRAMES_KEPT),
            by_stack: HashMap::new(),
            by_name: HashMap::new(),
            others: None,
        }
    }

    /// The subject of a stack, which is defined and named where it is new.
    pub(crate) fn subject(
        &mut self,
        frames: &[Frame],
        end: End,
        known: Option<(&AddressSpace, &mut Images)>,
        stream: &mut dyn Stream,
    ) -> SubjectId {
        // How it ended is a part of what it is; the same frames may be cut once, and whole once.
        let stack = self.stacks.intern(frames).map(|stack| stack.id).filter(|_| end.is_whole());
        if let Some(subject) = stack.and_then(|id| self.by_stack.get(&id)) {
            return *subject;
        }
        let words = match known {
            Some((space, images)) => Words::of(frames, end, |frame| space.name(frame, images)),
            None => Words::unknown(),
        };
        let subject = self.named(words, stream);
        if let Some(id) = stack {
            self.by_stack.insert(id, subject);
        }
        subject
    }

    fn named(&mut self, words: Words, stream: &mut dyn Stream) -> SubjectId {
        if let Some(subject) = self.by_name.get(words.name.as_str()) {
            return *subject;
        }
        let parent = self.process;
        let mut define = |name: &str, attrs| {
            let (kind, name) = (subject_kind::STACK.into(), name.into());
            stream.subject(NewSubject { parent: Some(parent), kind, name, attrs })
        };
        if self.by_name.len() < MOST_SUBJECTS {
            let attrs = vec![("frames".to_owned(), Attr::Text(words.frames.into()))];
            let subject = define(&words.name, attrs);
            self.by_name.insert(words.name.into(), subject);
            return subject;
        }
        match self.others {
            Some(subject) => subject,
            None => {
                let subject = define("[others]", Vec::new());
                self.others = Some(subject);
                let text = format!(
                    "more than {MOST_SUBJECTS} different stacks were seen; new ones are told as [others] from here on"
                );
                let kind = EventKind::Other("stacks-full".into());
                stream.event(Event::new(stream.now(), kind).text(text));
                subject
            }
        }
    }
}

impl Words {
    /// Of a stack of which nothing is known: its process has ended before its mappings were read.
    fn unknown() -> Self {
        Self { name: "[unknown]".to_owned(), frames: String::new() }
    }

    fn of(frames: &[Frame], end: End, mut names: impl FnMut(&Frame) -> Rc<[Name]>) -> Self {
        let mut functions = Vec::new();
        let mut lines = Vec::new();
        for frame in frames {
            for name in names(frame).iter() {
                functions.push(function(name));
                lines.push(line(name));
            }
        }
        if let Some(mark) = mark(end) {
            functions.push(mark.to_owned());
            lines.push(mark.to_owned());
        }
        functions.reverse();
        if functions.len() > OUTERMOST + INNERMOST {
            let out = functions.len() - INNERMOST - OUTERMOST;
            let gap = format!("[{out} frames left out]");
            functions.splice(OUTERMOST..OUTERMOST + out, [gap]);
        }
        Self { name: functions.join(";"), frames: lines.join("\n") }
    }
}

/// What stands before the outermost frame of a stack that is not whole.
fn mark(end: End) -> Option<&'static str> {
    match end {
        End::Cut { .. } => Some("[cut]"),
        End::Deep => Some("[deep]"),
        End::Broken(_) => Some("[broken]"),
        _ => None,
    }
}

/// A function's name as one frame: a semicolon in it would end it. Where in its function a thread
/// stood is left out; where there is no function, the address is all there is.
fn function(name: &Name) -> String {
    match &name.function {
        Some(function) => function.replace(';', ":"),
        None => name.to_string().replace(';', ":"),
    }
}

fn line(name: &Name) -> String {
    let module = String::from_utf8_lossy(&name.module);
    let inlined = if name.inlined { ", inlined" } else { "" };
    let source = match (&name.file, name.line) {
        (Some(file), Some(line)) => format!(" at {}:{line}", file.display()),
        (Some(file), None) => format!(" at {}", file.display()),
        _ => String::new(),
    };
    format!("{} ({module}{inlined}){source}", function(name))
}
