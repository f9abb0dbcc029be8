//! Plugins that hang, exit or crash.
