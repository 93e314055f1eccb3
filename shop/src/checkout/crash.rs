//! Named points at which a debug build dies on demand, so that tests can kill a process between any two steps.

/// Where a process can be made to die, in the order in which a checkout passes them.
pub const POINTS: &[&str] = &[
    "checkout.claimed",
    "checkout.held",
    "checkout.prepared",
    "checkout.paid",
    "checkout.placing",
    "checkout.placed",
];

/// Dies at once, as by SIGKILL, if `PANONO_CRASH_AT` names this point. Release builds do not look.
pub fn point(name: &'static str) {
    if cfg!(debug_assertions) && std::env::var("PANONO_CRASH_AT").is_ok_and(|at| at == name) {
        tracing::error!(point = name, "dying on demand");
        // No destructor runs and no buffer is flushed.
        std::process::abort();
    }
}
