import { read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { useFilter } from '../../app/router.ts';
import { AvailabilityBar, StatusStrip, slotsOf } from '../../charts/Strip.tsx';
import { ActionButton, type Action } from '../../components/ActionHost.tsx';
import { Choice, Select } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card, Page, Tile, Tiles } from '../../components/layout.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Num, Share, Status } from '../../components/values.tsx';
import * as format from '../../format/format.ts';
import { rangeNames, ranges, startOf, type Range } from '../../format/range.ts';

type Node = Schema<'Node'>;
const statuses = ['any', 'online', 'offline', 'maintenance'] as const;

const rotation: Action = {
  change: 'RotateNodeCredential',
  label: 'New node secret',
  anyone: true,
  danger: true,
  effect:
    'Gives you a new secret for the nodes and shows it once. The nodes refuse the old one within a minute or two, so update your app with the new one. Do this if others may know your secret.',
};

export function Nodes() {
  const [range, setRange] = useFilter<Range>('range', 'day', ranges);
  const [status, setStatus] = useFilter<(typeof statuses)[number]>('status', 'any', statuses);
  const start = startOf(range, Date.now());
  const nodes = useQuery(read('/v1/nodes'));
  const history = useQuery(read('/v1/node-status-history', { start }), 60);
  const availability = new Map((history.data?.availability ?? []).map((one) => [one.node_client_id, one]));
  return (
    <Page
      title="Nodes"
      description="The nodes that your active package opens"
      query={nodes}
      actions={<ActionButton action={rotation} />}
    >
      <Resource query={nodes}>{(data) => <Counts nodes={data.nodes} total={data.total} />}</Resource>
      <Card
        title="Availability"
        description="How many of these nodes were online, by the hour"
        actions={<Choice label="Range" value={range} options={ranges} names={rangeNames} onChange={setRange} />}
        footer={<Source request={history.request} />}
      >
        <Resource query={history}>
          {(data) =>
            data.hours.length === 0 ? (
              <Empty title="No hour is recorded yet">An hour appears five minutes after it has begun.</Empty>
            ) : (
              <StatusStrip slots={slotsOf(data.hours, start, Date.now())} />
            )
          }
        </Resource>
      </Card>
      <Card
        title="All nodes"
        actions={
          <Select
            label="Status"
            value={status}
            options={statuses}
            names={{ any: 'Any', online: 'Online', offline: 'Offline', maintenance: 'Maintenance' }}
            onChange={setStatus}
          />
        }
        footer={<Source request={nodes.request} />}
      >
        <Resource query={nodes} lines={10}>
          {(data) => (
            <>
              <DataTable
                caption="Nodes"
                rows={data.nodes.filter((node) => status === 'any' || node.status === status)}
                rowKey={(node) => node.id}
                empty={
                  data.total === 0 ? (
                    <Empty title="No nodes">You see nodes while you have an active package.</Empty>
                  ) : (
                    <Empty title="No node has this status" />
                  )
                }
                columns={[
                  { title: 'Node', main: true, cell: (node) => node.name },
                  { title: 'Status', cell: (node) => <Status value={node.status} /> },
                  { title: 'Place', cell: place },
                  { title: 'Route', cell: (node) => node.route_class || '–' },
                  {
                    title: 'Factor',
                    numeric: true,
                    cell: (node) => (
                      <data value={String(node.traffic_factor)} title="Billed bytes for each byte carried">
                        {format.factor(node.traffic_factor)}
                      </data>
                    ),
                  },
                  {
                    title: 'Speed limit',
                    numeric: true,
                    cell: (node) =>
                      node.speed_limit ? (
                        <data value={String(node.speed_limit)}>{format.bitRate(node.speed_limit)}</data>
                      ) : (
                        'None'
                      ),
                  },
                  {
                    title: `Online, ${rangeNames[range]}`,
                    cell: (node) => {
                      const one = availability.get(node.id);
                      return one ? (
                        <span class="share">
                          <AvailabilityBar of={one} />
                          <Share value={one.availability} field="availability" />
                        </span>
                      ) : (
                        '–'
                      );
                    },
                  },
                ]}
              />
              {data.total > data.nodes.length ? (
                <p class="muted spaced">The first {data.nodes.length} nodes are shown.</p>
              ) : null}
            </>
          )}
        </Resource>
      </Card>
    </Page>
  );
}

const place = (node: Node) => [node.location, format.country(node.country)].filter(Boolean).join(', ');

function Counts({ nodes, total }: { nodes: Node[]; total: number }) {
  const count = (status: string) => nodes.filter((node) => node.status === status).length;
  return (
    <Tiles>
      <Tile label="Nodes">
        <Num value={total} field="total" />
      </Tile>
      <Tile label="Online" tone="good">
        <Num value={count('online')} />
      </Tile>
      <Tile label="Offline" tone={count('offline') > 0 ? 'bad' : ''}>
        <Num value={count('offline')} />
      </Tile>
      <Tile label="In maintenance" tone={count('maintenance') > 0 ? 'warn' : ''}>
        <Num value={count('maintenance')} />
      </Tile>
    </Tiles>
  );
}
