//! The way from a worker to PostgreSQL, on which connections are cut at chosen moments of the
//! protocol, and from which the worker is killed at a chosen statement.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};
use strum::{Display, EnumIter};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{self, Boundary, Message};

/// What happens to a connection, or to the process behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Fault {
    /// The connection is cut before COMMIT reaches the server.
    CutBeforeCommit,
    /// The server has committed; the connection is cut before its answer arrives.
    CutAfterCommit,
    /// Part of a statement reaches the server.
    CutWithinStatement,
    /// The statement reaches the server, and part of the answer the worker.
    CutWithinAnswer,
    /// SIGKILL before a statement reaches the server.
    KillBeforeStatement,
    /// SIGKILL after a statement has reached the server.
    KillAfterStatement,
    /// SIGKILL before COMMIT reaches the server.
    KillBeforeCommit,
    /// SIGKILL after the server has committed, before its answer arrives.
    KillAfterCommit,
    /// The answer to a statement is late.
    Stall,
    /// The answer to BEGIN is late.
    StallBegin,
    /// The answer to COMMIT is late.
    StallCommit,
}

impl Fault {
    /// Whether `message` is what it waits for.
    fn waits_for(self, message: &Message) -> bool {
        match self {
            Self::CutBeforeCommit
            | Self::CutAfterCommit
            | Self::KillBeforeCommit
            | Self::KillAfterCommit
            | Self::StallCommit => message.is_commit(),
            Self::StallBegin => message.boundary() == Some(Boundary::Begin),
            Self::CutWithinStatement
            | Self::CutWithinAnswer
            | Self::KillBeforeStatement
            | Self::KillAfterStatement
            | Self::Stall => message.is_statement(),
        }
    }

    /// Whether there is one such moment in most invocations, and not many.
    pub fn is_at_boundary(self) -> bool {
        !matches!(
            self,
            Self::CutWithinStatement
                | Self::CutWithinAnswer
                | Self::KillBeforeStatement
                | Self::KillAfterStatement
                | Self::Stall
        )
    }

    /// Whether nothing ends by it.
    pub fn is_stall(self) -> bool {
        matches!(self, Self::Stall | Self::StallBegin | Self::StallCommit)
    }

    fn is_kill(self) -> bool {
        matches!(
            self,
            Self::KillBeforeStatement
                | Self::KillAfterStatement
                | Self::KillBeforeCommit
                | Self::KillAfterCommit
        )
    }
}

/// A fault that waits for its moment.
#[derive(Debug, Clone, Copy)]
pub struct Armed {
    pub fault: Fault,
    /// Statements, or commits for a fault at a commit, that pass before.
    pub passes: u32,
    /// How many bytes pass of what is cut.
    pub bytes: usize,
    /// How long a stalled answer is held.
    pub stall: Duration,
}

/// The connections of one worker.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    upstream: Arc<AtomicU16>,
    /// Process id of the worker; 0 if there is none.
    pub pid: AtomicU32,
    armed: Mutex<Option<Armed>>,
    fired: Mutex<Vec<Fault>>,
    /// A fault happened since the last invocation that succeeded.
    pub disturbed: AtomicBool,
    invocation: Mutex<Option<Span>>,
    /// How often a transaction began on a connection that was in one.
    nested: AtomicU32,
}

/// An invocation: the last one, or the one under way.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub began: Instant,
    pub ended: Option<Instant>,
}

