//! Requests users' traffic usage over HTTP and compares the responses.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::billing::{Amounts, HourKey, hour_of};
use super::check::{self, Check, add};
use super::database;
use crate::demo::fleet::DEMO_USER;
use crate::demo::token::{Issuer, Role};

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of requests for a user whose usage changes during each.
const ATTEMPTS: usize = 10;
/// Validity of the tokens.
const TOKEN_TTL: Duration = Duration::from_mins(10);

/// The API and the sample of users whose `GET /v1/traffic-usage` is compared.
pub struct Api {
    /// URL of the load balancer, without a path.
    pub base_url: String,
    /// Issuer whose tokens the API accepts.
    pub issuer: Issuer,
    /// Number of users. The demo user comes first.
    pub users: usize,
}

#[derive(Deserialize)]
struct Answer {
    raw: Vec<Bucket>,
    actually_billed: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    upload: i64,
    download: i64,
}

/// User, range, start of the bucket.
type BucketKey = (Uuid, &'static str, DateTime<Utc>);

/// Usage by hour, and the responses that must show it.
type Shown = (Vec<(i64, Amounts)>, Vec<(Answer, UsageRequest)>);

impl Api {
    /// Compares the responses for a sample of the users of `hours` with the rows in the database,
    /// which were compared with the account before.
    pub(super) async fn compare(
        &self,
        pool: &PgPool,
        hours: &HashMap<HourKey, Amounts>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Check>> {
        let mut shown = Vec::new();
        for user in self.sample(hours) {
            match self.shown(pool, user, now).await {
                Ok(answers) => shown.push(answers),
                Err(error) => {
                    let what = "GET /v1/traffic-usage";
                    return Ok(vec![Check::failed(what, format!("{error:#}"))]);
                }
            }
        }
        Ok(compare(&shown))
    }

    /// The responses for a user, and the user's usage. Responses during which the usage changed are
    /// requested again.
    async fn shown(&self, pool: &PgPool, user: Uuid, now: DateTime<Utc>) -> Result<Shown> {
        let token = self.issuer.issue(user, Role::User, TOKEN_TTL, now)?;
        let mut usage = database::hours_of(pool, user).await?;
        for _ in 1..ATTEMPTS {
            let requests = self.requests(user, &token);
            let answers = tokio::task::spawn_blocking(move || {
                let agent = agent();
                let answer = |request: UsageRequest| Ok((request.send(&agent)?, request));
                requests.into_iter().map(answer).collect::<Result<Vec<_>>>()
            });
            let answers = answers.await??;
            let before = std::mem::replace(&mut usage, database::hours_of(pool, user).await?);
            if usage == before {
                return Ok((usage, answers));
            }
        }
        bail!("The usage of user {user} changed during each of {ATTEMPTS} requests")
    }

    fn requests(&self, user: Uuid, token: &str) -> Vec<UsageRequest> {
        let ranges = [
            ("day", 24, TimeDelta::hours(1)),
            ("week", 7, TimeDelta::days(1)),
        ];
        let request = |(range, buckets, length)| UsageRequest {
            user,
            range,
            url: format!("{}/v1/traffic-usage?range={range}", self.base_url),
            token: token.to_owned(),
            buckets,
            length,
        };
        ranges.into_iter().map(request).collect()
    }

    /// The demo user, and other users at equal distances among those with usage.
    fn sample(&self, hours: &HashMap<HourKey, Amounts>) -> Vec<Uuid> {
        let users: BTreeSet<Uuid> = hours
            .keys()
            .map(|key| key.0)
            .filter(|user| *user != DEMO_USER)
            .collect();
        let others = self.users.saturating_sub(1);
        let step = users.len().checked_div(others).unwrap_or_default().max(1);
        std::iter::once(DEMO_USER)
            .chain(users.into_iter().step_by(step).take(others))
            .collect()
    }
}

struct UsageRequest {
    user: Uuid,
    range: &'static str,
    url: String,
    token: String,
    buckets: usize,
    length: TimeDelta,
}

fn agent() -> ureq::Agent {
    // The API is on this machine, so a proxy from the environment is not used.
    ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .proxy(None)
        .build()
        .into()
}

impl UsageRequest {
    fn send(&self, agent: &ureq::Agent) -> Result<Answer> {
        let request = agent
            .get(&self.url)
            .header("authorization", format!("Bearer {}", self.token));
        let answer: Answer = request
            .call()
            .and_then(|mut response| response.body_mut().read_json())
            .context(self.url.clone())?;
        for series in [&answer.raw, &answer.actually_billed] {
            self.check_buckets(series)?;
        }
        Ok(answer)
    }

    /// Checks the number of buckets, their length, and that there is no gap between them.
    fn check_buckets(&self, series: &[Bucket]) -> Result<()> {
        let lengths = series
            .iter()
            .all(|bucket| bucket.end - bucket.start == self.length);
        let gaps = series
            .iter()
            .zip(series.iter().skip(1))
            .any(|(bucket, next)| bucket.end != next.start);
        if series.len() != self.buckets || !lengths || gaps {
            bail!(
                "{}: expected {} buckets of {} without gaps",
                self.url,
                self.buckets,
                self.length
            );
        }
        Ok(())
    }
}

fn compare(shown: &[Shown]) -> Vec<Check> {
    let mut expected: HashMap<BucketKey, Amounts> = HashMap::new();
    let mut found: HashMap<BucketKey, Amounts> = HashMap::new();
    let answers = shown
        .iter()
        .flat_map(|(usage, answers)| answers.iter().map(move |answer| (usage, answer)));
    for (usage, (answer, UsageRequest { user, range, .. })) in answers.clone() {
        for (raw, billed) in answer.raw.iter().zip(&answer.actually_billed) {
            let key = (*user, *range, raw.start);
            let shown = [raw.upload, raw.download, billed.upload, billed.download].map(i128::from);
            expected.insert(key, between(usage, raw.start, raw.end));
            found.insert(key, shown);
        }
    }
    let names = [
        "API raw upload",
        "API raw download",
        "API billed upload",
        "API billed download",
    ];
    let mut checks = check::keys(names, &expected, &found, |(user, range, start)| {
        format!("user {user} {range} from {start}")
    });
    let count = check::count(answers.count());
    checks.push(Check::equal("API responses", count, count));
    checks
}

fn between(usage: &[(i64, Amounts)], start: DateTime<Utc>, end: DateTime<Utc>) -> Amounts {
    let mut sums = Amounts::default();
    for (_, amounts) in usage
        .iter()
        .filter(|(hour, _)| (hour_of(start)..hour_of(end)).contains(hour))
    {
        add(&mut sums, *amounts);
    }
    sums
}
