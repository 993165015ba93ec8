//! A stand-in for V2Ray's `StatsService`.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::runtime::Builder;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, BoxFuture, Service, StdError, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, Message)]
struct Empty {}

#[derive(Clone, PartialEq, Message)]
struct SysStats {
    #[prost(uint32, tag = "10")]
    uptime: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(string, tag = "1")]
    pattern: String,
    #[prost(bool, tag = "2")]
    reset: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Stats {
    #[prost(message, repeated, tag = "1")]
    stat: Vec<Stat>,
}

#[derive(Clone, PartialEq, Message)]
struct Stat {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    value: i64,
}

struct State {
    started: Instant,
    counters: BTreeMap<String, (i64, i64)>,
    /// What every query adds to every counter.
    growth: i64,
    queries: usize,
}

/// The node. Its counters start at zero.
#[derive(Clone)]
pub struct Node {
    pub address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Node {
    pub fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        drop(entered);
        let state = State {
            started: Instant::now(),
            counters: BTreeMap::new(),
            growth: 0,
            queries: 0,
        };
        let node = Self {
            address: incoming.local_addr().unwrap(),
            state: Arc::new((Mutex::new(state), Condvar::new())),
        };
        let service = StatsService(node.clone());
        thread::spawn(move || {
            let server = Server::builder().add_service(service);
            runtime
                .block_on(server.serve_with_incoming(incoming))
                .unwrap();
        });
        node
    }

    pub fn carry(&self, name: &str, upload: i64, download: i64) {
        let mut state = self.state.0.lock().unwrap();
        let counter = state.counters.entry(name.to_owned()).or_default();
        counter.0 += upload;
        counter.1 += download;
    }

    /// From now on, every query adds to every counter.
    pub fn grow(&self, bytes: i64) {
        self.state.0.lock().unwrap().growth = bytes;
    }

    pub fn counters(&self) -> BTreeMap<String, (i64, i64)> {
        self.state.0.lock().unwrap().counters.clone()
    }

    /// Waits until `more` queries have come.
    pub fn wait_queries(&self, more: usize) {
        let state = self.state.0.lock().unwrap();
        let until = state.queries + more;
        let wait = Duration::from_mins(1);
        let waiting = |state: &mut State| state.queries < until;
        let waited = self.state.1.wait_timeout_while(state, wait, waiting);
        assert!(!waited.unwrap().1.timed_out(), "the node was not read");
    }

    fn query(&self, query: &Query) -> Stats {
        assert!(!query.reset, "a counter was reset");
        let mut state = self.state.0.lock().unwrap();
        let growth = state.growth;
        let mut stat = Vec::new();
        for (user, (upload, download)) in &mut state.counters {
            *upload += growth;
            *download += growth;
            for (direction, value) in [("uplink", *upload), ("downlink", *download)] {
                let name = format!("user>>>{user}>>>traffic>>>{direction}");
                stat.push(Stat { name, value });
            }
        }
        stat.retain(|stat| stat.name.contains(&query.pattern));
        state.queries += 1;
        self.state.1.notify_all();
        Stats { stat }
    }

    fn uptime(&self) -> u32 {
        let started = self.state.0.lock().unwrap().started;
        u32::try_from(started.elapsed().as_secs()).unwrap()
    }
}

/// The counters of a node, asked for apart from the collector.
pub fn counters_of(address: SocketAddr) -> HashMap<String, (i64, i64)> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let stats = runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let path = format!("/{}/QueryStats", StatsService::NAME);
        let codec = ProstCodec::<Query, Stats>::default();
        let request = Request::new(Query::default());
        let answer = grpc.unary(request, path.parse().unwrap(), codec).await;
        answer.unwrap().into_inner()
    });
    let mut counters: HashMap<String, (i64, i64)> = HashMap::new();
    for stat in stats.stat {
        let parts: Vec<_> = stat.name.split(">>>").collect();
        let ["user", name, "traffic", direction] = parts[..] else {
            continue;
        };
        let counter = counters.entry(name.to_owned()).or_default();
        match direction {
            "uplink" => counter.0 = stat.value,
            _ => counter.1 = stat.value,
        }
    }
    // A user without bytes is in no report.
    counters.retain(|_, bytes| *bytes != (0, 0));
    counters
}

#[derive(Clone)]
struct StatsService(Node);

impl NamedService for StatsService {
    const NAME: &'static str = "v2ray.core.app.stats.command.StatsService";
}

impl UnaryService<Empty> for StatsService {
    type Response = SysStats;
    type Future = Ready<Result<Response<SysStats>, Status>>;

    fn call(&mut self, _request: Request<Empty>) -> Self::Future {
        let uptime = self.0.uptime();
        ready(Ok(Response::new(SysStats { uptime })))
    }
}

impl UnaryService<Query> for StatsService {
    type Response = Stats;
    type Future = Ready<Result<Response<Stats>, Status>>;

    fn call(&mut self, request: Request<Query>) -> Self::Future {
        ready(Ok(Response::new(self.0.query(request.get_ref()))))
    }
}

impl<B> Service<http::Request<B>> for StatsService
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
    B::Data: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = self.clone();
        let query = request.uri().path().ends_with("/QueryStats");
        Box::pin(async move {
            Ok(if query {
                let codec = ProstCodec::<Stats, Query>::default();
                Grpc::new(codec).unary(service, request).await
            } else {
                let codec = ProstCodec::<SysStats, Empty>::default();
                Grpc::new(codec).unary(service, request).await
            })
        })
    }
}
