//! The RPCs, as clients call them.

use futures::FutureExt;
use futures::future::BoxFuture;
use proto::v1;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// A client with its own connection, and the tokens of a user and of an administrator.
#[derive(Debug, Clone)]
pub struct Client {
    pub channel: Channel,
    /// Token for the service `telecom.v1.Telecom`.
    pub user: MetadataValue<Ascii>,
    /// Token for the other services.
    pub admin: MetadataValue<Ascii>,
}

type Call = Box<dyn Fn(Client) -> BoxFuture<'static, Result<(), Status>> + Send + Sync>;

/// An RPC and a function that calls it.
pub struct Rpc {
    pub name: &'static str,
    /// Calls the RPC once and reads the response.
    pub call: Call,
}

impl Rpc {
    fn new<Q, A>(service: &'static str, name: &'static str, message: Q) -> Self
    where
        Q: prost::Message + Clone + Sync + 'static,
        A: prost::Message + Default + 'static,
    {
        let call = move |client: Client| {
            let mut request = Request::new(message.clone());
            async move {
                let token = if service == "Telecom" {
                    client.user
                } else {
                    client.admin
                };
                request.metadata_mut().insert("authorization", token);
                let path = PathAndQuery::try_from(format!("/telecom.v1.{service}/{name}"))
                    .map_err(|error| Status::internal(error.to_string()))?;
                let mut grpc = Grpc::new(client.channel);
                grpc.ready()
                    .await
                    .map_err(|error| Status::unavailable(error.to_string()))?;
                grpc.unary(request, path, ProstCodec::<Q, A>::default())
                    .await
                    .map(|_: tonic::Response<A>| ())
            }
            .boxed()
        };
        Self {
            name,
            call: Box::new(call),
        }
    }
}

/// The first and most frequent RPC of a user's page. The bar applies to it.
pub fn recent_traffic_usage() -> Rpc {
    let range = v1::RecentRange::Month.into();
    let request = v1::GetRecentTrafficUsageRequest {
        range,
        time_zone: "Europe/Berlin".into(),
    };
    Rpc::new::<_, v1::RecentTrafficUsageResponse>("Telecom", "GetRecentTrafficUsage", request)
}

/// All RPCs, with default arguments and the first server, client or user.
pub fn all(user: &str) -> Vec<Rpc> {
    let packages = v1::ListQueuedPackagesRequest {
        user: user.to_owned(),
        ..v1::ListQueuedPackagesRequest::default()
    };
    vec![
        recent_traffic_usage(),
        Rpc::new::<_, v1::ListNodeStatusHistoryReply>(
            "Telecom",
            "ListNodeStatusHistory",
            v1::ListNodeStatusHistoryRequest::default(),
        ),
        Rpc::new::<_, v1::ListUsuallyUsedNodesResponse>(
            "Telecom",
            "ListUsuallyUsedNodes",
            v1::ListUsuallyUsedNodesRequest::default(),
        ),
        Rpc::new::<_, v1::ListNodesReply>("Telecom", "ListNodes", v1::ListNodesRequest::default()),
        Rpc::new::<_, v1::ListNodeServersResponse>(
            "NodeServerManage",
            "ListNodeServers",
            v1::ListNodeServersRequest::default(),
        ),
        Rpc::new::<_, v1::ShowNodeServerResponse>(
            "NodeServerManage",
            "ShowNodeServer",
            v1::ShowNodeServerRequest {
                id: 1,
                ..v1::ShowNodeServerRequest::default()
            },
        ),
        Rpc::new::<_, v1::ListNodeClientsResponse>(
            "NodeClientManage",
            "ListNodeClients",
            v1::ListNodeClientsRequest::default(),
        ),
        Rpc::new::<_, v1::ShowNodeClientResponse>(
            "NodeClientManage",
            "ShowNodeClient",
            v1::ShowNodeClientRequest {
                id: 1,
                ..v1::ShowNodeClientRequest::default()
            },
        ),
        Rpc::new::<_, v1::CountQueuedPackagesResponse>(
            "PackageQueueManage",
            "CountQueuedPackages",
            v1::CountQueuedPackagesRequest::default(),
        ),
        Rpc::new::<_, v1::ListQueuedPackagesResponse>(
            "PackageQueueManage",
            "ListQueuedPackages",
            packages,
        ),
    ]
}
