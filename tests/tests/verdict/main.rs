//! Verdicts: at the end of a run, of recordings and other tools' series, and of two versions.

mod compare;
mod end_of_run;
mod formats;
mod judge;
mod judged_recordings;
mod limits;
mod merging;
mod scale;
mod schema;
mod series;
mod whose_growth;
mod work;
