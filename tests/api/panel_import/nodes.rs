//! Nodes of panels.

use local::panel::Panel;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::super::fleet_files::site::Site;
use super::tables::{sspanel, v2board, xboard};
use super::{dry, import, options};
use local::panel::{Options, Report};

/// The server, the factor, the groups and the configuration of each client, by its name.
async fn clients(site: &Site) -> Value {
    sqlx::query_scalar(
        "select jsonb_object_agg(c.name, jsonb_build_object('server', s.name, 'country', c.country,
            'factor', c.traffic_factor, 'groups', c.access_groups, 'order', c.display_order,
            'config', c.client_config))
        from telecom.node_client c join telecom.node_server s on s.id = c.node_server_id",
    )
    .fetch_one(&site.api.world.pool)
    .await
    .unwrap()
}

fn unmapped(report: &Report) -> Vec<(&str, &str)> {
    let rows = report.unmapped.iter();
    rows.map(|row| (row.source.as_str(), row.field.as_str()))
        .collect()
}

fn skipping() -> Options {
    Options {
        skip_unmapped: true,
        ..options()
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn nodes_of_xboard_keep_what_their_users_apps_depend_on(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let report = import(&site, Panel::Xboard, xboard(), options()).await;
    assert_eq!(
        (report.refused(), unmapped(&report)),
        (0, vec![]),
        "{report}"
    );
    let reality = json!({ "protocol": "vless", "server_port": 8443, "network": "tcp", "tls": 2,
        "flow": "xtls-rprx-vision", "tls_settings": { "server_name": "www.example.com",
            "server_port": "443", "public_key": "pub", "private_key": "priv", "short_id": "0a",
            "allow_insecure": false },
        "routes": [{ "id": 1, "match": ["domain:ads.example", "regexp:.*\\.ads"],
            "action": "block" }] });
    let hysteria = json!({ "protocol": "hysteria", "server_port": 443, "version": 2,
        "host": "fr.example.com", "server_name": "fr.example.com", "up_mbps": 100,
        "down_mbps": 200, "obfs": "salamander", "obfs-password": "secret word" });
    // The key is that of the panel: Base64 of the start of the MD5 of the Unix time.
    let shadowsocks = json!({ "protocol": "shadowsocks", "server_port": 8388,
        "cipher": "2022-blake3-aes-128-gcm", "server_key": "NDllNDUxNzNmZGYxY2Q5Nw==" });
    let expected = json!({
        "🇩🇪 Frankfurt": { "server": "vless 1 of panel.example.com", "country": "DE", "factor": 1.5,
            "groups": [1, 2], "order": 3, "config": reality },
        "🇯🇵 Tokyo relay": { "server": "vless 1 of panel.example.com", "country": "JP",
            "factor": 3.0, "groups": [2], "order": 4, "config": reality },
        "London": { "server": "shadowsocks 3 of panel.example.com", "country": "DE", "factor": 0.5,
            "groups": [1], "order": 0, "config": shadowsocks },
        "Paris": { "server": "machine 7 of panel.example.com", "country": "DE", "factor": 1.0,
            "groups": [1], "order": 1, "config": hysteria },
    });
    assert_eq!(clients(&site).await, expected);
    let notes: Vec<&str> = report
        .notes
        .iter()
        .map(|note| note.source.as_str())
        .collect();
    let noted = [
        "v2_server.csv row 3",
        "v2_server.csv row 4",
        "v2_server.csv row 5",
    ];
    assert_eq!(notes, noted);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_protocol_of_v2board_becomes_a_configuration_for_nodes(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let stopped = import(&site, Panel::V2board, v2board(), options()).await;
    let faults = [
        (
            "v2_server_vless.csv row 4",
            "client_config.tls_settings.private_key",
        ),
        ("v2_server_vless.csv row 5", "parent_id"),
    ];
    assert_eq!(unmapped(&stopped), faults);
    assert!(stopped.is_stopped);
    assert_eq!(site.take_writes(), []);

    let report = import(&site, Panel::V2board, v2board(), skipping()).await;
    assert_eq!(
        (report.refused(), unmapped(&report)),
        (0, faults.to_vec()),
        "{report}"
    );
    let clients = clients(&site).await;
    let config = |name: &str| clients[name]["config"].clone();
    assert_eq!(
        config("HK"),
        json!({ "protocol": "vmess", "server_port": 10086, "tls": 1,
        "network": "ws",
        "networkSettings": { "path": "/ws", "headers": { "Host": "hk.example.com" } } })
    );
    assert_eq!(config("DE relay"), config("DE"));
    assert_eq!(clients["DE relay"]["server"], clients["DE"]["server"]);
    assert_eq!(
        config("NL"),
        json!({ "protocol": "trojan", "server_port": 443, "network": "tcp",
        "host": "nl.example.com", "server_name": "nl.example.com" })
    );
    assert_eq!(
        config("UK")["server_key"],
        "NDllNDUxNzNmZGYxY2Q5NzM0Y2Y1MzRmMjJhMjBjZWE="
    );
    assert_eq!(
        config("US"),
        json!({ "protocol": "shadowsocks", "server_port": 443,
        "cipher": "aes-256-gcm", "obfs": "http",
        "obfs_settings": { "path": "/", "host": "example.com" } })
    );
    assert_eq!(
        config("SG"),
        json!({ "protocol": "hysteria", "server_port": 443, "version": 2,
        "host": "sg.example.com", "server_name": "sg.example.com", "up_mbps": 0, "down_mbps": 0,
        "ignore_client_bandwidth": true, "obfs": "salamander", "obfs-password": "word" })
    );
    assert_eq!(
        (
            config("TW")["obfs"].clone(),
            config("TW")["version"].clone()
        ),
        (json!("word"), json!(1))
    );
    assert_eq!(
        config("KR"),
        json!({ "protocol": "tuic", "server_port": 443,
        "server_name": "kr.example.com", "zero_rtt_handshake": true,
        "congestion_control": "bbr" })
    );
    assert_eq!(config("CA")["padding_scheme"], json!(["stop=8", "0=30-30"]));
    assert_eq!(config("AU")["encryption_settings"]["mode"], "native");
    assert_eq!(config("NZ")["obfs-password"], "word");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn nodes_of_sspanel_open_for_the_classes_and_groups_that_may_use_them(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let report = import(&site, Panel::Sspanel, sspanel(), skipping()).await;
    assert_eq!(
        unmapped(&report),
        [(
            "node.csv row 4",
            "client_config.custom_config.offset_port_node"
        )]
    );
    assert_eq!(report.refused(), 0, "{report}");
    let clients = clients(&site).await;
    // Users have the levels 2 of group 1, 1 of group 2, and 0 of group 0.
    assert_eq!(clients["JP"]["groups"], json!([1002, 2001]));
    assert_eq!(clients["US free"]["groups"], json!([2001]));
    assert_eq!(clients["SS"]["groups"], json!([0, 1002, 2001]));
    assert_eq!(
        clients["JP"]["config"],
        json!({ "sort": 11, "server": "jp.example.com",
        "node_speedlimit": 100, "custom_config": { "offset_port_node": "443", "network": "ws",
            "security": "tls", "path": "/p", "host": "jp.example.com" } })
    );
    assert_eq!(clients["JP"]["factor"], json!(1.5));
    let notes: Vec<&str> = report
        .notes
        .iter()
        .map(|note| note.source.as_str())
        .collect();
    assert_eq!(notes, ["node.csv row 3", "node.csv row 5"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_dry_run_sends_nothing_and_a_second_import_changes_nothing(pool: PgPool) {
    let site = Site::empty(&pool).await;
    let planned = import(&site, Panel::Xboard, xboard(), dry()).await;
    assert_eq!(site.take_writes(), []);
    let fleet = planned.fleet.unwrap();
    assert_eq!((fleet.servers.create, fleet.clients.create), (3, 4));
    assert_eq!(planned.totals.moved, 4);

    import(&site, Panel::Xboard, xboard(), options()).await;
    assert!(!site.take_writes().is_empty());
    let again = import(&site, Panel::Xboard, xboard(), options()).await;
    assert_eq!(again.totals.unchanged, 4, "{again}");
    // Secrets are masked, so the import sends those that the fleet may already have.
    let content: Vec<Value> = site
        .take_writes()
        .into_iter()
        .map(|(_, body)| body)
        .collect();
    let is_config = |body: &Value| body.as_object().unwrap().keys().eq(["client_config"]);
    assert!(content.iter().all(is_config), "{content:?}");
    let fleet = again.fleet.unwrap();
    assert_eq!((fleet.servers.unchanged, fleet.clients.unchanged), (3, 4));
}
