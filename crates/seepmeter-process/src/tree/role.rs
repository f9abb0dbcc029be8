//! What a process is beside the others of its tree.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// The role of a process: its program, and the role of its parent.
///
/// Two processes with the same role are judged as one pool: the workers that a server forks one after
/// another, the child that a supervisor starts again. The program of an interpreter is its script too:
/// `python3 worker.py` and `python3 other.py` are two. What a process forks of its own program is one
/// role, however deep.
///
/// ```
/// use seepmeter_process::tree::{Program, Role};
///
/// let words = |text: &str| text.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
/// let supervisor = Program::new(Some("/bin/dash".as_ref()), b"run.sh", &words("/bin/sh ./run.sh"));
/// let worker = Program::new(Some("/usr/bin/python3.11".as_ref()), b"python3", &words("python3 -u worker.py 8000"));
/// let supervisor = Role::new(supervisor, None);
/// let first = Role::new(worker.clone(), Some(&supervisor));
/// let second = Role::new(worker.clone(), Some(&supervisor));
/// assert_eq!(first, second);
/// assert_eq!(first.to_string(), "python3 worker.py");
/// assert_eq!(Role::new(worker, Some(&first)).to_string(), "python3 worker.py (child)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    program: Arc<Program>,
    parent: Option<Arc<Role>>,
}

impl Role {
    /// The role of a process with this program, and a parent with that role; none of the target.
    #[must_use]
    pub fn new(program: Program, parent: Option<&Self>) -> Self {
        let program = match parent {
            Some(parent) if parent.program.is_also(&program) => Arc::clone(&parent.program),
            _ => Arc::new(program),
        };
        match parent {
            Some(parent) if parent.is_child_of_its_program() && parent.program == program => {
                parent.clone()
            }
            parent => Self { program, parent: parent.cloned().map(Arc::new) },
        }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The role of the parent.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.parent.as_deref()
    }

    fn is_child_of_its_program(&self) -> bool {
        self.parent().is_some_and(|parent| parent.program == self.program)
    }
}

impl fmt::Display for Role {
    /// The name for people: `nginx`, `nginx (child)`, `python3 worker.py`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let child = if self.is_child_of_its_program() { " (child)" } else { "" };
        write!(f, "{}{child}", self.program)
    }
}

/// A program, as it is distinguished from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// Its file; the name of the process if this user may not know the file.
    file: Vec<u8>,
    name: Vec<u8>,
    /// What an interpreter runs, as it was typed: `worker.py`, `-m http.server`, `-c`.
    script: Vec<Vec<u8>>,
}

impl Program {
    /// The program of a process with this file, this name (/proc/PID/comm) and this command line.
    ///
    /// A command line that the process has overwritten, as servers do to show what they do, does not
    /// count, since it begins with no known interpreter.
    #[must_use]
    pub fn new(executable: Option<&Path>, name: &[u8], command: &[Vec<u8>]) -> Self {
        let file = executable.map_or(name, |file| file.as_os_str().as_bytes());
        let file = file.strip_suffix(b" (deleted)").unwrap_or(file);
        let first = base_name(command.first().map_or(&[][..], Vec::as_slice));
        let of_file = base_name(file);
        if MULTI_CALL.contains(&of_file) && !first.is_empty() {
            let file = [file, b" ", first].concat();
            return Self { file, name: first.to_vec(), script: Vec::new() };
        }
        let Some(interpreter) = INTERPRETERS.iter().find(|it| it.is(of_file)) else {
            let is_name = |called: &&[u8]| called[..called.len().min(COMM)] == *name;
            let name = called(first).filter(is_name).unwrap_or(of_file).to_vec();
            return Self { file: file.to_vec(), name, script: Vec::new() };
        };
        // `python3` for python3.11, `sh` for dash: as it was typed.
        let typed = interpreter.is(first) || interpreter.links.contains(&first);
        let name = if typed { first } else { of_file };
        let script = if typed { interpreter.script(&command[1..]) } else { Vec::new() };
        Self { file: file.to_vec(), name: name.to_vec(), script }
    }
}

impl Program {
    /// What an interpreter runs, without its path: `worker.py`, `http.server`. None if that is a text (`-c`) or
    /// standard input, or the program is no interpreter.
    #[must_use]
    pub fn script(&self) -> Option<&[u8]> {
        let script = base_name(self.script.last()?);
        (!script.starts_with(b"-")).then_some(script)
    }

