//! Lists the nodes of a user. Run it with:
//! `TELECOM_TOKEN=$(make -s token) cargo run -p telecom-proto --example list_nodes`.

use telecom_proto::v1::{ListNodesRequest, telecom_client::TelecomClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::var("TELECOM_GRPC").unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    let mut client = TelecomClient::connect(format!("http://{server}")).await?;
    let mut request = tonic::Request::new(ListNodesRequest::default());
    let token = format!("Bearer {}", std::env::var("TELECOM_TOKEN")?);
    request
        .metadata_mut()
        .insert("authorization", token.parse()?);
    for node in client.list_nodes(request).await?.into_inner().nodes {
        println!(
            "{:>4}  {:<30} × {}",
            node.id, node.name, node.traffic_factor
        );
    }
    Ok(())
}
