//! A proxy between a worker and PostgreSQL. It cuts connections at chosen points of the protocol
//! and kills the worker at chosen statements.

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

/// A fault of a connection or of the worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Fault {
    /// The connection is cut before COMMIT reaches the server.
    CutBeforeCommit,
    /// The connection is cut after the server has committed and before its response arrives.
    CutAfterCommit,
    /// The connection is cut after a part of a statement has reached the server.
    CutWithinStatement,
    /// The connection is cut after a part of the response to a statement has reached the worker.
    CutWithinAnswer,
    /// SIGKILL before a statement reaches the server.
    KillBeforeStatement,
    /// SIGKILL after a statement has reached the server.
    KillAfterStatement,
    /// SIGKILL before COMMIT reaches the server.
    KillBeforeCommit,
    /// SIGKILL after the server has committed and before its response arrives.
    KillAfterCommit,
    /// The response to a statement is late.
    Stall,
    /// The response to BEGIN is late.
    StallBegin,
    /// The response to COMMIT is late.
    StallCommit,
}

impl Fault {
    /// Whether the fault can happen at `message`.
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

    /// Whether most invocations have only one or a few messages at which the fault can happen.
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

    /// Whether the fault only delays and ends neither the connection nor the process.
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

/// A fault that waits for the message at which it happens.
#[derive(Debug, Clone, Copy)]
pub struct Armed {
    pub fault: Fault,
    /// How many matching messages (statements, commits or begins) pass before the fault happens.
    pub passes: u32,
    /// How many bytes of a cut message pass. The value is reduced modulo the possible length.
    pub bytes: usize,
    /// How long a stalled response is held back.
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
    /// Whether a fault has happened since the last successful invocation.
    pub disturbed: AtomicBool,
    invocation: Mutex<Option<Span>>,
    /// How often a transaction began on a connection that was already in one.
    nested: AtomicU32,
}

/// The time of the current or last invocation. `ended` is `None` while it runs.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub began: Instant,
    pub ended: Option<Instant>,
}

impl Link {
    /// Starts a proxy on a free port.
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
                // Any error closes both sides of the connection.
                tokio::spawn(async move { drop(relay(&link, client).await) });
            }
        });
        Ok(link)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Arms a fault. It replaces a fault that has not happened yet.
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

    /// The current or last invocation. `None` before the first one.
    pub fn invocation(&self) -> Option<Span> {
        *lock(&self.invocation)
    }

    /// How often a transaction began within another one since the last call, because the connection
    /// had been returned to its pool in a transaction.
    pub fn take_nested(&self) -> u32 {
        self.nested.swap(0, Ordering::SeqCst)
    }

    /// The faults that happened since the last call.
    pub fn take_fired(&self) -> Vec<Fault> {
        std::mem::take(&mut lock(&self.fired))
    }

    /// The fault that happens at this message, if any.
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

/// Orders of the request side of a connection to its response side.
#[derive(Debug, Default)]
struct Order {
    /// How long to hold back the next response.
    stall: Mutex<Option<Duration>>,
    /// The cut that happens when the next response arrives.
    cut: Mutex<Option<Cut>>,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    /// How many bytes of the response pass.
    passes: usize,
    /// Whether the worker is killed as well.
    kill: bool,
}

async fn relay(link: &Link, client: TcpStream) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", link.upstream.load(Ordering::SeqCst))).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let order = Order::default();
    tokio::select! {
        result = requests(link, &order, from_client, to_server) => result,
        result = responses(link, &order, from_server, to_client) => result,
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
            if !carry_out(link, order, &message, armed, &mut server).await? {
                return Ok(());
            }
        } else {
            server.write_all(&message.bytes).await?;
        }
    }
}

/// Carries out a fault. Returns `false` if the connection ends with the fault.
async fn carry_out(
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

async fn responses(
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
