//! Node servers and node clients, for administrators.

use proto::v1;
use proto::v1::node_client_manage_server::NodeClientManage;
use proto::v1::node_server_manage_server::NodeServerManage;
use shared::auth::Principal;
use shared::db::node_access::Filter;
use shared::domain::node_access::NewNodeAccess;
use shared::domain::node_id;
use shared::domain::node_settings::{NodeClientSettings, NodeServerSettings};
use shared::services::manage::{
    AdminListClients, AdminListServers, AdminShowClient, AdminShowServer, ArchiveNodeClient,
    ArchiveNodeServer, CreateNodeClient, CreateNodeServer, GetNodeServerAvailability,
    GetNodeServerMetrics, IssueNodeAccess, ListNodeAccess, Patch, RevokeNodeAccess,
    RotateUserNodeCredential, SetNodeServerMaintenance, SetUserNodeCredential, UpdateNodeClient,
    UpdateNodeServer,
};
use tonic::{Request, async_trait};

use super::{Manage, Reply};
use crate::convert::{given, named, named_or_none, object, requested_time, required_uuid};

#[async_trait]
impl NodeServerManage for Manage {
    async fn list_node_servers(
        &self,
        request: Request<v1::ListNodeServersRequest>,
    ) -> Reply<v1::ListNodeServersResponse> {
        let input = |_: &_, asked: v1::ListNodeServersRequest| {
            let filter_status =
                named_or_none::<v1::NodeServerStatus, _>("filter_status", asked.filter_status)?;
            Ok(AdminListServers {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter_status,
                include_archived: asked.include_archived,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn show_node_server(
        &self,
        request: Request<v1::ShowNodeServerRequest>,
    ) -> Reply<v1::ShowNodeServerResponse> {
        // As over HTTP, the request is validated before the scope for secrets is checked.
        let input = |caller: &Principal, asked: v1::ShowNodeServerRequest| {
            let (id, reveal_secrets) = (node_id("id", asked.id)?, asked.reveal_secrets);
            Ok(AdminShowServer {
                id,
                reveal_secrets,
                actor: caller.actor(),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn get_node_server_availability(
        &self,
        request: Request<v1::GetNodeServerAvailabilityRequest>,
    ) -> Reply<v1::GetNodeServerAvailabilityResponse> {
        let input = |_: &_, asked: v1::GetNodeServerAvailabilityRequest| {
            let (start, end) = (
                requested_time("start", asked.start)?,
                requested_time("end", asked.end)?,
            );
            Ok(GetNodeServerAvailability {
                id: asked.id,
                start,
                end,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn get_node_server_metrics(
        &self,
        request: Request<v1::GetNodeServerMetricsRequest>,
    ) -> Reply<v1::GetNodeServerMetricsResponse> {
        let input = |_: &_, asked: v1::GetNodeServerMetricsRequest| {
            let (start, end) = (
                requested_time("start", asked.start)?,
                requested_time("end", asked.end)?,
            );
            Ok(GetNodeServerMetrics {
                id: asked.id,
                start,
                end,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn set_node_server_maintenance(
        &self,
        request: Request<v1::SetNodeServerMaintenanceRequest>,
    ) -> Reply<v1::SetNodeServerMaintenanceResponse> {
        let input = |caller: &Principal, asked: v1::SetNodeServerMaintenanceRequest| {
            Ok(caller.request(SetNodeServerMaintenance {
                id: asked.id,
                maintenance: asked.maintenance,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn create_node_server(
        &self,
        request: Request<v1::CreateNodeServerRequest>,
    ) -> Reply<v1::CreateNodeServerResponse> {
        let input = |caller: &Principal, asked: v1::CreateNodeServerRequest| {
            let settings = NodeServerSettings {
                name: asked.name,
                compatibility: named::<v1::NodeServerCompatibility, _>(
                    "compatibility",
                    asked.compatibility,
                )?,
                server_config: object("server_config", asked.server_config)?,
            };
            Ok(caller.request(CreateNodeServer { settings }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn update_node_server(
        &self,
        request: Request<v1::UpdateNodeServerRequest>,
    ) -> Reply<v1::UpdateNodeServerResponse> {
        let input = |caller: &Principal, asked: v1::UpdateNodeServerRequest| {
            let patch = Patch(object("patch", asked.patch)?);
            Ok(caller.request(UpdateNodeServer {
                id: asked.id,
                patch,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn archive_node_server(
        &self,
        request: Request<v1::ArchiveNodeServerRequest>,
    ) -> Reply<v1::ArchiveNodeServerResponse> {
        let input = |caller: &Principal, asked: v1::ArchiveNodeServerRequest| {
            let (id, reason) = (asked.id, asked.reason);
            Ok(caller.request(ArchiveNodeServer { id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_node_access(
        &self,
        request: Request<v1::ListNodeAccessRequest>,
    ) -> Reply<v1::ListNodeAccessResponse> {
        let input = |_: &_, asked: v1::ListNodeAccessRequest| {
            Ok(ListNodeAccess {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter: Filter {
                    server_id: Some(asked.server_id).filter(|id| *id != 0),
                    include_revoked: asked.include_revoked,
                },
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn issue_node_access(
        &self,
        request: Request<v1::IssueNodeAccessRequest>,
    ) -> Reply<v1::IssueNodeAccessResponse> {
        let input = |caller: &Principal, asked: v1::IssueNodeAccessRequest| {
            let new = NewNodeAccess {
                protocol: named::<v1::NodeProtocol, _>("protocol", asked.protocol)?,
                software: named_or_none::<v1::NodeSoftware, _>("software", asked.software)?,
                server_id: asked.server_id,
                node_client_id: asked.node_client_id,
                allowed_networks: asked.allowed_networks,
                interval_seconds: Some(asked.interval_seconds).filter(|seconds| *seconds != 0),
                client_timeout_seconds: Some(asked.client_timeout_seconds)
                    .filter(|seconds| *seconds != 0),
            };
            Ok(caller.request(IssueNodeAccess {
                settings: new.into(),
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn revoke_node_access(
        &self,
        request: Request<v1::RevokeNodeAccessRequest>,
    ) -> Reply<v1::RevokeNodeAccessResponse> {
        let input = |caller: &Principal, asked: v1::RevokeNodeAccessRequest| {
            let (id, reason) = (asked.id, asked.reason);
            Ok(caller.request(RevokeNodeAccess { id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn rotate_user_node_credential(
        &self,
        request: Request<v1::RotateUserNodeCredentialRequest>,
    ) -> Reply<v1::RotateUserNodeCredentialResponse> {
        let input = |caller: &Principal, asked: v1::RotateUserNodeCredentialRequest| {
            let user = required_uuid("id", &asked.id)?;
            let reason = asked.reason;
            Ok(caller.request(RotateUserNodeCredential { user, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn set_user_node_credential(
        &self,
        request: Request<v1::SetUserNodeCredentialRequest>,
    ) -> Reply<v1::SetUserNodeCredentialResponse> {
        let input = |caller: &Principal, asked: v1::SetUserNodeCredentialRequest| {
            Ok(caller.request(SetUserNodeCredential {
                user: required_uuid("id", &asked.id)?,
                secret: required_uuid("secret", &asked.secret)?,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}

#[async_trait]
impl NodeClientManage for Manage {
    async fn list_node_clients(
        &self,
        request: Request<v1::ListNodeClientsRequest>,
    ) -> Reply<v1::ListNodeClientsResponse> {
        let input = |_: &_, asked: v1::ListNodeClientsRequest| {
            Ok(AdminListClients {
                limit: given(asked.limit),
                offset: given(asked.offset),
                server_id: asked.server_id,
                include_archived: asked.include_archived,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn show_node_client(
        &self,
        request: Request<v1::ShowNodeClientRequest>,
    ) -> Reply<v1::ShowNodeClientResponse> {
        let input = |caller: &Principal, asked: v1::ShowNodeClientRequest| {
            let (id, reveal_secrets) = (node_id("id", asked.id)?, asked.reveal_secrets);
            Ok(AdminShowClient {
                id,
                reveal_secrets,
                actor: caller.actor(),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn create_node_client(
        &self,
        request: Request<v1::CreateNodeClientRequest>,
    ) -> Reply<v1::CreateNodeClientResponse> {
        let input = |caller: &Principal, asked: v1::CreateNodeClientRequest| {
            let settings = NodeClientSettings {
                server_id: asked.server_id,
                name: asked.name,
                traffic_factor: asked.traffic_factor.unwrap_or(1.0),
                display_order: asked.display_order,
                speed_limit: asked.speed_limit,
                country: asked.country,
                location: asked.location,
                route_class: asked.route_class,
                access_groups: asked.access_groups,
                client_config: object("client_config", asked.client_config)?,
            };
            Ok(caller.request(CreateNodeClient { settings }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn update_node_client(
        &self,
        request: Request<v1::UpdateNodeClientRequest>,
    ) -> Reply<v1::UpdateNodeClientResponse> {
        let input = |caller: &Principal, asked: v1::UpdateNodeClientRequest| {
            let patch = Patch(object("patch", asked.patch)?);
            Ok(caller.request(UpdateNodeClient {
                id: asked.id,
                patch,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn archive_node_client(
        &self,
        request: Request<v1::ArchiveNodeClientRequest>,
    ) -> Reply<v1::ArchiveNodeClientResponse> {
        let input = |caller: &Principal, asked: v1::ArchiveNodeClientRequest| {
            let (id, reason) = (asked.id, asked.reason);
            Ok(caller.request(ArchiveNodeClient { id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}
