import type { ComponentChildren } from 'preact';
import type { Schema } from '../api/types.ts';
import { DataTable } from '../components/DataTable.tsx';
import { Num, Seconds, Time } from '../components/values.tsx';
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

/** An hour of a strip, with what was in each status: nodes or seconds. */
interface Part {
  key: string;
  title: string;
  online: number;
  offline: number;
  maintenance: number;
  unknown: number;
}

/** What is offline comes first, then maintenance, online and unknown, from top to bottom. */
function Column({ part, index }: { part: Part; index: number }) {
  const { online, offline, maintenance, unknown } = part;
  const total = online + offline + maintenance + unknown || 1;
  const stack: [string, number][] = [
    ['bad', offline],
    ['warn', maintenance],
    ['good', online],
    ['unknown', unknown],
  ];
  let y = 0;
  return (
    <g>
      <title>{part.title}</title>
      {stack.map(([name, value]) => {
        const at = y;
        y += value / total;
        return value > 0 && <rect key={name} class={name} x={index} y={at} width={0.82} height={value / total} />;
      })}
    </g>
  );
}

interface StripProps {
  label: string;
  parts: Part[];
  from: string | undefined;
  children: ComponentChildren;
}

/** One column for each hour, and the same as a table. */
function Strip({ label, parts, from, children }: StripProps) {
  return (
    <figure class="strip">
      <svg role="img" aria-label={label} viewBox={`0 0 ${Math.max(parts.length, 1)} 1`} preserveAspectRatio="none">
        {parts.map((part, index) => (
          <Column key={part.key} part={part} index={index} />
        ))}
      </svg>
      <figcaption>
        <span>
          <Time value={from} />
        </span>
        <StripLegend />
        <span>now</span>
      </figcaption>
      <details>
        <summary>Show as a table</summary>
        {children}
      </details>
    </figure>
  );
}

/** How many nodes were online, hour by hour. */
export function StatusStrip({ slots }: { slots: Slot[] }) {
  const known = slots.filter((slot) => slot.hour);
  const troubled = known.filter((slot) => slot.hour && slot.hour.offline_nodes > 0).length;
  const parts = slots.map((slot) => {
    const {
      online_nodes: online = 0,
      offline_nodes: offline = 0,
      maintenance_nodes: maintenance = 0,
    } = slot.hour ?? {};
    const unknown = online + offline + maintenance === 0 ? 1 : 0;
    return { key: slot.start, title: describe(slot), online, offline, maintenance, unknown };
  });
  return (
    <Strip
      label={`Status of ${slots.length} hours: ${known.length} recorded, ${troubled} of them with nodes offline.`}
      parts={parts}
      from={slots[0]?.start}
    >
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
    </Strip>
  );
}

/** How long a server was in each status, hour by hour. */
export function AvailabilityStrip({ hours }: { hours: Schema<'StatusTimesHour'>[] }) {
  const troubled = hours.filter((hour) => hour.offline_seconds > 0).length;
  const parts = hours.map((hour) => ({
    key: hour.hour,
    title: `${format.time(hour.hour)}: ${timesText(hour)}`,
    online: hour.online_seconds,
    offline: hour.offline_seconds,
    maintenance: hour.maintenance_seconds,
    unknown: hour.unknown_seconds,
  }));
  return (
    <Strip
      label={`Status of ${hours.length} hours, in ${troubled} of which the server was offline.`}
      parts={parts}
      from={hours[0]?.hour}
    >
      <DataTable
        caption="Time in each status by hour"
        rows={[...hours].reverse()}
        rowKey={(hour) => hour.hour}
        columns={[
          { title: 'Hour', main: true, cell: (hour) => <Time value={hour.hour} /> },
          { title: 'Online', numeric: true, cell: (hour) => <Seconds value={hour.online_seconds} /> },
          { title: 'Offline', numeric: true, cell: (hour) => <Seconds value={hour.offline_seconds} /> },
          { title: 'Maintenance', numeric: true, cell: (hour) => <Seconds value={hour.maintenance_seconds} /> },
          { title: 'Unknown', numeric: true, cell: (hour) => <Seconds value={hour.unknown_seconds} /> },
        ]}
      />
    </Strip>
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

interface Times {
  online_seconds: number;
  offline_seconds: number;
  maintenance_seconds: number;
  unknown_seconds: number;
}

function timesText(of: Times): string {
  const parts: [string, number][] = [
    ['online', of.online_seconds],
    ['in maintenance', of.maintenance_seconds],
    ['offline', of.offline_seconds],
    ['unknown', of.unknown_seconds],
  ];
  return parts
    .filter(([, seconds]) => seconds > 0)
    .map(([name, seconds]) => `${format.duration(seconds)} ${name}`)
    .join(', ');
}

/** The parts of a time that a node spent in each status. */
export function AvailabilityBar({ of }: { of: Times }) {
  const parts: [string, number][] = [
    ['good', of.online_seconds],
    ['warn', of.maintenance_seconds],
    ['bad', of.offline_seconds],
    ['unknown', of.unknown_seconds],
  ];
  const total = parts.reduce((sum, [, seconds]) => sum + seconds, 0) || 1;
  const text = timesText(of);
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
