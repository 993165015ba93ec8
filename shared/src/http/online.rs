//! `GET /v1/online-devices` and `GET /v1/admin/online-users`.

use super::parameter::{ID, Kind, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint};
use crate::domain::online::Filter;
use crate::error::Error;
use crate::services::analysis::{AnalysisService, GetOnlineDevices};
use crate::services::manage::{GetOnlineUsers, ManageService};

/// Returns from how many addresses the user is connected now, in total and per node client.
#[derive(Debug)]
pub struct OnlineDevices;

impl Endpoint for OnlineDevices {
    type Service = AnalysisService;
    type Input = GetOnlineDevices;
    const PATH: &'static str = "/v1/online-devices";
    const RULE_PRIORITY: u16 = 134;
    const SUMMARY: &'static str = "Get your online devices";
    const CSV: Option<Csv> = Some(Csv {
        list: "clients",
        header: "node_client_id,addresses",
    });

    fn input(request: &ApiRequest<'_>) -> Result<GetOnlineDevices, Error> {
        Ok(GetOnlineDevices {
            user_id: request.user_id(),
        })
    }
}

/// Returns how many users are connected now and from how many addresses, in total, per node client
/// and per user.
#[derive(Debug)]
pub struct OnlineUsers;

impl Endpoint for OnlineUsers {
    type Service = ManageService;
    type Input = GetOnlineUsers;
    const PATH: &'static str = "/v1/admin/online-users";
    const RULE_PRIORITY: u16 = 246;
    const SUMMARY: &'static str = "Get online users";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional("user", "Count only addresses of this user.", Kind::Uuid),
        Parameter::optional(
            "node_client_id",
            "Count only addresses on this node client.",
            ID,
        ),
        Parameter::limit(GetOnlineUsers::BOUNDS),
        Parameter::offset(GetOnlineUsers::BOUNDS),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "users",
        header: "user,number,addresses,client_count,device_limit",
    });

    fn input(request: &ApiRequest<'_>) -> Result<GetOnlineUsers, Error> {
        Ok(GetOnlineUsers {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter: Filter {
                user: request.get("user")?,
                node_client_id: request.get("node_client_id")?,
            },
        })
    }
}
