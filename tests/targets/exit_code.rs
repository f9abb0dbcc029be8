//! A program that exits with the status that it is given: `test-target exit-code STATUS`.

use seepmeter_tests::target::{argument, end_with};

pub(crate) fn run() {
    end_with(argument(1).unwrap_or(0));
}
