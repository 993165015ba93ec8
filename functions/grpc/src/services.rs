//! The services. Each method converts its request into the input of a processor.

mod nodes;
mod usage;
mod webhooks;

use chrono_tz::Tz;
use proto::v1;
use proto::v1::package_manage_server::PackageManage;
use proto::v1::package_queue_manage_server::PackageQueueManage;
use proto::v1::telecom_server::Telecom;
use shared::auth::Principal;
use shared::domain::order::NewOrder;
use shared::domain::queued_package::Filter;
use shared::services::analysis::{
    AnalysisService, GetOnlineDevices, GetRecentTrafficUsage, ListUserNodeStatusHistory,
    ListUserNodes, ListUserPackages, ListUserUsuallyUsedNodes, time_zone,
};
use shared::services::manage::{
    AdjustQuota, AdminListPackages, CancelOrder, CancelQueuedPackage, CountQueuedPackages,
    CreatePackage, DeliverOrder, ExtendPackages, ListPackageSeries, ManageService, RetirePackage,
    RotateNodeCredential, SetMasterPackage, SetPackageEnd, ShowPackage,
};
use tonic::{Request, Response, Status, async_trait};

use crate::call::Dispatcher;
use crate::convert::{
    given, given_text, named, named_or_none, requested_time, required_uuid, uuid,
};

pub type Reply<T> = Result<Response<T>, Status>;

/// The services for users.
#[derive(Debug, Clone)]
pub struct Analysis {
    pub dispatcher: Dispatcher,
    pub service: AnalysisService,
    /// Makes the changes that users make.
    pub changes: ManageService,
}

/// The services for administrators.
#[derive(Debug, Clone)]
pub struct Manage {
    pub dispatcher: Dispatcher,
    pub service: ManageService,
}

