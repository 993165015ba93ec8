//! The service for usage and what may be wrong with it.

use chrono_tz::Tz;
use proto::v1;
use proto::v1::usage_manage_server::UsageManage;
use shared::auth::Principal;
use shared::domain::recent_range::time_zone;
use shared::domain::{doubtful_push, online, quarantine, traffic_usage};
use shared::services::manage::{
    CorrectUsage, DecideDoubtfulPush, ExplainPackageUsage, ExplainUsage, GetFleetOverview,
    GetOnlineUsers, GetTrafficUsage, ListDoubtfulPushes, ListQuarantinedReports, ListTopNodes,
    ListTopUsers, ListUsageCorrections, ListUsageDrifts, ReleaseQuarantinedReport,
};
use tonic::{Request, async_trait};

use super::{Manage, Reply};
use crate::convert::{
    given, given_text, named, named_or_default, named_or_none, requested_time, required_time,
    required_uuid, uuid,
};

#[async_trait]
impl UsageManage for Manage {
    async fn list_doubtful_pushes(
        &self,
        request: Request<v1::ListDoubtfulPushesRequest>,
    ) -> Reply<v1::ListDoubtfulPushesResponse> {
        let input = |_: &_, asked: v1::ListDoubtfulPushesRequest| {
            Ok(ListDoubtfulPushes {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter: doubtful_push::Filter {
                    server_id: Some(asked.server_id).filter(|id| *id != 0),
                    node_client_id: Some(asked.node_client_id).filter(|id| *id != 0),
                    doubt: named_or_none::<v1::PushDoubt, _>("doubt", asked.doubt)?,
                    state: named_or_none::<v1::DoubtState, _>("state", asked.state)?,
                },
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn decide_doubtful_push(
        &self,
        request: Request<v1::DecideDoubtfulPushRequest>,
    ) -> Reply<v1::DecideDoubtfulPushResponse> {
        let input = |caller: &Principal, asked: v1::DecideDoubtfulPushRequest| {
            Ok(caller.request(DecideDoubtfulPush {
                id: asked.id,
                decision: named::<v1::PushRemedy, _>("decision", asked.decision)?,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn get_online_users(
        &self,
        request: Request<v1::GetOnlineUsersRequest>,
    ) -> Reply<v1::GetOnlineUsersResponse> {
        let input = |_: &_, asked: v1::GetOnlineUsersRequest| {
            Ok(GetOnlineUsers {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter: online::Filter {
                    user: uuid("user", &asked.user)?,
                    node_client_id: Some(asked.node_client_id).filter(|id| *id != 0),
                },
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn get_traffic_usage(
        &self,
        request: Request<v1::GetTrafficUsageRequest>,
    ) -> Reply<v1::GetTrafficUsageResponse> {
        let input = |_: &_, asked: v1::GetTrafficUsageRequest| {
            Ok(GetTrafficUsage {
                filter: traffic_usage::Filter {
                    user: uuid("user", &asked.user)?,
                    server_id: Some(asked.server_id).filter(|id| *id != 0),
                    node_client_id: Some(asked.node_client_id).filter(|id| *id != 0),
                },
                start: requested_time("start", asked.start)?,
                end: requested_time("end", asked.end)?,
                interval: named_or_default::<v1::UsageInterval, _>("interval", asked.interval)?,
                time_zone: given_text(&asked.time_zone).map_or(Ok(Tz::UTC), time_zone)?,
                group_by: named_or_default::<v1::UsageGrouping, _>("group_by", asked.group_by)?,
                limit: given(asked.limit),
                offset: given(asked.offset),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_top_users(
        &self,
        request: Request<v1::ListTopUsersRequest>,
    ) -> Reply<v1::ListTopUsersResponse> {
        let input = |_: &_, asked: v1::ListTopUsersRequest| {
            Ok(ListTopUsers {
                range: named_or_default::<v1::RecentRange, _>("range", asked.range)?,
                by: named_or_default::<v1::TopMeasure, _>("by", asked.by)?,
                limit: given(asked.limit),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_top_nodes(
        &self,
        request: Request<v1::ListTopNodesRequest>,
    ) -> Reply<v1::ListTopNodesResponse> {
        let input = |_: &_, asked: v1::ListTopNodesRequest| {
            Ok(ListTopNodes {
                range: named_or_default::<v1::LongRange, _>("range", asked.range)?,
                by: named_or_default::<v1::TopMeasure, _>("by", asked.by)?,
                kind: named_or_default::<v1::TopNodeKind, _>("kind", asked.kind)?,
                user: uuid("user", &asked.user)?,
                limit: given(asked.limit),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn get_fleet_overview(
        &self,
        request: Request<v1::GetFleetOverviewRequest>,
    ) -> Reply<v1::GetFleetOverviewResponse> {
        let input = |_: &_, _| Ok(GetFleetOverview);
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn explain_usage(
        &self,
        request: Request<v1::ExplainUsageRequest>,
    ) -> Reply<v1::ExplainUsageResponse> {
        let input = |_: &_, asked: v1::ExplainUsageRequest| {
            Ok(ExplainUsage {
                user: required_uuid("user", &asked.user)?,
                hour: required_time("hour", asked.hour)?,
                limit: given(asked.limit),
                offset: given(asked.offset),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn explain_package_usage(
        &self,
        request: Request<v1::ExplainPackageUsageRequest>,
    ) -> Reply<v1::ExplainPackageUsageResponse> {
        let input = |_: &_, asked: v1::ExplainPackageUsageRequest| {
            Ok(ExplainPackageUsage {
                id: asked.id,
                limit: given(asked.limit),
                offset: given(asked.offset),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_usage_corrections(
        &self,
        request: Request<v1::ListUsageCorrectionsRequest>,
    ) -> Reply<v1::ListUsageCorrectionsResponse> {
        let input = |_: &_, asked: v1::ListUsageCorrectionsRequest| {
            Ok(ListUsageCorrections {
                limit: given(asked.limit),
                offset: given(asked.offset),
                user: uuid("user", &asked.user)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn correct_usage(
        &self,
        request: Request<v1::CorrectUsageRequest>,
    ) -> Reply<v1::CorrectUsageResponse> {
        let input = |caller: &Principal, asked: v1::CorrectUsageRequest| {
            Ok(caller.request(CorrectUsage {
                user: required_uuid("user", &asked.user)?,
                hour: required_time("hour", asked.hour)?,
                server_id: asked.server_id,
                node_client_id: Some(asked.node_client_id).filter(|id| *id != 0),
                package_queue_id: given(asked.package_queue_id),
                billed_upload: asked.billed_upload,
                billed_download: asked.billed_download,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_usage_drifts(
        &self,
        request: Request<v1::ListUsageDriftsRequest>,
    ) -> Reply<v1::ListUsageDriftsResponse> {
        let input = |_: &_, asked: v1::ListUsageDriftsRequest| {
            Ok(ListUsageDrifts {
                limit: given(asked.limit),
                offset: given(asked.offset),
                kind: named_or_none::<v1::DriftKind, _>("kind", asked.kind)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_quarantined_reports(
        &self,
        request: Request<v1::ListQuarantinedReportsRequest>,
    ) -> Reply<v1::ListQuarantinedReportsResponse> {
        let input = |_: &_, asked: v1::ListQuarantinedReportsRequest| {
            Ok(ListQuarantinedReports {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter: quarantine::Filter {
                    server_id: Some(asked.server_id).filter(|id| *id != 0),
                    reason: named_or_none::<v1::QuarantineReason, _>("reason", asked.reason)?,
                    state: named_or_none::<v1::QuarantineState, _>("state", asked.state)?,
                },
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn release_quarantined_report(
        &self,
        request: Request<v1::ReleaseQuarantinedReportRequest>,
    ) -> Reply<v1::ReleaseQuarantinedReportResponse> {
        let input = |caller: &Principal, asked: v1::ReleaseQuarantinedReportRequest| {
            Ok(caller.request(ReleaseQuarantinedReport {
                id: asked.id,
                factor: asked.factor,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}
