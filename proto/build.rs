//! Compiles the protos in pure Rust, without `protoc`.

use std::path::PathBuf;
use std::{env, error, fs};

use prost::Message;

const FILES: [&str; 8] = [
    "telecom/v1/telecom.proto",
    "telecom/v1/node_server_manage.proto",
    "telecom/v1/node_client_manage.proto",
    "telecom/v1/operation_manage.proto",
    "telecom/v1/package_manage.proto",
    "telecom/v1/package_queue_manage.proto",
    "telecom/v1/usage_manage.proto",
    "telecom/v1/webhook_manage.proto",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=telecom");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Keeps the comments, so that reflection returns the documentation, too.
    fs::write(out.join("telecom.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
