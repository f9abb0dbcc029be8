//! What the parts of a target are.

use seepmeter_record::conventions::{attribute, title};
use seepmeter_record::{MappingClass, Subject, SubjectKind};
use serde::{Deserialize, Serialize};

/// A part of a target: a mapping, a group of mappings, a child process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Its name, which no other part of the target has: `[heap]`, `worker (pid 11)`.
    #[serde(rename = "subject")]
    pub name: String,
    /// What it is called in every run, and several parts of one run may be: `worker`, `stacks of threads`.
    pub family: String,
    /// The kind of subject it is.
    pub kind: SubjectKind,
    /// What a mapping is, if the sampler says so.
    pub class: Option<MappingClass>,
}

impl Part {
    /// The family of the stacks of all threads but the main one.
    pub const THREAD_STACKS: &'static str = title::THREAD_STACKS;

    /// The family of the anonymous mappings of all sizes: mappings that merge go from one size to
    /// another, so that only all of them together are one thing.
    pub const ANONYMOUS: &'static str = title::ANONYMOUS;

    /// What the attributes of a subject say of it.
    pub(crate) fn of(subject: &Subject) -> Self {
        let name = subject.name.to_string();
        let class = subject.get(attribute::CLASS);
        let descriptor = subject.get(attribute::DESCRIPTOR);
        let family = match Self::family_of(&subject.kind, class.as_ref()) {
            Some(family) => family.to_owned(),
            None => descriptor.map_or_else(|| name.clone(), |kind| kind.plural().to_owned()),
        };
        Self { name, family, kind: subject.kind.clone(), class }
    }

    /// The processes of a role, as a part of what several processes hold together.
    pub(crate) fn of_role(role: String, name: String) -> Self {
        Self { name, family: role, kind: SubjectKind::Process, class: None }
    }

    /// The family of all parts of this kind and class, if they are one.
    pub(crate) fn family_of(
        kind: &SubjectKind,
        class: Option<&MappingClass>,
    ) -> Option<&'static str> {
        match class? {
            MappingClass::ThreadStack => Some(Self::THREAD_STACKS),
            MappingClass::Anonymous if *kind == SubjectKind::MappingGroup => Some(Self::ANONYMOUS),
            _ => None,
        }
    }

    /// The same part, told apart from others of its name by a pid, if that is known.
    pub(crate) fn with_pid(self, pid: Option<i64>) -> Self {
        match pid {
            Some(pid) => Self { name: format!("{} (pid {pid})", self.name), ..self },
            None => self,
        }
    }

    /// What the name of one of its family says beside the family, so that a line does not say that twice:
    /// `of 1 MiB–16 MiB`. What a part is, its class says.
    pub(crate) fn detail_of<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.family).map_or(name, str::trim_start)
    }

    /// True for a process.
    #[must_use]
    pub fn is_process(&self) -> bool {
        self.kind == SubjectKind::Process
    }

    /// True for the stack of any thread.
    #[must_use]
    pub fn is_stack(&self) -> bool {
        matches!(self.class, Some(MappingClass::MainStack | MappingClass::ThreadStack))
    }

    /// True if it is one of those that go by this name together: a family, or a class (`thread-stack`;
    /// `stack` for those of all threads).
    #[must_use]
    pub fn belongs_to(&self, group: &str) -> bool {
        let of_class = self.class.as_ref().is_some_and(|class| class.as_str() == bare(group));
        self.family == group || of_class || (group == "stack" && self.is_stack())
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
