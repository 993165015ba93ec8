//! `ShowPackage`: returns a package.

use async_trait::async_trait;

use super::ManageService;
use super::create_package::{ShownPackage, find};
use crate::auth::Access;
use crate::db;
use crate::domain::within;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests one version of a package series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowPackage {
    /// Id of the package.
    pub id: i64,
}

impl Operation for ShowPackage {
    const NAME: &'static str = "ShowPackage";
    const ACCESS: Access = Access::AdminRead;
}

#[async_trait]
impl Processor<ShowPackage> for ManageService {
    type Output = ShownPackage;

    #[tracing::instrument(name = "show_package", skip_all, fields(id = input.id))]
    async fn process(&self, input: ShowPackage) -> Result<ShownPackage, Error> {
        let id = within("id", input.id, 1, i64::MAX)?;
        let package =
            db::on_connection(&self.pool, async |connection| find(connection, id).await).await?;
        Ok(ShownPackage { package })
    }
}
