import type { Schema } from '../api/types.ts';
import { DataTable } from '../components/DataTable.tsx';
import { Num, Time } from '../components/values.tsx';
import * as format from '../format/format.ts';

type Hour = Schema<'NodeStatusHour'>;
const HOUR = 3_600_000;

interface Slot {
  start: string;
  hour?: Hour | undefined;
}

/** One slot for each hour of the range. An hour that the API leaves out is unknown. */
export function slotsOf(hours: Hour[], start: string, end: number): Slot[] {
  const known = new Map(hours.map((hour) => [Date.parse(hour.bucket_start), hour]));
  const slots: Slot[] = [];
  for (let at = Math.floor(Date.parse(start) / HOUR) * HOUR; at < end; at += HOUR) {
    slots.push({ start: new Date(at).toISOString(), hour: known.get(at) });
  }
  return slots;
}

function describe(slot: Slot): string {
  const when = format.time(slot.start);
  if (!slot.hour) return `${when}: not recorded`;
  const { online_nodes, offline_nodes, maintenance_nodes } = slot.hour;
  return `${when}: ${online_nodes} online, ${offline_nodes} offline, ${maintenance_nodes} in maintenance`;
}

function Column({ slot, index }: { slot: Slot; index: number }) {
  const { hour } = slot;
  const total = hour ? hour.online_nodes + hour.offline_nodes + hour.maintenance_nodes : 0;
  if (!hour || total === 0) {
    return (
      <rect class="unknown" x={index} y={0} width={0.82} height={1}>
        <title>{describe(slot)}</title>
      </rect>
    );
  }
  const offline = hour.offline_nodes / total;
  const maintenance = hour.maintenance_nodes / total;
  return (
    <g>
      <title>{describe(slot)}</title>
      <rect class="good" x={index} y={0} width={0.82} height={1} />
      <rect class="warn" x={index} y={offline} width={0.82} height={maintenance} />
      <rect class="bad" x={index} y={0} width={0.82} height={offline} />
    </g>
  );
}

/** How many nodes were online, hour by hour. */
export function StatusStrip({ slots }: { slots: Slot[] }) {
  const known = slots.filter((slot) => slot.hour);
  const troubled = known.filter((slot) => slot.hour && slot.hour.offline_nodes > 0).length;
  return (
    <figure class="strip">
      <svg
        role="img"
        aria-label={`Status of ${slots.length} hours: ${known.length} recorded, ${troubled} of them with nodes offline.`}
        viewBox={`0 0 ${Math.max(slots.length, 1)} 1`}
        preserveAspectRatio="none"
      >
        {slots.map((slot, index) => (
          <Column key={slot.start} slot={slot} index={index} />
        ))}
      </svg>
      <figcaption>
        <span>
          <Time value={slots[0]?.start} />
        </span>
        <StripLegend />
        <span>now</span>
      </figcaption>
      <details>
        <summary>Show as a table</summary>
        <DataTable
          caption="Nodes by status and hour"
          rows={[...known].reverse().map((slot) => slot.hour as Hour)}
          rowKey={(hour) => hour.bucket_start}
          columns={[
            { title: 'Hour', main: true, cell: (hour) => <Time value={hour.bucket_start} /> },
            {
              title: 'Online',
              numeric: true,
              cell: (hour) => <Num value={hour.online_nodes} field="online_nodes" />,
            },
            {
              title: 'Offline',
              numeric: true,
              cell: (hour) => <Num value={hour.offline_nodes} field="offline_nodes" />,
            },
            {
              title: 'Maintenance',
              numeric: true,
              cell: (hour) => <Num value={hour.maintenance_nodes} field="maintenance_nodes" />,
            },
          ]}
        />
      </details>
    </figure>
  );
}

export function StripLegend() {
  return (
    <span class="legend">
      {['online', 'maintenance', 'offline', 'unknown'].map((name) => (
        <span key={name} class="legend-item">
          <i class="swatch" data-colour={`status-${name}`} />
          {format.words(name)}
        </span>
      ))}
    </span>
  );
}

interface Seconds {
  online_seconds: number;
  offline_seconds: number;
  maintenance_seconds: number;
  unknown_seconds: number;
}

/** The parts of a time that a node spent in each status. */
export function AvailabilityBar({ of }: { of: Seconds }) {
  const parts: [string, number][] = [
    ['good', of.online_seconds],
    ['warn', of.maintenance_seconds],
    ['bad', of.offline_seconds],
    ['unknown', of.unknown_seconds],
  ];
  const total = parts.reduce((sum, [, seconds]) => sum + seconds, 0) || 1;
  const names: Record<string, string> = {
    good: 'online',
    warn: 'in maintenance',
    bad: 'offline',
    unknown: 'unknown',
  };
  const text = parts
    .filter(([, seconds]) => seconds > 0)
    .map(([name, seconds]) => `${format.duration(seconds)} ${names[name]}`)
    .join(', ');
  let x = 0;
  return (
    <svg class="availability" role="img" aria-label={text || 'unknown'} viewBox="0 0 1 1" preserveAspectRatio="none">
      <title>{text}</title>
      {parts.map(([name, seconds]) => {
        const at = x;
        x += seconds / total;
        return <rect key={name} class={name} x={at} y={0} width={seconds / total} height={1} />;
      })}
    </svg>
  );
}
