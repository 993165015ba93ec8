//! Activity of the simulated world: reports, charges of other publishers, and SQL statements of an
//! operator.

pub mod items;
pub mod nodes;
pub mod traffic;

use uuid::Uuid;

use crate::random::Random;

/// Number of servers that are never deleted. Other publishers charge for these servers.
const LASTING_SERVERS: i32 = 6;
/// Number of servers at any time.
const SERVERS: i32 = 12;
/// Number of users who are charged by almost every run.
const HOT_USERS: usize = 40;

/// A server that reports.
#[derive(Debug, Clone)]
pub struct Server {
    pub id: i32,
    /// Ordered by id. The first client exists as long as the server does.
    pub clients: Vec<i32>,
    /// Deleted clients that the server's collector still names now and then.
    pub ghosts: Vec<i32>,
}

/// The users and servers of a run.
#[derive(Debug, Clone, Default)]
pub struct Cast {
    pub users: Vec<Uuid>,
    pub servers: Vec<Server>,
}

impl Cast {
    /// Creates `users` users and the initial servers.
    pub fn new(users: usize, random: &mut Random) -> Self {
        let users = (0..users).map(|_| random.uuid()).collect();
        let servers = (1..=SERVERS).map(|id| Server::new(id, random)).collect();
        Self { users, servers }
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
