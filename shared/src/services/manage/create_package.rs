//! `CreatePackage`: creates a package series, or the next version of one.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, package};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::package_version::{
    MAX_DURATION_SECONDS, MAX_NAME, MAX_TRAFFIC_BYTES, NewPackageVersion, PackageVersion,
};
use crate::domain::{line, within};
use crate::error::{Error, ErrorKind};
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Creates a package. What a version gives never changes: a better offer is a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreatePackage {
    /// Id of the series that gets a new version. `None` begins a new series.
    pub series: Option<Uuid>,
    /// Name of the package, 1 to [`MAX_NAME`] characters.
    pub name: String,
    /// Access group of the node clients that the package opens.
    pub available_group: i32,
    /// Number of devices that may connect at the same time, at least 1.
    pub max_client_number: i32,
    /// Time from activation to expiry, in seconds, at most [`MAX_DURATION_SECONDS`].
    pub duration_seconds: i64,
    /// Traffic limit in bytes, at most [`MAX_TRAFFIC_BYTES`]. Exactly one of this and `unlimited`
    /// is given.
    pub traffic_limit: Option<i64>,
    /// Whether the traffic is unlimited.
    pub unlimited: bool,
    /// Whether orders of the series deliver the new version. A new series always has its first
    /// version as master.
    pub make_master: bool,
}

impl Operation for CreatePackage {
    const NAME: &'static str = "CreatePackage";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// A package after a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownPackage {
    /// The package after the call.
    pub package: PackageVersion,
}

#[async_trait]
impl Change for CreatePackage {
    type Output = ShownPackage;

    fn checked(self) -> Result<Self, Error> {
        let name = line("name", &self.name, MAX_NAME)?;
        within(
            "available_group",
            self.available_group.into(),
            0,
            i32::MAX.into(),
        )?;
        within(
            "max_client_number",
            self.max_client_number.into(),
            1,
            i32::MAX.into(),
        )?;
        within(
            "duration_seconds",
            self.duration_seconds,
            1,
            MAX_DURATION_SECONDS,
        )?;
        match self.traffic_limit {
            Some(_) if self.unlimited => {
                return Err(Error::parameter(
                    "traffic_limit",
                    "no traffic_limit together with unlimited",
                ));
            }
            None if !self.unlimited => {
                return Err(Error::parameter(
                    "traffic_limit",
                    "a number of bytes, or unlimited = true",
                ));
            }
            limit => within(
                "traffic_limit",
                limit.unwrap_or_default(),
                0,
                MAX_TRAFFIC_BYTES,
            )?,
        };
        Ok(Self { name, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ShownPackage, Error> {
        let new = NewPackageVersion {
            series: self.series.unwrap_or_else(|| work.ids.next_id()),
            name: self.name.clone(),
            available_group: self.available_group,
            max_client_number: self.max_client_number,
            duration_seconds: self.duration_seconds,
            traffic_limit: self.traffic_limit,
        };
        let id = package::insert(tx, &new, work.now).await?;
        let created = find(tx, id).await?;
        if self.series.is_some() && created.version == 1 {
            return Err(Error::not_found("The series"));
        }
        if self.make_master || self.series.is_none() {
            package::clear_master(tx, new.series).await?;
            package::set_master(tx, id).await?;
        }
        let package = find(tx, id).await?;
        work.created(Target::Package(id), &package)?;
        Ok(ShownPackage { package })
    }
}

/// Returns a package, or an error if it does not exist.
pub(super) async fn find(tx: &mut Connection, id: i64) -> Result<PackageVersion, Error> {
    let package = package::show(tx, id).await?;
    package.ok_or_else(|| Error::not_found(&format!("Package {id}")))
}

/// Locks a package that a change names, and returns it.
pub(super) async fn lock(tx: &mut Connection, id: i64) -> Result<PackageVersion, Error> {
    within("id", id, 1, i64::MAX)?;
    package::lock(tx, id).await?;
    find(tx, id).await
}

/// The error of a change of a retired package.
pub(super) fn retired(id: i64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "package_retired",
        format!("Package {id} is retired. Create a new version of its series."),
    )
}
