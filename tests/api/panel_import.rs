//! Import from other panels: the command's code against the functions, over HTTP. The tables have
//! the columns of the panels' schemas that it reads, and some that it does not.

mod nodes;
mod tables;
mod users;

use std::sync::Arc;

use local::panel::{self, Options, Panel, Report, Tables, UserOptions};
use serde_json::Value;
use telecom_tests::{NOW, at};

use super::fleet_files::site::Site;

const GIB: i64 = 1 << 30;

fn options() -> Options {
    Options {
        dry_run: false,
        skip_unmapped: false,
        country: Some("DE".to_owned()),
        users: UserOptions {
            include_banned: false,
            include_ended: false,
            update: false,
            add_resets: false,
            default_reset: None,
            packages: [].into(),
            duration_days: 30,
            no_end: at("2099-12-31T00:00:00Z"),
        },
        now: at(NOW),
    }
}

fn dry() -> Options {
    Options {
        dry_run: true,
        ..options()
    }
}

fn of_users(change: impl FnOnce(&mut UserOptions)) -> Options {
    let mut options = options();
    change(&mut options.users);
    options
}

/// Imports tables of an installation in China.
async fn import(site: &Arc<Site>, panel: Panel, tables: Tables, options: Options) -> Report {
    let zone = Some("Asia/Shanghai".parse().unwrap());
    let url = "https://panel.example.com/";
    let of = panel::Site::new(panel, url, zone).unwrap();
    let import = move |api: &local::fleet::api::Api| {
        panel::import(api, &of, &tables, &options, &mut |_| {}).unwrap()
    };
    site.with(import).await.0
}

/// What moved users have: the secret, the group, the devices, the quota, what is used, the status,
/// and the end.
async fn held(site: &Site) -> Vec<Value> {
    sqlx::query_scalar(
        "select jsonb_build_array(u.secret, p.available_group, p.max_client_number,
            p.traffic_limit_bytes + q.adjust_quota_bytes, q.upload_bytes + q.download_bytes,
            q.status, extract(epoch from q.expires_at)::bigint)
        from telecom.package_queue q
        join telecom.package p on p.id = q.package_id
        join telecom.node_user u on u.user_id = q.user_id
        order by q.id",
    )
    .fetch_all(&site.api.world.pool)
    .await
    .unwrap()
}
