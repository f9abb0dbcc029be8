//! What a release is: a tar file and a package for Debian, of one binary that runs wherever glibc is as old as
//! [`GLIBC`].

use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::release;

/// The oldest version of glibc that the binary needs: that of Debian 10 and RHEL 8. Plugins are loaded by
/// dlopen(3), so the binary can't be a static one.
const GLIBC: &str = "2.28";

/// What to do if the linker for an old glibc is missing.
const NO_ZIG: &str = "it needs cargo-zigbuild and zig, which link for an old glibc:\n  \
                      pip install cargo-zigbuild ziglang\n\
                      or: cargo install --locked cargo-zigbuild, and zig on the PATH";

/// The shells with a script for completions, and where in a system it belongs.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/seepmeter"),
    ("zsh", "share/zsh/vendor-completions/_seepmeter"),
    ("fish", "share/fish/vendor_completions.d/seepmeter.fish"),
];

/// What of the repository goes into a release, and where.
const FILES: [(&str, &str); 7] = [
    ("README.md", "share/doc/seepmeter/README.md"),
    ("CHANGELOG.md", "share/doc/seepmeter/CHANGELOG.md"),
    ("LICENSE-APACHE", "share/doc/seepmeter/LICENSE-APACHE"),
    ("LICENSE-MIT", "share/doc/seepmeter/LICENSE-MIT"),
    (FONT_LICENCE, "share/doc/seepmeter/LICENSE-INTER"),
    (UPLOT_LICENCE, "share/doc/seepmeter/LICENSE-UPLOT"),
    ("include/seepmeter-plugin.h", "include/seepmeter-plugin.h"),
];

/// The licence of the font that is part of the binary.
const FONT_LICENCE: &str = "crates/seepmeter-chart/fonts/OFL.txt";

/// The licence of uPlot, which is part of the binary and of each report.
const UPLOT_LICENCE: &str = "plugins/sink-html/vendor/uplot/LICENSE";

/// Examples of plugins, to be copied by whoever writes one.
const EXAMPLES: [&str; 4] = ["sampler-in-c", "sampler-in-rust", "sink-in-c", "sink-in-rust"];

/// Makes both, in `target/packages`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let out = target_folder(root).join("packages");
    let binary = build(root)?;
    let name = format!("seepmeter-{}-{ARCH}-linux", release::version(root)?);
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let scratch = tempfile::tempdir_in(&out).context("cannot create a folder")?;
    let tree = scratch.path().join(&name);
    fill(root, &binary, &tree)?;
    let time = release_time(root)?;
    let tar = tar(&tree, &out, &time)?;
    let deb = deb(root, &tree, &out, &time)?;
    for file in [&binary, &tar, &deb] {
        let size = fs::metadata(file)?.len() as f64 / f64::from(1 << 20);
        println!("{size:6.2} MiB  {}", file.display());
    }
    Ok(())
}

/// Builds the binary, and returns its path.
fn build(root: &Path) -> Result<PathBuf> {
    let zig = Command::new(env!("CARGO")).args(["zigbuild", "--help"]).output();
    ensure!(zig.is_ok_and(|done| done.status.success()), "cargo xtask dist: {NO_ZIG}");
    let target = format!("{ARCH}-unknown-linux-gnu");
    let for_glibc = format!("{target}.{GLIBC}");
    let words = ["zigbuild", "--locked", "--profile", "dist", "--package", "seepmeter", "--target"];
    println!("== cargo {} {for_glibc}", words.join(" "));
    let status = Command::new(env!("CARGO"))
        .args(words)
        .arg(&for_glibc)
        .current_dir(root)
        .status()
        .context("cannot run cargo zigbuild")?;
    ensure!(status.success(), "cargo zigbuild: {status}; if zig is missing: {NO_ZIG}");
    Ok(target_folder(root).join(target).join("dist/seepmeter"))
}

/// The files of a release, as below `/usr`.
fn fill(root: &Path, binary: &Path, tree: &Path) -> Result<()> {
    let installed = tree.join("bin/seepmeter");
    put(binary, &installed, 0o755)?;
    for (from, to) in FILES {
        put(&root.join(from), &tree.join(to), 0o644)?;
    }
    for example in EXAMPLES {
        let to = tree.join("share/doc/seepmeter/examples").join(example);
        copy_folder(&root.join("plugins/examples").join(example), &to)?;
    }
    for (shell, path) in SHELLS {
        write(&tree.join(path), &output(&installed, &["completions", shell])?)?;
    }
    let pages = tree.join("share/man/man1");
    write(&pages.join("seepmeter.1"), &output(&installed, &["man"])?)?;
    for subcommand in subcommands(&installed)? {
        let page = output(&installed, &["man", &subcommand])?;
        write(&pages.join(format!("seepmeter-{subcommand}.1")), &page)?;
    }
    Ok(())
}

/// The subcommands that have a page: those that its help lists.
fn subcommands(binary: &Path) -> Result<Vec<String>> {
    let help = String::from_utf8(output(binary, &["--help"])?)?;
    let (_, list) = help.split_once("Commands:\n").context("its help lists no commands")?;
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| *name != "help").map(str::to_owned).collect())
}

/// What all files are dated, in seconds since 1970: SOURCE_DATE_EPOCH (reproducible-builds.org), or when the
/// last commit was made.
fn release_time(root: &Path) -> Result<String> {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(time);
    }
    let root = root.to_string_lossy();
    let time = output(Path::new("git"), &["-C", &root, "log", "-1", "--format=%ct"])
        .context("without git, set SOURCE_DATE_EPOCH")?;
    Ok(String::from_utf8(time)?.trim().to_owned())
}

