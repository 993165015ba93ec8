//! Tests of the system's rules, each on a database of its own.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::as_conversions
)]

mod api {
    mod access;
    mod audit;
    mod bad_input;
    mod differential;
    mod doubtful_pushes;
    mod extensions;
    mod fleet_files;
    mod http;
    mod kept_lists;
    mod load_balancer;
    mod maintenance;
    mod mod_mu;
    mod node_changes;
    mod node_configs;
    mod node_credentials;
    mod node_programs;
    mod node_status;
    mod nodes;
    mod online;
    mod openapi;
    mod operation_manage;
    mod package_ends;
    mod packages;
    mod panel_import;
    mod plans;
    mod published_keys;
    mod quarantined_reports;
    mod rate_limit;
    mod traffic_usage;
    mod uniproxy;
    mod usage_drifts;
    mod usage_explanation;
    mod usage_reports;
    mod webhooks;
    mod writes;
}
mod cron {
    mod apply_package_extensions;
    mod bill_traffic;
    mod deliver_webhooks;
    mod expire_packages;
    mod expiry_notices;
    mod fleet_simulation;
    mod job_runs;
    mod late_reports;
    mod maintain_storage;
    mod migrate;
    mod node_status_history;
    mod reconcile_usage;
    mod refresh_server_status;
    mod retention;
    mod summarize_usage;
    mod sweep_outbox;
}
mod database {
    mod committed_queries;
    mod distribution;
    mod given_up_calls;
    mod hand_made_rows;
    mod login;
    mod migrations;
    mod node_constraints;
    mod package_counts;
    mod read_plans;
    mod roles;
    mod user_lists;
    mod writes;
}
mod grpc {
    mod any_message;
    mod container;
    mod dashboard;
    mod drain;
    mod limits;
    mod metrics;
    mod refusals;
    mod server;
    mod tls;
}
mod canaries;
mod documents;
mod guide;
mod messages;
mod queue {
    mod apply_user_usage_billing;
    mod handle_package_expiring;
    mod hanging_sends;
    mod ingest_node_usage;
    mod ingest_usage_report;
    mod node_metrics;
    mod one_bad_record;
    mod package_orders;
    mod parked_events;
    mod quarantine;
    mod quota_thresholds;
    mod record_webhook_deliveries;
    mod rejected_messages;
    mod report_sender;
    mod traces;
}
mod properties;
mod statements;
