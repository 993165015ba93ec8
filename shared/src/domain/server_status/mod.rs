//! Whether node servers are online: when silence counts as an outage, what that does to a server,
//! and the timeline of the statuses that each server had.

mod policy;
mod timeline;
mod times;
mod transition;

pub use policy::{
    CollectionHealth, FleetSnapshot, OfflinePolicy, SilenceCutoffs, WatchState, evaluate,
};
pub use timeline::{HeartbeatRun, ManualChange, StatusInterval, StatusTimeline};
pub use times::{KnownTimes, StatusTimes, StatusTimesHour};
pub use transition::{Evaluation, OpenInterval, ServerState, StatusChange};
