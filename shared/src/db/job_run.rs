//! Records of the runs of scheduled jobs.

use chrono::{DateTime, Utc};
use serde_json::Value;
use strum::VariantNames;
use uuid::Uuid;

use super::{Connection, statements, stored};
use crate::domain::job_run::{Filter, JobName, JobOutcome, JobRun, JobSummary, PAGES};
use crate::domain::page::Page;
use crate::error::Error;

/// A run that has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Id of the run.
    pub id: Uuid,
    /// Job of the run.
    pub job: JobName,
    /// Id of the invocation. `None` if it is unknown.
    pub request_id: Option<String>,
    /// When the run started.
    pub started_at: DateTime<Utc>,
    /// When the function ends the run at the latest. `None` if it has no limit.
    pub deadline_at: Option<DateTime<Utc>>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When the run ended.
    pub ended_at: DateTime<Utc>,
    /// [`JobOutcome::Completed`], [`JobOutcome::Incomplete`] or [`JobOutcome::Failed`].
    pub outcome: JobOutcome,
    /// Code of the error. `None` if the run did not fail.
    pub error_code: Option<&'static str>,
    /// The report of the job, which is an object. `None` if the run failed.
    pub counts: Option<Value>,
    /// The lag that the job reported, in seconds.
    pub lag_seconds: Option<i64>,
}

statements! {
    /// Records that a run has started.
    pub fn start(run: &Started) -> Done {
        "/* job_run.start */
        insert into telecom.job_run (id, job, request_id, started_at, deadline_at)
        values ($1, $2, $3, $4, $5)",
        run.id, <&str>::from(run.job), run.request_id.as_deref(), run.started_at, run.deadline_at
    }

    /// Records the end of a run, and its start if that could not be recorded.
    pub fn end(run: &Started, end: &Ended) -> Done {
        "/* job_run.end */
        insert into telecom.job_run (
            id, job, request_id, started_at, deadline_at, ended_at, outcome, error_code, counts,
            lag_seconds
        )
        values ($1, $2, $3, $4, $5, $6, $7::text::telecom.job_outcome, $8, $9, $10)
        on conflict (id) do update set ended_at = excluded.ended_at, outcome = excluded.outcome,
            error_code = excluded.error_code, counts = excluded.counts,
            lag_seconds = excluded.lag_seconds",
        run.id, <&str>::from(run.job), run.request_id.as_deref(), run.started_at, run.deadline_at,
        end.ended_at, <&str>::from(end.outcome), end.error_code, end.counts, end.lag_seconds
    }

    /// Deletes at most `limit` runs that started before `before`. Returns their number.
    pub fn delete(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* job_run.delete */
        delete from telecom.job_run where id = any(array(
            select id from telecom.job_run where started_at < $1 order by started_at limit $2
        ))"
    }
}

