//! Names of functions as compilers write them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|symbol: &str| {
    let name = seepmeter_symbols::demangle(symbol);
    assert!(symbol.is_empty() || !name.is_empty());
});
