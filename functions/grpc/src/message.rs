//! Conversion of the services' outputs into protobuf messages.

use proto::v1;
use shared::domain::node::{
    Node, NodeClient, NodeClientDetails, NodeServerCompatibility, NodeServerDetails,
    NodeServerMetrics, NodeServerStatus, NodeServerSummary, NodeStatusHour, UsuallyUsedNode,
};
use shared::domain::queued_package::{
    PackageEndReason, PackageQueueCounts, PackageQueueStatus, PackageSeriesCounts, QueuedPackage,
};
use shared::domain::server_status::StatusTimes;
use shared::services::analysis::{
    NodeAvailability, RecentRange, RecentTrafficUsage, TrafficBucket, UserNodeStatusHistory,
    UserNodes, UserPackages, UserUsuallyUsedNodes,
};
use shared::services::manage::{
    AdminClients, AdminPackages, AdminServers, NodeServerAvailability, NodeServerMaintenance,
    QueuedPackageCounts,
};

use crate::convert::{structure, timestamp};

/// A protobuf message that a `T` can be converted into.
pub trait FromDomain<T> {
    fn from_domain(value: T) -> Self;
}

fn all<T, M: FromDomain<T>>(values: Vec<T>) -> Vec<M> {
    values.into_iter().map(M::from_domain).collect()
}

impl FromDomain<RecentTrafficUsage> for v1::RecentTrafficUsageResponse {
    fn from_domain(usage: RecentTrafficUsage) -> Self {
        let range = match usage.range {
            RecentRange::Day => v1::RecentRange::Day,
            RecentRange::Week => v1::RecentRange::Week,
            RecentRange::Month => v1::RecentRange::Month,
        };
        Self {
            range: range.into(),
            time_zone: usage.time_zone.name().to_owned(),
            raw: all(usage.raw),
            actually_billed: all(usage.actually_billed),
        }
    }
}

impl FromDomain<TrafficBucket> for v1::TrafficBucket {
    fn from_domain(bucket: TrafficBucket) -> Self {
        let TrafficBucket {
            start,
            end,
            upload,
            download,
        } = bucket;
        Self {
            start: Some(timestamp(start)),
            end: Some(timestamp(end)),
            upload,
            download,
        }
    }
}

impl FromDomain<UserNodeStatusHistory> for v1::ListNodeStatusHistoryReply {
    fn from_domain(history: UserNodeStatusHistory) -> Self {
        let UserNodeStatusHistory {
            hours,
            availability,
            node_count,
        } = history;
        Self {
            hours: all(hours),
            availability: all(availability),
            node_count,
        }
    }
}

impl FromDomain<NodeAvailability> for v1::NodeAvailability {
    fn from_domain(node: NodeAvailability) -> Self {
        let StatusTimes {
            online_seconds,
            offline_seconds,
            maintenance_seconds,
            unknown_seconds,
        } = node.times;
        Self {
            node_client_id: node.node_client_id,
            online_seconds,
            offline_seconds,
            maintenance_seconds,
            unknown_seconds,
            availability: node.availability,
        }
    }
}

impl FromDomain<NodeStatusHour> for v1::NodeStatusHour {
    fn from_domain(hour: NodeStatusHour) -> Self {
        let NodeStatusHour {
            bucket_start,
            online_nodes,
            offline_nodes,
            maintenance_nodes,
        } = hour;
        Self {
            bucket_start: Some(timestamp(bucket_start)),
            online_nodes,
            offline_nodes,
            maintenance_nodes,
        }
    }
}

impl FromDomain<UserUsuallyUsedNodes> for v1::ListUsuallyUsedNodesResponse {
    fn from_domain(used: UserUsuallyUsedNodes) -> Self {
        Self {
            nodes: all(used.nodes),
        }
    }
}

impl FromDomain<UsuallyUsedNode> for v1::UsuallyUsedNode {
    fn from_domain(node: UsuallyUsedNode) -> Self {
        let UsuallyUsedNode {
            node_client_id,
            node_name,
            upload,
            download,
            billed_traffic,
        } = node;
        Self {
            node_client_id,
            node_name,
            upload,
            download,
            billed_traffic,
        }
    }
}

