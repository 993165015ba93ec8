//! The service for usage and what may be wrong with it.

use proto::v1;
use proto::v1::usage_manage_server::UsageManage;
use shared::auth::Principal;
use shared::domain::{doubtful_push, online};
use shared::services::manage::{DecideDoubtfulPush, GetOnlineUsers, ListDoubtfulPushes};
use tonic::{Request, async_trait};

use super::{Manage, Reply};
use crate::convert::{given, named, named_or_none, uuid};

#[async_trait]
impl UsageManage for Manage {
    async fn list_doubtful_pushes(
        &self,
        request: Request<v1::ListDoubtfulPushesRequest>,
    ) -> Reply<v1::ListDoubtfulPushesResponse> {
        let input = |_: &_, asked: v1::ListDoubtfulPushesRequest| {
            Ok(ListDoubtfulPushes {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter: doubtful_push::Filter {
                    server_id: Some(asked.server_id).filter(|id| *id != 0),
                    node_client_id: Some(asked.node_client_id).filter(|id| *id != 0),
                    doubt: named_or_none::<v1::PushDoubt, _>("doubt", asked.doubt)?,
                    state: named_or_none::<v1::DoubtState, _>("state", asked.state)?,
                },
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn decide_doubtful_push(
        &self,
        request: Request<v1::DecideDoubtfulPushRequest>,
    ) -> Reply<v1::DecideDoubtfulPushResponse> {
        let input = |caller: &Principal, asked: v1::DecideDoubtfulPushRequest| {
            Ok(caller.request(DecideDoubtfulPush {
                id: asked.id,
                decision: named::<v1::PushRemedy, _>("decision", asked.decision)?,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn get_online_users(
        &self,
        request: Request<v1::GetOnlineUsersRequest>,
    ) -> Reply<v1::GetOnlineUsersResponse> {
        let input = |_: &_, asked: v1::GetOnlineUsersRequest| {
            Ok(GetOnlineUsers {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter: online::Filter {
                    user: uuid("user", &asked.user)?,
                    node_client_id: Some(asked.node_client_id).filter(|id| *id != 0),
                },
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}
