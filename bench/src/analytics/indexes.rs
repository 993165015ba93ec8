//! Indexes of a table that is filled, which are created again when it is full.

use anyhow::Result;
use sqlx::{PgConnection, Row};

use crate::database::run;

/// Statements that create the dropped indexes and unique constraints of a table.
#[derive(Debug)]
pub struct Dropped(Vec<String>);

/// Filling a table without indexes and sorting its rows for each index afterwards takes a fraction
/// of the time. The definitions are read from the database, so they stay those of the migrations.
const DEFINITIONS: &str = "
select
    case when c.oid is null then format('drop index %s', i.indexrelid::regclass)
        else format('alter table %s drop constraint %I', i.indrelid::regclass, c.conname)
    end as to_drop,
    case when c.oid is null then pg_get_indexdef(i.indexrelid)
        else format('alter table %s add constraint %I %s', i.indrelid::regclass, c.conname,
            pg_get_constraintdef(c.oid))
    end as to_create
from pg_index i
left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
where i.indrelid = $1::regclass";

impl Dropped {
    /// Drops all indexes of a table.
    pub async fn of(connection: &mut PgConnection, table: &str) -> Result<Self> {
        let definitions = sqlx::query(DEFINITIONS)
            .bind(table)
            .fetch_all(&mut *connection)
            .await?;
        let mut dropped = Vec::new();
        for definition in definitions {
            run(connection, definition.try_get("to_drop")?).await?;
            dropped.push(definition.try_get("to_create")?);
        }
        Ok(Self(dropped))
    }

    pub async fn create(self, connection: &mut PgConnection) -> Result<()> {
        for definition in self.0 {
            run(connection, &definition).await?;
        }
        Ok(())
    }
}
