//! panono-shop
fn main(){}
