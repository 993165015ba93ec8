// Traffic over time and over nodes: of the fleet, a user, a server or a client.
import { read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { RawAndBilled, UsageChart, UsageTotals } from '../../charts/UsageChart.tsx';
import { Choice } from '../../components/controls.tsx';
import { DataTable, type Column } from '../../components/DataTable.tsx';
import { Card } from '../../components/layout.tsx';
import { NodeLink, ServerLink } from '../../components/links.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Bar, Bytes } from '../../components/values.tsx';
import { number, viewer } from '../../format/format.ts';
import { intervalOf, longRanges, rangeNames, startOf, type LongRange } from '../../format/range.ts';
import { billedOf, rawOf } from '../../charts/usage.ts';

type Of = { user?: string; server_id?: number; node_client_id?: number };

/** Traffic of the fleet, or of one user, server or client, over time. */
export function TrafficCard({
  of,
  what,
  range,
  setRange,
}: {
  of: Of;
  what: string;
  range: LongRange;
  setRange: (range: LongRange) => void;
}) {
  const interval = intervalOf(range);
  const time_zone = viewer().timeZone as Schema<'TimeZone'>;
  const usage = useQuery(
    read('/v1/admin/traffic-usage', { ...of, start: startOf(range, Date.now()), interval, time_zone }),
    60,
  );
  return (
    <Card
      title="Traffic"
      description={`By the ${interval}, as carried and as billed`}
      actions={<Choice label="Range" value={range} options={longRanges} names={rangeNames} onChange={setRange} />}
      footer={
        <>
          <RawAndBilled />
          <Source request={usage.request} />
        </>
      }
    >
      <Resource query={usage} lines={8}>
        {(data) => (
          <>
            <UsageTotals sum={data.sum} />
            <UsageChart rows={data.usage} interval={interval} what={what} />
          </>
        )}
      </Resource>
    </Card>
  );
}

interface SharesProps {
  of: Pick<Of, 'user'>;
  range: LongRange;
  group: 'server' | 'client';
  setGroup: (group: 'server' | 'client') => void;
}

/** The most nodes that the API returns. */
const MOST_NODES = 1000;

/** How the traffic of a range divides over the nodes: that of the fleet, or of one user. */
export function Shares({ of, range, group, setGroup }: SharesProps) {
  const query = { ...of, range, by: 'billed', kind: group, limit: MOST_NODES } as const;
  const top = useQuery(read('/v1/admin/top-nodes', query), 120);
  return (
    <Card
      title="Where it went"
      description={`Last ${rangeNames[range]}${range === 'day' ? '' : ', in UTC days'}`}
      actions={
        <Choice
          label="Group by"
          value={group}
          options={['server', 'client'] as const}
          names={{ server: 'By server', client: 'By client' }}
          onChange={setGroup}
        />
      }
      footer={<Source request={top.request} />}
    >
      <Resource query={top} lines={8}>
        {({ nodes }) => (
          <>
            {nodes.length === MOST_NODES ? (
              <p class="notice warn">
                Only the first {number(MOST_NODES)} nodes are shown, those with the most billed traffic.
              </p>
            ) : null}
            <DataTable
              caption="Traffic by node"
              rows={nodes}
              rowKey={(row) => `${row.server_id}-${row.node_client_id}`}
              empty={<Empty title="No traffic in this range" />}
              columns={shareColumns(group, Math.max(1, ...nodes.map(billedOf)))}
            />
          </>
        )}
      </Resource>
    </Card>
  );
}

function shareColumns(group: 'server' | 'client', most: number): Column<Schema<'TopNode'>>[] {
  return [
    {
      title: group === 'server' ? 'Server' : 'Client',
      main: true,
      cell: (row) =>
        group === 'server' ? (
          <ServerLink id={row.server_id} name={row.name} />
        ) : (
          <NodeLink server={row.server_id} client={row.node_client_id} name={row.name} />
        ),
    },
    { title: 'Share', cell: (row) => <Bar label="Billed traffic" value={billedOf(row)} max={most} /> },
    { title: 'Carried', numeric: true, cell: (row) => <Bytes value={rawOf(row)} /> },
    { title: 'Billed', numeric: true, cell: (row) => <Bytes value={billedOf(row)} /> },
  ];
}
