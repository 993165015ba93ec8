//! `GetOnlineDevices`: counts the devices from which a user is connected now.

use async_trait::async_trait;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db::{self, online_address};
use crate::domain::online::OnlineDevices;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the number of a user's devices that are connected now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetOnlineDevices {
    /// Id of the user.
    pub user_id: Uuid,
}

impl Operation for GetOnlineDevices {
    const NAME: &'static str = "GetOnlineDevices";
    const ACCESS: Access = Access::User;
}

#[async_trait]
impl Processor<GetOnlineDevices> for AnalysisService {
    type Output = OnlineDevices;

    #[tracing::instrument(name = "get_online_devices", skip_all)]
    async fn process(&self, input: GetOnlineDevices) -> Result<OnlineDevices, Error> {
        let now = self.context.now();
        db::on_connection(&self.pool, async |connection| {
            online_address::devices(connection, input.user_id, now).await
        })
        .await
    }
}
