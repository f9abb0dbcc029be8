//! A program that copies its standard input to its standard output, and to its standard error with
//! every bit turned over.

use std::io::{Read, Write};

pub(crate) fn run() {
    copy().expect("standard streams");
}

fn copy() -> std::io::Result<()> {
    let mut bytes = vec![0; 1 << 14];
    let (mut input, mut output, mut error) =
        (std::io::stdin().lock(), std::io::stdout().lock(), std::io::stderr().lock());
    loop {
        let length = input.read(&mut bytes)?;
        if length == 0 {
            return output.flush();
        }
        output.write_all(&bytes[..length])?;
        let turned: Vec<u8> = bytes[..length].iter().map(|byte| !byte).collect();
        error.write_all(&turned)?;
    }
}
