// Traffic over time and over nodes: of the fleet, a user, a server or a client.
import { read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { RawAndBilled, UsageChart, UsageTotals } from '../../charts/UsageChart.tsx';
import { Choice } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card } from '../../components/layout.tsx';
import { NodeLink, ServerLink } from '../../components/links.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Bar, Bytes } from '../../components/values.tsx';
import { viewer } from '../../format/format.ts';
import { intervalOf, longRanges, rangeNames, startOf, type LongRange } from '../../format/range.ts';
import { byNode } from './byNode.ts';
import { useNodeNames } from './nodeNames.ts';
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
  of: Of;
  range: LongRange;
  group: 'server' | 'client';
  setGroup: (group: 'server' | 'client') => void;
}

/** How the traffic of a range divides over the nodes. */
export function Shares({ of, range, group, setGroup }: SharesProps) {
  const time_zone = viewer().timeZone as Schema<'TimeZone'>;
  const request = read('/v1/admin/traffic-usage', {
    ...of,
    start: startOf(range, Date.now()),
    interval: 'day',
    time_zone,
    group_by: group,
    limit: 4000,
  });
  const usage = useQuery(request, 120);
  const names = useNodeNames(group);
  return (
    <Card
      title="Where it went"
      description={`Last ${rangeNames[range]}, in whole days`}
      actions={
        <Choice
          label="Group by"
          value={group}
          options={['server', 'client'] as const}
          names={{ server: 'By server', client: 'By client' }}
          onChange={setGroup}
        />
      }
      footer={<Source request={usage.request} />}
    >
      <Resource query={usage} lines={8}>
        {(data) => {
          const rows = byNode(data.usage);
          const most = Math.max(1, ...rows.map(billedOf));
          return (
            <>
              {data.total > data.usage.length ? (
                <p class="notice warn">
                  This range has more rows than one request returns. The sums are those of its first {data.usage.length}{' '}
                  rows. Choose a shorter range for all of them.
                </p>
              ) : null}
              <DataTable
                caption="Traffic by node"
                rows={rows}
                rowKey={(row) => `${row.server_id}-${row.node_client_id}`}
                empty={<Empty title="No traffic in this range" />}
                columns={[
                  {
                    title: group === 'server' ? 'Server' : 'Client',
                    main: true,
                    cell: (row) =>
                      group === 'server' ? (
                        <ServerLink id={row.server_id ?? 0} name={names.get(row.server_id ?? 0)} />
                      ) : (
                        <NodeLink
                          server={row.server_id ?? 0}
                          client={row.node_client_id}
                          name={names.get(row.node_client_id ?? 0)}
                        />
                      ),
                  },
                  {
                    title: 'Share',
                    cell: (row) => <Bar label="Billed traffic" value={billedOf(row)} max={most} />,
                  },
                  { title: 'Carried', numeric: true, cell: (row) => <Bytes value={rawOf(row)} /> },
                  { title: 'Billed', numeric: true, cell: (row) => <Bytes value={billedOf(row)} /> },
                ]}
              />
            </>
          );
        }}
      </Resource>
    </Card>
  );
}
