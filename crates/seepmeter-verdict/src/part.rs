//! What the parts of a target are.

use std::fmt;

use seepmeter_record::{Attr, Subject, subject_kind};
use serde::{Deserialize, Serialize};

use crate::names::{attr, class};

/// A part of a target: a mapping, a group of mappings, a child process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Its name, which no other part of the target has: `[heap]`, `worker (pid 11)`.
    #[serde(rename = "subject")]
    pub name: String,
    /// What it is called in every run, and several parts of one run may be: `worker`, `stacks of threads`.
    pub family: String,
    /// The kind of subject it is: `mapping`, `process`.
    pub kind: String,
    /// What a mapping is, if the sampler says so.
    pub class: Option<PartClass>,
}

impl Part {
    /// The family of the stacks of all threads but the main one.
    pub const THREAD_STACKS: &'static str = "stacks of threads";

    /// What the attributes of a subject say of it.
    pub(crate) fn of(subject: &Subject) -> Self {
        let name = subject.name.to_string();
        let class = PartClass::of(subject);
        let family = match class {
            Some(PartClass::ThreadStack) => Self::THREAD_STACKS.to_owned(),
            _ => name.clone(),
        };
        Self { name, family, kind: subject.kind.to_string(), class }
    }

    /// The same part, told apart from others of its name by a pid.
    pub(crate) fn with_pid(&self, pid: i64) -> Self {
        Self { name: format!("{} (pid {pid})", self.name), ..self.clone() }
    }

    /// True for a process.
    #[must_use]
    pub fn is_process(&self) -> bool {
        self.kind == subject_kind::PROCESS
    }

    /// True if it is one of those that go by this name together: a family or a class.
    #[must_use]
    pub fn belongs_to(&self, group: &str) -> bool {
        let is_class = |class: &PartClass| {
            bare(class.as_str()) == bare(group) || (class.is_stack() && group == class::STACK)
        };
        self.family == group || self.class.as_ref().is_some_and(is_class)
    }

    /// True if a user may mean it by this name: `[heap]`, as the kernel writes it, is `heap`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        bare(&self.name) == bare(name)
    }
}

/// A name without the brackets that the kernel puts around its own.
fn bare(name: &str) -> &str {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    inner.unwrap_or(name)
}

/// What a mapping is, as far as it bears on a verdict. In JSON it is a word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PartClass {
    /// The main thread's stack.
    MainStack,
    /// The stack of another thread.
    ThreadStack,
    /// The heaps of malloc's arenas.
    Arena,
    /// Code that a JIT compiler made.
    Jit,
    /// A file.
    File,
    /// Shared memory.
    Shm,
    /// A memfd_create(2).
    Memfd,
    /// Another class, by the sampler's own word.
    Other(String),
}

/// How a thread's stack is written in JSON, where there is no `tid` beside it.
const THREAD_STACK: &str = "thread-stack";

impl PartClass {
    /// The class that a sampler gave a mapping.
    fn of(subject: &Subject) -> Option<Self> {
        let Some(Attr::Text(word)) = subject.attr(attr::CLASS) else { return None };
        Some(match Self::from(word.to_string()) {
            Self::MainStack if subject.attr(attr::TID).is_some() => Self::ThreadStack,
            class => class,
        })
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::MainStack => class::STACK,
            Self::ThreadStack => THREAD_STACK,
            Self::Arena => class::ARENA,
            Self::Jit => class::JIT,
            Self::File => class::FILE,
            Self::Shm => class::SHM,
            Self::Memfd => class::MEMFD,
            Self::Other(word) => word,
        }
    }

    /// True for the stack of any thread.
    #[must_use]
    pub fn is_stack(&self) -> bool {
        matches!(self, Self::MainStack | Self::ThreadStack)
    }
}

impl From<String> for PartClass {
    fn from(word: String) -> Self {
        match word.as_str() {
            class::STACK => Self::MainStack,
            THREAD_STACK => Self::ThreadStack,
            class::ARENA => Self::Arena,
            class::JIT => Self::Jit,
            class::FILE => Self::File,
            class::SHM => Self::Shm,
            class::MEMFD => Self::Memfd,
            _ => Self::Other(word),
        }
    }
}

impl From<PartClass> for String {
    fn from(class: PartClass) -> Self {
        class.as_str().to_owned()
    }
}

impl fmt::Display for PartClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
