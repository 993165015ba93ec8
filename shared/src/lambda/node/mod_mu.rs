//! `mod_mu`: the paths of SSPanel.

use async_trait::async_trait;
use http::{Method, StatusCode};
use lambda_http::{Body, Response};

use super::{NodeApi, NodeRequest, Reply};
use crate::domain::node_access::{NodeAccess, NodeProtocol, NodeToken};
use crate::domain::node_config::{ModMuConfig, NodeConfig, Sort};
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
        if let Some(id) = name.strip_prefix("nodes/").and_then(|name| name.strip_suffix("/info")) {
            return Some(if posts { Self::Load(id) } else { Self::Info(id) });
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
        let access = service.admit(&token, NodeProtocol::ModMu, request.address).await?;
        let node = Request {
            service,
            request,
            access: &access,
            node_id: presented.node_id,
        };
        node.respond(call).await
    }

    /// A refused token is 401. Other errors have status 200, as the clients expect.
    fn failed(error: &Error) -> Response<Body> {
        let (status, body) = match error.kind() {
            ErrorKind::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, mod_mu::INVALID_REQUEST.to_owned())
            }
            _ => {
                let body = mod_mu::error(error.message()).unwrap_or_default();
                (StatusCode::OK, String::from_utf8_lossy(&body).into_owned())
            }
        };
        let mut response = Response::new(Body::Text(body));
        *response.status_mut() = status;
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        response
    }
}

/// How a node knows its users.
fn user_form(config: &ModMuConfig) -> Result<UserForm<'_>, Error> {
    Ok(match config.sort {
        Sort::Vmess | Sort::Trojan => UserForm::Uuid,
        Sort::Tuic => UserForm::UuidAndPassword,
        Sort::Shadowsocks2022 => UserForm::Key {
            key_bytes: config
                .key_bytes
                .ok_or_else(|| Error::internal("a checked configuration has no cipher"))?,
        },
        Sort::Shadowsocks => UserForm::Password {
            port: config.port,
            method: &config.method,
        },
    })
}

/// An authenticated request.
struct Request<'r> {
    service: &'r NodeService,
    request: &'r NodeRequest<'r>,
    access: &'r NodeAccess,
    node_id: Option<i64>,
}

impl Request<'_> {
    async fn respond(&self, call: Call<'_>) -> Result<Reply, Error> {
        match call {
            Call::Info(_) => self.info().await,
            Call::Load(_) => self.load().await,
            Call::Users => self.users().await,
            Call::Traffic => self.traffic().await,
            Call::AliveIp => self.alive_ip().await,
            Call::DetectLog => {
                mod_mu::detect_log(&self.request.body)?;
                Ok(Reply::json(mod_mu::OK))
            }
            Call::DetectRules => Ok(Reply::json(mod_mu::NO_DETECT_RULES)),
            Call::Ping => Ok(Reply::json(mod_mu::PONG)),
        }
    }

    fn client_id(&self) -> Result<i32, Error> {
        NodeService::client_id(self.access, self.node_id)
    }

    async fn config(&self) -> Result<NodeConfig, Error> {
        let id = i64::from(self.client_id()?);
        let found = self.service.configs(self.access, Some(id)).await?;
        NodeService::node_config(found.first().ok_or_else(NodeService::unknown_client)?)
    }

    async fn info(&self) -> Result<Reply, Error> {
        let node = self.service.node(self.access, self.node_id).await?;
        let NodeConfig::ModMu(config) = self.config().await? else {
            return Err(NodeService::other_protocol());
        };
        let body = mod_mu::info(NodeInfo {
            speed_limit_mbps: speed_limit_mbps(&node).unwrap_or(config.speed_limit_mbps),
            sort: config.sort.number(),
            server: &config.server,
            custom_config: &config.custom_config,
        })?;
        let tag = Tag::of(&body);
        if tag.is(self.request.if_none_match()) {
            return Ok(Reply::not_modified(tag.weak()));
        }
        Ok(Reply::json(body).with_tag(tag.weak()))
    }

    async fn users(&self) -> Result<Reply, Error> {
        let node = self.service.node(self.access, self.node_id).await?;
        let NodeConfig::ModMu(config) = self.config().await? else {
            return Err(NodeService::other_protocol());
        };
        // The form of the users is in the configuration.
        let form = user_form(&config)?;
        let tag = Tag::of(format!("{} {form:?}", users_tag(&node).strong()).as_bytes());
        if tag.is(self.request.if_none_match()) {
            return Ok(Reply::not_modified(tag.weak()));
        }
        let users = self.service.users(&node).await?;
        let body = mod_mu::users(&users, form, self.service.decoy())?;
        Ok(Reply::json(body).with_tag(tag.weak()))
    }

    async fn traffic(&self) -> Result<Reply, Error> {
        let reported = Reported {
            push: mod_mu::traffic(&self.request.body)?,
            metrics: None,
        };
        self.service.push(self.access, self.client_id()?, reported).await?;
        Ok(Reply::json(mod_mu::OK))
    }

    async fn alive_ip(&self) -> Result<Reply, Error> {
        let online = mod_mu::alive_ip(&self.request.body)?;
        self.service.record_online(self.client_id()?, &online).await?;
        Ok(Reply::json(mod_mu::OK))
    }

    async fn load(&self) -> Result<Reply, Error> {
        let metrics = mod_mu::load(&self.request.body)?;
        self.service.record_metrics(self.access, metrics).await?;
        Ok(Reply::json(mod_mu::INFO_OK))
    }
}
