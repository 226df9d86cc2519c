//! Laws of the system that can be taken out of a world, one at a time, to see that the simulation would notice.

/// A law of the system. Most are taken out where the world meets the code: in the store, the queues and the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    /// A message is acknowledged only once its work is durable.
    AcknowledgeLast,
    /// An event's id is a function of the event, never of its delivery.
    OwnId,
    /// An event's time is a function of the event, never of its delivery.
    OwnTime,
    /// A level is written only if nobody wrote it since it was read.
    OptimisticLock,
    /// `observed` never falls.
    Watermark,
    /// A request takes only what is there.
    Floor,
    /// A write of unknown outcome is repeated as the same write.
    SameWriteAgain,
    /// An idempotency key is bound once.
    BoundKey,
    /// A reservation's levels follow its state, whoever died on the way.
    ReservationsFollowed,
    /// Reservations that ran out are ended.
    Sweep,
    /// A receipt is written only if nobody wrote it since it was read.
    ReceiptLock,
    /// The stream goes on only behind what was followed.
    CheckpointLast,
    /// A publisher skips what stands in the feed already.
    LookFirst,
    /// A callback's event id is a function of the event, never of the message.
    CallbackId,
    /// What did not arrive is tried again.
    CallbackAgain,
}

impl Law {
    pub(crate) const ALL: [Self; 15] = [
        Self::AcknowledgeLast,
        Self::OwnId,
        Self::OwnTime,
        Self::OptimisticLock,
        Self::Watermark,
        Self::Floor,
        Self::SameWriteAgain,
        Self::BoundKey,
        Self::ReservationsFollowed,
        Self::Sweep,
        Self::ReceiptLock,
        Self::CheckpointLast,
        Self::LookFirst,
        Self::CallbackId,
        Self::CallbackAgain,
    ];
}
