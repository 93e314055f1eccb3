//! Panono shop service.
