//! The subjects that live, and what is a part of what.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Subject, SubjectId, SubjectKind};

/// Something of each subject that lives. A subject goes when it ends, with all that is a part of it.
#[derive(Debug)]
pub(crate) struct SubjectTree<T> {
    subjects: BTreeMap<SubjectId, Node<T>>,
    /// Each subject behind what it is a part of: neither an end nor a definition looks at all others.
    parts: BTreeSet<(SubjectId, SubjectId)>,
}

#[derive(Debug)]
struct Node<T> {
    value: T,
    parent: Option<SubjectId>,
    /// A process outlives the process that forked it.
    outlives_parent: bool,
}

impl<T> Default for SubjectTree<T> {
    fn default() -> Self {
        Self { subjects: BTreeMap::new(), parts: BTreeSet::new() }
    }
}

impl<T> SubjectTree<T> {
    pub(crate) fn insert(&mut self, subject: &Subject, value: T) {
        let Subject { id, parent, ref kind, .. } = *subject;
        self.parts.extend(parent.map(|parent| (parent, id)));
        let outlives_parent = *kind == SubjectKind::Process;
        self.subjects.insert(id, Node { value, parent, outlives_parent });
    }

    pub(crate) fn get(&self, id: SubjectId) -> Option<&T> {
        self.subjects.get(&id).map(|node| &node.value)
    }

    pub(crate) fn get_mut(&mut self, id: SubjectId) -> Option<&mut T> {
        self.subjects.get_mut(&id).map(|node| &mut node.value)
    }

    /// All, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SubjectId, &T)> {
        self.subjects.iter().map(|(id, node)| (*id, &node.value))
    }

    pub(crate) fn parent(&self, id: SubjectId) -> Option<SubjectId> {
        self.subjects.get(&id)?.parent
    }

    /// What is a part of a subject, and of nothing between.
    pub(crate) fn parts(&self, id: SubjectId) -> impl Iterator<Item = SubjectId> {
        let all = (id, SubjectId(0))..=(id, SubjectId(u32::MAX));
        self.parts.range(all).map(|(_, part)| *part)
    }

    /// A subject, and what ends with it.
    pub(crate) fn with_parts(&self, id: SubjectId) -> Vec<SubjectId> {
        // A list and not a recursion: how deep subjects are nested is not ours to say, nor that none is a
        // part of itself.
        let mut all = vec![id];
        let mut known = BTreeSet::from([id]);
        let mut at = 0;
        while let Some(&parent) = all.get(at) {
            at += 1;
            let ending = self
                .parts(parent)
                .filter(|part| self.subjects.get(part).is_some_and(|node| !node.outlives_parent));
            all.extend(ending.filter(|part| known.insert(*part)));
        }
        all
    }

    /// A subject ends: it and what ends with it goes, each through `take`.
    pub(crate) fn end(&mut self, id: SubjectId, mut take: impl FnMut(SubjectId, T)) {
        if !self.subjects.contains_key(&id) {
            return;
        }
        for id in self.with_parts(id) {
            let parts: Vec<SubjectId> = self.parts(id).collect();
            parts.into_iter().for_each(|part| _ = self.parts.remove(&(id, part)));
            let Some(node) = self.subjects.remove(&id) else { continue };
            if let Some(parent) = node.parent {
                self.parts.remove(&(parent, id));
            }
            take(id, node.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attributes;

    fn tree(subjects: &[(u32, Option<u32>, SubjectKind)]) -> SubjectTree<()> {
        let mut tree = SubjectTree::default();
        for (id, parent, kind) in subjects {
            let (id, parent) = (SubjectId(*id), parent.map(SubjectId));
            let (kind, name, attributes) = (kind.clone(), "".into(), Attributes::new());
            tree.insert(&Subject { id, parent, kind, name, attributes }, ());
        }
        tree
    }

    #[test]
    fn parts_end_with_what_they_are_a_part_of_and_processes_do_not() {
        use SubjectKind::{Mapping, Process, Thread};
        let mut tree = tree(&[
            (0, None, Process),
            (1, Some(0), Mapping),
            (2, Some(1), Thread),
            (3, Some(0), Process),
            (4, Some(3), Mapping),
        ]);
        let mut ended = Vec::new();
        tree.end(SubjectId(0), |id, ()| ended.push(id.0));
        assert_eq!(ended, [0, 1, 2]);
        assert!(tree.get(SubjectId(4)).is_some());
        tree.end(SubjectId(3), |id, ()| ended.push(id.0));
        assert_eq!(ended, [0, 1, 2, 3, 4]);
        assert!(tree.parts.is_empty() && tree.subjects.is_empty());
    }

    #[test]
    fn a_circle_of_parents_ends_once() {
        let mut tree = tree(&[
            (1, Some(2), SubjectKind::Mapping),
            (2, Some(1), SubjectKind::Mapping),
            (3, Some(3), SubjectKind::Mapping),
        ]);
        let mut ended = Vec::new();
        tree.end(SubjectId(1), |id, ()| ended.push(id.0));
        tree.end(SubjectId(3), |id, ()| ended.push(id.0));
        assert_eq!(ended, [1, 2, 3]);
        assert!(tree.parts.is_empty() && tree.subjects.is_empty());
    }
}
