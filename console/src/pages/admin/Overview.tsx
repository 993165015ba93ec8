import { read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { href } from '../../app/location.ts';
import { billedOf, rawOf } from '../../charts/usage.ts';
import { RawAndBilled, UsageChart } from '../../charts/UsageChart.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card, Page, Tile, Tiles } from '../../components/layout.tsx';
import { NodeLink, UserLink } from '../../components/links.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Ago, Bytes, Num, Status, useNow } from '../../components/values.tsx';
import * as format from '../../format/format.ts';

type FleetOverview = Schema<'FleetOverview'>;

export function Overview() {
  const overview = useQuery(read('/v1/admin/overview'), 15);
  return (
    <Page title="Overview" query={overview}>
      <Resource query={overview} lines={16}>
        {(data) => (
          <>
            <Fleet overview={data} />
            <Attention counts={data.counts} />
            <Card
              title="Traffic of the last 24 hours"
              description="By the hour, of the whole fleet"
              actions={<a href={href('/traffic')}>Longer ranges</a>}
              footer={
                <>
                  <RawAndBilled />
                  <Source request={overview.request} />
                </>
              }
            >
              <Totals overview={data} />
              <UsageChart rows={data.hours} interval="hour" what="Traffic of the fleet" />
            </Card>
            <Top overview={data} />
          </>
        )}
      </Resource>
      <Jobs />
    </Page>
  );
}

function Fleet({ overview: { counts } }: { overview: FleetOverview }) {
  const now = useNow(15);
  const lag = counts.oldest_unbilled_at ? (now - Date.parse(counts.oldest_unbilled_at)) / 1000 : 0;
  return (
    <Tiles>
      <Tile label="Servers online" tone="good">
        <a class="plain" href={href('/servers')}>
          <Num value={counts.online_servers} field="online_servers" />
        </a>
      </Tile>
      <Tile label="Servers offline" tone={counts.offline_servers > 0 ? 'bad' : ''}>
        <a class="plain" href={href('/servers', { status: 'offline' })}>
          <Num value={counts.offline_servers} field="offline_servers" />
        </a>
      </Tile>
      <Tile label="In maintenance" tone={counts.maintenance_servers > 0 ? 'warn' : ''}>
        <Num value={counts.maintenance_servers} field="maintenance_servers" />
      </Tile>
      <Tile
        label="Users connected"
        note={
          <>
            <Num value={counts.clients} field="clients" /> node clients
          </>
        }
      >
        <Num value={counts.online_users} field="online_users" />
      </Tile>
      <Tile
        label="Active packages"
        note={
          <>
            <Num value={counts.waiting_packages} field="waiting_packages" /> waiting
          </>
        }
      >
        <Num value={counts.active_packages} field="active_packages" />
      </Tile>
      <Tile
        label="Billing lag"
        tone={lag > 300 ? 'bad' : ''}
        note={
          <>
            <Num value={counts.unbilled_reports} field="unbilled_reports" /> reports wait
          </>
        }
      >
        {lag > 0 ? format.duration(lag) : 'None'}
      </Tile>
    </Tiles>
  );
}

function Attention({ counts }: { counts: Schema<'FleetCounts'> }) {
  const matters = [
    {
      name: 'Parked usage',
      count: counts.parked_events,
      link: href('/parked'),
      note: 'could not be charged and is retried',
    },
    { name: 'Doubtful pushes', count: counts.open_doubts, link: href('/doubts'), note: 'wait for a decision' },
    {
      name: 'Quarantined reports',
      count: counts.quarantined_reports,
      link: href('/quarantine'),
      note: 'are not billed until they are released',
    },
    {
      name: 'Usage drifts',
      count: counts.usage_drifts,
      link: href('/drifts'),
      note: 'were found by the reconciliation',
    },
  ].filter((matter) => matter.count > 0);
  if (matters.length === 0) return null;
  return (
    <div class="notice warn">
      <p class="notice-title">For your attention</p>
      <ul class="plain-list">
        {matters.map((matter) => (
          <li key={matter.name}>
            <strong>
              <Num value={matter.count} />
            </strong>{' '}
            <a href={matter.link}>{matter.name}</a> {matter.note}.
          </li>
        ))}
      </ul>
    </div>
  );
}

function Totals({ overview: { last_24_hours, previous_24_hours, last_30_days } }: { overview: FleetOverview }) {
  const before = billedOf(previous_24_hours);
  const change = before > 0 ? billedOf(last_24_hours) / before - 1 : null;
  const sign = { style: 'percent', maximumFractionDigits: 0, signDisplay: 'exceptZero' } as const;
  return (
    <dl class="totals">
      <div data-series="billed">
        <dt>Billed</dt>
        <dd>
          <Bytes value={billedOf(last_24_hours)} />
        </dd>
        {change === null ? null : (
          <dd class="small muted">{format.number(change, undefined, sign)} against the day before</dd>
        )}
      </div>
      <div data-series="raw">
        <dt>Carried</dt>
        <dd>
          <Bytes value={rawOf(last_24_hours)} />
        </dd>
      </div>
      <div>
        <dt>Billed in 30 days</dt>
        <dd>
          <Bytes value={billedOf(last_30_days)} />
        </dd>
      </div>
      <div>
        <dt>Carried in 30 days</dt>
        <dd>
          <Bytes value={rawOf(last_30_days)} />
        </dd>
      </div>
    </dl>
  );
}

function Top({ overview }: { overview: FleetOverview }) {
  return (
    <div class="columns">
      <Card
        title="Users with the most traffic"
        description="Last 24 hours, billed"
        footer={<a href={href('/users')}>All top users</a>}
      >
        <DataTable
          caption="Users with the most billed traffic"
          rows={overview.top_users}
          rowKey={(row) => row.user}
          empty={<Empty title="No traffic yet" />}
          columns={[
            { title: 'User', main: true, cell: (row) => <UserLink user={row.user} /> },
            { title: 'Carried', numeric: true, cell: (row) => <Bytes value={rawOf(row)} /> },
            { title: 'Billed', numeric: true, cell: (row) => <Bytes value={billedOf(row)} /> },
          ]}
        />
      </Card>
      <Card
        title="Clients with the most traffic"
        description="Last 24 hours, billed"
        footer={<a href={href('/users', { list: 'clients' })}>All top nodes</a>}
      >
        <DataTable
          caption="Node clients with the most billed traffic"
          rows={overview.top_nodes}
          rowKey={(row) => `${row.server_id}-${row.node_client_id}`}
          empty={<Empty title="No traffic yet" />}
          columns={[
            {
              title: 'Client',
              main: true,
              cell: (row) => <NodeLink server={row.server_id} client={row.node_client_id} name={row.name} />,
            },
            { title: 'Carried', numeric: true, cell: (row) => <Bytes value={rawOf(row)} /> },
            { title: 'Billed', numeric: true, cell: (row) => <Bytes value={billedOf(row)} /> },
          ]}
        />
      </Card>
    </div>
  );
}

function Jobs() {
  const jobs = useQuery(read('/v1/admin/job-runs', { limit: 1 }), 30);
  return (
    <Card
      title="Jobs"
      description="The newest run of each"
      footer={
        <>
          <a href={href('/operation')}>Runs and dead letters</a>
          <Source request={jobs.request} />
        </>
      }
    >
      <Resource query={jobs}>
        {(data) => (
          <DataTable
            caption="Newest run of each job"
            rows={data.summaries}
            rowKey={(row) => row.job}
            columns={[
              {
                title: 'Job',
                main: true,
                cell: (row) => <a href={href('/operation', { job: row.job })}>{row.job}</a>,
              },
              {
                title: 'Outcome',
                cell: (row) =>
                  row.last_outcome ? <Status value={row.last_outcome} /> : <span class="muted">Has not run</span>,
              },
              { title: 'Started', cell: (row) => <Ago value={row.last_started_at} /> },
              { title: 'Completed', cell: (row) => <Ago value={row.last_completed_at} /> },
              {
                title: 'Lag',
                numeric: true,
                cell: (row) =>
                  row.lag_seconds === null || row.lag_seconds === undefined ? '–' : format.duration(row.lag_seconds),
              },
            ]}
          />
        )}
      </Resource>
    </Card>
  );
}
