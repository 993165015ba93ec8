//! Conversion of the services' outputs into protobuf messages.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use prost_types::{Struct, Timestamp};
use proto::v1;
use shared::domain::audit::RecordedAction;
use shared::domain::dead_letter::{DeadLetterQueue, FailureReason};
use shared::domain::doubtful_push::{DoubtfulPush, PushDecision, PushDoubt};
use shared::domain::drift::{DriftKind, UsageDrift};
use shared::domain::job_run::{JobOutcome, JobRun, JobSummary};
use shared::domain::node::{
    Node, NodeClient, NodeClientDetails, NodeServerCompatibility, NodeServerDetails,
    NodeServerMetrics, NodeServerStatus, NodeServerSummary, NodeStatusHour, UsuallyUsedNode,
};
use shared::domain::node_access::{NodeAccess, NodeProtocol, NodeSoftware};
use shared::domain::node_metrics::NodeServerMetricsHour;
use shared::domain::node_push::UnreadableRow;
use shared::domain::online::{ClientDevices, OnlineClient, OnlineDevices, OnlineUser};
use shared::domain::order::DeliveredOrder;
use shared::domain::overview::FleetCounts;
use shared::domain::package_version::{PackageSeries, PackageVersion};
use shared::domain::parked_usage::ParkedUsage;
use shared::domain::quarantine::{QuarantineReason, QuarantinedReport};
use shared::domain::queued_package::{
    PackageEndReason, PackageQueueCounts, PackageQueueStatus, PackageSeriesCounts, QueuedPackage,
};
use shared::domain::recent_range::LongRange;
use shared::domain::server_status::StatusTimesHour;
use shared::domain::top::{TopMeasure, TopNode, TopNodeKind, TopUser};
use shared::domain::traffic_usage::{TrafficSum, UsageBucket, UsageGrouping, UsageInterval};
use shared::domain::usage_explanation::{
    BilledPart, ExplainedLine, ExplainedUsage, UsageCorrection,
};
use shared::domain::webhook::{
    DeliveryFailure, DeliveryStatus, Webhook, WebhookDelivery, WebhookEnd,
};
use shared::services::analysis::{
    NodeAvailability, RecentRange, RecentTrafficUsage, TrafficBucket, UserNodeStatusHistory,
    UserNodes, UserPackages, UserUsuallyUsedNodes,
};
use shared::services::manage::{
    AdminClients, AdminPackages, AdminServers, AuditEntries, ChangedItem, ChangedNodeCredential,
    CorrectedUsage, DeadLetters, DecidedPush, DoubtfulPushes, FleetOverview, IssuedNodeAccess,
    JobRunPage, NodeAccessPage, NodeCredential, NodeServerAvailability, NodeServerMaintenance,
    NodeServerMetricsHistory, OnlineUsers, PackageSeriesPage, PackageUsageExplanation,
    ParkedEvents, QuarantinedReports, QueuedPackageCounts, ReleasedReport, RequestedExtension,
    RetriedEvents, SecretWebhook, ShownNodeAccess, ShownOrder, ShownPackage, ShownWebhook,
    ShownWebhookDelivery, TopNodes, TopUsers, TrafficUsage, UncorrectedUser, UsageCorrections,
    UsageDrifts, UsageExplanation, WebhookDeliveries, Webhooks,
};
use uuid::Uuid;

use crate::convert::{structure, timestamp};

/// A protobuf message, or a field of one, that a `T` can be converted into.
pub trait FromDomain<T> {
    fn from_domain(value: T) -> Self;
}

impl<T, M: FromDomain<T>> FromDomain<Vec<T>> for Vec<M> {
    fn from_domain(values: Vec<T>) -> Self {
        values.into_iter().map(M::from_domain).collect()
    }
}

impl<T, M: FromDomain<T>> FromDomain<Option<T>> for Option<M> {
    fn from_domain(value: Option<T>) -> Self {
        value.map(M::from_domain)
    }
}

