//! The database refuses rows that the code could not read.

use rstest::rstest;
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::report::{report, texts};
use telecom_tests::user;

const DEEP: &str = "jsonb_build_object('a', (repeat('[', 200) || repeat(']', 200))::jsonb)";

#[rstest]
#[case::server_created("node_server set created_at = 'infinity'")]
#[case::server_updated("node_server set updated_at = '-infinity'")]
#[case::server_beyond_rfc_3339("node_server set created_at = '294275-01-01Z'")]
#[case::server_config_not_an_object("node_server set server_config = '[]'")]
#[case::server_config_deep(&format!("node_server set server_config = {DEEP}"))]
#[case::server_config_large_number("node_server set server_config = '{\"a\": [1e400]}'")]
#[case::client_created("node_client set created_at = 'infinity'")]
#[case::client_updated("node_client set updated_at = 'infinity', created_at = 'infinity'")]
#[case::client_factor("node_client set traffic_factor = 'NaN'")]
#[case::client_config_deep(&format!("node_client set client_config = {DEEP}"))]
#[case::client_groups_null("node_client set access_groups = '{1,null}'")]
#[case::client_groups_nested("node_client set access_groups = '{{1},{2}}'")]
#[case::client_groups_from_zero("node_client set access_groups = '[0:1]={1,2}'")]
#[case::heartbeat_online("node_server_heartbeat set last_online_at = 'infinity'")]
#[case::heartbeat_metrics("node_server_heartbeat set metrics_at = '-infinity'")]
#[case::heartbeat_traffic("node_server_heartbeat set last_traffic_at = 'infinity'")]
#[case::heartbeat_cpu("node_server_heartbeat set cpu_percent = 'NaN'")]
#[case::heartbeat_load("node_server_heartbeat set load1 = 'Infinity'")]
#[case::heartbeat_memory("node_server_heartbeat set memory_used_bytes = -1")]
#[case::report_start("usage_report set period_start = '-infinity'")]
#[case::report_end("usage_report set period_end = 'infinity'")]
#[case::report_arrival("usage_report set received_at = 'infinity'")]
#[case::report_seen("usage_report set seen_at = 'infinity'")]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn unreadable_value_is_refused(#[case] update: &str, #[ignore] pool: PgPool) {
    let world = World::new(pool).await;
    assert!(
        world
            .report(&texts(&[report(1, &[(user(1), 1, 1)])]))
            .await
            .is_empty()
    );
    let refusal = sqlx::query(&format!("update telecom.{update}"))
        .execute(&world.pool)
        .await
        .unwrap_err();
    let code = refusal
        .as_database_error()
        .unwrap()
        .code()
        .unwrap()
        .into_owned();
    // A check violation, or an array shape that the check does not support.
    assert!(["23514", "0A000"].contains(&code.as_str()), "{refusal}");
}