    /// What an interpreter runs, as it was typed, with the option that says so: `worker.py`, `-jar server.jar`.
    pub(crate) fn script_words(&self) -> &[Vec<u8>] {
        &self.script
    }

    /// True if both execute the same file, whatever that runs if it is an interpreter. Other programs may be chosen by
    /// the name that they are called by, as redis-server and redis-sentinel are.
    pub(crate) fn is_of_same_file(&self, other: &Self) -> bool {
        self.file == other.file && (self.is_interpreter() || self.name == other.name)
    }

    fn is_interpreter(&self) -> bool {
        INTERPRETERS.iter().any(|it| it.is(base_name(&self.file)))
    }

    /// True of an interpreter that has overwritten its `command` line, so that what it runs is not shown.
    #[must_use]
    pub fn has_title(&self, command: &[Vec<u8>]) -> bool {
        let of_file = base_name(&self.file);
        let first = base_name(command.first().map_or(&[][..], Vec::as_slice));
        let typed = |it: &Interpreter| it.is(first) || it.links.contains(&first);
        INTERPRETERS.iter().find(|it| it.is(of_file)).is_some_and(|it| !typed(it))
    }

    /// True if it is an interpreter of which it is not known what it runs: a text (`-c`), standard input, or what its
    /// overwritten command line no longer shows. Two such processes may have nothing else in common.
    #[must_use]
    pub fn is_interpreter_alone(&self) -> bool {
        self.script().is_none() && self.is_interpreter()
    }

    /// True of the program of a child that has overwritten its command line, so that only the name of the file is
    /// left: Debian's `redis-server` is a link to `redis-check-rdb`, and so a child of it would be called.
    fn is_also(&self, child: &Self) -> bool {
        let is_of_file = child.name == base_name(&child.file);
        is_of_file && (&self.file, &self.script) == (&child.file, &child.script)
    }
}

impl fmt::Display for Program {
    /// `nginx`, `python3 worker.py`, `java -jar server.jar`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.name))?;
        for word in &self.script {
            write!(f, " {}", String::from_utf8_lossy(base_name(word)))?;
        }
        Ok(())
    }
}

/// The most bytes of a /proc/PID/comm.
const COMM: usize = 15;

/// Programs that are chosen by the name with which they are called.
const MULTI_CALL: [&[u8]; 3] = [b"busybox", b"toybox", b"coreutils"];

/// A program that runs another: how its command line is read.
struct Interpreter {
    /// What its file's name begins with; digits and dots may follow.
    name: &'static [u8],
    /// Other names that it is called by.
    links: &'static [&'static [u8]],
    /// Options with a value of their own behind them.
    with_value: &'static [&'static [u8]],
    /// Options whose value is what is run.
    module: &'static [&'static [u8]],
    /// Options whose value is a text of a program: it is no name.
    text: &'static [&'static [u8]],
}

const INTERPRETERS: [Interpreter; 11] = [
    Interpreter {
        name: b"python",
        links: &[b"python"],
        with_value: &[b"-W", b"-X", b"--check-hash-based-pycs"],
        module: &[b"-m"],
        text: &[b"-c"],
    },
    shell(b"bash", &[b"sh"]),
    shell(b"dash", &[b"sh"]),
    shell(b"zsh", &[b"sh"]),
    shell(b"ksh", &[b"sh"]),
    Interpreter {
        name: b"perl",
        links: &[],
        with_value: &[b"-I", b"-M", b"-m"],
        module: &[],
        text: &[b"-e", b"-E"],
    },
    Interpreter {
        name: b"ruby",
        links: &[],
        with_value: &[b"-I", b"-r", b"-C"],
        module: &[],
        text: &[b"-e"],
    },
    Interpreter {
        name: b"node",
        links: &[b"nodejs"],
        with_value: &[b"-r", b"--require", b"--import", b"--loader", b"-C", b"--conditions"],
        module: &[],
        text: &[b"-e", b"--eval", b"-p", b"--print"],
    },
    Interpreter {
        name: b"java",
        links: &[],
        with_value: &[
            b"-cp",
            b"-classpath",
            b"--class-path",
            b"-p",
            b"--module-path",
            b"--add-modules",
        ],
        module: &[b"-jar", b"-m", b"--module"],
        text: &[],
    },
    Interpreter {
        name: b"php",
        links: &[],
        with_value: &[b"-c", b"-d", b"-z"],
        module: &[],
        text: &[b"-r"],
    },
    Interpreter { name: b"lua", links: &[], with_value: &[b"-l"], module: &[], text: &[b"-e"] },
];