/// Converts a value of one type by an expression.
macro_rules! field {
    ($($from:ty => $to:ty: $convert:expr;)*) => {$(
        impl FromDomain<$from> for $to {
            fn from_domain(value: $from) -> Self {
                $convert(value)
            }
        }
    )*};
}

/// Converts a struct into the message whose fields have the same names. The fields after a `;` are
/// those of a nested struct.
macro_rules! message {
    ($($from:ty => $to:ident {
        $($field:ident),* $(; $nested:ident { $($inner:ident),* })?
    })*) => {$(
        impl FromDomain<$from> for v1::$to {
            fn from_domain(value: $from) -> Self {
                Self {
                    $($field: FromDomain::from_domain(value.$field),)*
                    $($($inner: FromDomain::from_domain(value.$nested.$inner),)*)?
                }
            }
        }

        // A field that contains a message is an `Option`, even if it is always set.
        impl FromDomain<$from> for Option<v1::$to> {
            fn from_domain(value: $from) -> Self {
                Some(FromDomain::from_domain(value))
            }
        }
    )*};
}

/// Converts a struct into several messages with the same fields.
macro_rules! same {
    ($($from:ty => [$($to:ident),*] $fields:tt)*) => {$(same!(@each $from, $fields, $($to),*);)*};
    (@each $from:ty, $fields:tt, $($to:ident),*) => {$(message! { $from => $to $fields })*};
}

/// Converts an enumeration into the one of the same name. Absent is `UNSPECIFIED`.
macro_rules! enumeration {
    ($($name:ident { $($variant:ident),* })*) => {$(
        impl FromDomain<$name> for i32 {
            fn from_domain(value: $name) -> Self {
                match value {
                    $($name::$variant => v1::$name::$variant.into(),)*
                }
            }
        }

        impl FromDomain<Option<$name>> for i32 {
            fn from_domain(value: Option<$name>) -> Self {
                value.map_or(0, FromDomain::from_domain)
            }
        }
    )*};
}

field! {
    bool => bool: std::convert::identity;
    i32 => i32: std::convert::identity;
    i64 => i64: std::convert::identity;
    f64 => f64: std::convert::identity;
    String => String: std::convert::identity;
    Uuid => String: |id: Uuid| id.to_string();
    Option<Uuid> => String: |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    Tz => String: |zone: Tz| zone.name().to_owned();
    DateTime<Utc> => Timestamp: timestamp;
    DateTime<Utc> => Option<Timestamp>: |at| Some(timestamp(at));
    serde_json::Value => Struct: structure;
    serde_json::Value => Option<Struct>: |value| Some(structure(value));
}

enumeration! {
    NodeServerCompatibility { NewV2b, Ssp }
    NodeServerStatus { Online, Offline, Maintenance }
    NodeProtocol { Uniproxy, ModMu, UsageReport }
    NodeSoftware { Xrayr, V2bx, V2node, XboardNode, XboardNodeRust, Ss22v2b, Collector, Other }
    JobOutcome { Running, Completed, Incomplete, Failed, Lost }
    PackageEndReason { Time, Traffic, Cancelled }
    PushDecision { Kept, Corrected }
    PushDoubt { ContainsPrevious, UnknownUsers, UnreadableRows }
    PackageQueueStatus { InQueue, Active, Consumed, Cancelled }
    DriftKind { Hour, Uncharged, Item, Run, Applied, NodeHour, NodeDay, UserDay }
    QuarantineReason { ImplausibleBytes, UnknownNodeClient }
    RecentRange { Day, Week, Month }
    LongRange { Day, Week, Month, Quarter, Year }
    UsageInterval { Hour, Day }
    UsageGrouping { None, Server, Client }
    TopMeasure { Billed, Raw }
    TopNodeKind { Client, Server }
    WebhookEnd { Requested, Gone }
    DeliveryStatus { Pending, Delivered, Failed }
    DeliveryFailure {
        Status, Redirect, TimedOut, UnknownHost, ForbiddenAddress, Connection, UnreadableSecret
    }
}

