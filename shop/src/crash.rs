//! Named points at which a debug build dies on demand, so that tests can kill a process between any two steps of a checkout, of a
//! payment, of a message and of what staff do with money.

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal,)+) => {
        /// Where a process can be made to die. A step that is added gets a point here, and tests die at all of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point { $($(#[doc = $doc])+ $point,)+ }

        impl Point {
            /// All of them, in the order in which they are passed.
            pub const ALL: &'static [Self] = &[$(Self::$point,)+];

            /// The value of `PANONO_CRASH_AT` that means it.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$point => $name,)+ } }
        }
    };
}

points! {
    /// Preparing, in its transaction: the key is claimed.
    Claimed = "checkout.claimed",
    /// Preparing, in its transaction: the draft order is written.
    Drafted = "checkout.drafted",
    /// Preparing, in its transaction: the pieces are held.
    Held = "checkout.held",
    /// The order is prepared, and its payment not begun.
    Prepared = "checkout.prepared",
    /// It is written that the provider will be asked, and it was not.
    Asking = "payment.asking",
    /// The provider has opened the payment, and its name is not written.
    Opened = "payment.opened",
    /// The provider's name of the payment is written, and no money is held.
    Named = "payment.named",
    /// The provider has said whether it holds the money, and that is not written.
    Confirmed = "payment.confirmed",
    /// What became of the payment is written, and the order is as it was.
    Paid = "checkout.paid",
    /// Finalising, in its transaction: everything is written and nothing committed.
    Placing = "checkout.placing",
    /// The order is finalised, and nobody was answered.
    Placed = "checkout.placed",
    /// The answer that something is to be waited for is kept, and was not given.
    Deferred = "checkout.deferred",
    /// A message of a provider is kept, and was not acknowledged.
    MessageKept = "message.kept",
    /// The provider has said what its message is about, and that is not written.
    Reported = "payment.reported",
    /// What the provider has said is written, and the order is as it was.
    Found = "payment.found",
    /// What a message was about is done, and the message not ticked off.
    MessageProcessed = "message.processed",
    /// A capture, void or refund is written, and the provider was not asked.
    OperationRecorded = "operation.recorded",
    /// The provider has moved money, and that is not written.
    OperationAnswered = "operation.answered",
    /// A capture, void or refund is settled, and nobody was answered.
    OperationSettled = "operation.settled",
}

/// Dies at once, as by SIGKILL, if `PANONO_CRASH_AT` names this point. Release builds do not look.
pub fn here(point: Point) {
    if cfg!(debug_assertions) && std::env::var("PANONO_CRASH_AT").is_ok_and(|at| at == point.name())
    {
        tracing::error!(point = point.name(), "dying on demand");
        // No destructor runs and no buffer is flushed.
        std::process::abort();
    }
}
