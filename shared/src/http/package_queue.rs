//! `GET /v1/packages`, `GET /v1/admin/package-queue` and `GET /v1/admin/package-queue/counts`.

use strum::VariantNames;

use super::parameter::{Kind, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint};
use crate::domain::queued_package::{Filter, PAGES, PackageQueueStatus};
use crate::error::Error;
use crate::services::analysis::{AnalysisService, ListUserPackages};
use crate::services::manage::{AdminListPackages, CountQueuedPackages, ManageService};

/// Counts package items by series and status.
#[derive(Debug)]
pub struct PackageQueueCounts;

impl Endpoint for PackageQueueCounts {
    type Service = ManageService;
    type Input = CountQueuedPackages;
    const PATH: &'static str = "/v1/admin/package-queue/counts";
    const RULE_PRIORITY: u16 = 180;
    const SUMMARY: &'static str = "Count queued packages";
    const CSV: Option<Csv> = Some(Csv {
        list: "series",
        columns: &[
            "series",
            "name",
            "in_queue",
            "active",
            "consumed",
            "cancelled",
            "total",
        ],
    });

    fn input(_: &ApiRequest<'_>) -> Result<CountQueuedPackages, Error> {
        Ok(CountQueuedPackages)
    }
}

const STATUS: Parameter = Parameter::optional(
    "status",
    "Return only package items in this status.",
    Kind::OneOf(PackageQueueStatus::VARIANTS),
);
/// The table of a list of package items.
const PACKAGES: Csv = Csv {
    list: "packages",
    columns: &[
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
    ],
};

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
                min: 1,
                max: i64::MAX,
                default: None,
            },
        ),
        STATUS,
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(PACKAGES);

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
}

/// Lists the user's packages: waiting, active and ended ones, newest first.
#[derive(Debug)]
pub struct Packages;

impl Endpoint for Packages {
    type Service = AnalysisService;
    type Input = ListUserPackages;
    const PATH: &'static str = "/v1/packages";
    const RULE_PRIORITY: u16 = 132;
    const SUMMARY: &'static str = "List packages";
    const PARAMETERS: &'static [Parameter] =
        &[STATUS, Parameter::limit(PAGES), Parameter::offset(PAGES)];
    const CSV: Option<Csv> = Some(PACKAGES);

    fn input(request: &ApiRequest<'_>) -> Result<ListUserPackages, Error> {
        Ok(ListUserPackages {
            user_id: request.user_id(),
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            status: request.one_of("status")?,
        })
    }
}
