//! Full-text search of the catalogue.

pub mod document;