/// A page of runs, newest first, and the number of matching runs, counted up to the greatest offset
/// of [`PAGES`]. `now` decides which runs are lost.
pub async fn list(
    connection: &mut Connection,
    filter: Filter,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(Vec<JobRun>, i64), Error> {
    let found = find(connection, filter, page, now).await?;
    let rows = show(connection, &found.ids, now).await?;
    let runs = rows.into_iter().map(Shown::run).collect::<Result<_, _>>()?;
    Ok((runs, found.total))
}

/// The newest runs of each job, in short, in the order of the jobs. Only of `job` if it is given.
pub async fn summaries(
    connection: &mut Connection,
    job: Option<JobName>,
    now: DateTime<Utc>,
) -> Result<Vec<JobSummary>, Error> {
    let rows = newest(connection, &names(job), now).await?;
    rows.into_iter().map(Newest::summary).collect()
}

fn names(job: Option<JobName>) -> Vec<String> {
    let all = || JobName::VARIANTS.to_vec();
    let names = job.map_or_else(all, |job| vec![job.into()]);
    names.into_iter().map(str::to_owned).collect()
}

struct Found {
    total: i64,
    ids: Vec<Uuid>,
}

struct Shown {
    id: Uuid,
    job: String,
    request_id: Option<String>,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    outcome: String,
    error_code: Option<String>,
    counts: Option<Value>,
    lag_seconds: Option<i64>,
}

impl Shown {
    fn run(self) -> Result<JobRun, Error> {
        let duration = |ended_at: DateTime<Utc>| (ended_at - self.started_at).num_milliseconds();
        Ok(JobRun {
            id: self.id,
            job: self.job,
            request_id: self.request_id,
            started_at: self.started_at,
            ended_at: self.ended_at,
            duration_milliseconds: self.ended_at.map(duration),
            outcome: stored(&self.outcome)?,
            error_code: self.error_code,
            counts: self.counts,
            lag_seconds: self.lag_seconds,
        })
    }
}

struct Newest {
    job: String,
    last_started_at: Option<DateTime<Utc>>,
    last_outcome: Option<String>,
    last_completed_at: Option<DateTime<Utc>>,
    lag_seconds: Option<i64>,
}

impl Newest {
    fn summary(self) -> Result<JobSummary, Error> {
        let last_outcome = self.last_outcome.as_deref().map(stored).transpose()?;
        Ok(JobSummary {
            job: self.job,
            last_started_at: self.last_started_at,
            last_outcome,
            last_completed_at: self.last_completed_at,
            lag_seconds: self.lag_seconds,
        })
    }
}

statements! {
    /// Without a filter by job or outcome, the runs are read in the order of their start. With one,
    /// the newest runs of each selected job and outcome are read, at most as many as are counted.
    /// With `= any(array[…])`, and the job in the order, the planner cannot read the runs of all
    /// jobs in the order of their start.
    fn find(filter: Filter, page: Page, now: DateTime<Utc>) -> Row<Found> {
        r#"/* job_run.find */
        with match as materialized (
            select started_at, id from (
                (select r.started_at, r.id from telecom.job_run r
                where $1::text is null and $2::text is null
                    and r.started_at >= coalesce($3::timestamptz, '-infinity')
                    and r.started_at < coalesce($4::timestamptz, 'infinity')
                order by r.started_at desc, r.id desc limit $5)
                union all
                select r.started_at, r.id
                from unnest($6::text[]) j
                cross join unnest(enum_range(null::telecom.job_outcome)) o
                cross join lateral (
                    select r.started_at, r.id from telecom.job_run r
                    where r.job = any(array[j]) and r.outcome = o
                        and r.started_at >= coalesce($3::timestamptz, '-infinity')
                        and r.started_at < coalesce($4::timestamptz, 'infinity')
                        and ($2::text is null or $2 = case
                            when o = 'running' and r.deadline_at < $7::timestamptz then 'lost'
                            else o::text end)
                    order by r.job desc, r.started_at desc, r.id desc limit $5
                ) r
                where ($1::text is not null or $2::text is not null)
                    and ($2::text is null
                        or o::text = case $2 when 'lost' then 'running' else $2 end)
            ) r
            order by started_at desc, id desc limit $5
        )
        select (select count(*) from match) as "total!", array(
            select id from match order by started_at desc, id desc limit $8 offset $9
        ) as "ids!""#,
        filter.job.map(<&str>::from), filter.outcome.map(<&str>::from), filter.start, filter.end,
        PAGES.max_offset, &names(filter.job), now, page.limit, page.offset
    }

    /// The runs with these ids, newest first.
    fn show(ids: &[Uuid], now: DateTime<Utc>) -> Rows<Shown> {
        r#"/* job_run.show */
        select id, job, request_id, started_at, ended_at,
            case when outcome = 'running' and deadline_at < $2::timestamptz then 'lost'
            else outcome::text end as "outcome!",
            error_code, counts, lag_seconds
        from telecom.job_run
        where id = any($1)
        order by started_at desc, id desc"#
    }

    /// Reads the newest run of each job and outcome.
    fn newest(jobs: &[String], now: DateTime<Utc>) -> Rows<Newest> {
        r#"/* job_run.newest */
        select j.job as "job!", n.last_started_at, n.last_outcome, n.last_completed_at,
            n.lag_seconds
        from unnest($1::text[]) with ordinality j (job, position)
        cross join lateral (
            select max(r.started_at) as last_started_at,
                (array_agg(case when r.outcome = 'running' and r.deadline_at < $2::timestamptz
                    then 'lost' else r.outcome::text end
                    order by r.started_at desc, r.id desc))[1] as last_outcome,
                max(r.ended_at) filter (where r.outcome = 'completed') as last_completed_at,
                (array_agg(r.lag_seconds order by r.started_at desc, r.id desc)
                    filter (where r.outcome <> 'running'))[1] as lag_seconds
            from unnest(enum_range(null::telecom.job_outcome)) o
            cross join lateral (
                select * from telecom.job_run r
                where r.job = any(array[j.job]) and r.outcome = o
                order by r.job desc, r.started_at desc, r.id desc limit 1
            ) r
        ) n
        order by j.position"#
    }
}
