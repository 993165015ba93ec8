import { read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { useFilter } from '../../app/router.ts';
import { href } from '../../app/location.ts';
import { joined, sumOf } from '../../charts/usage.ts';
import { RawAndBilled, UsageChart, UsageTotals } from '../../charts/UsageChart.tsx';
import { Choice } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Bar, Bytes } from '../../components/values.tsx';
import { viewer } from '../../format/format.ts';
import { rangeNames, ranges, type Range } from '../../format/range.ts';
import { ActivePackage } from './ActivePackage.tsx';

export function Usage() {
  const active = useQuery(read('/v1/packages', { status: 'active' }));
  return (
    <Page title="Your usage" query={active}>
      <Resource query={active} lines={6}>
        {(data) => <ActivePackage item={data.packages[0]} request={active.request} />}
      </Resource>
      <Traffic />
      <MostUsed />
    </Page>
  );
}

function Traffic() {
  const [range, setRange] = useFilter<Range>('range', 'month', ranges);
  // The list of zones in the types is that of the API; the browser's is one of them.
  const time_zone = viewer().timeZone as Schema<'TimeZone'>;
  const usage = useQuery(read('/v1/traffic-usage', { range, time_zone }), 60);
  return (
    <Card
      title="Traffic"
      description="Carried by the nodes, and billed to your packages"
      actions={<Choice label="Range" value={range} options={ranges} names={rangeNames} onChange={setRange} />}
      footer={
        <>
          <RawAndBilled />
          <Source request={usage.request} />
        </>
      }
    >
      <Resource query={usage} lines={8}>
        {(data) => {
          const rows = joined(data);
          return (
            <>
              <UsageTotals sum={sumOf(rows)} />
              <UsageChart rows={rows} interval={range === 'day' ? 'hour' : 'day'} what="Your traffic" />
            </>
          );
        }}
      </Resource>
    </Card>
  );
}

function MostUsed() {
  const query = useQuery(read('/v1/usually-used-nodes', { limit: 10 }), 60);
  return (
    <Card
      title="Nodes you use most"
      description="In the last 30 days, by billed traffic"
      footer={<Source request={query.request} />}
    >
      <Resource query={query}>
        {(data) => {
          const most = Math.max(1, ...data.nodes.map((node) => node.billed_traffic));
          return (
            <DataTable
              caption="Nodes you use most"
              rows={data.nodes}
              rowKey={(node) => node.node_client_id}
              empty={
                <Empty title="No traffic in the last 30 days">
                  The nodes that you connect through appear here. <a href={href('/nodes')}>See all nodes</a>
                </Empty>
              }
              columns={[
                { title: 'Node', main: true, cell: (node) => node.node_name },
                {
                  title: 'Share',
                  cell: (node) => (
                    <Bar label={`Billed traffic of ${node.node_name}`} value={node.billed_traffic} max={most} />
                  ),
                },
                {
                  title: 'Carried up',
                  numeric: true,
                  cell: (node) => <Bytes value={node.upload} field="upload" />,
                },
                {
                  title: 'Carried down',
                  numeric: true,
                  cell: (node) => <Bytes value={node.download} field="download" />,
                },
                {
                  title: 'Billed',
                  numeric: true,
                  cell: (node) => <Bytes value={node.billed_traffic} field="billed_traffic" />,
                },
              ]}
            />
          );
        }}
      </Resource>
    </Card>
  );
}
