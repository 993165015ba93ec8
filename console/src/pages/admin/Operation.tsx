import { read, type Schema } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { useQuery } from '../../api/useQuery.ts';
import { useFilter } from '../../app/router.ts';
import { Select } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Ago, Num, Status, Time } from '../../components/values.tsx';
import { duration, milliseconds, number, words } from '../../format/format.ts';

const outcomes = ['any', 'running', 'completed', 'incomplete', 'failed', 'lost'] as const;

export function Operation() {
  const [job, setJob] = useFilter<string>('job', 'any');
  const [outcome, setOutcome] = useFilter<(typeof outcomes)[number]>('outcome', 'any', outcomes);
  const request = read('/v1/admin/job-runs', {
    job: job === 'any' ? undefined : (job as never),
    outcome: outcome === 'any' ? undefined : outcome,
  });
  const pages = usePages(request, (answer) => answer.runs, 15);
  const summaries = useQuery(read('/v1/admin/job-runs', { limit: 1 }), 30);
  const jobs = ['any', ...(summaries.data?.summaries ?? []).map((one) => one.job)];
  return (
    <Page title="Jobs and queues" description="What runs by itself, and what failed" query={pages.first}>
      <DeadLetters />
      <Card
        title="Runs"
        description="Of the last 14 days, newest first"
        actions={
          <div class="filters">
            <Select label="Job" value={job} options={jobs} names={{ any: 'All' }} onChange={setJob} />
            <Select
              label="Outcome"
              value={outcome}
              options={outcomes}
              names={Object.fromEntries(outcomes.map((name) => [name, name === 'any' ? 'All' : words(name)]))}
              onChange={setOutcome}
            />
          </div>
        }
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Runs of jobs"
          pages={pages}
          rowKey={(run) => run.id}
          empty={<Empty title="No run matches" />}
          columns={[
            { title: 'Job', main: true, cell: (run) => run.job },
            {
              title: 'Outcome',
              cell: (run) => (
                <>
                  <Status value={run.outcome} />
                  {run.error_code ? (
                    <>
                      {' '}
                      <code>{run.error_code}</code>
                    </>
                  ) : null}
                </>
              ),
            },
            { title: 'Started', cell: (run) => <Time value={run.started_at} style="second" /> },
            { title: 'Took', numeric: true, cell: (run) => took(run) },
            {
              title: 'Lag',
              numeric: true,
              cell: (run) => (typeof run.lag_seconds === 'number' ? duration(run.lag_seconds) : '–'),
            },
            { title: 'Did', cell: (run) => <Counts counts={run.counts} /> },
          ]}
        />
      </Card>
    </Page>
  );
}

const took = (run: Schema<'JobRun'>) =>
  typeof run.duration_milliseconds === 'number' ? (
    <data class="number" value={String(run.duration_milliseconds)}>
      {milliseconds(run.duration_milliseconds)}
    </data>
  ) : (
    '–'
  );

function Counts({ counts }: { counts: unknown }) {
  const shown = Object.entries((counts ?? {}) as Record<string, unknown>).filter(
    (one): one is [string, number] => typeof one[1] === 'number' && one[1] !== 0,
  );
  return (
    <span class="muted">
      {shown.map(([name, value]) => `${number(value)} ${name.replaceAll('_', ' ')}`).join(', ') || '–'}
    </span>
  );
}

function DeadLetters() {
  const query = useQuery(read('/v1/admin/dead-letters'), 60);
  return (
    <Card
      title="Dead letters"
      description="Messages that failed for good, by queue"
      footer={<Source request={query.request} />}
    >
      <Resource query={query}>
        {(data) => (
          <DataTable
            caption="Dead letters by queue"
            rows={data.queues}
            rowKey={(row) => row.queue}
            columns={[
              { title: 'Queue', main: true, cell: (row) => row.queue },
              {
                title: 'Messages',
                numeric: true,
                cell: (row) =>
                  row.dead_letters ? (
                    <strong class="bad-text">
                      <Num value={row.dead_letters} field="dead_letters" />
                    </strong>
                  ) : (
                    <Num value={row.dead_letters} field="dead_letters" />
                  ),
              },
              { title: 'Counted', cell: (row) => <Ago value={row.counted_at} absent="not yet" /> },
              { title: 'Reasons of the last 14 days', cell: (row) => <Reasons reasons={row.reasons} /> },
            ]}
          />
        )}
      </Resource>
    </Card>
  );
}

function Reasons({ reasons }: { reasons: Schema<'FailureReason'>[] }) {
  if (reasons.length === 0) return <span class="muted">None</span>;
  return (
    <ul class="plain-list">
      {reasons.map((one) => (
        <li key={one.error_code}>
          <code>{one.error_code}</code> × <Num value={one.messages} field="messages" />: {one.reason}{' '}
          <span class="muted">
            (<Ago value={one.last_failed_at} />)
          </span>
        </li>
      ))}
    </ul>
  );
}
