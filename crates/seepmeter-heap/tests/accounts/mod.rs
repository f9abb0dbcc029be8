//! Accounts of real processes: all of the resident private memory is in them, and the blocks are what they are.

use std::collections::HashSet;

use crate::support::{Copy, Outcome, State, Target};
use seepmeter_heap::{Account, AccountItem, BlockClass, Census, Limits, MissingRoots};
use seepmeter_snapshot::{KernelWords, Snapshot, SnapshotOptions};

#[test]
fn the_account_of_a_program_adds_up_and_its_leaks_are_in_it() -> Outcome {
    let target = Target::start(&[])?;
    let snapshot = Snapshot::take(target.pid(), SnapshotOptions::default())?;
    let image = snapshot.image();
    let pages = snapshot.resident_pages()?;
    let census = Census::take(&image, &Limits::default())?;
    let marks = census.mark(&image)?;
    assert_eq!(marks.missing_roots(), None);
    let account = Account::of(&image, &pages, Some(&census), Some(&marks));
    if pages.without_zeros() {
        let anonymous = snapshot.status().rss_anonymous.ok_or("no RssAnon")?;
        assert_eq!(account.total() + snapshot.left_out(), anonymous, "{account:?}");
    }
    assert_eq!(account.total(), pages.bytes_in(&(0..u64::MAX)));
    let sum = |state: State| -> u64 {
        let notes: Vec<_> = target.notes.iter().filter(|note| note.state == state).collect();
        notes.iter().map(|note| pages.bytes_in(&(note.address..note.address + note.size))).sum()
    };
    let (leaked, live) = (sum(State::Leaked), sum(State::Live));
    let unreachable = account.bytes(AccountItem::Unreachable);
    assert!((leaked * 3 / 4..=leaked).contains(&unreachable), "{unreachable} of {leaked}");
    assert!(account.bytes(AccountItem::Reachable) >= live);
    for item in [AccountItem::Headers, AccountItem::Bins, AccountItem::Cached, AccountItem::Top] {
        assert!(account.bytes(item) > 0, "{item:?}: {account:?}");
    }
    // Without a census, and without marks, it is the same memory.
    let plain = Account::of(&image, &pages, None, None);
    assert_eq!((plain.total(), plain.bytes(AccountItem::Headers)), (account.total(), 0));
    let unmarked = Account::of(&image, &pages, Some(&census), None);
    assert_eq!(unmarked.total(), account.total());
    assert!(unmarked.bytes(AccountItem::InUse) >= live + leaked);
    Ok(())
}

#[test]
fn the_classes_have_every_block_once() -> Outcome {
    let target = Target::start(&[])?;
    let snapshot = Snapshot::take(target.pid(), SnapshotOptions::default())?;
    let image = snapshot.image();
    let census = Census::take(&image, &Limits::default())?;
    let marks = census.mark(&image)?;
    let classes = BlockClass::all(&census, Some(&marks));
    let names: HashSet<_> = classes.iter().map(|class| class.name.clone()).collect();
    assert_eq!(names.len(), classes.len());
    assert_eq!(classes.iter().map(|class| class.count).sum::<u64>(), census.block_count());
    let bytes = |class: &BlockClass| class.bytes;
    assert!(classes.is_sorted_by_key(|class| std::cmp::Reverse(bytes(class))));
    assert!(classes.iter().any(|class| class.unreachable.is_some_and(|sum| sum.count > 0)));
    let unknown = BlockClass::all(&census, None);
    assert!(unknown.iter().all(|class| class.unreachable.is_none()));
    Ok(())
}

#[test]
fn nothing_is_called_unreachable_if_roots_may_be_missing() -> Outcome {
    let target = Target::start(&["-DSMALL"])?;
    let snapshot = Snapshot::take(target.pid(), SnapshotOptions::default())?;
    let pages = snapshot.resident_pages()?;
    let copy = Copy::of(&snapshot.image());
    let image = copy.image();
    let census = Census::take(&image, &Limits::default())?;
    let expect_doubt = |image: &seepmeter_snapshot::MemoryImage<'_>, missing| -> Outcome {
        let marks = census.mark(image)?;
        assert_eq!(marks.missing_roots(), Some(missing));
        let account = Account::of(image, &pages, Some(&census), Some(&marks));
        assert_eq!(account.bytes(AccountItem::Unreachable), 0);
        assert!(account.bytes(AccountItem::PossiblyReachable) > 0);
        assert!(BlockClass::all(&census, Some(&marks)).iter().all(|it| it.unreachable.is_none()));
        Ok(())
    };
    expect_doubt(&image, MissingRoots::Kernel)?;
    let words = KernelWords { words: Vec::new(), unknown: Some("io_uring") };
    expect_doubt(&copy.image().with_kernel_words(words), MissingRoots::Kept("io_uring"))?;
    // A pointer that epoll keeps is a root.
    let whole = copy.image().with_kernel_words(KernelWords::default());
    let marks = census.mark(&whole)?;
    let leaked =
        census.blocks().find(|block| marks.of(block) == seepmeter_heap::Reachability::Unreachable);
    let leaked = leaked.ok_or("nothing is leaked")?;
    let words = KernelWords { words: vec![leaked.address], unknown: None };
    let marks = census.mark(&copy.image().with_kernel_words(words))?;
    assert_eq!(marks.of(&leaked), seepmeter_heap::Reachability::Reachable);
    Ok(())
}
