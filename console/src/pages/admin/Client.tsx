import { read, type Read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Card, Facts, Page } from '../../components/layout.tsx';
import { ServerLink } from '../../components/links.tsx';
import { MetricsFacts } from '../../components/metrics.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Ago, Json, Num, Status, Time } from '../../components/values.tsx';
import * as format from '../../format/format.ts';
import { longRanges, type LongRange } from '../../format/range.ts';
import { TrafficCard } from './TrafficCard.tsx';

type Details = Schema<'NodeClientDetails'>;

export function Client({ parameters }: { parameters: Record<string, string> }) {
  const id = parameters['id'] ?? '';
  const details = useQuery(read('/v1/admin/node-clients/{id}', undefined, id), 15);
  const [range, setRange] = useFilter<LongRange>('range', 'week', longRanges);
  const client = details.data?.client;
  return (
    <Page
      title={client?.name ?? `Client ${id}`}
      description={
        client ? (
          <>
            <Status value={client.archived_at ? 'archived' : client.status} /> on{' '}
            <ServerLink id={client.server_id} name={client.server_name} />
          </>
        ) : null
      }
      query={details}
      actions={client ? <Changes client={client} /> : null}
    >
      <Resource query={details} lines={8}>
        {(data) => <Present details={data} request={details.request} />}
      </Resource>
      <TrafficCard
        of={{ node_client_id: Number(id) }}
        what="Traffic of this client"
        range={range}
        setRange={setRange}
      />
    </Page>
  );
}

function Changes({ client }: { client: Details['client'] }) {
  if (client.archived_at) return null;
  return (
    <>
      <ActionButton
        action={{
          change: 'UpdateNodeClient',
          label: 'Edit client',
          subject: client.name,
          id: client.id,
          // The form has the fields that can be changed, and no other field is ever sent.
          initial: { ...client },
          ifMatch: `"${client.revision}"`,
          effect:
            'Changes the settings of the client. A new factor counts for reports that arrive from then on. If another administrator has changed the client meanwhile, nothing is changed.',
        }}
      />
      <ActionButton
        action={{
          change: 'ArchiveNodeClient',
          label: 'Archive client',
          subject: client.name,
          id: client.id,
          danger: true,
          effect:
            'Takes the client out of use for good. Users no longer see it, and its usage of later periods is set aside. Bills and history stay. This cannot be undone.',
        }}
      />
    </>
  );
}

function Present({
  details: { client, server, metrics },
  request,
}: {
  details: Details;
  request: Read<'/v1/admin/node-clients/{id}'> | null;
}) {
  return (
    <div class="columns">
      <Card title="Client" footer={<Source request={request} csv={false} />}>
        <Facts
          rows={[
            ['Id', <Num value={client.id} />],
            ['Factor', <data value={String(client.traffic_factor)}>{format.factor(client.traffic_factor)}</data>],
            ['Speed limit', client.speed_limit ? format.bitRate(client.speed_limit) : 'None'],
            ['Place', [client.location, format.country(client.country)].filter(Boolean).join(', ')],
            ['Route', client.route_class || '–'],
            ['Access groups', client.access_groups.join(', ') || 'none'],
            ['Display order', <Num value={client.display_order} />],
            ['Revision', <Num value={client.revision} />],
            ['Changed', <Time value={client.updated_at} />],
          ]}
        />
        <details class="spaced">
          <summary>Configuration</summary>
          <Json value={client.client_config} />
        </details>
      </Card>
      <Card
        title="Its server"
        description={
          <>
            Last seen <Ago value={server.last_online_at} absent="never" />
          </>
        }
      >
        {metrics ? (
          <MetricsFacts metrics={metrics} />
        ) : (
          <Empty title="No metrics yet">The server has not reported any.</Empty>
        )}
      </Card>
    </div>
  );
}