// Of users.
message! {
    RecentTrafficUsage => RecentTrafficUsageResponse { range, time_zone, raw, actually_billed }
    TrafficBucket => TrafficBucket { start, end, upload, download }
    UserNodeStatusHistory => ListNodeStatusHistoryReply { hours, availability, node_count }
    NodeAvailability => NodeAvailability {
        node_client_id, availability;
        times { online_seconds, offline_seconds, maintenance_seconds, unknown_seconds }
    }
    NodeStatusHour => NodeStatusHour {
        bucket_start, online_nodes, offline_nodes, maintenance_nodes
    }
    UserUsuallyUsedNodes => ListUsuallyUsedNodesResponse { nodes }
    UsuallyUsedNode => UsuallyUsedNode {
        node_client_id, node_name, upload, download, billed_traffic
    }
    UserNodes => ListNodesReply { nodes, total }
    Node => Node {
        id, name, traffic_factor, display_order, speed_limit, status, country, location, route_class
    }
    UserPackages => ListPackagesResponse { packages, total }
    OnlineDevices => GetOnlineDevicesResponse { as_of, addresses, device_limit, clients }
    ClientDevices => ClientDevices { node_client_id, addresses }
}

// Of node servers and node clients.
message! {
    AdminServers => ListNodeServersResponse { servers, total }
    NodeServerSummary => NodeServerSummary {
        id, name, compatibility, status, last_online_at, client_count, last_traffic_at,
        archived_at
    }
    NodeServerMetrics => NodeServerMetrics {
        measured_at;
        metrics {
            cpu_percent, memory_used, memory_total, disk_used, disk_total, load1, online_users,
            uptime_seconds, upload_rate, download_rate
        }
    }
    NodeServerAvailability => GetNodeServerAvailabilityResponse {
        id, start, end, availability, hours;
        times { online_seconds, offline_seconds, maintenance_seconds, unknown_seconds }
    }
    StatusTimesHour => NodeServerAvailabilityHour {
        hour, availability;
        times { online_seconds, offline_seconds, maintenance_seconds, unknown_seconds }
    }
    NodeServerMetricsHistory => GetNodeServerMetricsResponse { id, start, end, hours }
    NodeServerMetricsHour => NodeServerMetricsHour {
        hour, samples, cpu_percent_mean, cpu_percent_max, memory_used_mean, memory_used_max,
        memory_total, disk_used_mean, disk_used_max, disk_total, load1_mean, load1_max,
        online_users_mean, online_users_max, upload_rate_mean, upload_rate_max,
        download_rate_mean, download_rate_max
    }
    NodeServerMaintenance => SetNodeServerMaintenanceResponse { id, status, changed }
    AdminClients => ListNodeClientsResponse { clients, total }
    NodeClient => NodeClient {
        id, name, server_id, server_name, status, traffic_factor, display_order, speed_limit,
        country, location, route_class, access_groups, client_config, revision,
        archived_at, created_at, updated_at
    }
}

// Of the access of nodes.
message! {
    NodeAccessPage => ListNodeAccessResponse { accesses, total }
    NodeAccess => NodeAccess {
        id, protocol, software, server_id, node_client_id, allowed_networks, interval_seconds,
        client_timeout_seconds, created_at, revoked_at
    }
    IssuedNodeAccess => IssueNodeAccessResponse { access, token }
    ShownNodeAccess => RevokeNodeAccessResponse { access }
    ChangedNodeCredential => SetUserNodeCredentialResponse { number, changed }
}

