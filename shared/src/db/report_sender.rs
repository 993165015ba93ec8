//! The bindings that define which sender may report which node server.

use std::collections::HashSet;

use super::statement::without_span;
use super::{Connection, column};
use crate::error::Error;

/// A sender and a server in its reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SenderOfServer<'r> {
    /// SQS's `SenderId`. `None` if the queue did not provide it.
    pub sender_id: Option<&'r str>,
    /// Id of the server.
    pub node_server_id: i32,
}

/// Returns the positions of those `pairs` that the bindings in `report_sender` forbid. A pair is
/// forbidden if its server or its sender is bound, but not to each other. A binding of a role
/// (`AROA…`) applies to all of its sessions (`AROA…:session`).
pub async fn forbidden(
    connection: &mut Connection,
    pairs: &[SenderOfServer<'_>],
) -> Result<HashSet<usize>, Error> {
    let positions = without_span(
        sqlx::query_scalar!(
            r#"/* report_sender.forbidden */
        select p.position as "position!"
        from unnest($1::text[], $2::text[], $3::int[]) with ordinality as p (sender_id, role_id,
        node_server_id, position)
        where not exists (
                select from telecom.report_sender b
                where b.node_server_id = p.node_server_id and b.sender_id in (p.sender_id,
                p.role_id)
            )
            and (
                exists (select from telecom.report_sender b
                where b.node_server_id = p.node_server_id)
                or exists (select from telecom.report_sender b where b.sender_id in (p.sender_id,
                p.role_id))
            )"#,
            &column(pairs, |pair| pair.sender_id) as &[Option<&str>],
            &column(pairs, |pair| pair.sender_id?.split(':').next()) as &[Option<&str>],
            &column(pairs, |pair| pair.node_server_id)
        )
        .fetch_all(connection),
    )
    .await?;
    Ok(positions
        .into_iter()
        .filter_map(|position| usize::try_from(position - 1).ok())
        .collect())
}
