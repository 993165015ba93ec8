//! The hand-written parts of the demo fleet.

/// Countries and cities of servers.
pub(super) const SITES: [(&str, &str); 12] = [
    ("DE", "Frankfurt"),
    ("NL", "Amsterdam"),
    ("GB", "London"),
    ("FR", "Paris"),
    ("US", "New York"),
    ("US", "Los Angeles"),
    ("CA", "Toronto"),
    ("JP", "Tokyo"),
    ("SG", "Singapore"),
    ("AU", "Sydney"),
    ("BR", "São Paulo"),
    ("IN", "Mumbai"),
];
/// Number of servers: two per site.
pub(super) const SERVERS: i32 = 24;
/// Number of clients of consecutive servers.
pub(super) const CLIENTS_PER_SERVER: [i32; 4] = [2, 1, 3, 2];
/// Traffic factors of consecutive clients, in ten-thousandths.
pub(super) const FACTORS: [i64; 5] = [10_000, 20_000, 5_000, 15_000, 0];
/// Access groups that may use consecutive clients: 1 is basic, 2 is plus, 3 is premium.
pub(super) const ACCESS_GROUPS: [&[i32]; 3] = [&[1, 2, 3], &[2, 3], &[3]];
/// Speed limits of consecutive clients, in bit/s.
pub(super) const SPEED_LIMITS: [Option<i64>; 4] = [
    None,
    Some(1_000_000_000),
    Some(300_000_000),
    Some(100_000_000),
];
pub(super) const ROUTE_CLASSES: [&str; 3] = ["direct", "relay", "premium"];
pub(super) const USERS: u32 = 600;
/// Maximum number of items in a user's queue.
pub(super) const LONGEST_QUEUE: u32 = 12;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const MB: i64 = 1_000_000;
const GB: i64 = 1_000 * MB;

pub(super) struct Series {
    pub name: &'static str,
    pub group: i32,
    /// Maximum number of concurrent devices.
    pub max_clients: i32,
    /// Time from activation to expiry.
    pub seconds: i64,
    /// Traffic limit of the newest version, in bytes. Each earlier version has a tenth of that
    /// less.
    pub bytes: i64,
    /// Number of versions. The newest one is the master.
    pub versions: i32,
}

const fn series(
    name: &'static str,
    group: i32,
    max_clients: i32,
    seconds: i64,
    bytes: i64,
    versions: i32,
) -> Series {
    Series {
        name,
        group,
        max_clients,
        seconds,
        bytes,
        versions,
    }
}

/// Ordered from a series that a minute or two of simulation uses up to a series that lasts. The
/// columns are the fields of [`Series`].
pub(super) const SERIES: [Series; 6] = [
    series("Spark", 1, 1, HOUR, 300 * MB, 2),
    series("Hour", 1, 2, HOUR, 5 * GB, 1),
    series("Day", 2, 3, DAY, 20 * GB, 3),
    series("Week", 2, 3, 7 * DAY, 100 * GB, 2),
    series("Month", 3, 5, 30 * DAY, 500 * GB, 2),
    series("Year", 3, 10, 365 * DAY, 10_000 * GB, 1),
];
/// The series in the demo user's queue. A medium-sized one comes first, so that a visitor sees the
/// used share grow.
pub(super) const DEMO_QUEUE: [usize; 3] = [2, 3, 4];
/// The series of other users' items. A series is repeated in proportion to its frequency.
pub(super) const MIX: [usize; 12] = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 5];
