//! The subcommands, one file each: from flags to an outcome.

mod attach;
mod compare;
mod heap;
mod judge;
mod mark;
mod plugins;
mod replay;
mod report;
mod run;
mod scale;
mod shell;

pub use attach::attach;
pub use compare::compare;
pub use heap::heap;
pub use judge::judge;
pub use mark::mark;
pub use plugins::plugins;
pub use replay::replay;
pub use report::report;
pub use run::run;
pub use scale::scale;
pub use shell::{complete, completions, man};
