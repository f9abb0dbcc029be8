//! Descriptions of plugins, as text and as JSON.

use std::fmt::Write;

use seepmeter_engine::{FolderOrigin, TableLayout};
use seepmeter_plugin::OptionSpec;
use serde_json::{Value, json};

use crate::registry::{PluginDescription, PluginOrigin};

/// A line a plugin, and the column in which its description begins.
pub(crate) fn lines(pages: &[PluginDescription]) -> (Vec<String>, usize) {
    const KIND: usize = 7;
    let width = |of: fn(&PluginDescription) -> usize| pages.iter().map(of).max().unwrap_or(0);
    let name = width(|page| page.info.name.len());
    let version = width(|page| page.info.version.len());
    let line = |page: &PluginDescription| {
        format!(
            "{:KIND$}  {:name$}  {:version$}  {}  ({})",
            page.kind.word(),
            page.info.name,
            page.info.version,
            page.info.about,
            origin(&page.origin)
        )
    };
    (pages.iter().map(line).collect(), KIND + name + version + 6)
}

/// All of one plugin.
pub(crate) fn page(page: &PluginDescription) -> String {
    let info = &page.info;
    let mut text = format!(
        "{} {} {}: {}\nfrom: {}\n",
        page.kind.word(),
        info.name,
        info.version,
        info.about,
        origin(&page.origin)
    );
    if info.options.is_empty() {
        text.push_str("options: none\n");
    } else {
        text.push_str("options:\n");
        text.extend(info.options.iter().map(option));
    }
    if let Some(layout) = &page.layout {
        text.push_str(&abi(layout));
    }
    text
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

fn abi(layout: &TableLayout) -> String {
    let TableLayout { symbol, major, minor, table_size, host_table_size, calls } = layout;
    let has: Vec<&str> = calls.iter().filter(|call| call.present).map(|call| &*call.name).collect();
    let lacks: Vec<&str> =
        calls.iter().filter(|call| !call.present).map(|call| &*call.name).collect();
    let mut text = format!(
        "plugin ABI: version {major}.{minor}, entry {symbol}, a table of {table_size} bytes (seepmeter knows {host_table_size})\n"
    );
    // Writing to a string can't fail.
    let _ = writeln!(text, "calls: {}", has.join(", "));
    let _ = writeln!(text, "left out: {}", lacks.join(", "));
    text
}

fn origin(origin: &PluginOrigin) -> String {
    match origin {
        PluginOrigin::BuiltIn => "built in".to_owned(),
        PluginOrigin::File(path, None) => path.display().to_string(),
        PluginOrigin::File(path, Some(folder)) => {
            format!("{}, {}", path.display(), folder_word(*folder))
        }
    }
}

fn folder_word(origin: FolderOrigin) -> &'static str {
    match origin {
        FolderOrigin::Flag => "--plugin-dir",
        FolderOrigin::Environment => "SEEPMETER_PLUGIN_PATH",
        FolderOrigin::Home => "the home folder",
        FolderOrigin::Executable => "beside the executable",
        FolderOrigin::System => "the system's folder",
    }
}

/// All of all plugins, as one JSON array.
pub(crate) fn json(pages: &[PluginDescription]) -> String {
    let all: Vec<Value> = pages.iter().map(page_json).collect();
    format!("{:#}\n", Value::from(all))
}

fn page_json(page: &PluginDescription) -> Value {
    let PluginDescription { kind, info, origin, layout } = page;
    let options: Vec<Value> = info
        .options
        .iter()
        .map(|OptionSpec { key, kind, default, required, help }| {
            json!({"key": key, "type": kind, "default": default, "required": required, "help": help})
        })
        .collect();
    let (path, source) = match origin {
        PluginOrigin::BuiltIn => (None, "built in"),
        PluginOrigin::File(path, source) => {
            (Some(path.display().to_string()), source.map_or("named", folder_word))
        }
    };
    let abi = layout.as_ref().map(|layout| {
        let TableLayout { symbol, major, minor, table_size, host_table_size, calls } = layout;
        let calls: serde_json::Map<String, Value> =
            calls.iter().map(|call| (call.name.clone(), call.present.into())).collect();
        json!({
            "symbol": symbol, "major": major, "minor": minor, "table_size": table_size,
            "host_table_size": host_table_size, "calls": calls,
        })
    });
    json!({
        "kind": kind.word(), "name": info.name, "version": info.version, "about": info.about,
        "source": source, "path": path, "options": options, "abi": abi,
    })
}