impl FromDomain<UserNodes> for v1::ListNodesReply {
    fn from_domain(nodes: UserNodes) -> Self {
        Self {
            nodes: all(nodes.nodes),
            total: nodes.total,
        }
    }
}

impl FromDomain<Node> for v1::Node {
    fn from_domain(node: Node) -> Self {
        Self {
            id: node.id,
            name: node.name,
            traffic_factor: node.traffic_factor,
            display_order: node.display_order,
            speed_limit: node.speed_limit,
            status: status(node.status),
            country: node.country,
            location: node.location,
            route_class: node.route_class,
        }
    }
}

fn status(status: NodeServerStatus) -> i32 {
    match status {
        NodeServerStatus::Online => v1::NodeServerStatus::Online,
        NodeServerStatus::Offline => v1::NodeServerStatus::Offline,
        NodeServerStatus::Maintenance => v1::NodeServerStatus::Maintenance,
    }
    .into()
}

impl FromDomain<AdminServers> for v1::ListNodeServersResponse {
    fn from_domain(page: AdminServers) -> Self {
        Self {
            servers: all(page.servers),
            total: page.total,
        }
    }
}

impl FromDomain<NodeServerSummary> for v1::NodeServerSummary {
    fn from_domain(server: NodeServerSummary) -> Self {
        let compatibility = match server.compatibility {
            NodeServerCompatibility::NewV2b => v1::NodeServerCompatibility::NewV2b,
            NodeServerCompatibility::Ssp => v1::NodeServerCompatibility::Ssp,
        };
        Self {
            id: server.id,
            name: server.name,
            compatibility: compatibility.into(),
            status: status(server.status),
            last_online_at: server.last_online_at.map(timestamp),
            client_count: server.client_count,
            last_traffic_at: server.last_traffic_at.map(timestamp),
        }
    }
}

impl FromDomain<NodeServerDetails> for v1::ShowNodeServerResponse {
    fn from_domain(details: NodeServerDetails) -> Self {
        Self {
            server: Some(FromDomain::from_domain(details.server)),
            server_config: Some(structure(details.server_config)),
            metrics: details.metrics.map(FromDomain::from_domain),
            clock_skew_seconds: details.clock_skew_seconds,
            created_at: Some(timestamp(details.created_at)),
            updated_at: Some(timestamp(details.updated_at)),
        }
    }
}

impl FromDomain<NodeServerMetrics> for v1::NodeServerMetrics {
    fn from_domain(
        NodeServerMetrics {
            measured_at,
            metrics,
        }: NodeServerMetrics,
    ) -> Self {
        Self {
            measured_at: Some(timestamp(measured_at)),
            cpu_percent: metrics.cpu_percent,
            memory_used: metrics.memory_used,
            memory_total: metrics.memory_total,
            disk_used: metrics.disk_used,
            disk_total: metrics.disk_total,
            load1: metrics.load1,
            online_users: metrics.online_users,
            uptime_seconds: metrics.uptime_seconds,
            upload_rate: metrics.upload_rate,
            download_rate: metrics.download_rate,
        }
    }
}

impl FromDomain<NodeServerAvailability> for v1::GetNodeServerAvailabilityResponse {
    fn from_domain(server: NodeServerAvailability) -> Self {
        let StatusTimes {
            online_seconds,
            offline_seconds,
            maintenance_seconds,
            unknown_seconds,
        } = server.times;
        Self {
            id: server.id,
            start: Some(timestamp(server.start)),
            end: Some(timestamp(server.end)),
            online_seconds,
            offline_seconds,
            maintenance_seconds,
            unknown_seconds,
            availability: server.availability,
        }
    }
}

impl FromDomain<NodeServerMaintenance> for v1::SetNodeServerMaintenanceResponse {
    fn from_domain(server: NodeServerMaintenance) -> Self {
        Self {
            id: server.id,
            status: status(server.status),
            changed: server.changed,
        }
    }
}

impl FromDomain<AdminClients> for v1::ListNodeClientsResponse {
    fn from_domain(page: AdminClients) -> Self {
        Self {
            clients: all(page.clients),
            total: page.total,
        }
    }
}

