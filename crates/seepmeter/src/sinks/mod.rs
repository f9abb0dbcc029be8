//! The built-in sinks, one file each.

mod csv;
mod exec;
mod jsonl;
mod output;
mod summary;
mod text;

pub use csv::Csv;
pub use exec::Exec;
pub use jsonl::Jsonl;
pub use summary::Summary;
pub use text::Text;
