//! A program that proves that it has run: `target-mark FILE` creates the file.

fn main() -> std::io::Result<()> {
    let path = std::env::args_os().nth(1).expect("target-mark FILE");
    std::fs::File::create(path).map(drop)
}
