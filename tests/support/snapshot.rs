//! All rows of the database, to compare.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgPool;

/// The rows of each table, as JSON in the order of their text.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot(BTreeMap<String, Vec<Value>>);

impl Snapshot {
    pub async fn of(pool: &PgPool) -> Self {
        // One statement reads all tables at one point in time.
        let statement: String = sqlx::query_scalar(
            "select string_agg(format('select %L as name, coalesce((select jsonb_agg(to_jsonb(t)
                order by to_jsonb(t)::text) from telecom.%I t), ''[]'') as rows',
                relname, relname), ' union all ')
            from pg_class where relnamespace = 'telecom'::regnamespace
                and relkind in ('r', 'p') and not relispartition",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        let tables: Vec<(String, Value)> =
            sqlx::query_as(&statement).fetch_all(pool).await.unwrap();
        let rows = |(name, rows): (String, Value)| (name, rows.as_array().unwrap().clone());
        Self(tables.into_iter().map(rows).collect())
    }

    /// Names of the tables whose rows differ.
    #[must_use]
    pub fn changed_tables<'s>(&'s self, other: &Self) -> Vec<&'s str> {
        let differs = |(name, rows): &(&String, &Vec<Value>)| other.0.get(*name) != Some(rows);
        let tables = self.0.iter().filter(differs);
        tables.map(|(name, _)| name.as_str()).collect()
    }

    /// Rows that only one of two snapshots has.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let only_in = |one: &Self, two: &Self, sign| {
            let rows = one.0.iter().flat_map(|(name, rows)| {
                let others = &two.0[name];
                let only = rows.iter().filter(|row| !others.contains(row));
                only.map(|row| format!("{sign} {name}: {row}"))
                    .collect::<Vec<_>>()
            });
            rows.collect::<Vec<_>>()
        };
        let mut all = only_in(self, other, '-');
        all.extend(only_in(other, self, '+'));
        let counts = |of: &Self| of.0.values().map(Vec::len).collect::<Vec<_>>();
        if all.is_empty() && counts(self) != counts(other) {
            all.push("rows are repeated".to_owned());
        }
        all
    }

    /// Kinds of the objects in the audit entries of an action. Panics if there are entries of
    /// another action.
    #[must_use]
    pub fn audited(&self, action: &str) -> Vec<&str> {
        let entries = self.0["audit_entry"].iter();
        entries
            .map(|entry| {
                assert_eq!(entry["action"], action);
                entry["target_kind"].as_str().unwrap()
            })
            .collect()
    }

    /// The rows without ids and times that two runs of the same calls do not share.
    #[must_use]
    pub fn effect(&self) -> Self {
        let rows = |(name, rows): (&String, &Vec<Value>)| {
            let mut rows: Vec<Value> = rows.iter().cloned().map(without_ids).collect();
            rows.sort_by_key(Value::to_string);
            (name.clone(), rows)
        };
        Self(self.0.iter().map(rows).collect())
    }
}

/// The value without ids that a sequence or a random number gives, and without times of the real
/// clock. Texts that are JSON are read as JSON.
#[must_use]
pub fn without_ids(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(name, _)| !is_arbitrary(name));
            let fields = fields.map(|(name, value)| (name, without_ids(value)));
            Value::Object(fields.collect())
        }
        Value::Array(values) => values.into_iter().map(without_ids).collect(),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(json @ Value::Object(_)) => without_ids(json),
            _ => Value::String(text),
        },
        other => other,
    }
}

fn is_arbitrary(field: &str) -> bool {
    let is_id = field == "id" || field.ends_with("_id") || field.ends_with("_ids");
    is_id
        || [
            "items",
            "seq",
            "usage_report_seq",
            "created_at",
            "updated_at",
            "sealed_secret",
            "secret",
            "token",
            "token_hash",
        ]
        .contains(&field)
}
