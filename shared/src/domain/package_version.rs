//! Packages as administrators see them: versions of a series, one of which is sold.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::page::PageBounds;

/// Limits of a page of package series.
pub const SERIES_PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};
/// Maximum traffic limit and quota adjustment, in bytes (1 EiB).
pub const MAX_TRAFFIC_BYTES: i64 = 1 << 60;
/// Maximum duration of a package, in seconds (100 years).
pub const MAX_DURATION_SECONDS: i64 = 3_155_760_000;
/// Maximum length of a name, in characters.
pub const MAX_NAME: usize = 200;

/// One version of a package series. A version never changes what it gives, so that users keep what
/// they bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageVersion {
    /// Id of the package.
    pub id: i64,
    /// Id of the series.
    pub series: Uuid,
    /// Version within the series, from 1.
    pub version: i32,
    /// Whether orders of the series deliver this version.
    pub is_master: bool,
    /// Name of the package.
    pub name: String,
    /// Access group of the node clients that the package opens.
    pub available_group: i32,
    /// Number of devices that may connect at the same time.
    pub max_client_number: i32,
    /// Time from activation to expiry, in seconds.
    pub duration_seconds: i64,
    /// Traffic limit in bytes. `null` if unlimited.
    pub traffic_limit: Option<i64>,
    /// When the version was created.
    pub created_at: DateTime<Utc>,
    /// When the version was retired. `null` if it was not.
    pub retired_at: Option<DateTime<Utc>>,
}

/// A version to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPackageVersion {
    /// Id of the series.
    pub series: Uuid,
    /// Name of the package.
    pub name: String,
    /// Access group of the node clients that the package opens.
    pub available_group: i32,
    /// Number of devices that may connect at the same time.
    pub max_client_number: i32,
    /// Time from activation to expiry, in seconds.
    pub duration_seconds: i64,
    /// Traffic limit in bytes. `None` if unlimited.
    pub traffic_limit: Option<i64>,
}

/// A series with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageSeries {
    /// Id of the series.
    pub series: Uuid,
    /// Versions of the series, newest first.
    pub versions: Vec<PackageVersion>,
}