/// Packs the tree, so that the same files always give the same bytes.
fn tar(tree: &Path, out: &Path, time: &str) -> Result<PathBuf> {
    let name = file_name(tree);
    let file = out.join(format!("{name}.tar.gz"));
    let mut command = Command::new("tar");
    command
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .arg(format!("--mtime=@{time}"))
        .args(["--mode=u=rwX,go=rX", "-czf"])
        .arg(&file)
        .arg("-C")
        .args([tree.parent().unwrap_or(tree), Path::new(&name)]);
    succeed(&mut command)?;
    Ok(file)
}

/// Makes the package: the tree below `/usr`, with what Debian's policy asks for.
fn deb(root: &Path, tree: &Path, out: &Path, time: &str) -> Result<PathBuf> {
    let version = release::version(root)?;
    let package = tree.with_file_name("package");
    let usr = package.join("usr");
    copy_folder(tree, &usr)?;
    fs::set_permissions(usr.join("bin/seepmeter"), fs::Permissions::from_mode(0o755))?;
    // Policy 12.3, 12.5, 12.7: documentation is compressed, and there is one file about licences.
    let documents = usr.join("share/doc/seepmeter");
    for licence in ["LICENSE-APACHE", "LICENSE-MIT", "LICENSE-INTER", "LICENSE-UPLOT"] {
        fs::remove_file(documents.join(licence))?;
    }
    let mit = fs::read_to_string(root.join("LICENSE-MIT"))?;
    let font = fs::read_to_string(root.join(FONT_LICENCE))?;
    let uplot = fs::read_to_string(root.join(UPLOT_LICENCE))?;
    let uplot = uplot.lines().find_map(|line| line.strip_prefix("Copyright (c) "));
    let uplot = uplot.with_context(|| format!("{UPLOT_LICENCE} names no holder"))?;
    write(&documents.join("copyright"), copyright(&mit, &font, uplot).as_bytes())?;
    fs::rename(documents.join("CHANGELOG.md"), documents.join("changelog"))?;
    let pages = fs::read_dir(usr.join("share/man/man1"))?;
    let mut packed = pages.map(|page| Ok(page?.path())).collect::<Result<Vec<_>>>()?;
    packed.push(documents.join("changelog"));
    succeed(Command::new("gzip").args(["-9n"]).args(&packed))?;
    let control = format!(
        "Package: seepmeter\nVersion: {version}\nArchitecture: {}\nMaintainer: The Seepmeter developers <maintainers@seepmeter.example>\nInstalled-Size: {}\nDepends: libc6 (>= {GLIBC})\nSection: utils\nPriority: optional\nDescription: watch a program's memory and judge whether it leaks\n Seepmeter watches the memory of any Linux program from outside and judges\n whether it leaks: growing, steady or inconclusive. It needs no change to the\n program, leaves its streams, signals and exit status alone, and can record,\n replay and judge every run again.\n",
        debian_architecture()?,
        size(&package)? / 1024 + 1,
    );
    write(&package.join("DEBIAN/control"), control.as_bytes())?;
    let file = out.join(format!("seepmeter_{version}_{}.deb", debian_architecture()?));
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "-Zxz", "--build"]).args([&package, &file]);
    command.env("SOURCE_DATE_EPOCH", time);
    succeed(&mut command)?;
    Ok(file)
}

/// The file about licences, in the form of Debian (copyright-format/1.0). `uplot` has the copyright of uPlot, under
/// the same licence as `mit`.
fn copyright(mit: &str, font: &str, uplot: &str) -> String {
    let holder = mit.lines().find_map(|line| line.strip_prefix("Copyright (c) "));
    let paragraphs = mit.split_once("Permission is").map_or(mit, |(head, _)| &mit[head.len()..]);
    let indented = |text: &str| -> String {
        let line = |line: &str| match line.trim_end() {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        };
        text.lines().map(line).collect()
    };
    let (expat, font) = (indented(paragraphs), indented(font));
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: seepmeter\n\nFiles: *\nCopyright: {}\nLicense: Expat or Apache-2.0\n\nFiles: crates/seepmeter-chart/fonts/*\nCopyright: 2016 The Inter Project Authors (https://github.com/rsms/inter)\nLicense: OFL-1.1\n\nFiles: plugins/sink-html/vendor/uplot/*\nCopyright: {uplot}\nLicense: Expat\n\nLicense: Expat\n{expat}\nLicense: OFL-1.1\n{font}\nLicense: Apache-2.0\n On Debian systems, the full text of the Apache License, Version 2.0, is in\n /usr/share/common-licenses/Apache-2.0.\n",
        holder.unwrap_or("the contributors to Seepmeter"),
    )
}

fn debian_architecture() -> Result<&'static str> {
    match ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("there is no package for {other} yet"),
    }
}

/// Where cargo builds.
fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The bytes of all files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        bytes += if path.is_dir() { size(&path)? } else { path.metadata()?.len() };
    }
    Ok(bytes)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let target = to.join(file_name(&path));
        match path.is_dir() {
            true => copy_folder(&path, &target)?,
            false => put(&path, &target, 0o644)?,
        }
    }
    Ok(())
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write(to, &bytes)?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Writes a file that all may read, and the folders above it.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    fs::write(path, bytes).with_context(cannot)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).with_context(cannot)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a program prints.
fn output(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let line = format!("{} {}", program.display(), arguments.join(" "));
    let done = Command::new(program).args(arguments).output();
    let done = done.with_context(|| format!("cannot run {line}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{line}: {}\n{said}", done.status);
    Ok(done.stdout)
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}
