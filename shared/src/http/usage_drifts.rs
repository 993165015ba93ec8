//! `/v1/admin/usage-drifts`.

use strum::VariantNames;

use super::parameter::{Kind, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint};
use crate::domain::drift::{DriftKind, PAGES};
use crate::error::Error;
use crate::services::manage::{ListUsageDrifts, ManageService};

/// Lists amounts of usage that should be equal and are not, newest first.
#[derive(Debug)]
pub struct UsageDrifts;

impl Endpoint for UsageDrifts {
    type Service = ManageService;
    type Input = ListUsageDrifts;
    const PATH: &'static str = "/v1/admin/usage-drifts";
    const RULE_PRIORITY: u16 = 270;
    const SUMMARY: &'static str = "List usage drifts";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "kind",
            "Return only drifts of this kind.",
            Kind::OneOf(DriftKind::VARIANTS),
        ),
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "drifts",
        header: "id,kind,bucket_start,package_queue_id,user,billing_run_id,raw_upload,\
            raw_download,billed_upload,billed_download,first_found_at,found_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListUsageDrifts, Error> {
        Ok(ListUsageDrifts {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            kind: request.one_of("kind")?,
        })
    }
}
