// Values with their exact form in the title. `data-value` has the number of the API, which the tests compare.
import { useEffect, useState } from 'preact/hooks';
import * as format from '../format/format.ts';

type Maybe<T> = T | null | undefined;
const Absent = ({ text = '–' }: { text?: string | undefined }) => <span class="absent">{text}</span>;

export function Bytes({ value, field, absent }: { value: Maybe<number>; field?: string; absent?: string }) {
  if (value === null || value === undefined) return <Absent text={absent} />;
  return (
    <data class="number" value={String(value)} title={format.exactBytes(value)} data-kind="bytes" data-field={field}>
      {format.bytes(value)}
    </data>
  );
}

export function Num({ value, field, absent }: { value: Maybe<number>; field?: string; absent?: string }) {
  if (value === null || value === undefined) return <Absent text={absent} />;
  return (
    <data class="number" value={String(value)} data-kind="number" data-field={field}>
      {format.number(value)}
    </data>
  );
}

/** A duration. The title has the exact seconds. */
export function Seconds({ value }: { value: number }) {
  return (
    <data value={String(value)} title={`${format.number(value)} s`}>
      {format.duration(value)}
    </data>
  );
}

export function Share({ value, field }: { value: Maybe<number>; field?: string }) {
  if (value === null || value === undefined) return <Absent text="unknown" />;
  return (
    <data class="number" value={String(value)} data-kind="share" data-field={field}>
      {format.percent(value)}
    </data>
  );
}

export function Time({
  value,
  style = 'minute',
  absent,
}: {
  value: Maybe<string>;
  style?: format.TimeStyle;
  absent?: string;
}) {
  if (!value) return <Absent text={absent} />;
  return (
    <time dateTime={value} title={format.time(value, 'full')} data-kind="time" data-style={style}>
      {format.time(value, style)}
    </time>
  );
}

/** "3 minutes ago", which stays true while the page is open. */
export function Ago({ value, absent }: { value: Maybe<string | number>; absent?: string }) {
  const now = useNow(15);
  if (!value) return <Absent text={absent} />;
  return (
    <time dateTime={new Date(value).toISOString()} title={format.time(value, 'full')}>
      {format.relative(value, now)}
    </time>
  );
}

export function useNow(seconds: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return now;
}

const tones: Record<string, string> = {
  online: 'good',
  active: 'good',
  completed: 'good',
  delivered: 'good',
  master: 'good',
  offline: 'bad',
  failed: 'bad',
  lost: 'bad',
  cancelled: 'quiet',
  maintenance: 'warn',
  incomplete: 'warn',
  pending: 'warn',
  open: 'warn',
  in_queue: 'info',
  running: 'info',
};

/** A state by text and shape; the colour repeats it. */
export function Status({ value, text }: { value: Maybe<string>; text?: string }) {
  if (!value) return <Absent />;
  return (
    <span class={`status ${tones[value] ?? 'quiet'}`} data-status={value}>
      {text ?? format.words(value)}
    </span>
  );
}

/** A long id: its beginning, and all of it in the title. */
export function Id({ value, link }: { value: Maybe<string>; link?: string }) {
  if (!value) return <Absent />;
  const text = value.length > 13 ? `${value.slice(0, 8)}…${value.slice(-4)}` : value;
  const shown = <code title={value}>{text}</code>;
  return link ? <a href={link}>{shown}</a> : shown;
}

export function Json({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <Absent />;
  return <pre class="json">{JSON.stringify(value, null, 2)}</pre>;
}

/** How much of a whole something is. */
export function Bar({ label, value, max, big = false, low = false }: BarProps) {
  const share = max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  return (
    <div
      class={`bar ${big ? 'big' : ''} ${low ? 'low' : ''}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={Math.min(Math.max(value, 0), max)}
      aria-valuetext={format.percent(share)}
    >
      <span style={{ width: `${share * 100}%` }} />
    </div>
  );
}

interface BarProps {
  label: string;
  value: number;
  max: number;
  big?: boolean;
  /** Whether little is left. */
  low?: boolean;
}
