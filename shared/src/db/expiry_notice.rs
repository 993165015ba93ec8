//! Notices that the time of an active item ends soon.

use chrono::{DateTime, Utc};

use super::{column, statements};
use crate::domain::expiry_notice::{EndingItem, Notice};

statements! {
    /// Locks active items whose notices are due for a check, at most `limit`, until the transaction
    /// ends, and returns them. Skips locked items, and items that are marked as expiring, because
    /// they are about to be consumed.
    pub fn lock_due(now: DateTime<Utc>, limit: i64) -> Rows<EndingItem> {
        r#"/* expiry_notice.lock_due */
        select id, user_id, activated_at as "activated_at!", expires_at as "expires_at!",
            case when noticed_expires_at >= expires_at then noticed_hours end as noticed_hours
        from telecom.package_queue
        where status = 'active' and notice_due_at <= $1 and expiring_event_at is null
        order by notice_due_at
        limit $2
        for no key update skip locked"#
    }

    /// Records what was published about items that [`lock_due`] locked in this transaction, and
    /// when they are checked again.
    pub fn record(checked: &[(EndingItem, Notice)]) -> Done {
        r#"/* expiry_notice.record */
        update telecom.package_queue q set
            notice_due_at = c.next_at,
            noticed_hours = coalesce(c.hours, q.noticed_hours),
            noticed_expires_at =
                case when c.hours is null then q.noticed_expires_at else q.expires_at end
        from (
            select unnest($1::bigint[]) as id, unnest($2::smallint[]) as hours,
                unnest($3::timestamptz[]) as next_at, unnest($4::uuid[]) as user_id
        ) as c
        where q.id = c.id and q.user_id = c.user_id"#,
        &column(checked, |(item, _)| item.id),
        &column(checked, |(_, notice)| notice.hours) as &[Option<i16>],
        &column(checked, |(_, notice)| notice.next_at) as &[Option<DateTime<Utc>>],
        &column(checked, |(item, _)| item.user_id)
    }
}
