//! Activity of the simulated world: reports, charges of other publishers, orders of a shop, and
//! calls and SQL statements of an operator.

mod fleet;
pub mod items;
pub mod nodes;
pub mod orders;
pub mod pushes;
pub mod traffic;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::random::Random;

/// Number of servers that are never deleted. Other publishers charge for these servers.
const LASTING_SERVERS: i32 = 6;
/// Number of servers at any time.
const SERVERS: i32 = 12;
/// Number of users who are charged by almost every run.
const HOT_USERS: usize = 40;

/// Number of packages, each of a series of its own.
const PACKAGES: usize = 20;
/// The access group of most packages. The packages with the shortest time belong to another one, so
/// that items still end by time when the group is extended.
const GROUP: i32 = 1;

/// A server that reports.
#[derive(Debug, Clone)]
pub struct Server {
    pub id: i32,
    /// Ordered by id. The first client exists as long as the server does.
    pub clients: Vec<i32>,
    /// Deleted and archived clients that the server's collector still names now and then.
    pub ghosts: Vec<i32>,
}

/// An archived server, whose collector still reports now and then.
#[derive(Debug, Clone)]
pub struct ArchivedServer {
    pub server: Server,
    pub at: DateTime<Utc>,
}

/// The users, packages and servers of a run.
#[derive(Debug, Clone, Default)]
pub struct Cast {
    pub users: Vec<Uuid>,
    /// The series of the packages, in the order of their ids.
    pub series: Vec<Uuid>,
    pub servers: Vec<Server>,
    pub archived: Vec<ArchivedServer>,
}

impl Cast {
    /// Creates `users` users and the initial servers.
    pub fn new(users: usize, random: &mut Random) -> Self {
        let users = (0..users).map(|_| random.uuid()).collect();
        let series = (0..PACKAGES).map(|_| random.uuid()).collect();
        let servers = (1..=SERVERS).map(|id| Server::new(id, random)).collect();
        let archived = Vec::new();
        Self {
            users,
            series,
            servers,
            archived,
        }
    }

    /// A random user, often one of the hot users.
    pub fn user(&self, random: &mut Random) -> Uuid {
        let hot = self
            .users
            .get(..HOT_USERS.min(self.users.len()))
            .unwrap_or_default();
        let choices = if random.chance(250) { hot } else { &self.users };
        random.pick(choices).copied().unwrap_or_default()
    }
}

impl Cast {
    /// A random client of a server that reports.
    fn client(&self, random: &mut Random) -> Option<i32> {
        let clients = self.servers.iter().flat_map(|server| &server.clients);
        let clients: Vec<i32> = clients.copied().collect();
        random.pick(&clients).copied()
    }

    /// A random server that may be replaced.
    fn replaceable(&self, random: &mut Random) -> Option<Server> {
        let servers = self.servers.iter().filter(|server| !server.is_lasting());
        let servers: Vec<&Server> = servers.collect();
        random.pick(&servers).map(|server| (*server).clone())
    }
}

impl Server {
    fn new(id: i32, random: &mut Random) -> Self {
        let clients = i32::try_from(random.int(1..=3)).unwrap_or(1);
        Self {
            id,
            clients: (1..=clients).map(|number| id * 10 + number).collect(),
            ghosts: Vec::new(),
        }
    }

    pub fn is_lasting(&self) -> bool {
        self.id <= LASTING_SERVERS
    }
}

/// A random factor, in ten-thousandths.
pub fn any_factor(random: &mut Random) -> i64 {
    random
        .pick(&[
            0, 3_333, 5_000, 10_000, 10_000, 15_000, 20_000, 25_001, 100_000,
        ])
        .copied()
        .unwrap_or(10_000)
}
