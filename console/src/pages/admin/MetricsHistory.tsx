import { read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { useFilter } from '../../app/router.ts';
import { Chart } from '../../charts/Chart.tsx';
import { Choice, Select } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card } from '../../components/layout.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Num, Time } from '../../components/values.tsx';
import * as format from '../../format/format.ts';
import { rangeNames, ranges, startOf, type Range } from '../../format/range.ts';

type Hour = Schema<'NodeServerMetricsHour'>;
type Metric = 'cpu_percent' | 'memory_used' | 'disk_used' | 'load1' | 'online_users' | 'upload_rate' | 'download_rate';

const metrics: readonly Metric[] = [
  'cpu_percent',
  'memory_used',
  'disk_used',
  'load1',
  'online_users',
  'upload_rate',
  'download_rate',
];
const names: Record<Metric, string> = {
  cpu_percent: 'Processor',
  memory_used: 'Memory',
  disk_used: 'Disk',
  load1: 'Load',
  online_users: 'Connected users',
  upload_rate: 'Upload',
  download_rate: 'Download',
};

function shown(metric: Metric, value: number): string {
  if (metric === 'cpu_percent') return format.percent(value / 100);
  if (metric === 'memory_used' || metric === 'disk_used') return format.bytes(value);
  if (metric === 'upload_rate' || metric === 'download_rate') return format.bitRate(value * 8);
  return format.number(value, undefined, { maximumFractionDigits: 2 });
}

/** One place for each hour of the range, so that an hour without metrics is a gap. */
export function hoursOf(hours: Hour[], start: string, end: string): { hour: string; metrics: Hour | undefined }[] {
  const known = new Map(hours.map((one) => [Date.parse(one.hour), one]));
  const first = Math.ceil(Date.parse(start) / 3_600_000) * 3_600_000;
  const all = [];
  for (let at = first; at < Date.parse(end); at += 3_600_000)
    all.push({ hour: new Date(at).toISOString(), metrics: known.get(at) });
  return all;
}

export function MetricsHistory({ id }: { id: string }) {
  const [range, setRange] = useFilter<Range>('metrics', 'day', ranges);
  const [metric, setMetric] = useFilter<Metric>('metric', 'cpu_percent', metrics);
  const query = useQuery(read('/v1/admin/node-servers/{id}/metrics', { start: startOf(range, Date.now()) }, id), 60);
  const mean = (hour: Hour | undefined) => hour?.[`${metric}_mean`] ?? null;
  const max = (hour: Hour | undefined) => hour?.[`${metric}_max`] ?? null;
  return (
    <Card
      title="Metrics"
      description="Mean and greatest value of each hour"
      actions={
        <div class="filters">
          <Select label="Metric" value={metric} options={metrics} names={names} onChange={setMetric} />
          <Choice label="Range of metrics" value={range} options={ranges} names={rangeNames} onChange={setRange} />
        </div>
      }
      footer={<Source request={query.request} />}
    >
      <Resource query={query} lines={8}>
        {(data) => {
          const hours = hoursOf(data.hours, data.start, data.end);
          if (data.hours.every((hour) => mean(hour) === null))
            return (
              <Empty title="Nothing was measured in this range">
                The software of this server may not report this metric.
              </Empty>
            );
          return (
            <Chart
              kind="lines"
              summary={`${names[metric]} by the hour: mean and greatest value of ${data.hours.length} hours.`}
              labels={hours.map((one) => format.time(one.hour, range === 'day' ? 'hour' : 'day'))}
              format={(value) => shown(metric, value)}
              series={[
                {
                  name: 'Greatest',
                  colour: '--series-raw',
                  values: hours.map((one) => max(one.metrics)),
                  dashed: true,
                },
                {
                  name: 'Mean',
                  colour: '--series-billed',
                  values: hours.map((one) => mean(one.metrics)),
                },
              ]}
              table={
                <DataTable
                  caption={`${names[metric]} by the hour`}
                  rows={[...data.hours].reverse()}
                  rowKey={(hour) => hour.hour}
                  columns={[
                    { title: 'Hour', main: true, cell: (hour) => <Time value={hour.hour} /> },
                    { title: 'Mean', numeric: true, cell: (hour) => text(metric, mean(hour)) },
                    { title: 'Greatest', numeric: true, cell: (hour) => text(metric, max(hour)) },
                    {
                      title: 'Samples',
                      numeric: true,
                      cell: (hour) => <Num value={hour.samples} field="samples" />,
                    },
                  ]}
                />
              }
            />
          );
        }}
      </Resource>
    </Card>
  );
}

const text = (metric: Metric, value: number | null) =>
  value === null ? '–' : <data value={String(value)}>{shown(metric, value)}</data>;
