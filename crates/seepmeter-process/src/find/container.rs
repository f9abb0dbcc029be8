//! Finds the cgroup of a container, without asking any daemon.
//!
//! An id is searched for in the names of cgroups, and a name in the files that the runtimes keep:
//!
//! ```text
//! docker-ID.scope, docker/ID            Docker, with systemd and without
//! libpod-ID.scope                       Podman
//! cri-containerd-ID.scope, crio-ID.scope, kubepods/…/ID
//! lxc/NAME, lxc.payload.NAME            LXC
//! machine-NAME.scope, systemd-nspawn@NAME.service
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::limits::{Cgroup, folders_in};

/// A part of an id is one from so many digits on, so that no name is taken for it.
const SHORTEST_ID: usize = 12;
/// How many digits a whole id has.
const ID: usize = 64;
/// Cgroups nest no deeper than this in practice.
const DEEPEST: usize = 16;

/// What stands before an id or a name in the name of a cgroup.
const PREFIXES: [&str; 8] = [
    "docker-",
    "libpod-",
    "cri-containerd-",
    "crio-",
    "cri-o-",
    "lxc.payload.",
    "machine-",
    "systemd-nspawn@",
];

/// Where containers are searched for.
#[derive(Clone, Debug)]
pub struct ContainerFolders {
    /// Docker's folders, such as `/var/lib/docker`.
    pub docker: Vec<PathBuf>,
    /// Folders of containers' storage, of Podman and CRI-O, such as `/var/lib/containers/storage`.
    pub storage: Vec<PathBuf>,
}

impl ContainerFolders {
    /// Those that are usual, with those of a user with this home.
    #[must_use]
    pub fn usual(home: Option<&Path>) -> Self {
        let of_user = home.map(|home| home.join(".local/share"));
        let with = |system: &str, of_user: Option<PathBuf>| {
            [PathBuf::from(system)].into_iter().chain(of_user).collect()
        };
        Self {
            docker: with("/var/lib/docker", of_user.as_ref().map(|it| it.join("docker"))),
            storage: with(
                "/var/lib/containers/storage",
                of_user.map(|it| it.join("containers/storage")),
            ),
        }
    }

    /// The ids of the containers of a name.
    fn ids_of(&self, name: &str) -> BTreeSet<String> {
        let docker = self.docker.iter().flat_map(|folder| folders_in(&folder.join("containers")));
        let docker = docker.filter_map(|folder| docker_id(&folder, name));
        let storage = self.storage.iter().flat_map(|folder| folders_in(folder));
        let storage = storage.flat_map(|folder| storage_ids(&folder, name));
        docker.chain(storage).collect()
    }
}

impl fmt::Display for ContainerFolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folders = self.docker.iter().chain(&self.storage);
        let folders: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
        f.write_str(&folders.join(", "))
    }
}

/// What a container's name or id stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerSearch {
    /// The cgroups of one container, that of memory first.
    Found(Vec<Cgroup>),
    /// Several containers, by their ids or names.
    Several(Vec<String>),
    /// None that runs.
    None,
}

/// Finds the cgroups of a container by its name, its id, or at least twelve digits of that. `mounts` is our own
/// mountinfo.
#[must_use]
pub fn container(wanted: &str, folders: &ContainerFolders, mounts: &[u8]) -> ContainerSearch {
    let ids = folders.ids_of(wanted);
    let is_wanted = |label: &str| {
        let is_id = is_hex(label) && label.len() == ID;
        let by_id = is_id && wanted.len() >= SHORTEST_ID && label.starts_with(wanted);
        by_id || ids.contains(label) || (!is_id && label == wanted)
    };
    let mut found: Vec<(String, Cgroup)> = Vec::new();
    for root in Cgroup::uppermost(mounts) {
        search(&root, DEEPEST, &mut |group, label| {
            let meant = is_wanted(&label);
            if meant {
                found.push((label, group.clone()));
            }
            meant
        });
    }
    let labels: BTreeSet<&String> = found.iter().map(|(label, _)| label).collect();
    match labels.len() {
        0 => ContainerSearch::None,
        1 => ContainerSearch::Found(found.into_iter().map(|(_, group)| group).collect()),
        _ => ContainerSearch::Several(labels.into_iter().cloned().collect()),
    }
}

/// Offers each cgroup that is a container's, with its id or name, and goes no deeper where it is taken.
fn search(group: &Cgroup, depth: usize, take: &mut impl FnMut(&Cgroup, String) -> bool) {
    for folder in folders_in(&group.folder()) {
        let name = folder.file_name().and_then(|name| name.to_str());
        let Some(below) = name.map(|name| group.child(name)) else { continue };
        let taken = label(&below.path).is_some_and(|label| take(&below, label));
        if !taken && depth > 0 {
            search(&below, depth - 1, take);
        }
    }
}

/// The id or name of the container that a cgroup belongs to by its path; none of other cgroups.
fn label(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".scope").or_else(|| name.strip_suffix(".service"));
    let stem = stem.unwrap_or(name);
    let behind = PREFIXES.iter().find_map(|prefix| stem.strip_prefix(prefix));
    let parent = path.parent().and_then(Path::file_name).and_then(|parent| parent.to_str());
    let is_whole = parent == Some("lxc") || (is_hex(stem) && stem.len() == ID);
    let label = behind.or_else(|| is_whole.then_some(stem))?;
    Some(unescaped(label))
}

