//! Packages: the versions of series.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, statements};
use crate::domain::package_version::{NewPackageVersion, PackageSeries, PackageVersion};
use crate::domain::page::Page;
use crate::error::Error;

/// The package that orders of a series deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Master {
    /// The series that is ordered.
    pub series: Uuid,
    /// Id of the package.
    pub package_id: i64,
}

statements! {
    /// Creates the next version of a series, which is not its master, and returns its id.
    pub fn insert(new: &NewPackageVersion, now: DateTime<Utc>) -> Value<i64> {
        "/* package.insert */
        insert into telecom.package (
            series, version, name, available_group, max_client_number, expire_duration_seconds,
            traffic_limit_bytes, created_at
        )
        select $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6, $7
        from telecom.package where series = $1
        returning id",
        new.series, new.name, new.available_group, new.max_client_number, new.duration_seconds,
        new.traffic_limit, now
    }

    /// Locks a package until the transaction ends.
    pub fn lock(id: i64) -> Done {
        "/* package.lock */ select from telecom.package where id = $1 for no key update"
    }

    /// Returns a package. `None` if it does not exist.
    pub fn show(id: i64) -> FirstRow<PackageVersion> {
        r#"/* package.show */
        select id, series, version, is_master, name, available_group, max_client_number,
            expire_duration_seconds as duration_seconds, traffic_limit_bytes as traffic_limit,
            created_at, retired_at
        from telecom.package where id = $1"#
    }

    /// Returns the packages that orders of `series` deliver. Series without a master are missing
    /// from the result.
    pub fn masters(series: &[Uuid]) -> Rows<Master> {
        r#"/* package.masters */
        select series, id as package_id from telecom.package where series = any($1) and is_master"#
    }

    /// Takes the mark of the master from the versions of a series.
    pub fn clear_master(series: Uuid) -> Done {
        "/* package.clear_master */
        update telecom.package set is_master = false where series = $1 and is_master"
    }

    /// Makes a package the master of its series, which has no other master.
    pub fn set_master(id: i64) -> Done {
        "/* package.set_master */
        update telecom.package set is_master = true where id = $1"
    }

    /// Retires a package, which is then no master either.
    pub fn retire(id: i64, now: DateTime<Utc>) -> Done {
        "/* package.retire */
        update telecom.package set retired_at = $2, is_master = false where id = $1"
    }
}

/// A page of series by id, with their versions, newest first, and the number of all series.
pub async fn list_series(
    connection: &mut Connection,
    page: Page,
) -> Result<(Vec<PackageSeries>, i64), Error> {
    let total = sqlx::query_scalar!(
        r#"/* package.count_series */
        select count(distinct series) as "total!" from telecom.package"#
    )
    .fetch_one(&mut *connection)
    .await?;
    let versions = all_rows(
        sqlx::query_as!(
            PackageVersion,
            r#"/* package.list_series */
        select id, series, version, is_master, name, available_group, max_client_number,
            expire_duration_seconds as duration_seconds, traffic_limit_bytes as traffic_limit,
            created_at, retired_at
        from telecom.package
        where series in (
            select distinct series from telecom.package order by series limit $1 offset $2
        )
        order by series, version desc"#,
            page.limit,
            page.offset
        ),
        connection,
    )
    .await?;
    let series = versions
        .chunk_by(|a, b| a.series == b.series)
        .filter_map(|versions| {
            Some(PackageSeries {
                series: versions.first()?.series,
                versions: versions.to_vec(),
            })
        })
        .collect();
    Ok((series, total))
}
