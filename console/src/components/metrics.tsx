import type { Schema } from '../api/types.ts';
import * as format from '../format/format.ts';
import { Facts } from './layout.tsx';
import { Bar, Bytes, Num } from './values.tsx';

type Metrics = Schema<'NodeServerMetrics'>;
type Row = [string, preact.ComponentChildren];

/** What a server measured last. Metrics that it does not report are left out. */
export function MetricsFacts({ metrics }: { metrics: Metrics }) {
  const rows: (Row | null)[] = [
    isNumber(metrics.cpu_percent)
      ? [
          'Processor',
          <Gauge
            label="Processor"
            used={metrics.cpu_percent}
            total={100}
            text={format.percent(metrics.cpu_percent / 100)}
          />,
        ]
      : null,
    ratio('Memory', metrics.memory_used, metrics.memory_total),
    ratio('Disk', metrics.disk_used, metrics.disk_total),
    isNumber(metrics.load1) ? ['Load', format.number(metrics.load1)] : null,
    isNumber(metrics.online_users)
      ? ['Connected users', <Num value={metrics.online_users} field="online_users" />]
      : null,
    isNumber(metrics.upload_rate) ? ['Upload', <>{format.bitRate(metrics.upload_rate * 8)}</>] : null,
    isNumber(metrics.download_rate) ? ['Download', <>{format.bitRate(metrics.download_rate * 8)}</>] : null,
    isNumber(metrics.uptime_seconds) ? ['Running for', format.duration(metrics.uptime_seconds)] : null,
  ];
  return <Facts rows={rows.filter((row): row is Row => row !== null)} />;
}

const isNumber = (value: number | null | undefined): value is number => typeof value === 'number';

function ratio(name: string, used: number | null | undefined, total: number | null | undefined): Row | null {
  if (!isNumber(used)) return null;
  if (!isNumber(total) || total === 0) return [name, <Bytes value={used} />];
  return [
    name,
    <Gauge
      label={name}
      used={used}
      total={total}
      text={
        <>
          <Bytes value={used} /> of <Bytes value={total} />
        </>
      }
    />,
  ];
}

function Gauge({
  label,
  used,
  total,
  text,
}: {
  label: string;
  used: number;
  total: number;
  text: preact.ComponentChildren;
}) {
  return (
    <>
      <span>{text}</span>
      <Bar label={label} value={used} max={total} low={used / total > 0.9} />
    </>
  );
}