const SHELL_VALUES: &[&[u8]] = &[b"-o", b"+o", b"-O", b"+O", b"--rcfile", b"--init-file"];

const fn shell(name: &'static [u8], links: &'static [&'static [u8]]) -> Interpreter {
    Interpreter { name, links, with_value: SHELL_VALUES, module: &[], text: &[b"-c"] }
}

impl Interpreter {
    fn is(&self, name: &[u8]) -> bool {
        let rest = name.strip_prefix(self.name);
        rest.is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
    }

    /// What it runs: the first argument that is no option, or what an option names.
    fn script(&self, arguments: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut rest = arguments.iter().map(Vec::as_slice);
        while let Some(word) = rest.next() {
            if self.text.contains(&word) || self.is_text_among_others(word) {
                return vec![word.to_vec()];
            } else if self.module.contains(&word) {
                return std::iter::once(word).chain(rest.next()).map(<[u8]>::to_vec).collect();
            } else if word == b"-" || self.reads_standard_input(word) {
                return vec![word.to_vec()];
            } else if self.with_value.contains(&word) {
                rest.next();
            } else if word == b"--" {
                return rest.next().map(<[u8]>::to_vec).into_iter().collect();
            } else if !matches!(word.first(), Some(b'-' | b'+') | None) {
                return vec![word.to_vec()];
            }
        }
        Vec::new()
    }

    /// `-ec` of a shell is `-e -c`. Behind a letter that takes a value, all is that value.
    fn is_text_among_others(&self, word: &[u8]) -> bool {
        self.letters(word).any(|letter| self.text.contains(&&[b'-', letter][..]))
    }

    /// `-s` of a shell: its arguments are no script.
    fn reads_standard_input(&self, word: &[u8]) -> bool {
        self.with_value == SHELL_VALUES && self.letters(word).any(|letter| letter == b's')
    }

    /// The options that stand together in one word.
    fn letters(&self, word: &[u8]) -> impl Iterator<Item = u8> {
        let letters = word.strip_prefix(b"-").filter(|letters| !letters.starts_with(b"-"));
        let takes_value = |letter: &u8| self.with_value.contains(&&[b'-', *letter][..]);
        letters.unwrap_or_default().iter().copied().take_while(move |letter| !takes_value(letter))
    }
}

/// What a program was called by, `redis-server` where the file is a link to redis-check-rdb: the first word, also
/// of a title such as `nginx: worker process`. It counts if the name of the process is the same.
fn called(first: &[u8]) -> Option<&[u8]> {
    let word = first.split(|byte| *byte == b' ').next()?;
    Some(word.strip_suffix(b":").unwrap_or(word))
}

fn base_name(path: &[u8]) -> &[u8] {
    let name = Path::new(OsStr::from_bytes(path)).file_name();
    name.map_or(path, OsStr::as_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn program(file: &str, command: &str) -> Program {
        let words: Vec<Vec<u8>> = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        Program::new(Some(Path::new(file)), b"comm", &words)
    }

    #[test]
    fn a_program_is_named_as_people_call_it() {
        for (file, command, name) in [
            ("/usr/sbin/nginx", "nginx: worker process", "nginx"),
            ("/usr/lib/postgresql/17/bin/postgres", "postgres: user db [local] SELECT", "postgres"),
            (
                "/usr/bin/python3.11",
                "python3 -W error /srv/app/worker.py --port 1",
                "python3 worker.py",
            ),
            (
                "/usr/bin/python3.11",
                "/usr/bin/python3.11 -m http.server 80",
                "python3.11 -m http.server",
            ),
            ("/usr/bin/python3.11", "python3 -c import(time)", "python3 -c"),
            ("/usr/bin/python3.11", "python3 -Bc import(time)", "python3 -Bc"),
            ("/usr/bin/python3.11", "python3 -Wonce worker.py", "python3 worker.py"),
            ("/usr/bin/python3.11", "python3 - secret", "python3 -"),
            ("/usr/bin/perl", "perl -we CODE secret", "perl -we"),
            ("/usr/bin/perl", "perl -0777 -pe CODE secret", "perl -pe"),
            ("/usr/bin/perl", "perl -MList::Util=reduce job.pl", "perl job.pl"),
            ("/bin/dash", "sh -s secret", "sh -s"),
            ("/bin/bash", "bash --rcfile secret -c exit", "bash -c"),
            ("/usr/bin/python3.11", "gunicorn: master [app]", "python3.11"),
            ("/bin/dash", "/bin/sh -ec exit", "sh -ec"),
            ("/bin/dash", "/bin/sh ./start.sh 1", "sh start.sh"),
            ("/usr/bin/node", "node --require ./x.js server.js", "node server.js"),
            ("/opt/jdk/bin/java", "java -Xmx1g -jar /srv/a.jar x", "java -jar a.jar"),
            ("/opt/jdk/bin/java", "java -cp a:b org.example.Main x", "java org.example.Main"),
            ("/usr/bin/perl", "perl -- job.pl", "perl job.pl"),
            ("/bin/busybox", "sleep 10", "sleep"),
            ("/srv/server (deleted)", "./server", "server"),
            ("/usr/bin/python3.11", "python3", "python3"),
        ] {
            assert_eq!(program(file, command).to_string(), name, "{file} {command}");
        }
        assert_eq!(Program::new(None, b"secret", &[]).to_string(), "secret");
    }

    #[test]
    fn a_program_that_is_called_by_another_name_than_its_file_has_that_one() {
        let file = Some(Path::new("/usr/bin/redis-check-rdb"));
        for first in ["/usr/bin/redis-server", "redis-server *:6379"] {
            let program = Program::new(file, b"redis-server", &[first.as_bytes().to_vec()]);
            assert_eq!(program.to_string(), "redis-server");
        }
        let program = Program::new(file, b"io_thd_1", &[b"redis-server".to_vec()]);
        assert_eq!(program.to_string(), "redis-check-rdb", "it has given itself a name");
        let words = [b"x86_64-linux-gnu-gcc-12".to_vec()];
        let program = Program::new(Some(Path::new("/usr/bin/gcc-12")), b"x86_64-linux-gn", &words);
        assert_eq!(program.to_string(), "x86_64-linux-gnu-gcc-12");
    }

    #[test]
    fn two_scripts_of_an_interpreter_are_two_roles_and_two_runs_of_one_are_one() {
        let target = Role::new(program("/bin/dash", "sh run.sh"), None);
        let of = |command| Role::new(program("/usr/bin/python3.11", command), Some(&target));
        assert_ne!(of("python3 worker.py"), of("python3 other.py"));
        assert_eq!(of("python3 worker.py 1"), of("python3 worker.py 2"));
    }

    #[test]
    fn the_same_program_under_another_parent_is_another_role() {
        let roles = ["a", "b"].map(|parent| {
            let parent = Role::new(program(parent, parent), None);
            Role::new(program("/bin/x", "x"), Some(&parent))
        });
        assert_ne!(roles[0], roles[1]);
        assert_eq!(roles.map(|role| role.to_string()), ["x", "x"]);
    }

    #[test]
    fn a_child_with_a_title_of_its_own_is_called_as_its_parent_and_not_as_what_a_link_points_to() {
        let redis = |title: &str| {
            let words = [title.as_bytes().to_vec()];
            Program::new(Some("/usr/bin/redis-check-rdb".as_ref()), b"redis-server", &words)
        };
        let server = Role::new(redis("/usr/bin/redis-server"), None);
        let save = Role::new(redis("redis-rdb-bgsave *:6379"), Some(&server));
        assert_eq!(save.to_string(), "redis-server (child)");
        assert_eq!(Role::new(redis("redis-rdb-bgsave *:6379"), Some(&save)), save);
        // By itself it has no better name.
        assert_eq!(
            Role::new(redis("redis-rdb-bgsave *:6379"), None).to_string(),
            "redis-check-rdb"
        );
    }

    #[test]
    fn what_a_server_forks_of_itself_is_one_pool_however_deep() {
        let server = || program("/usr/sbin/nginx", "nginx: master process");
        let master = Role::new(server(), None);
        let worker = Role::new(server(), Some(&master));
        let deeper = Role::new(server(), Some(&worker));
        assert_eq!(worker, deeper);
        assert_ne!(master, worker);
        assert_eq!([master, worker].map(|role| role.to_string()), ["nginx", "nginx (child)"]);
    }

    proptest! {
        #[test]
        fn no_command_line_whatever_makes_the_name_panic(file in "/?(python3|sh|dash|java|x|busybox)?", command: Vec<Vec<u8>>) {
            let _ = Program::new(Some(Path::new(&file)), b"", &command).to_string();
        }
    }
}
