//! Descriptors and signals as the target finds them, and pipes that are slow or do not wait.
