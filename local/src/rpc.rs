//! RPCs by name, without the generated clients.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use bytes::{Buf, BufMut};
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// The RPC with this name. No two services have an RPC with the same name.
pub fn named(name: &str) -> Result<MethodDescriptor> {
    descriptors()?
        .services()
        .find_map(|service| service.methods().find(|method| method.name() == name))
        .with_context(|| format!("There is no RPC {name}"))
}

/// The descriptors of all services. They are decoded once, because that takes longer than a call.
fn descriptors() -> Result<&'static DescriptorPool> {
    static DESCRIPTORS: OnceLock<DescriptorPool> = OnceLock::new();
    if let Some(decoded) = DESCRIPTORS.get() {
        return Ok(decoded);
    }
    let decoded = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?;
    Ok(DESCRIPTORS.get_or_init(|| decoded))
}

/// Full name of an RPC, such as `telecom.v1.Telecom/ListNodes`.
#[must_use]
pub fn full_name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

/// Encodes a request that is given in the JSON of protobuf.
pub fn encode(method: &MethodDescriptor, message: Value) -> Result<Vec<u8>> {
    Ok(DynamicMessage::deserialize(method.input(), message)?.encode_to_vec())
}

/// Decodes a response into the JSON of protobuf, with all fields, their names in the protocol, and
/// integers of 64 bits as numbers.
pub fn decode(method: &MethodDescriptor, response: &[u8]) -> Result<Value> {
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    let message = DynamicMessage::decode(method.output(), response)?;
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// Calls `method` (its full name) with arbitrary bytes as the message and returns the bytes of the
/// response.
pub async fn call_raw(
    channel: &Channel,
    method: &str,
    request: Request<Vec<u8>>,
) -> Result<Vec<u8>, Status> {
    let path = format!("/{method}").parse();
    let path = path.map_err(|_| Status::invalid_argument("the method is not a valid path"))?;
    let mut client = tonic::client::Grpc::new(channel.clone());
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(client.unary(request, path, BytesCodec).await?.into_inner())
}

/// Passes messages as encoded bytes.
#[derive(Debug, Clone, Copy)]
pub struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message.as_slice());
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
