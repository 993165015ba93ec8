//! `ExtendPackages`: adds hours to the time of all active items of an access group or of a series.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, package_extension};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::package_extension::{ExtendedPackages, MAX_HOURS, NewExtension};
use crate::domain::{reason, within};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Requests that the active items of packages get more time. The job `apply-package-extensions`
/// extends them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtendPackages {
    /// Access group of the packages. Exactly one of this and `series` is given.
    pub available_group: Option<i32>,
    /// Series of the packages.
    pub series: Option<Uuid>,
    /// Hours to add, from 1 to [`MAX_HOURS`].
    pub hours: i32,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
    /// Whether the items are only counted.
    pub dry_run: bool,
}

impl Operation for ExtendPackages {
    const NAME: &'static str = "ExtendPackages";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// An extension that was requested, or counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestedExtension {
    /// Id of the extension in the audit log. `null` for a dry run.
    pub extension_id: Option<Uuid>,
    /// Time of the request. Items that become active later are not extended.
    pub requested_at: DateTime<Utc>,
    /// Number of items that are active at this time.
    pub items: i64,
}

#[derive(Serialize)]
struct Audited {
    available_group: Option<i32>,
    series: Option<Uuid>,
    hours: i32,
    items: i64,
}

#[async_trait]
impl Change for ExtendPackages {
    type Output = RequestedExtension;

    fn checked(self) -> Result<Self, Error> {
        if let Some(group) = self.available_group {
            within("available_group", group.into(), 0, i32::MAX.into())?;
        }
        if self.available_group.is_some() == self.series.is_some() {
            let accepted = "a series or an available_group, and not both";
            return Err(Error::parameter("series", accepted));
        }
        within("hours", self.hours.into(), 1, MAX_HOURS)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<RequestedExtension, Error> {
        if let Some(series) = self.series
            && !package_extension::series_exists(tx, series).await?
        {
            return Err(Error::not_found("The series"));
        }
        let packages = ExtendedPackages {
            available_group: self.available_group,
            series: self.series,
        };
        let items = package_extension::count_items(tx, packages).await?;
        let extension_id = if self.dry_run {
            None
        } else {
            Some(self.store(tx, work, packages, items).await?)
        };
        Ok(RequestedExtension {
            extension_id,
            requested_at: work.now,
            items,
        })
    }
}

impl ExtendPackages {
    /// Stores the extension for the job, and returns its id.
    async fn store(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
        packages: ExtendedPackages,
        items: i64,
    ) -> Result<Uuid, Error> {
        let new = NewExtension {
            id: work.ids.next_id(),
            created_at: work.now,
            actor: work.actor,
            packages,
            hours: self.hours,
            reason: &self.reason,
            item_count: items,
        };
        package_extension::insert(tx, &new).await?;
        let audited = Audited {
            available_group: self.available_group,
            series: self.series,
            hours: self.hours,
            items,
        };
        work.requested(Target::Extension(new.id), &audited, &self.reason)?;
        Ok(new.id)
    }
}
