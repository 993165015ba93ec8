//! Health service with a limited number of watches, which end when the server stops.

use std::pin::Pin;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, Shared};
use futures::{Stream, StreamExt};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};

/// Maximum number of watches. Load balancers poll, and a client that watches needs only one.
const MAX_WATCHES: usize = 64;

#[derive(Debug)]
pub struct BoundedHealth {
    inner: HealthService,
    free: Arc<Semaphore>,
    end: Shared<BoxFuture<'static, ()>>,
}

impl BoundedHealth {
    /// Serves the statuses of `reporter`. All watches end when `end` completes, because open ones
    /// would block a graceful shutdown.
    pub fn new(reporter: HealthReporter, end: impl Future<Output = ()> + Send + 'static) -> Self {
        let free = Arc::new(Semaphore::new(MAX_WATCHES));
        Self {
            inner: HealthService::from_health_reporter(reporter),
            free,
            end: end.boxed().shared(),
        }
    }
}

#[async_trait]
impl Health for BoundedHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.inner.check(request).await
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let slot = Arc::clone(&self.free).try_acquire_owned();
        let slot =
            slot.map_err(|_| Status::resource_exhausted("Too many watches are open. Use Check."))?;
        let end = self.end.clone();
        let end = async move {
            end.await;
            drop(slot);
        };
        let changes = self.inner.watch(request).await?.into_inner();
        Ok(Response::new(Box::pin(changes.take_until(Box::pin(end)))))
    }
}
