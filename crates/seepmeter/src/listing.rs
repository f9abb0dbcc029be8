//! What there is to say of plugins, in words and in JSON.

use std::fmt::Write;

use seepmeter_engine::{Facts, Source};
use seepmeter_plugin::OptionSpec;
use serde_json::{Value, json};

use crate::plugins::{Origin, Page};

/// A line a plugin.
pub(crate) fn lines(pages: &[Page]) -> String {
    let width = |of: fn(&Page) -> usize| pages.iter().map(of).max().unwrap_or(0);
    let name = width(|page| page.info.name.len());
    let version = width(|page| page.info.version.len());
    pages
        .iter()
        .map(|page| {
            format!(
                "{:7}  {:name$}  {:version$}  {}  ({})\n",
                page.kind.word(),
                page.info.name,
                page.info.version,
                page.info.about,
                origin(&page.origin)
            )
        })
        .collect()
}

/// All of one plugin.
pub(crate) fn page(page: &Page) -> String {
    let info = &page.info;
    let mut told = format!(
        "{} {} {}: {}\nfrom: {}\n",
        page.kind.word(),
        info.name,
        info.version,
        info.about,
        origin(&page.origin)
    );
    if info.options.is_empty() {
        told.push_str("options: none\n");
    } else {
        told.push_str("options:\n");
        told.extend(info.options.iter().map(option));
    }
    if let Some(facts) = &page.facts {
        told.push_str(&face(facts));
    }
    told
}

fn option(option: &OptionSpec) -> String {
    let OptionSpec { key, kind, default, required, help } = option;
    let otherwise = match (default, required) {
        (Some(default), _) => format!(" [default: {default}]"),
        (None, true) => " (must be given)".to_owned(),
        (None, false) => String::new(),
    };
    format!("  {key}=<{kind}>{otherwise}\n      {help}\n")
}

fn face(facts: &Facts) -> String {
    let Facts { symbol, major, minor, table_size, host_table_size, calls } = facts;
    let has: Vec<&str> = calls.iter().filter(|call| call.present).map(|call| call.name).collect();
    let lacks: Vec<&str> =
        calls.iter().filter(|call| !call.present).map(|call| call.name).collect();
    let mut told = format!(
        "face: version {major}.{minor}, entry {symbol}, a table of {table_size} bytes (seepmeter knows {host_table_size})\n"
    );
    // Writing to a string can't fail.
    let _ = writeln!(told, "calls: {}", has.join(", "));
    let _ = writeln!(told, "left out: {}", lacks.join(", "));
    told
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::BuiltIn => "built in".to_owned(),
        Origin::File(path, None) => path.display().to_string(),
        Origin::File(path, Some(source)) => format!("{}, {}", path.display(), source_word(*source)),
    }
}

fn source_word(source: Source) -> &'static str {
    match source {
        Source::Flag => "--plugin-dir",
        Source::Environment => "SEEPMETER_PLUGIN_PATH",
        Source::Home => "the home folder",
        Source::Executable => "beside the executable",
        Source::System => "the system's folder",
    }
}

/// All of all plugins, as one JSON array.
pub(crate) fn json(pages: &[Page]) -> String {
    let all: Vec<Value> = pages.iter().map(page_json).collect();
    format!("{:#}\n", Value::from(all))
}

fn page_json(page: &Page) -> Value {
    let Page { kind, info, origin, facts } = page;
    let options: Vec<Value> = info
        .options
        .iter()
        .map(|OptionSpec { key, kind, default, required, help }| {
            json!({"key": key, "type": kind, "default": default, "required": required, "help": help})
        })
        .collect();
    let (path, source) = match origin {
        Origin::BuiltIn => (None, "built in"),
        Origin::File(path, source) => {
            (Some(path.display().to_string()), source.map_or("named", source_word))
        }
    };
    let face = facts.as_ref().map(|facts| {
        let Facts { symbol, major, minor, table_size, host_table_size, calls } = facts;
        let calls: serde_json::Map<String, Value> =
            calls.iter().map(|call| (call.name.to_owned(), call.present.into())).collect();
        json!({
            "symbol": symbol, "major": major, "minor": minor, "table_size": table_size,
            "host_table_size": host_table_size, "calls": calls,
        })
    });
    json!({
        "kind": kind.word(), "name": info.name, "version": info.version, "about": info.about,
        "source": source, "path": path, "options": options, "face": face,
    })
}
