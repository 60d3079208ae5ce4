//! Compares how planted bugs are found.

fn main() {}
