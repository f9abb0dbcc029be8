//! Names as the programmer wrote them.

/// Demangles a symbol of Rust or C++; any other is left as it is.
///
/// What does not begin as such a symbol is not demangled: as a bare type, which is also a mangling, the C
/// function `c` would be `char`.
pub fn demangle(symbol: &str) -> String {
    if !["_Z", "_R", "__Z", "__R"].iter().any(|start| symbol.starts_with(start)) {
        return symbol.to_owned();
    }
    let name = match rustc_demangle::try_demangle(symbol) {
        // Without the hash.
        Ok(rust) => Some(format!("{rust:#}")),
        Err(_) => cpp_demangle::Symbol::new(symbol).ok().and_then(|cpp| cpp.demangle().ok()),
    };
    // A damaged symbol may stand for nothing at all.
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| symbol.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_and_cpp_are_demangled_and_c_is_left_alone() {
        let names = [
            ("_ZN5shape6CircleIdE4areaEv", "shape::Circle<double>::area()"),
            ("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"),
            ("_RNvCskwGfYPst2Cb_3foo3bar", "foo::bar"),
            ("c", "c"),
            ("_Zebra", "_Zebra"),
            ("_ZNE", "_ZNE"),
            ("_start", "_start"),
            ("", ""),
        ];
        for (symbol, name) in names {
            assert_eq!(demangle(symbol), name);
        }
    }
}
