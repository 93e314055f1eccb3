//! Pages of text: about, shipping, returns; and posts.

pub mod store;
