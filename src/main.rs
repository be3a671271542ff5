//! pushbridge.

fn main() {}
