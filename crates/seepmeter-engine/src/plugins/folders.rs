//! Where plugins are looked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The system's folders.
const SYSTEM: [&str; 2] = ["/usr/local/lib/seepmeter/plugins", "/usr/lib/seepmeter/plugins"];

/// The folders in which plugins are looked for, in their order. The current folder is never one of
/// them, unless the user names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginFolders {
    folders: Vec<(PathBuf, FolderOrigin)>,
}

/// Why a folder is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderOrigin {
    /// `--plugin-dir`.
    Flag,
    /// SEEPMETER_PLUGIN_PATH.
    Environment,
    /// The user's own, below the home folder.
    Home,
    /// Where the executable is, or in the folder for plugins of what was unpacked or installed together with it.
    Executable,
    /// The system's.
    System,
}

impl PluginFolders {
    /// The folders for this process. `named` are those of `--plugin-dir`.
    #[must_use]
    pub fn new(named: &[PathBuf]) -> Self {
        let surroundings = Surroundings {
            plugin_path: std::env::var_os("SEEPMETER_PLUGIN_PATH"),
            home: std::env::var_os("HOME"),
        };
        let executable = std::env::current_exe().ok();
        Self::of(named, surroundings, executable.as_deref().and_then(Path::parent))
    }

    fn of(named: &[PathBuf], surroundings: Surroundings, executable: Option<&Path>) -> Self {
        let flag = named.iter().cloned().map(|folder| (folder, FolderOrigin::Flag));
        let Surroundings { plugin_path, home } = surroundings;
        let environment = plugin_path
            .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
            .unwrap_or_default()
            .into_iter()
            .map(|folder| (folder, FolderOrigin::Environment));
        let home = home.map(|home| {
            (Path::new(&home).join(".local/lib/seepmeter/plugins"), FolderOrigin::Home)
        });
        let beside = |folder: &Path| {
            let installed = folder.parent().map(|prefix| prefix.join("lib/seepmeter/plugins"));
            [Some(folder.to_owned()), installed].into_iter().flatten()
        };
        let executable = executable.into_iter().flat_map(beside);
        let executable = executable.map(|folder| (folder, FolderOrigin::Executable));
        let system = SYSTEM.iter().map(|folder| (PathBuf::from(folder), FolderOrigin::System));
        // An empty or relative folder would be one below the current folder.
        let implied = environment.chain(home).chain(executable).chain(system);
        let implied = implied.filter(|(folder, _)| folder.is_absolute());
        Self { folders: flag.chain(implied).collect() }
    }

    /// The plugin file of this name; `kind` is `sampler` or `sink`.
    #[must_use]
    pub fn find(&self, name: &str, kind: &str) -> Option<PathBuf> {
        let file = format!("seepmeter-{name}-{kind}.so");
        self.folders.iter().map(|(folder, _)| folder.join(&file)).find(|file| file.is_file())
    }

    /// Every plugin file there is, with why its folder is searched; of two of one name the first.
    #[must_use]
    pub fn all(&self) -> Vec<(PathBuf, FolderOrigin)> {
        let mut names = std::collections::HashSet::new();
        let mut found = Vec::new();
        for (folder, source) in &self.folders {
            let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = files
                .map(|entry| entry.path())
                .filter(|file| is_plugin(file) && file.is_file())
                .collect();
            files.sort();
            files.retain(|file| names.insert(file.file_name().map(OsString::from)));
            found.extend(files.into_iter().map(|file| (file, *source)));
        }
        found
    }
}

/// What of the surroundings says where plugins are.
struct Surroundings {
    plugin_path: Option<OsString>,
    home: Option<OsString>,
}

fn is_plugin(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("seepmeter-") && (name.ends_with("-sampler.so") || name.ends_with("-sink.so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(search: &PluginFolders) -> Vec<String> {
        search.folders.iter().map(|(folder, _)| folder.display().to_string()).collect()
    }

    #[test]
    fn folders_are_searched_in_their_order_and_never_the_current_one() {
        let surroundings = Surroundings {
            plugin_path: Some("/env/a::.:rel/b:/env/c".into()),
            home: Some("/home/me".into()),
        };
        let search = PluginFolders::of(&["mine".into()], surroundings, Some(Path::new("/opt/bin")));
        assert_eq!(
            folders(&search),
            [
                "mine",
                "/env/a",
                "/env/c",
                "/home/me/.local/lib/seepmeter/plugins",
                "/opt/bin",
                "/opt/lib/seepmeter/plugins",
                "/usr/local/lib/seepmeter/plugins",
                "/usr/lib/seepmeter/plugins"
            ]
        );
    }
}
