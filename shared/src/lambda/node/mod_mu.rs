//! `mod_mu`: the paths of SSPanel.

use async_trait::async_trait;
use http::{Method, StatusCode};
use lambda_http::{Body, Response};

use super::{NodeApi, NodeCall, NodeRequest, Reply};
use crate::db::user_list::{Node, NodeConfigs};
use crate::domain::node_access::{NodeProtocol, NodeToken};
use crate::domain::node_config::{ModMuConfig, NodeConfig};
use crate::error::{Error, ErrorKind};
use crate::node_protocol::credentials;
use crate::node_protocol::etag::Tag;
use crate::node_protocol::mod_mu::{self, NodeInfo, UserForm};
use crate::services::node::{NodeService, Reported, speed_limit_mbps, users_tag};

/// Serves nodes of SSPanel.
#[derive(Debug)]
pub struct ModMu;

/// What a path asks for. The id of `nodes/{id}/info` is in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call<'p> {
    Info(&'p str),
    Load(&'p str),
    Users,
    Traffic,
    AliveIp,
    DetectLog,
    DetectRules,
    Ping,
}

impl<'p> Call<'p> {
    fn of(path: &'p str, posts: bool) -> Option<Self> {
        let name = path.strip_prefix("/mod_mu/")?;
        if let Some(id) = name
            .strip_prefix("nodes/")
            .and_then(|name| name.strip_suffix("/info"))
        {
            return Some(if posts {
                Self::Load(id)
            } else {
                Self::Info(id)
            });
        }
        Some(match (name, posts) {
            ("users", false) => Self::Users,
            ("users/traffic", true) => Self::Traffic,
            ("users/aliveip", true) => Self::AliveIp,
            ("users/detectlog", true) => Self::DetectLog,
            ("func/detect_rules", false) => Self::DetectRules,
            ("func/ping", false) => Self::Ping,
            _ => return None,
        })
    }

    fn node_id(self) -> Option<&'p str> {
        match self {
            Self::Info(id) | Self::Load(id) => Some(id),
            _ => None,
        }
    }
}

#[async_trait]
impl NodeApi for ModMu {
    const NAME: &'static str = "mod_mu";

    async fn respond(service: &NodeService, request: &NodeRequest<'_>) -> Result<Reply, Error> {
        let posts = request.method == Method::POST;
        let call = Call::of(request.path, posts).filter(|_| posts || request.reads());
        let call = call.ok_or_else(|| Error::not_found("The path, with this method,"))?;
        let presented = credentials::mod_mu(request.parameters(), call.node_id())?;
        let token = NodeToken::presented(presented.token.expose());
        let access = service
            .admit(&token, NodeProtocol::ModMu, request.address)
            .await?;
        let node = NodeCall {
            service,
            request,
            access: &access,
            node_id: presented.node_id,
        };
        respond(call, &node).await
    }

    /// A refused token is 401. Other errors have status 200, as the clients expect.
    fn failed(error: &Error) -> Response<Body> {
        let (status, body) = if error.kind() == ErrorKind::Unauthenticated {
            (StatusCode::UNAUTHORIZED, mod_mu::INVALID_REQUEST.to_owned())
        } else {
            let body = mod_mu::error(error.message()).unwrap_or_default();
            (StatusCode::OK, String::from_utf8_lossy(&body).into_owned())
        };
        let mut response = Response::new(Body::Text(body));
        *response.status_mut() = status;
        let json = http::HeaderValue::from_static("application/json");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, json);
        response
    }
}

async fn respond(call: Call<'_>, node: &NodeCall<'_>) -> Result<Reply, Error> {
    match call {
        Call::Info(_) => info(node).await,
        Call::Load(_) => load(node).await,
        Call::Users => users(node).await,
        Call::Traffic => traffic(node).await,
        Call::AliveIp => alive_ip(node).await,
        Call::DetectLog => {
            mod_mu::detect_log(&node.request.body)?;
            Ok(Reply::json(mod_mu::OK))
        }
        Call::DetectRules => Ok(Reply::json(mod_mu::NO_DETECT_RULES)),
        Call::Ping => Ok(Reply::json(mod_mu::PONG)),
    }
}

fn config(configs: &NodeConfigs) -> Result<ModMuConfig, Error> {
    match NodeService::node_config(configs)? {
        NodeConfig::ModMu(config) => Ok(config),
        NodeConfig::UniProxy(_) => Err(NodeService::other_protocol()),
    }
}

async fn info(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let configs = node.configs().await?;
    let config = config(&configs)?;
    let limit = speed_limit_mbps(configs.speed_limit_bits_per_second);
    let body = mod_mu::info(NodeInfo {
        speed_limit_mbps: limit.unwrap_or(config.speed_limit_mbps),
        ..NodeInfo::of(&config)
    })?;
    let tag = Tag::of(&body);
    if tag.is(node.request.if_none_match()) {
        return Ok(Reply::not_modified(tag.weak()));
    }
    Ok(Reply::json(body).with_tag(tag.weak()))
}

async fn users(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let service = node.service;
    let (client, configs) = service.configured_node(node.access, node.node_id).await?;
    let config = config(&configs)?;
    // The form of the users is in the configuration.
    let form = UserForm::of(&config);
    let tag_of =
        |client: &Node| Tag::of(format!("{} {form:?}", users_tag(client).strong()).as_bytes());
    let tag = tag_of(&client);
    if tag.is(node.request.if_none_match()) {
        return Ok(Reply::not_modified(tag.weak()));
    }
    if let Some(kept) = node.kept_list(client.id, &tag) {
        return Ok(kept.with_tag(tag.weak()));
    }
    let (client, users) = service.users(client).await?;
    let tag = tag_of(&client);
    let body = mod_mu::users(&users, form, service.decoy())?;
    Ok(node.list(client.id, &tag, body)?.with_tag(tag.weak()))
}

async fn traffic(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let reported = Reported {
        push: mod_mu::traffic(&node.request.body)?,
        metrics: None,
    };
    node.service
        .push(node.access, node.client_id()?, reported)
        .await?;
    Ok(Reply::json(mod_mu::OK))
}

async fn alive_ip(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let online = mod_mu::alive_ip(&node.request.body)?;
    node.service
        .record_online(node.access, node.client_id()?, &online)
        .await?;
    Ok(Reply::json(mod_mu::OK))
}

async fn load(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let metrics = mod_mu::load(&node.request.body)?;
    node.service.record_metrics(node.access, metrics).await?;
    Ok(Reply::json(mod_mu::INFO_OK))
}
