//! maps and smaps of any process: in whatever pieces the text comes, the mappings are the same, and each
//! has a group with a title.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seepmeter_maps::class::{ThreadStack, ThreadStacks, classify};
use seepmeter_maps::{DeletedFiles, group_title, mapping_title, maps, smaps};

fuzz_target!(|input: (usize, u64, &[u8])| {
    let (cut, pointer, text) = input;
    let whole = entries(&[text]);
    let (one, two) = text.split_at(cut % (text.len() + 1));
    assert_eq!(entries(&[one, two]), whole);

    let headers = maps::parse(text);
    let stacks: ThreadStacks<'_> =
        [ThreadStack { pointer, tid: 7, name: b"worker" }].into_iter().collect();
    let groups = classify(&headers, &stacks, &mut DeletedFiles::as_the_kernel_says());
    assert_eq!(groups.len(), headers.len());
    for (group, header) in groups.iter().zip(&headers) {
        assert!(!group_title(group).is_empty() && !mapping_title(group).is_empty());
        let (_, _) = (group.attributes(), header.len());
        let _ = group.clone().continuing(&groups[0], header.len());
    }
});

/// All that the parser says of a text in these pieces.
fn entries(pieces: &[&[u8]]) -> Vec<String> {
    let mut parser = smaps::Parser::default();
    let mut said = Vec::new();
    for piece in pieces {
        parser.push(piece, |entry| said.push(format!("{entry:?}")));
    }
    parser.finish(|entry| said.push(format!("{entry:?}")));
    said
}