impl Link {
    /// Listens on a port of its own.
    pub async fn start(upstream: Arc<AtomicU16>) -> Result<Arc<Self>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let link = Arc::new(Self {
            address: listener.local_addr()?,
            upstream,
            pid: AtomicU32::new(0),
            armed: Mutex::default(),
            fired: Mutex::default(),
            disturbed: AtomicBool::new(false),
            invocation: Mutex::default(),
            nested: AtomicU32::new(0),
        });
        let accepting = Arc::clone(&link);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let link = Arc::clone(&accepting);
                // Whatever ends a connection, its two sides are closed.
                tokio::spawn(async move { drop(converse(&link, client).await) });
            }
        });
        Ok(link)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets `armed` happen at its moment; replaces one that has not happened yet.
    pub fn arm(&self, armed: Option<Armed>) {
        *lock(&self.armed) = armed;
    }

    pub fn is_armed(&self) -> bool {
        lock(&self.armed).is_some()
    }

    pub fn invocation_begins(&self) {
        *lock(&self.invocation) = Some(Span {
            began: Instant::now(),
            ended: None,
        });
    }

    pub fn invocation_ends(&self) {
        if let Some(span) = lock(&self.invocation).as_mut() {
            span.ended = Some(Instant::now());
        }
    }

    /// The last invocation, or the one under way.
    pub fn invocation(&self) -> Option<Span> {
        *lock(&self.invocation)
    }

    /// How often a transaction began within another one since the last call: the connection had
    /// been given back in it.
    pub fn take_nested(&self) -> u32 {
        self.nested.swap(0, Ordering::SeqCst)
    }

    /// The faults that happened since the last call.
    pub fn take_fired(&self) -> Vec<Fault> {
        std::mem::take(&mut lock(&self.fired))
    }

    /// The fault whose moment is this message, if any.
    fn fault_at(&self, message: &Message) -> Option<Armed> {
        let mut armed = lock(&self.armed);
        let waiting = armed.as_mut()?;
        if !waiting.fault.waits_for(message) {
            return None;
        }
        if waiting.passes > 0 {
            waiting.passes -= 1;
            return None;
        }
        let due = armed.take();
        if let Some(due) = due {
            self.disturbed.store(true, Ordering::SeqCst);
            lock(&self.fired).push(due.fault);
        }
        due
    }

    /// Kills the worker.
    pub fn kill(&self) {
        let pid = i32::try_from(self.pid.swap(0, Ordering::SeqCst))
            .ok()
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            self.disturbed.store(true, Ordering::SeqCst);
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// What the client's side tells the server's.
#[derive(Debug, Default)]
struct Order {
    /// Hold the next answer back for this long.
    stall: Mutex<Option<Duration>>,
    /// What happens when the next answer arrives.
    cut: Mutex<Option<Cut>>,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    /// How many bytes of the answer pass.
    passes: usize,
    /// The worker is killed.
    kill: bool,
}

async fn converse(link: &Link, client: TcpStream) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", link.upstream.load(Ordering::SeqCst))).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let order = Order::default();
    tokio::select! {
        result = requests(link, &order, from_client, to_server) => result,
        result = answers(link, &order, from_server, to_client) => result,
    }
}

async fn requests(
    link: &Link,
    order: &Order,
    client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
) -> Result<()> {
    let mut client = BufReader::with_capacity(64 << 10, client);
    let startup = wire::read_startup(&mut client).await?;
    server.write_all(&startup).await?;
    let mut in_transaction = false;
    loop {
        let message = Message::read(&mut client).await?;
        if let Some(boundary) = message.boundary() {
            if boundary == Boundary::Begin && in_transaction {
                link.nested.fetch_add(1, Ordering::SeqCst);
            }
            in_transaction = boundary == Boundary::Begin;
        }
        if let Some(armed) = link.fault_at(&message) {
            if !happen(link, order, &message, armed, &mut server).await? {
                return Ok(());
            }
        } else {
            server.write_all(&message.bytes).await?;
        }
    }
}

/// Lets a fault happen; `false` if the connection ends with it.
async fn happen(
    link: &Link,
    order: &Order,
    message: &Message,
    armed: Armed,
    server: &mut OwnedWriteHalf,
) -> Result<bool> {
    match armed.fault {
        Fault::CutBeforeCommit | Fault::KillBeforeStatement | Fault::KillBeforeCommit => {}
        Fault::CutWithinStatement => {
            let passes = armed.bytes % message.bytes.len();
            server
                .write_all(message.bytes.get(..passes).unwrap_or_default())
                .await?;
        }
        Fault::KillAfterStatement => server.write_all(&message.bytes).await?,
        Fault::CutAfterCommit | Fault::KillAfterCommit => {
            *lock(&order.cut) = Some(Cut {
                passes: 0,
                kill: armed.fault.is_kill(),
            });
            server.write_all(&message.bytes).await?;
            return Ok(true);
        }
        Fault::CutWithinAnswer => {
            *lock(&order.cut) = Some(Cut {
                passes: armed.bytes % 64,
                kill: false,
            });
            server.write_all(&message.bytes).await?;
            return Ok(true);
        }
        Fault::Stall | Fault::StallBegin | Fault::StallCommit => {
            *lock(&order.stall) = Some(armed.stall);
            server.write_all(&message.bytes).await?;
            return Ok(true);
        }
    }
    if armed.fault.is_kill() {
        link.kill();
    }
    Ok(false)
}

async fn answers(
    link: &Link,
    order: &Order,
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
) -> Result<()> {
    let mut buffer = vec![0_u8; 32 << 10];
    loop {
        let length = server.read(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        let cut = lock(&order.cut).take();
        if let Some(Cut { passes, kill }) = cut {
            if kill {
                link.kill();
            }
            client
                .write_all(bytes.get(..passes.min(length)).unwrap_or_default())
                .await?;
            return Ok(());
        }
        let stall = lock(&order.stall).take();
        if let Some(stall) = stall {
            tokio::time::sleep(stall).await;
        }
        client.write_all(bytes).await?;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