#[async_trait]
impl Telecom for Analysis {
    async fn get_recent_traffic_usage(
        &self,
        request: Request<v1::GetRecentTrafficUsageRequest>,
    ) -> Reply<v1::RecentTrafficUsageResponse> {
        let input = |caller: &Principal, asked: v1::GetRecentTrafficUsageRequest| {
            Ok(GetRecentTrafficUsage {
                user_id: caller.user_id,
                range: named::<v1::RecentRange, _>("range", asked.range)?,
                time_zone: given_text(&asked.time_zone).map_or(Ok(Tz::UTC), time_zone)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_node_status_history(
        &self,
        request: Request<v1::ListNodeStatusHistoryRequest>,
    ) -> Reply<v1::ListNodeStatusHistoryReply> {
        let input = |caller: &Principal, asked: v1::ListNodeStatusHistoryRequest| {
            Ok(ListUserNodeStatusHistory {
                user_id: caller.user_id,
                start: requested_time("start", asked.start)?,
                end: requested_time("end", asked.end)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_usually_used_nodes(
        &self,
        request: Request<v1::ListUsuallyUsedNodesRequest>,
    ) -> Reply<v1::ListUsuallyUsedNodesResponse> {
        let input = |caller: &Principal, asked: v1::ListUsuallyUsedNodesRequest| {
            Ok(ListUserUsuallyUsedNodes {
                user_id: caller.user_id,
                limit: given(asked.limit),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Reply<v1::ListNodesReply> {
        let input = |caller: &Principal, asked: v1::ListNodesRequest| {
            Ok(ListUserNodes {
                user_id: caller.user_id,
                limit: given(asked.limit),
                offset: given(asked.offset),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_packages(
        &self,
        request: Request<v1::ListPackagesRequest>,
    ) -> Reply<v1::ListPackagesResponse> {
        let input = |caller: &Principal, asked: v1::ListPackagesRequest| {
            Ok(ListUserPackages {
                user_id: caller.user_id,
                limit: given(asked.limit),
                offset: given(asked.offset),
                status: named_or_none::<v1::PackageQueueStatus, _>("status", asked.status)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn get_online_devices(
        &self,
        request: Request<v1::GetOnlineDevicesRequest>,
    ) -> Reply<v1::GetOnlineDevicesResponse> {
        let input = |caller: &Principal, _: v1::GetOnlineDevicesRequest| {
            Ok(GetOnlineDevices {
                user_id: caller.user_id,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn rotate_node_credential(
        &self,
        request: Request<v1::RotateNodeCredentialRequest>,
    ) -> Reply<v1::RotateNodeCredentialResponse> {
        let input = |caller: &Principal, _: v1::RotateNodeCredentialRequest| {
            Ok(caller.request(RotateNodeCredential))
        };
        self.dispatcher.call(&self.changes, request, input).await
    }
}

#[async_trait]
impl PackageQueueManage for Manage {
    async fn count_queued_packages(
        &self,
        request: Request<v1::CountQueuedPackagesRequest>,
    ) -> Reply<v1::CountQueuedPackagesResponse> {
        let input = |_: &_, _: v1::CountQueuedPackagesRequest| Ok(CountQueuedPackages);
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_queued_packages(
        &self,
        request: Request<v1::ListQueuedPackagesRequest>,
    ) -> Reply<v1::ListQueuedPackagesResponse> {
        let input = |_: &_, asked: v1::ListQueuedPackagesRequest| {
            let filter = Filter {
                user: uuid("user", &asked.user)?,
                order: uuid("order", &asked.order)?,
                package: asked.package,
                status: named_or_none::<v1::PackageQueueStatus, _>("status", asked.status)?,
            };
            Ok(AdminListPackages {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn deliver_order(
        &self,
        request: Request<v1::DeliverOrderRequest>,
    ) -> Reply<v1::DeliverOrderResponse> {
        let input = |caller: &Principal, asked: v1::DeliverOrderRequest| {
            Ok(caller.request(DeliverOrder(NewOrder {
                order_id: required_uuid("order_id", &asked.order_id)?,
                user: required_uuid("user", &asked.user)?,
                series: required_uuid("series", &asked.series)?,
                amount: asked.amount,
            })))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn cancel_order(
        &self,
        request: Request<v1::CancelOrderRequest>,
    ) -> Reply<v1::CancelOrderResponse> {
        let input = |caller: &Principal, asked: v1::CancelOrderRequest| {
            let order_id = required_uuid("order_id", &asked.order_id)?;
            let reason = asked.reason;
            Ok(caller.request(CancelOrder { order_id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn cancel_queued_package(
        &self,
        request: Request<v1::CancelQueuedPackageRequest>,
    ) -> Reply<v1::CancelQueuedPackageResponse> {
        let input = |caller: &Principal, asked: v1::CancelQueuedPackageRequest| {
            let (id, reason) = (asked.id, asked.reason);
            Ok(caller.request(CancelQueuedPackage { id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn adjust_quota(
        &self,
        request: Request<v1::AdjustQuotaRequest>,
    ) -> Reply<v1::AdjustQuotaResponse> {
        let input = |caller: &Principal, asked: v1::AdjustQuotaRequest| {
            let (id, bytes, reason) = (asked.id, asked.bytes, asked.reason);
            Ok(caller.request(AdjustQuota { id, bytes, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn set_package_end(
        &self,
        request: Request<v1::SetPackageEndRequest>,
    ) -> Reply<v1::SetPackageEndResponse> {
        let input = |caller: &Principal, asked: v1::SetPackageEndRequest| {
            Ok(caller.request(SetPackageEnd {
                id: asked.id,
                expires_at: requested_time("expires_at", asked.expires_at)?,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn extend_packages(
        &self,
        request: Request<v1::ExtendPackagesRequest>,
    ) -> Reply<v1::ExtendPackagesResponse> {
        let input = |caller: &Principal, asked: v1::ExtendPackagesRequest| {
            Ok(caller.request(ExtendPackages {
                available_group: asked.available_group,
                series: uuid("series", &asked.series)?,
                hours: asked.hours,
                reason: asked.reason,
                dry_run: asked.dry_run,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}

#[async_trait]
impl PackageManage for Manage {
    async fn list_package_series(
        &self,
        request: Request<v1::ListPackageSeriesRequest>,
    ) -> Reply<v1::ListPackageSeriesResponse> {
        let input = |_: &_, asked: v1::ListPackageSeriesRequest| {
            Ok(ListPackageSeries {
                limit: given(asked.limit),
                offset: given(asked.offset),
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn show_package(
        &self,
        request: Request<v1::ShowPackageRequest>,
    ) -> Reply<v1::ShowPackageResponse> {
        let input = |_: &_, asked: v1::ShowPackageRequest| Ok(ShowPackage { id: asked.id });
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn create_package(
        &self,
        request: Request<v1::CreatePackageRequest>,
    ) -> Reply<v1::CreatePackageResponse> {
        let input = |caller: &Principal, asked: v1::CreatePackageRequest| {
            Ok(caller.request(CreatePackage {
                series: uuid("series", &asked.series)?,
                name: asked.name,
                available_group: asked.available_group,
                max_client_number: asked.max_client_number,
                duration_seconds: asked.duration_seconds,
                traffic_limit: asked.traffic_limit,
                unlimited: asked.unlimited,
                make_master: asked.make_master,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn set_master_package(
        &self,
        request: Request<v1::SetMasterPackageRequest>,
    ) -> Reply<v1::SetMasterPackageResponse> {
        let input = |caller: &Principal, asked: v1::SetMasterPackageRequest| {
            let (id, reason) = (asked.id, asked.reason);
            Ok(caller.request(SetMasterPackage { id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn retire_package(
        &self,
        request: Request<v1::RetirePackageRequest>,
    ) -> Reply<v1::RetirePackageResponse> {
        let input = |caller: &Principal, asked: v1::RetirePackageRequest| {
            let (id, reason) = (asked.id, asked.reason);
            Ok(caller.request(RetirePackage { id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}
