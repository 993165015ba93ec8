//! The schema is brought up to date once, by whatever role.

use shared::clock::Context;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::maintain_storage::DAYS_AHEAD;
use shared::services::migrate::Migrate;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn a_second_migration_finds_nothing_to_do_even_where_the_schema_is_searched_first(pool: PgPool) {
    // As for a role that is named like the schema.
    let searching = (*pool.connect_options()).clone().options([("search_path", "telecom,public")]);
    let migrate = Migrate::new(PgPool::connect_lazy_with(searching), Context::system());
    let first = migrate.process(Run::default()).await.unwrap();
    let second = migrate.process(Run::default()).await.unwrap();
    assert_eq!((first.partitions_created, second.partitions_created), (DAYS_AHEAD, 0));
    assert_eq!(first.version, second.version);
}
