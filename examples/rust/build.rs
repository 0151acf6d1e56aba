//! Generates the messages and the client from `protos/`, without a protoc.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protos");
    println!("cargo:rerun-if-changed={}", protos.display());
    let service = protos.join("clearway/v1/orchestrator.proto");
    let descriptors = protox::compile([service], [protos])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(descriptors)?;
    Ok(())
}