impl FromDomain<NodeClient> for v1::NodeClient {
    fn from_domain(client: NodeClient) -> Self {
        Self {
            id: client.id,
            name: client.name,
            server_id: client.server_id,
            server_name: client.server_name,
            status: status(client.status),
            traffic_factor: client.traffic_factor,
            display_order: client.display_order,
            speed_limit: client.speed_limit,
            country: client.country,
            location: client.location,
            route_class: client.route_class,
            access_groups: client.access_groups,
            client_config: Some(structure(client.client_config)),
            created_at: Some(timestamp(client.created_at)),
            updated_at: Some(timestamp(client.updated_at)),
        }
    }
}

impl FromDomain<NodeClientDetails> for v1::ShowNodeClientResponse {
    fn from_domain(details: NodeClientDetails) -> Self {
        Self {
            client: Some(FromDomain::from_domain(details.client)),
            server: Some(FromDomain::from_domain(details.server)),
            metrics: details.metrics.map(FromDomain::from_domain),
        }
    }
}

impl FromDomain<QueuedPackageCounts> for v1::CountQueuedPackagesResponse {
    fn from_domain(counts: QueuedPackageCounts) -> Self {
        Self {
            series: all(counts.series),
            all: Some(FromDomain::from_domain(counts.all)),
        }
    }
}

impl FromDomain<PackageSeriesCounts> for v1::PackageSeriesCounts {
    fn from_domain(series: PackageSeriesCounts) -> Self {
        Self {
            series: series.series.to_string(),
            name: series.name,
            counts: Some(FromDomain::from_domain(series.counts)),
        }
    }
}

impl FromDomain<PackageQueueCounts> for v1::PackageQueueCounts {
    fn from_domain(counts: PackageQueueCounts) -> Self {
        let PackageQueueCounts {
            in_queue,
            active,
            consumed,
            cancelled,
            total,
        } = counts;
        Self {
            in_queue,
            active,
            consumed,
            cancelled,
            total,
        }
    }
}

impl FromDomain<AdminPackages> for v1::ListQueuedPackagesResponse {
    fn from_domain(page: AdminPackages) -> Self {
        Self {
            packages: all(page.packages),
            total: page.total,
        }
    }
}

impl FromDomain<UserPackages> for v1::ListPackagesResponse {
    fn from_domain(page: UserPackages) -> Self {
        Self {
            packages: all(page.packages),
            total: page.total,
        }
    }
}

impl FromDomain<QueuedPackage> for v1::QueuedPackage {
    fn from_domain(item: QueuedPackage) -> Self {
        let status = match item.status {
            PackageQueueStatus::InQueue => v1::PackageQueueStatus::InQueue,
            PackageQueueStatus::Active => v1::PackageQueueStatus::Active,
            PackageQueueStatus::Consumed => v1::PackageQueueStatus::Consumed,
            PackageQueueStatus::Cancelled => v1::PackageQueueStatus::Cancelled,
        };
        let end_reason = match item.end_reason {
            None => v1::PackageEndReason::Unspecified,
            Some(PackageEndReason::Time) => v1::PackageEndReason::Time,
            Some(PackageEndReason::Traffic) => v1::PackageEndReason::Traffic,
            Some(PackageEndReason::Cancelled) => v1::PackageEndReason::Cancelled,
        };
        Self {
            id: item.id,
            user: item.user.to_string(),
            order: item
                .order
                .map(|order| order.to_string())
                .unwrap_or_default(),
            package_id: item.package_id,
            package_name: item.package_name,
            series: item.series.to_string(),
            version: item.version,
            status: status.into(),
            upload: item.upload,
            download: item.download,
            used: item.used,
            quota: item.quota,
            quota_left: item.quota_left,
            adjust_quota: item.adjust_quota,
            created_at: Some(timestamp(item.created_at)),
            activated_at: item.activated_at.map(timestamp),
            expires_at: item.expires_at.map(timestamp),
            ended_at: item.ended_at.map(timestamp),
            end_reason: end_reason.into(),
        }
    }
}
