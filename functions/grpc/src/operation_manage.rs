//! The service for the daily operation of the system.

use proto::v1;
use proto::v1::operation_manage_server::OperationManage;
use shared::auth::Principal;
use shared::domain::audit::{self, Filter, TargetFilter};
use shared::domain::parked_usage::Selection;
use shared::domain::{job_run, one_of};
use shared::services::manage::{
    ListAuditEntries, ListDeadLetters, ListJobRuns, ListParkedEvents, RetryParkedEvents,
};
use tonic::{Request, async_trait};

use crate::convert::{given, given_text, named_or_none, requested_time, uuid};
use crate::services::{Manage, Reply};

#[async_trait]
impl OperationManage for Manage {
    async fn list_audit_entries(
        &self,
        request: Request<v1::ListAuditEntriesRequest>,
    ) -> Reply<v1::ListAuditEntriesResponse> {
        let input = |_: &_, asked: v1::ListAuditEntriesRequest| {
            let (kind, id) = (given_text(&asked.target_kind), given_text(&asked.target_id));
            let filter = Filter {
                actor: uuid("actor", &asked.actor)?,
                action: given_text(&asked.action).map(audit::action).transpose()?,
                target: TargetFilter::parse(kind, id)?,
                start: requested_time("start", asked.start)?,
                end: requested_time("end", asked.end)?,
                older_than: asked.older_than,
            };
            Ok(ListAuditEntries {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Reply<v1::ListDeadLettersResponse> {
        let input = |_: &_, _| Ok(ListDeadLetters);
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_job_runs(
        &self,
        request: Request<v1::ListJobRunsRequest>,
    ) -> Reply<v1::ListJobRunsResponse> {
        let input = |_: &_, asked: v1::ListJobRunsRequest| {
            let job = given_text(&asked.job).map(|job| one_of("job", job));
            let filter = job_run::Filter {
                job: job.transpose()?,
                outcome: named_or_none::<v1::JobOutcome, _>("outcome", asked.outcome)?,
                start: requested_time("start", asked.start)?,
                end: requested_time("end", asked.end)?,
            };
            Ok(ListJobRuns {
                limit: given(asked.limit),
                offset: given(asked.offset),
                filter,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_parked_events(
        &self,
        request: Request<v1::ListParkedEventsRequest>,
    ) -> Reply<v1::ListParkedEventsResponse> {
        let input = |_: &_, asked: v1::ListParkedEventsRequest| {
            Ok(ListParkedEvents {
                limit: given(asked.limit),
                offset: given(asked.offset),
                user: uuid("user", &asked.user)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn retry_parked_events(
        &self,
        request: Request<v1::RetryParkedEventsRequest>,
    ) -> Reply<v1::RetryParkedEventsResponse> {
        let input = |caller: &Principal, asked: v1::RetryParkedEventsRequest| {
            let user = uuid("user", &asked.user)?;
            Ok(caller.request(RetryParkedEvents {
                selection: Selection::parse(asked.ids, user, asked.all)?,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}
