//! The committed header is what this crate says.

use std::path::Path;

/// Set to make the header anew instead of comparing it.
const BLESS: &str = "SEEPMETER_BLESS";

#[test]
fn the_committed_header_is_what_cbindgen_makes_of_this_crate() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = crate_dir.join("../../include/seepmeter-plugin.h");
    let config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(crate_dir.join("src/lib.rs"))
        .generate()
        .unwrap();
    let mut made = Vec::new();
    bindings.write(&mut made);
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&header, &made).unwrap();
    }
    let committed = std::fs::read(&header).unwrap_or_default();
    assert!(
        made == committed,
        "include/seepmeter-plugin.h differs from crates/seepmeter-abi; \
         `cargo xtask bless` makes it anew"
    );
}
