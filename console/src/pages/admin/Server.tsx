import { read, type Read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { href } from '../../app/location.ts';
import { useFilter } from '../../app/router.ts';
import { AvailabilityBar, StripLegend } from '../../charts/Strip.tsx';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Choice } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card, Facts, Page } from '../../components/layout.tsx';
import { MetricsFacts } from '../../components/metrics.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Ago, Json, Num, Share, Status, Time } from '../../components/values.tsx';
import * as format from '../../format/format.ts';
import { longRanges, rangeNames, ranges, startOf, type LongRange, type Range } from '../../format/range.ts';
import { MetricsHistory } from './MetricsHistory.tsx';
import { TrafficCard } from './TrafficCard.tsx';

type Details = Schema<'NodeServerDetails'>;

export function Server({ parameters }: { parameters: Record<string, string> }) {
  const id = parameters['id'] ?? '';
  const details = useQuery(read('/v1/admin/node-servers/{id}', undefined, id), 15);
  const [range, setRange] = useFilter<LongRange>('range', 'week', longRanges);
  const server = details.data?.server;
  return (
    <Page
      title={server?.name ?? `Server ${id}`}
      description={
        server ? (
          <>
            <Status value={server.archived_at ? 'archived' : server.status} /> last seen{' '}
            <Ago value={server.last_online_at} absent="never" />
          </>
        ) : null
      }
      query={details}
      actions={details.data ? <Changes details={details.data} /> : null}
    >
      <Resource query={details} lines={8}>
        {(data) => <Present details={data} request={details.request} />}
      </Resource>
      <Availability id={id} />
      <MetricsHistory id={id} />
      <TrafficCard of={{ server_id: Number(id) }} what="Traffic of this server" range={range} setRange={setRange} />
      <Clients id={id} />
    </Page>
  );
}

function Changes({ details: { server, server_config, revision } }: { details: Details }) {
  if (server.archived_at) return null;
  const inMaintenance = server.status === 'maintenance';
  return (
    <>
      <ActionButton
        action={{
          change: 'SetNodeServerMaintenance',
          label: inMaintenance ? 'End maintenance' : 'Start maintenance',
          subject: server.name,
          id: server.id,
          fixed: { maintenance: !inMaintenance },
          effect: inMaintenance
            ? 'Returns the server to service. Its reports decide at once whether it is online or offline.'
            : 'Takes the server out of service. Its status stays “maintenance” until you end it, whatever it reports. Usage is still billed.',
        }}
      />
      <ActionButton
        action={{
          change: 'UpdateNodeServer',
          label: 'Edit server',
          subject: server.name,
          id: server.id,
          initial: { name: server.name, compatibility: server.compatibility, server_config },
          ifMatch: `"${revision}"`,
          effect:
            'Changes the settings of the server. Masked secrets stay as they are unless you replace them. If another administrator has changed the server meanwhile, nothing is changed.',
        }}
      />
      <ActionButton
        action={{
          change: 'CreateNodeClient',
          label: 'Add client',
          subject: `on ${server.name}`,
          fixed: { server_id: server.id },
          effect:
            'Adds a node client on this server. Users whose packages open one of its access groups see it at once.',
        }}
      />
      <ActionButton
        action={{
          change: 'IssueNodeAccess',
          label: 'Issue access',
          subject: server.name,
          fixed: { server_id: server.id },
          effect: 'Lets node software or a collector report for this server. The token is shown once.',
        }}
      />
      <ActionButton
        action={{
          change: 'ArchiveNodeServer',
          label: 'Archive server',
          subject: server.name,
          id: server.id,
          danger: true,
          effect: `Takes the server and its ${server.client_count} clients out of use for good. Users no longer see them, and reports of later periods are refused. Bills and history stay. This cannot be undone.`,
        }}
      />
    </>
  );
}

function Present({ details, request }: { details: Details; request: Read<'/v1/admin/node-servers/{id}'> | null }) {
  const { server, metrics } = details;
  return (
    <div class="columns">
      <Card
        title="Now"
        description={
          metrics ? (
            <>
              Measured <Ago value={metrics.measured_at} />
            </>
          ) : undefined
        }
      >
        {metrics ? (
          <MetricsFacts metrics={metrics} />
        ) : (
          <Empty title="No metrics yet">The server has not reported any.</Empty>
        )}
      </Card>
      <Card title="Server" footer={<Source request={request} csv={false} />}>
        <Facts
          rows={[
            ['Id', <Num value={server.id} />],
            ['Software', server.compatibility === 'ssp' ? 'SSPanel' : 'UniProxy'],
            ['Last traffic', <Ago value={server.last_traffic_at} absent="never" />],
            [
              'Clock skew',
              details.clock_skew_seconds === null || details.clock_skew_seconds === undefined
                ? 'unknown'
                : `${format.number(details.clock_skew_seconds)} s`,
            ],
            ['Added', <Time value={details.created_at} />],
            ['Changed', <Time value={details.updated_at} />],
          ]}
        />
        <details class="spaced">
          <summary>Configuration</summary>
          <Json value={details.server_config} />
        </details>
      </Card>
    </div>
  );
}

function Availability({ id }: { id: string }) {
  const [range, setRange] = useFilter<Range>('availability', 'month', ranges);
  const query = useQuery(
    read('/v1/admin/node-servers/{id}/availability', { start: startOf(range, Date.now()) }, id),
    60,
  );
  return (
    <Card
      title="Availability"
      actions={
        <Choice label="Range of availability" value={range} options={ranges} names={rangeNames} onChange={setRange} />
      }
      footer={
        <>
          <StripLegend />
          <Source request={query.request} />
        </>
      }
    >
      <Resource query={query}>
        {(data) => (
          <>
            <p class="hero">
              <span class="hero-value">
                <Share value={data.availability} field="availability" />
              </span>{' '}
              online of the time in which it was watched
            </p>
            <div class="wide-bar">
              <AvailabilityBar of={data} />
            </div>
            <Facts
              rows={[
                ['Online', <Seconds value={data.online_seconds} />],
                ['Offline', <Seconds value={data.offline_seconds} />],
                ['In maintenance', <Seconds value={data.maintenance_seconds} />],
                ['Unknown', <Seconds value={data.unknown_seconds} />],
              ]}
            />
          </>
        )}
      </Resource>
    </Card>
  );
}

const Seconds = ({ value }: { value: number }) => (
  <data value={String(value)} title={`${format.number(value)} s`}>
    {format.duration(value)}
  </data>
);

function Clients({ id }: { id: string }) {
  const query = useQuery(read('/v1/admin/node-clients', { server_id: Number(id), limit: 200 }));
  return (
    <Card title="Clients" footer={<Source request={query.request} />}>
      <Resource query={query}>
        {(data) => (
          <DataTable
            caption="Clients of this server"
            rows={data.clients}
            rowKey={(client) => client.id}
            empty={<Empty title="No clients">Users see the server through its clients.</Empty>}
            columns={[
              {
                title: 'Client',
                main: true,
                cell: (client) => <a href={href(`/clients/${client.id}`)}>{client.name}</a>,
              },
              { title: 'Factor', numeric: true, cell: (client) => format.factor(client.traffic_factor) },
              { title: 'Access groups', cell: (client) => client.access_groups.join(', ') || 'none' },
            ]}
          />
        )}
      </Resource>
    </Card>
  );
}
