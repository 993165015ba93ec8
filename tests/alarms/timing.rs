//! When the functions of the template run.

use std::sync::LazyLock;

use local::template::schedule::Recurrence;

use crate::document::{flat, templates};
use crate::jobs::jobs;

/// The jobs and when they run, the most frequent first.
static JOBS: LazyLock<Vec<(String, Recurrence)>> = LazyLock::new(|| {
    let template = flat(&templates());
    let timed = jobs(&template).map(|job| {
        let recurrence = job
            .recurrence()
            .unwrap_or_else(|error| panic!("{}: {error:#}", job.id));
        (job.package().to_owned(), recurrence)
    });
    let mut timed: Vec<_> = timed.collect();
    timed.sort_by_key(|(_, recurrence)| recurrence.every_minutes());
    timed
});

/// All jobs, in groups that run equally often. Less frequent ones read what others have written.
pub fn groups_of_jobs() -> impl Iterator<Item = Vec<&'static str>> {
    let groups = JOBS.chunk_by(|(_, one), (_, next)| one.every_minutes() == next.every_minutes());
    groups.map(|group| group.iter().map(|(job, _)| job.as_str()).collect())
}

/// Whether a function runs in this minute. Consumers run in every minute.
pub fn runs_in(function: &str, minute: i64) -> bool {
    let job = JOBS.iter().find(|(job, _)| job == function);
    job.is_none_or(|(_, recurrence)| recurrence.includes(minute))
}
