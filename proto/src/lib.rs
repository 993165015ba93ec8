//! The package `telecom.v1`, generated from `proto/telecom/v1/*.proto`, where everything is
//! documented.

/// Messages, clients and servers of the package.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::as_conversions)]
pub mod v1 {
    tonic::include_proto!("telecom.v1");
}

/// The encoded `FileDescriptorSet` of the package and all that it imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/telecom.bin"));
