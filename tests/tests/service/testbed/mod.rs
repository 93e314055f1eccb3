//! The testbed itself: that its faults are real and that it leaves nothing behind.

mod mysql;
mod processes;
mod proxy;
mod servers;
