//! A program that proves that it has run: `test-target mark FILE` creates the file.

use seepmeter_tests::target::arguments_from;

pub(crate) fn run() {
    let path = arguments_from(1).next().expect("test-target mark FILE");
    std::fs::File::create(path).expect("the file is made");
}
