//! What users are shown.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::traffic::Traffic;
use crate::error::Error;

/// Sums a user's hourly usage between consecutive `edges`, ascending; answers `(bucket, traffic)` for the buckets
/// that have any, bucket `i` being `[edges[i], edges[i + 1])`.
pub async fn usage_by_bucket(
    pool: &PgPool,
    user_id: Uuid,
    edges: &[DateTime<Utc>],
) -> Result<Vec<(usize, Traffic)>, Error> {
    let rows = sqlx::query!(
        r#"/* analysis.usage_by_bucket */
        select width_bucket(bucket_start, $2::timestamptz[]) - 1 as "bucket!",
            sum(raw_upload_bytes)::bigint as "raw_upload!",
            sum(raw_download_bytes)::bigint as "raw_download!",
            sum(billed_upload_bytes)::bigint as "billed_upload!",
            sum(billed_download_bytes)::bigint as "billed_download!"
        from telecom.user_package_usage
        where user_id = $1 and bucket_start >= $3 and bucket_start < $4
        group by 1"#,
        user_id,
        edges,
        edges.first().copied(),
        edges.last().copied()
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let traffic = Traffic {
                raw_upload: row.raw_upload,
                raw_download: row.raw_download,
                billed_upload: row.billed_upload,
                billed_download: row.billed_download,
            };
            Ok((usize::try_from(row.bucket).map_err(Error::internal)?, traffic))
        })
        .collect()
}
