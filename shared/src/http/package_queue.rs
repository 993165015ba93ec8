//! `GET /v1/admin/package-queue` and `GET /v1/admin/package-queue/counts`.

use strum::VariantNames;

use super::parameter::{Kind, Parameter};
use super::request::ApiRequest;
use super::{Endpoint, cell, timestamp};
use crate::domain::queued_package::{
    Filter, PackageQueueStatus, PackageSeriesCounts, QueuedPackage,
};
use crate::error::Error;
use crate::services::manage::{
    AdminListPackages, AdminPackages, CountQueuedPackages, ManageService, QueuedPackageCounts,
};

/// Counts package items by series and status.
#[derive(Debug)]
pub struct PackageQueueCounts;

impl Endpoint for PackageQueueCounts {
    type Service = ManageService;
    type Input = CountQueuedPackages;
    const PATH: &'static str = "/v1/admin/package-queue/counts";
    const RULE_PRIORITY: u16 = 180;
    const SUMMARY: &'static str = "Count queued packages";
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "series",
        "name",
        "in_queue",
        "active",
        "consumed",
        "cancelled",
        "total",
    ]);

    fn input(_: &ApiRequest<'_>) -> Result<CountQueuedPackages, Error> {
        Ok(CountQueuedPackages)
    }

    fn csv_rows(counts: &QueuedPackageCounts) -> Vec<Vec<String>> {
        let row = |PackageSeriesCounts {
                       series,
                       name,
                       counts,
                   }: &PackageSeriesCounts| {
            let counts = [
                counts.in_queue,
                counts.active,
                counts.consumed,
                counts.cancelled,
                counts.total,
            ];
            [series.to_string(), name.clone()]
                .into_iter()
                .chain(counts.map(|count| count.to_string()))
                .collect()
        };
        counts.series.iter().map(row).collect()
    }
}

/// Lists package items, newest first.
#[derive(Debug)]
pub struct PackageQueue;

impl Endpoint for PackageQueue {
    type Service = ManageService;
    type Input = AdminListPackages;
    const PATH: &'static str = "/v1/admin/package-queue";
    const RULE_PRIORITY: u16 = 190;
    const SUMMARY: &'static str = "List queued packages";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "user",
            "Return only package items of this user.",
            Kind::Uuid,
        ),
        Parameter::optional(
            "order",
            "Return only package items bought by this order.",
            Kind::Uuid,
        ),
        Parameter::optional(
            "package",
            "Return only items of this package.",
            Kind::Integer {
                least: 1,
                most: i64::MAX,
                default: None,
            },
        ),
        Parameter::optional(
            "status",
            "Return only package items in this status.",
            Kind::OneOf(PackageQueueStatus::VARIANTS),
        ),
        Parameter::limit(AdminListPackages::BOUNDS),
        Parameter::offset(AdminListPackages::BOUNDS),
    ];
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "id",
        "user",
        "order",
        "package_id",
        "package_name",
        "series",
        "version",
        "status",
        "upload",
        "download",
        "used",
        "quota",
        "quota_left",
        "adjust_quota",
        "created_at",
        "activated_at",
        "expires_at",
        "ended_at",
        "end_reason",
    ]);

    fn input(request: &ApiRequest<'_>) -> Result<AdminListPackages, Error> {
        let filter = Filter {
            user: request.get("user")?,
            order: request.get("order")?,
            package: request.get("package")?,
            status: request.one_of("status")?,
        };
        Ok(AdminListPackages {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter,
        })
    }

    fn csv_rows(page: &AdminPackages) -> Vec<Vec<String>> {
        let row = |item: &QueuedPackage| {
            vec![
                item.id.to_string(),
                item.user.to_string(),
                cell(item.order),
                item.package_id.to_string(),
                item.package_name.clone(),
                item.series.to_string(),
                item.version.to_string(),
                <&str>::from(item.status).to_owned(),
                item.upload.to_string(),
                item.download.to_string(),
                item.used.to_string(),
                cell(item.quota),
                cell(item.quota_left),
                item.adjust_quota.to_string(),
                timestamp(item.created_at),
                cell(item.activated_at.map(timestamp)),
                cell(item.expires_at.map(timestamp)),
                cell(item.ended_at.map(timestamp)),
                cell(item.end_reason.map(<&str>::from)),
            ]
        };
        page.packages.iter().map(row).collect()
    }
}
