//! Who is watched, from when until when, and which signals reach it.

mod attach;
mod by_cgroup;
mod by_name;
mod interim;
mod lifetime;
mod restarts;
mod several_targets;
mod signals;
mod terminals;
