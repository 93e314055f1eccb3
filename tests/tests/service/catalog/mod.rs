//! The catalogue on a real database: what is derived, what is read, and how.

mod fixture;
mod index;
mod listing;
mod product;
mod scale;

mod search;
mod tree;
