//! The script of a shell.

use clap::Command;
use clap_complete::Shell;

use crate::flags::Flags;

const BASH: &str = include_str!("plugins.bash");
const ZSH: &str = include_str!("plugins.zsh");
const FISH: &str = include_str!("plugins.fish");

/// What clap's script for zsh completes a plugin by, and the functions of [`ZSH`] that do so instead.
const ZSH_VALUE: &str = ":NAME[,KEY=VALUE…]:_default";

/// The script for a shell.
pub(crate) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(&Flags::command()), "seepmeter", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script + BASH,
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + FISH,
        _ => script,
    }
}

/// The command without what is hidden, which a shell would offer all the same.
fn visible(all: &Command) -> Command {
    let subcommands = all.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    Command::new("seepmeter")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(subcommands.cloned())
}

/// The functions have to stand before clap's last lines, which call the main one.
fn zsh(script: &str) -> String {
    let with_values = script.lines().map(|line| {
        let function = match line.contains("sampler") {
            true => "_seepmeter_sampler",
            false => "_seepmeter_sink",
        };
        format!("{}\n", line.replace(ZSH_VALUE, &format!(":NAME,KEY=VALUE:{function}")))
    });
    let script: String = with_values.collect();
    let (head, rest) = script.split_once('\n').unwrap_or((&script, ""));
    format!("{head}\n{ZSH}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_in_the_script_of_zsh_is_completed_by_its_kind() {
        let script = script(Shell::Zsh);
        assert!(script.starts_with("#compdef seepmeter\n"), "{}", &script[..80]);
        // Short and long, of `run` and `attach`; the sinks of `replay` too.
        let count = |function: &str| script.matches(&format!(":NAME,KEY=VALUE:{function}")).count();
        assert_eq!((count("_seepmeter_sampler"), count("_seepmeter_sink")), (4, 6));
        assert!(!script.contains(ZSH_VALUE));
        assert!(script.contains("'completions:") && !script.contains("'complete:"));
    }
}