/// systemd writes `-` of a machine's name as `\x2d` (systemd.unit(5)).
fn unescaped(label: &str) -> String {
    label.replace("\\x2d", "-")
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Of a folder `containers/ID` of Docker's: the id, if `config.v2.json` has this name, with a `/` before it.
fn docker_id(folder: &Path, name: &str) -> Option<String> {
    let config = json(&folder.join("config.v2.json"))?;
    let is_named = config.get("Name")?.as_str()?.trim_start_matches('/') == name;
    is_named.then(|| folder.file_name()?.to_str().map(str::to_owned))?
}

/// Of a folder such as `overlay-containers`: the ids that have this name in `containers.json`.
fn storage_ids(folder: &Path, name: &str) -> Vec<String> {
    let Some(Value::Array(containers)) = json(&folder.join("containers.json")) else {
        return Vec::new();
    };
    let id = |container: &Value| {
        let names = container.get("names")?.as_array()?;
        let is_named = names.iter().any(|it| it.as_str() == Some(name));
        is_named.then(|| container.get("id")?.as_str().map(str::to_owned))?
    };
    containers.iter().filter_map(id).collect()
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hierarchy of version 2, and folders of runtimes.
    struct MadeUp(tempfile::TempDir);

    impl MadeUp {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn group(&self, path: &str) {
            fs::create_dir_all(self.0.path().join("cgroup").join(path)).unwrap();
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn search(&self, wanted: &str) -> ContainerSearch {
            let root = self.0.path().canonicalize().unwrap();
            let folders = ContainerFolders {
                docker: vec![root.join("docker")],
                storage: vec![root.join("storage")],
            };
            let at = root.join("cgroup");
            let mounts = format!("30 23 0:26 / {} rw - cgroup2 cgroup2 rw\n", at.display());
            container(wanted, &folders, mounts.as_bytes())
        }

        /// The path of the one cgroup that is found.
        fn path(&self, wanted: &str) -> Option<String> {
            match self.search(wanted) {
                ContainerSearch::Found(groups) => Some(groups[0].path.display().to_string()),
                _ => None,
            }
        }
    }

    fn id(digit: char) -> String {
        digit.to_string().repeat(ID)
    }

    #[test]
    fn an_id_or_twelve_digits_of_it_are_found_in_the_cgroups_of_each_runtime() {
        let made_up = MadeUp::new();
        let pod = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice";
        let paths = [
            format!("system.slice/docker-{}.scope", id('1')),
            format!("docker/{}", id('2')),
            format!("machine.slice/libpod-{}.scope/container", id('3')),
            format!("{pod}/cri-containerd-{}.scope", id('4')),
            format!("{pod}/crio-{}.scope", id('5')),
            format!("kubepods/burstable/pod7/{}", id('6')),
        ];
        paths.iter().for_each(|path| made_up.group(path));
        made_up.group(&format!("machine.slice/libpod-conmon-{}.scope", id('3')));
        for (path, digit) in paths.iter().zip('1'..) {
            let path = format!("/{}", path.trim_end_matches("/container"));
            assert_eq!(made_up.path(&id(digit)), Some(path.clone()));
            assert_eq!(made_up.path(&id(digit)[..12]), Some(path));
            assert_eq!(made_up.path(&id(digit)[..11]), None, "that may be a name");
        }
        assert_eq!(made_up.search(&id('9')), ContainerSearch::None);
    }

    #[test]
    fn a_name_is_found_in_the_files_of_docker_and_of_podman() {
        let made_up = MadeUp::new();
        made_up.group(&format!("docker/{}", id('a')));
        made_up.group(&format!("machine.slice/libpod-{}.scope", id('b')));
        made_up
            .file(&format!("docker/containers/{}/config.v2.json", id('a')), r#"{"Name":"/web"}"#);
        let containers = format!(r#"[{{"id":"{}","names":["db","store"]}}]"#, id('b'));
        made_up.file("storage/overlay-containers/containers.json", &containers);
        assert_eq!(made_up.path("web"), Some(format!("/docker/{}", id('a'))));
        assert_eq!(made_up.path("store"), Some(format!("/machine.slice/libpod-{}.scope", id('b'))));
        assert_eq!(made_up.search("we"), ContainerSearch::None);
        // A file that is not what it should be is as if it were not there.
        made_up.file("storage/vfs-containers/containers.json", r#"[{"names":7}, 1"#);
        assert_eq!(made_up.path("web"), Some(format!("/docker/{}", id('a'))));
    }

    #[test]
    fn lxc_and_machines_are_found_by_their_names_and_no_other_cgroup_is() {
        let made_up = MadeUp::new();
        let paths = [
            ("lxc/one", "one"),
            ("lxc.payload.two", "two"),
            (r"machine.slice/machine-a\x2db.scope", "a-b"),
            ("machine.slice/systemd-nspawn@deb.service", "deb"),
        ];
        for (path, name) in paths {
            made_up.group(path);
            assert_eq!(made_up.path(name), Some(format!("/{path}")));
        }
        made_up.group("system.slice/nginx.service");
        assert_eq!(made_up.search("nginx"), ContainerSearch::None);
    }

    #[test]
    fn what_two_containers_are_called_by_is_none_of_them() {
        let made_up = MadeUp::new();
        let other = format!("{}1", &id('c')[1..]);
        made_up.group(&format!("docker/{}", id('c')));
        made_up.group(&format!("docker/{other}"));
        let several = ContainerSearch::Several(vec![other, id('c')]);
        assert_eq!(made_up.search(&id('c')[..12]), several);
    }
}
