//! Calls that are given up while they wait for a response of the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::config::{DatabaseConfig, DatabaseRole};
use sqlx::postgres::PgConnectOptions;
use telecom_tests::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A proxy between the operations that write and the database.
#[derive(Debug, Clone, Default)]
pub struct LostResponses(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// Number of responses until one is lost, 0 if none is.
    left: AtomicUsize,
    lost: Notify,
    given_up: Notify,
}

impl LostResponses {
    /// Puts the proxy before the database of the operations that write.
    pub async fn of(world: &mut World) -> Self {
        let responses = Self::default();
        let options = responses.serve(&world.pool.connect_options()).await;
        let config = DatabaseConfig::new(options, 2);
        world.api = shared::db::connect(&DatabaseConfig {
            role: Some(DatabaseRole::Api),
            ..config
        });
        responses
    }

    /// Makes a call, which is given up at its response number `lost` of the database, from 0. That
    /// response arrives at the proxy, but not at the caller. Returns the result of the call if it
    /// got fewer responses.
    pub async fn lose<T>(&self, lost: usize, call: impl Future<Output = T>) -> Option<T> {
        self.0.left.store(lost + 1, Ordering::SeqCst);
        let result = tokio::select! {
            biased;
            () = self.0.lost.notified() => None,
            result = call => Some(result),
        };
        self.0.left.store(0, Ordering::SeqCst);
        if result.is_none() {
            self.0.given_up.notify_one();
        }
        result
    }

    async fn serve(&self, database: &PgConnectOptions) -> PgConnectOptions {
        let target = (database.get_host().to_owned(), database.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let responses = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(target.clone()).await.unwrap();
                tokio::spawn(responses.clone().connect(client, server));
            }
        });
        database.clone().host("127.0.0.1").port(port)
    }

    async fn connect(self, client: TcpStream, server: TcpStream) {
        client
            .set_nodelay(true)
            .and(server.set_nodelay(true))
            .unwrap();
        let (mut requests, mut to_client) = client.into_split();
        let (mut responses, mut to_server) = server.into_split();
        // The end of the client's requests ends the session, and thereby its transaction.
        tokio::spawn(async move { tokio::io::copy(&mut requests, &mut to_server).await });
        let mut bytes = [0; 8_192];
        while let Ok(length @ 1..) = responses.read(&mut bytes).await {
            if self.0.loses_one() {
                // The connection ends after the call, so that the pool does not use it again.
                self.0.given_up.notified().await;
                break;
            }
            if to_client.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
    }
}

impl Counted {
    /// Counts a response, and returns whether it is the one to lose.
    fn loses_one(&self) -> bool {
        let count = |left: usize| left.checked_sub(1);
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count);
        let is_lost = before == Ok(1);
        if is_lost {
            self.lost.notify_one();
        }
        is_lost
    }
}
