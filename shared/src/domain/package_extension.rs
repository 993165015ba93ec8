//! Extensions of package items: hours that are added to the time of many active items.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit::Actor;

/// Maximum number of hours of one extension (a year).
pub const MAX_HOURS: i64 = 8_760;

/// The packages whose active items are extended. Exactly one field is `Some`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedPackages {
    /// Access group that the packages open.
    pub available_group: Option<i32>,
    /// Series of the packages.
    pub series: Option<Uuid>,
}

/// An extension to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExtension<'a> {
    /// Id of the extension.
    pub id: Uuid,
    /// Time of the request. Items that are active at this time are extended.
    pub created_at: DateTime<Utc>,
    /// The administrator who requested the extension.
    pub actor: &'a Actor,
    /// The packages whose items are extended.
    pub packages: ExtendedPackages,
    /// Hours to add, from 1 to [`MAX_HOURS`].
    pub hours: i32,
    /// Reason that the administrator gave.
    pub reason: &'a str,
    /// Number of active items at the time of the request.
    pub item_count: i64,
}

/// The last item that an extension has processed, in the order of packages and items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemOfPackage {
    /// Id of the item's package.
    pub package_id: i64,
    /// Id of the item.
    pub id: i64,
}

/// An extension whose items are not all processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteExtension {
    /// Id of the extension.
    pub id: Uuid,
    /// Time of the request.
    pub created_at: DateTime<Utc>,
    /// The administrator who requested the extension.
    pub actor: Actor,
    /// The packages whose items are extended.
    pub packages: ExtendedPackages,
    /// Hours that each item gets.
    pub hours: i32,
    /// Number of active items at the time of the request.
    pub item_count: i64,
    /// The last item that was processed.
    pub last: ItemOfPackage,
    /// Number of items that were extended.
    pub extended_count: i64,
}
