//! Files that are written: never the wrong one, never an older one before the run has begun.
