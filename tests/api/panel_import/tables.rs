//! The exported tables.

use local::panel::{Panel, Table, Tables};

fn table(file: &str, text: &str) -> Table {
    Table::parse(file, text, &["id"]).unwrap()
}

pub fn xboard_users(text: &str) -> Tables {
    Tables {
        plans: Some(table("v2_plan.csv", include_str!("xboard/v2_plan.csv"))),
        users: Some(Tables::users(Panel::Xboard, "v2_user.tsv", text).unwrap()),
        ..Tables::default()
    }
}

pub fn xboard() -> Tables {
    let servers = include_str!("xboard/v2_server.csv");
    let routes = include_str!("xboard/v2_server_route.csv");
    Tables {
        servers: vec![Tables::nodes(Panel::Xboard, "v2_server.csv", servers).unwrap()],
        routes: Some(table("v2_server_route.csv", routes)),
        ..xboard_users(XBOARD_USERS)
    }
}

pub const XBOARD_USERS: &str = include_str!("xboard/v2_user.tsv");

pub fn v2board() -> Tables {
    let servers = [
        (
            "v2_server_vmess.csv",
            include_str!("v2board/v2_server_vmess.csv"),
        ),
        (
            "v2_server_vless.csv",
            include_str!("v2board/v2_server_vless.csv"),
        ),
        (
            "v2_server_trojan.csv",
            include_str!("v2board/v2_server_trojan.csv"),
        ),
        (
            "v2_server_shadowsocks.csv",
            include_str!("v2board/v2_server_shadowsocks.csv"),
        ),
        (
            "v2_server_hysteria.csv",
            include_str!("v2board/v2_server_hysteria.csv"),
        ),
        (
            "v2_server_tuic.csv",
            include_str!("v2board/v2_server_tuic.csv"),
        ),
        (
            "v2_server_anytls.csv",
            include_str!("v2board/v2_server_anytls.csv"),
        ),
        (
            "v2_server_v2node.csv",
            include_str!("v2board/v2_server_v2node.csv"),
        ),
    ];
    let parse = |(file, text)| Tables::nodes(Panel::V2board, file, text).unwrap();
    Tables {
        servers: servers.map(parse).into(),
        ..Tables::default()
    }
}

pub fn sspanel() -> Tables {
    let nodes = include_str!("sspanel/node.csv");
    let users = include_str!("sspanel/user.csv");
    Tables {
        servers: vec![Tables::nodes(Panel::Sspanel, "node.csv", nodes).unwrap()],
        users: Some(Tables::users(Panel::Sspanel, "user.csv", users).unwrap()),
        ..Tables::default()
    }
}
