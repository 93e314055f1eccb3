//! panono-shop
fn main() {}
