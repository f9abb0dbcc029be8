//! What is kept in memory, and what text from a file may do, whatever a file or a target says.
