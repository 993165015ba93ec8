//! A real gRPC server on a socket, and a client that uses only the descriptor set.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut};
use local::rpc;
pub use local::rpc::{BytesCodec, call_raw};
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use shared::auth::Admission;
use shared::config::{RateLimitConfig, TelecomConfig};
use shared::domain::webhook::url::Receivers;
use shared::services::analysis::AnalysisService;
use shared::services::fleet_metrics::FleetMetricsService;
use shared::services::manage::ManageService;
use telecom_grpc::{GrpcConfig, Listeners, Metrics, Services, serve_until};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::token::Issuer;
use crate::{World, webhook};

#[derive(Debug)]
pub struct GrpcServer {
    pub address: SocketAddr,
    /// Address of the metrics. `None` if they are off.
    pub metrics: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<anyhow::Result<()>>,
}

/// A configuration with reflection, and without metrics and a drain period.
#[must_use]
pub fn config() -> GrpcConfig {
    GrpcConfig {
        address: ([127, 0, 0, 1], 0).into(),
        metrics: None,
        tls: None,
        reflection: true,
        web: None,
        max_calls: 64,
        max_connections: 64,
        idle: Duration::from_mins(1),
        call_timeout: Duration::from_secs(10),
        drain: Duration::ZERO,
    }
}

impl GrpcServer {
    /// Serves a world to callers with tokens of `issuer`, without a limit on their calls.
    pub async fn start(world: &World, issuer: &Issuer, config: GrpcConfig) -> Self {
        let admission = issuer.admission(world.context(), RateLimitConfig::OFF);
        Self::admitting(world, admission, config).await
    }

    /// Serves a world to the callers that `admission` admits.
    pub async fn admitting(world: &World, admission: Admission, config: GrpcConfig) -> Self {
        let services = Services {
            analysis: AnalysisService::new(world.api.clone(), world.context()),
            manage: ManageService::new(
                world.api.clone(),
                world.context(),
                TelecomConfig::default(),
            )
            .with_webhooks(webhook::setup(Receivers::Public)),
            admission,
            metrics: Metrics::new(
                FleetMetricsService::new(world.api.clone(), world.context()),
                world.context(),
            ),
        };
        let listeners = Listeners::bind(&config).await.unwrap();
        let address = listeners.calls.local_addr().unwrap();
        let metrics = listeners.metrics.as_ref();
        let metrics = metrics.map(|listener| listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _ = stopped.await;
        };
        let serving =
            tokio::spawn(async move { serve_until(services, &config, listeners, stopped).await });
        Self {
            address,
            metrics,
            stop: Some(stop),
            serving,
        }
    }

    pub async fn connect(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// Starts a graceful shutdown.
    pub fn stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits until the server has stopped.
    pub async fn stopped(self) {
        self.serving.await.unwrap().unwrap();
    }
}

/// Calls `method`, such as `telecom.v1.Telecom/ListNodes`, with a JSON message and returns the
/// response as JSON.
pub async fn call(
    channel: &Channel,
    method: &str,
    message: Value,
    token: Option<&str>,
) -> Result<Value, Status> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    call_with(channel, method, request).await
}

/// Like [`call`], with the metadata of `request`.
pub async fn call_with(
    channel: &Channel,
    method: &str,
    request: Request<Value>,
) -> Result<Value, Status> {
    let descriptor = method_descriptor(method);
    let message = |json: Value| DynamicMessage::deserialize(descriptor.input(), json).unwrap();
    let (metadata, extensions, json) = request.into_parts();
    let request = Request::from_parts(metadata, extensions, message(json));
    let mut client = tonic::client::Grpc::new(channel.clone());
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/{method}").parse().unwrap();
    let answer = client
        .unary(request, path, JsonCodec(descriptor.output()))
        .await?
        .into_inner();
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    Ok(answer
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap())
}

/// Full name of the RPC `name`, such as `telecom.v1.Telecom/ListNodes`.
#[must_use]
pub fn method_named(name: &str) -> String {
    rpc::full_name(&rpc::named(name).unwrap())
}

#[must_use]
pub fn method_descriptor(method: &str) -> MethodDescriptor {
    rpc::named(method.rsplit('/').next().unwrap()).unwrap()
}

/// Encodes and decodes messages by their descriptors.
#[derive(Debug, Clone)]
struct JsonCodec(MessageDescriptor);

impl Codec for JsonCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for JsonCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(
        &mut self,
        message: DynamicMessage,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        buffer.put(message.encode_to_vec().as_slice());
        Ok(())
    }
}

impl Decoder for JsonCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(
            DynamicMessage::decode(self.0.clone(), bytes)
                .map_err(|error| Status::internal(error.to_string()))?,
        ))
    }
}
