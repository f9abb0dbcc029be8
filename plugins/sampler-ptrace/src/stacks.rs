//! The subjects of stacks: each is defined when its stack is new.

use seepmeter_plugin::record::{Attr, Event, EventKind, SubjectId, subject_kind};
use seepmeter_plugin::{NewSubject, Stream};
use seepmeter_stacks::{MAX_STACKS, StackDefinition, StackId, StackKind, StackTable};
use seepmeter_symbols::{Function, ResolvedFrame};

/// The subjects of the stacks of one target.
pub(crate) struct StackSubjects {
    process: SubjectId,
    /// Of each stack, in the order of their ids.
    subjects: Vec<SubjectId>,
}

/// A stack in words.
struct Words {
    /// From the outermost frame to the innermost, with semicolons between them.
    name: String,
    /// A line a frame, the innermost first: the function, the file that it is in, its source line.
    frames: String,
}

impl StackSubjects {
    pub(crate) fn new(process: SubjectId) -> Self {
        Self { process, subjects: Vec::new() }
    }

    /// Defines the subjects of all stacks that are new in the table.
    pub(crate) fn define_new(&mut self, table: &mut StackTable, stream: &mut dyn Stream) {
        let new = table.take_new().stacks.to_vec();
        for stack in new {
            let words = Words::of(&stack, table);
            let lines = || ("frames".to_owned(), Attr::Text(words.frames.into()));
            let attrs = if stack.kind == StackKind::Others { Vec::new() } else { vec![lines()] };
            let (kind, name) = (subject_kind::STACK.into(), words.name.as_str().into());
            let parent = Some(self.process);
            self.subjects.push(stream.subject(NewSubject { parent, kind, name, attrs }));
            if stack.kind == StackKind::Others {
                let text = format!(
                    "more than {MAX_STACKS} different stacks were seen; new ones are told as [others] from here on"
                );
                let kind = EventKind::Other("stacks-full".into());
                stream.event(Event::new(stream.now(), kind).text(text));
            }
        }
    }

    /// The subject of a stack that was defined.
    pub(crate) fn subject(&self, id: StackId) -> SubjectId {
        self.subjects[id.0 as usize]
    }
}

impl Words {
    fn of(stack: &StackDefinition, table: &StackTable) -> Self {
        let mut functions = Vec::new();
        let mut lines = Vec::new();
        for (index, id) in stack.frames.iter().enumerate() {
            if let Some(omitted) = stack.omitted.filter(|omitted| omitted.before == index) {
                let gap = format!("[{} frames left out]", omitted.count);
                functions.push(gap.clone());
                lines.push(gap);
            }
            let Some(definition) = table.frame(*id) else { continue };
            let frame = &*definition.frame;
            if frame.functions.is_empty() {
                functions.push(plain(&frame.place()));
                lines.push(line(frame, None, ""));
            }
            for (number, function) in frame.functions.iter().enumerate() {
                let is_inlined = number + 1 < frame.functions.len();
                functions.push(plain(&function.name));
                lines.push(line(frame, Some(function), if is_inlined { ", inlined" } else { "" }));
            }
        }
        if let Some(mark) = mark(stack.kind) {
            functions.push(mark.to_owned());
            lines.push(mark.to_owned());
        }
        if stack.kind == StackKind::Unknown {
            lines.clear();
        }
        functions.reverse();
        Self { name: functions.join(";"), frames: lines.join("\n") }
    }
}

/// What stands before the outermost frame of a stack that is not whole.
fn mark(kind: StackKind) -> Option<&'static str> {
    match kind {
        StackKind::Whole => None,
        StackKind::Cut => Some("[cut]"),
        StackKind::Deep => Some("[deep]"),
        StackKind::Broken => Some("[broken]"),
        StackKind::Unknown => Some("[unknown]"),
        StackKind::Others => Some("[others]"),
    }
}

/// A name as one frame of a stack's name: a semicolon in it would end it.
fn plain(name: &str) -> String {
    name.replace(';', ":")
}

fn line(frame: &ResolvedFrame, function: Option<&Function>, inlined: &str) -> String {
    let name = function.map_or_else(|| frame.place(), |function| function.name.to_string());
    let image = frame.image.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let source = match function.and_then(|function| function.source.as_ref()) {
        Some(source) => {
            let line = source.line.map_or(String::new(), |line| format!(":{line}"));
            format!(" at {}{line}", source.file.display())
        }
        None => String::new(),
    };
    format!("{} ({image}{inlined}){source}", plain(&name))
}