// Of packages.
message! {
    PackageSeriesPage => ListPackageSeriesResponse { series, total }
    PackageSeries => PackageSeries { series, versions }
    PackageVersion => PackageVersion {
        id, series, version, is_master, name, available_group, max_client_number, duration_seconds,
        traffic_limit, created_at, retired_at
    }
    DeliveredOrder => Order {
        order_id, user, series, amount, package_id, received_at, cancelled_at, items
    }
    RequestedExtension => ExtendPackagesResponse { extension_id, requested_at, items }
    QueuedPackageCounts => CountQueuedPackagesResponse { series, all }
    PackageSeriesCounts => PackageSeriesCounts { series, name, counts }
    PackageQueueCounts => PackageQueueCounts { in_queue, active, consumed, cancelled, total }
    AdminPackages => ListQueuedPackagesResponse { packages, total }
    QueuedPackage => QueuedPackage {
        id, user, order, package_id, package_name, series, version, status, upload, download, used,
        quota, quota_left, adjust_quota, created_at, activated_at, expires_at, ended_at, end_reason,
        extended_seconds
    }
}

// Of the daily operation.
message! {
    AuditEntries => ListAuditEntriesResponse { entries, total }
    RecordedAction => AuditEntry {
        id, created_at, actor_user_id, request_id, action, target_kind, target_id, before, after,
        reason
    }
    DeadLetters => ListDeadLettersResponse { queues }
    DeadLetterQueue => DeadLetterQueue { queue, dead_letters, counted_at, reasons }
    FailureReason => FailureReason {
        error_code, reason, messages, last_message_id, first_failed_at, last_failed_at
    }
    JobRunPage => ListJobRunsResponse { runs, total, summaries }
    JobRun => JobRun {
        id, job, request_id, started_at, ended_at, duration_milliseconds, outcome, error_code,
        counts, lag_seconds
    }
    JobSummary => JobSummary {
        job, last_started_at, last_outcome, last_completed_at, lag_seconds
    }
    ParkedEvents => ListParkedEventsResponse { events, total }
    ParkedUsage => ParkedEvent {
        id, user, bucket_start, server_id, node_client_id, raw_upload, raw_download, billed_upload,
        billed_download, reason, parked_at, attempts, retry_at
    }
    RetriedEvents => RetryParkedEventsResponse { retried, more }
}

// Of usage.
message! {
    DoubtfulPushes => ListDoubtfulPushesResponse { pushes, total }
    DoubtfulPush => DoubtfulPush {
        id, doubt, evidence, push_id, previous_push_id, access_id, server_id, node_client_id,
        arrived_at, users, bytes, billed, unreadable_rows, unreadable, decision, decided_at
    }
    UnreadableRow => UnreadableRow { key, reason }
    DecidedPush => DecideDoubtfulPushResponse {
        push, corrected_users, corrected_bytes, uncorrected_users, uncorrected
    }
    UncorrectedUser => UncorrectedUser { user, bytes }
    OnlineUsers => GetOnlineUsersResponse {
        as_of, users, total, addresses, clients, client_count
    }
    OnlineUser => OnlineUser { user, number, addresses, client_count, device_limit }
    OnlineClient => OnlineClient { node_client_id, users, addresses }
    TrafficUsage => GetTrafficUsageResponse {
        start, end, interval, time_zone, group_by, usage, total, sum
    }
    UsageBucket => UsageBucket {
        start, end, server_id, node_client_id;
        traffic {
            raw_upload, raw_download, billed_upload, billed_download, corrected_upload,
            corrected_download
        }
    }
    TrafficSum => TrafficSum {
        raw_upload, raw_download, billed_upload, billed_download, corrected_upload,
        corrected_download
    }
    TopUsers => ListTopUsersResponse { range, by, start, as_of, total, users }
    TopUser => TopUser {
        rank, user, raw_upload, raw_download, billed_upload, billed_download
    }
    TopNodes => ListTopNodesResponse { range, by, kind, start, nodes }
    TopNode => TopNode {
        rank, server_id, node_client_id, name, raw_upload, raw_download, billed_upload,
        billed_download
    }
    FleetOverview => GetFleetOverviewResponse {
        as_of, counts, hours, last_24_hours, previous_24_hours, last_30_days, top_users, top_nodes
    }
    FleetCounts => FleetCounts {
        online_servers, offline_servers, maintenance_servers, clients, active_packages,
        waiting_packages, online_users, unbilled_reports, oldest_unbilled_at, parked_events,
        open_doubts, quarantined_reports, usage_drifts
    }
}

