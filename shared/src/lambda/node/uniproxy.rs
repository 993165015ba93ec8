//! UniProxy: the paths of V2board and Xboard panels, in their versions 1 and 2.

use async_trait::async_trait;
use http::Method;

use super::super::log_error;
use super::{NodeApi, NodeCall, NodeRequest, Reply};
use crate::domain::node_access::{NodeAccess, NodeProtocol, NodeToken};
use crate::domain::node_config::NodeConfig;
use crate::error::{Error, ErrorKind};
use crate::node_protocol::credentials::{self, Presented};
use crate::node_protocol::etag::Tag;
use crate::node_protocol::uniproxy::{self, MachineNode};
use crate::services::node::{NodeService, Reported, users_tag};

/// Serves XrayR, V2bX, v2node, Xboard-Node and other nodes of these panels.
#[derive(Debug)]
pub struct Uniproxy;

/// What a path asks for, the same in both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Config,
    User,
    Push,
    Alive,
    AliveList,
    Status,
    Report,
    Handshake,
    MachineNodes,
    MachineStatus,
}

impl Call {
    fn of(path: &str) -> Option<Self> {
        const VERSIONS: [&str; 3] = [
            "/api/v1/server/UniProxy/",
            "/api/v2/server/UniProxy/",
            "/api/v2/server/",
        ];
        let name = VERSIONS
            .iter()
            .find_map(|version| path.strip_prefix(version))?;
        Some(match name {
            "config" => Self::Config,
            "user" => Self::User,
            "push" => Self::Push,
            "alive" => Self::Alive,
            "alivelist" => Self::AliveList,
            "status" => Self::Status,
            "report" => Self::Report,
            "handshake" => Self::Handshake,
            "machine/nodes" => Self::MachineNodes,
            "machine/status" => Self::MachineStatus,
            _ => return None,
        })
    }

    /// Whether a method is one of those that the clients use.
    fn accepts(self, request: &NodeRequest<'_>) -> bool {
        let posts = request.method == Method::POST;
        match self {
            Self::Config | Self::User | Self::AliveList => request.reads(),
            Self::Handshake | Self::MachineNodes => request.reads() || posts,
            Self::Push | Self::Alive | Self::Status | Self::Report | Self::MachineStatus => posts,
        }
    }
}

#[async_trait]
impl NodeApi for Uniproxy {
    const NAME: &'static str = "uniproxy";

    async fn respond(service: &NodeService, request: &NodeRequest<'_>) -> Result<Reply, Error> {
        let call = Call::of(request.path).filter(|call| call.accepts(request));
        let call = call.ok_or_else(|| Error::not_found("The path, with this method,"))?;
        let presented = credentials::uniproxy(request.parameters(), &request.body)?;
        let token = NodeToken::presented(presented.token.expose());
        let protocol = NodeProtocol::Uniproxy;
        let access = service.admit(&token, protocol, request.address).await?;
        check_machine(&access, &presented)?;
        let node = NodeCall {
            service,
            request,
            access: &access,
            node_id: presented.node_id,
        };
        respond(call, &node).await
    }
}

/// Fails if a request names a machine other than the server of its access.
fn check_machine(access: &NodeAccess, presented: &Presented) -> Result<(), Error> {
    let is_other = |machine: i64| machine != i64::from(access.server_id);
    if presented.machine_id.is_some_and(is_other) {
        return Err(Error::new(
            ErrorKind::Unauthenticated,
            "node_not_allowed",
            "The token is not valid for this machine, whose id is that of the node server.",
        ));
    }
    Ok(())
}

async fn respond(call: Call, node: &NodeCall<'_>) -> Result<Reply, Error> {
    match call {
        Call::Config => config(node).await,
        Call::User => user(node).await,
        Call::Push => push(node).await,
        Call::Alive => alive(node).await,
        Call::AliveList => alive_list(node).await,
        Call::Status => status(node, uniproxy::STATUS_OK).await,
        Call::Report => report(node).await,
        Call::Handshake => Ok(Reply::json(uniproxy::HANDSHAKE)),
        Call::MachineNodes => machine_nodes(node).await,
        Call::MachineStatus => status(node, uniproxy::DATA_TRUE).await,
    }
}

async fn config(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let configs = node.configs().await?;
    let NodeConfig::UniProxy(config) = NodeService::node_config(&configs)? else {
        return Err(NodeService::other_protocol());
    };
    let body = uniproxy::config(&config.fields, node.interval())?;
    let tag = Tag::of(&body);
    if tag.is_contained_in(node.request.if_none_match()) {
        return Ok(Reply::not_modified(tag.strong()));
    }
    Ok(Reply::json(body).with_tag(tag.strong()))
}

async fn user(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let client = node.service.node(node.access, node.node_id).await?;
    let tag = users_tag(&client);
    if tag.is_contained_in(node.request.if_none_match()) {
        return Ok(Reply::not_modified(tag.strong()));
    }
    if let Some(kept) = node.kept_list(client.id, &tag) {
        return Ok(kept.with_tag(tag.strong()));
    }
    let (client, users) = node.service.users(client).await?;
    let tag = users_tag(&client);
    let body = uniproxy::users(&users, node.service.decoy())?;
    Ok(node.list(client.id, &tag, body)?.with_tag(tag.strong()))
}

async fn push(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let push = uniproxy::push(&node.request.body)?;
    let reported = Reported {
        push,
        metrics: None,
    };
    node.service
        .push(node.access, node.client_id()?, reported)
        .await?;
    Ok(Reply::json(uniproxy::DATA_TRUE))
}

async fn alive(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let online = uniproxy::alive(&node.request.body)?;
    node.service
        .record_online(node.access, node.client_id()?, &online)
        .await?;
    Ok(Reply::json(uniproxy::DATA_TRUE))
}

async fn alive_list(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let client = node.service.node(node.access, node.node_id).await?;
    let counts = node.service.online(&client).await?;
    Ok(Reply::json(uniproxy::alive_list(&counts)?))
}

async fn status(node: &NodeCall<'_>, response: &'static str) -> Result<Reply, Error> {
    let metrics = uniproxy::status(&node.request.body)?;
    node.service.record_metrics(node.access, metrics).await?;
    Ok(Reply::json(response))
}

/// The traffic decides about the response. Addresses that cannot be recorded are reported again
/// in the next minute.
async fn report(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let report = uniproxy::report(&node.request.body)?;
    let client_id = node.client_id()?;
    let reported = Reported {
        push: report.push,
        metrics: Some(report.metrics),
    };
    node.service.push(node.access, client_id, reported).await?;
    if let Some(online) = &report.online
        && let Err(error) = node
            .service
            .record_online(node.access, client_id, online)
            .await
    {
        log_error(&error);
    }
    Ok(Reply::json(uniproxy::DATA_TRUE))
}

async fn machine_nodes(node: &NodeCall<'_>) -> Result<Reply, Error> {
    let mut nodes = Vec::new();
    for configs in node.service.configs(node.access, None).await? {
        // A client without a configuration for nodes is none of the machine's nodes.
        if let Ok(NodeConfig::UniProxy(config)) = NodeService::node_config(&configs) {
            nodes.push(MachineNode {
                id: configs.id.into(),
                protocol: <&str>::from(config.protocol).to_owned(),
                name: configs.name,
            });
        }
    }
    Ok(Reply::json(uniproxy::machine_nodes(
        &nodes,
        node.interval(),
    )?))
}
