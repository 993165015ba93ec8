//! The protobuf package `telecom.v1`, generated from `proto/telecom/v1/*.proto`. The comments of
//! those files document every item.

/// Messages, clients and servers of the protobuf package.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::as_conversions)]
pub mod v1 {
    tonic::include_proto!("telecom.v1");
}

/// The encoded `FileDescriptorSet` of the protobuf package and all its imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/telecom.bin"));
