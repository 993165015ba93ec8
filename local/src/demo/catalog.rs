//! What the demo fleet is made of, by hand.

/// Countries and places of servers.
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
/// Servers; two a site.
pub(super) const SERVERS: i32 = 24;
/// Clients of consecutive servers.
pub(super) const CLIENTS_PER_SERVER: [i32; 4] = [2, 1, 3, 2];
/// Factors of consecutive clients, in ten-thousandths.
pub(super) const FACTORS: [i64; 5] = [10_000, 20_000, 5_000, 15_000, 0];
/// Which access groups may use consecutive clients: basic 1, plus 2, premium 3.
pub(super) const ACCESS_GROUPS: [&[i32]; 3] = [&[1, 2, 3], &[2, 3], &[3]];
/// Speed limits of consecutive clients, bit/s.
pub(super) const SPEED_LIMITS: [Option<i64>; 4] = [
    None,
    Some(1_000_000_000),
    Some(300_000_000),
    Some(100_000_000),
];
/// Route classes of consecutive clients.
pub(super) const ROUTE_CLASSES: [&str; 3] = ["direct", "relay", "premium"];
/// Users.
pub(super) const USERS: u32 = 600;
/// The longest queue of a user.
pub(super) const LONGEST_QUEUE: u32 = 12;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const MB: i64 = 1_000_000;
const GB: i64 = 1_000 * MB;

/// A package series.
pub(super) struct Series {
    /// Shown to people.
    pub name: &'static str,
    /// Whose nodes it opens.
    pub group: i32,
    /// Devices at once.
    pub max_clients: i32,
    /// From activation to expiry.
    pub seconds: i64,
    /// Traffic of the newest version, bytes; each version before had a tenth less.
    pub bytes: i64,
    /// How many versions there are; the newest is the master.
    pub versions: i32,
}

/// From one that is used up in a minute or two of simulation to one that lasts.
pub(super) const SERIES: [Series; 6] = [
    Series {
        name: "Spark",
        group: 1,
        max_clients: 1,
        seconds: HOUR,
        bytes: 300 * MB,
        versions: 2,
    },
    Series {
        name: "Hour",
        group: 1,
        max_clients: 2,
        seconds: HOUR,
        bytes: 5 * GB,
        versions: 1,
    },
    Series {
        name: "Day",
        group: 2,
        max_clients: 3,
        seconds: DAY,
        bytes: 20 * GB,
        versions: 3,
    },
    Series {
        name: "Week",
        group: 2,
        max_clients: 3,
        seconds: 7 * DAY,
        bytes: 100 * GB,
        versions: 2,
    },
    Series {
        name: "Month",
        group: 3,
        max_clients: 5,
        seconds: 30 * DAY,
        bytes: 500 * GB,
        versions: 2,
    },
    Series {
        name: "Year",
        group: 3,
        max_clients: 10,
        seconds: 365 * DAY,
        bytes: 10_000 * GB,
        versions: 1,
    },
];
/// The series that the demo user's queue holds: mid-size first, so that a visitor sees its share
/// grow.
pub(super) const DEMO_QUEUE: [usize; 3] = [2, 3, 4];
/// The series of everybody else's items, repeated by how common they are.
pub(super) const MIX: [usize; 12] = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 5];