// Of drifts and of reports in quarantine.
message! {
    QuarantinedReports => ListQuarantinedReportsResponse { reports, total }
    QuarantinedReport => QuarantinedReport {
        id, report_id, server_id, sender_id, period_start, period_end, received_at, reason, lines,
        lines_without_factor, upload, download, released_at, released_by, release_reason
    }
    ReleasedReport => ReleaseQuarantinedReportResponse { report, billed_report_id }
    UsageDrifts => ListUsageDriftsResponse { drifts, total }
    UsageDrift => UsageDrift {
        id, kind, bucket_start, package_queue_id, user, billing_run_id, raw_upload, raw_download,
        billed_upload, billed_download, first_found_at, found_at
    }
}

// Of explanations and corrections.
message! {
    UsageExplanation => ExplainUsageResponse {
        user, hour, usage, sum, parts, total, billed, parked, corrections, unexplained
    }
    ExplainedUsage => ExplainedUsage {
        hour, server_id, node_client_id, node_client_name, package_queue_id;
        traffic {
            raw_upload, raw_download, billed_upload, billed_download, corrected_upload,
            corrected_download
        }
    }
    BilledPart => BilledPart {
        billing_run_id, server_id, node_client_id, node_client_name, raw_upload, raw_download,
        billed_upload, billed_download, exact_upload, exact_download, lines, line_count
    }
    ExplainedLine => ExplainedLine {
        report_id, received_at, period_start, period_end, upload, download, factor
    }
    UsageCorrection => UsageCorrection {
        id, user, hour, server_id, node_client_id, package_queue_id, billed_upload,
        billed_download, corrected_at, actor, reason
    }
    PackageUsageExplanation => ExplainPackageUsageResponse {
        id, user, upload, download, usage, total, sum, unexplained_upload, unexplained_download
    }
    CorrectedUsage => CorrectUsageResponse { correction, usage }
    UsageCorrections => ListUsageCorrectionsResponse { corrections, total }
}

// Of webhooks.
message! {
    Webhooks => ListWebhooksResponse { webhooks, total }
    Webhook => Webhook {
        id, url, description, event_types, created_at, previous_secret_until, disabled_at,
        disabled_by
    }
    WebhookDeliveries => ListWebhookDeliveriesResponse { deliveries, total }
    WebhookDelivery => WebhookDelivery {
        id, webhook_id, event_id, event_type, status, attempts, created_at, last_attempt_at,
        next_attempt_at, response_status, failure
    }
    ShownWebhookDelivery => RedeliverWebhookResponse { delivery }
}

// Of several calls with the same output.
same! {
    SecretWebhook => [CreateWebhookResponse, RotateWebhookSecretResponse] { webhook, secret }
    ShownWebhook => [ShowWebhookResponse, DisableWebhookResponse] { webhook }
    NodeServerDetails => [
        ShowNodeServerResponse, CreateNodeServerResponse, UpdateNodeServerResponse,
        ArchiveNodeServerResponse
    ] { server, server_config, metrics, clock_skew_seconds, revision, created_at, updated_at }
    NodeClientDetails => [
        ShowNodeClientResponse, CreateNodeClientResponse, UpdateNodeClientResponse,
        ArchiveNodeClientResponse
    ] { client, server, metrics }
    ShownPackage => [
        ShowPackageResponse, CreatePackageResponse, SetMasterPackageResponse, RetirePackageResponse
    ] { package }
    NodeCredential => [RotateNodeCredentialResponse, RotateUserNodeCredentialResponse] {
        number, secret
    }
    ShownOrder => [DeliverOrderResponse, CancelOrderResponse] { order, changed }
    ChangedItem => [
        CancelQueuedPackageResponse, AdjustQuotaResponse, SetPackageEndResponse
    ] { package, changed }
}
