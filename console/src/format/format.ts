// Numbers and times in the viewer's language and time zone.

export interface Locale {
  language: string | undefined;
  timeZone: string;
}

/** Keeps formatters, which take far longer to make than to use. */
function kept<T>(
  make: (language: string | undefined, options: string) => T,
): (language: string | undefined, options: object) => T {
  const known = new Map<string, T>();
  return (language, options) => {
    const text = JSON.stringify(options);
    const key = `${language} ${text}`;
    const found = known.get(key) ?? make(language, text);
    known.set(key, found);
    return found;
  };
}

const numberFormat = kept((language, options) => new Intl.NumberFormat(language, JSON.parse(options) as object));
const timeFormat = kept((language, options) => new Intl.DateTimeFormat(language, JSON.parse(options) as object));
const relativeFormat = kept(
  (language, options) => new Intl.RelativeTimeFormat(language, JSON.parse(options) as object),
);

let zone: string | undefined;

/** Browsers that hide the zone name one that no API knows. */
function ownZone(): string {
  const named = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return named && named !== 'Etc/Unknown' ? named : 'UTC';
}

export function viewer(): Locale {
  return {
    language: typeof navigator === 'undefined' ? undefined : navigator.language,
    timeZone: (zone ??= ownZone()),
  };
}

const sizes = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'];

function scaled(value: number, step: number, last: number): [number, number] {
  let power = 0;
  let rest = Math.abs(value);
  // 999.95 of a unit would be shown as 1,000.0.
  while (rest >= step - 0.05 && power < last) {
    rest /= step;
    power += 1;
  }
  return [value < 0 ? -rest : rest, power];
}

function precision(value: number, power: number): Intl.NumberFormatOptions {
  if (power === 0) return { maximumFractionDigits: 0 };
  const digits = Math.abs(value) < 10 ? 2 : 1;
  return { minimumFractionDigits: digits, maximumFractionDigits: digits };
}

/** Decimal units, as in the names of packages: 1 GB is 1,000,000,000 bytes. */
export function bytes(value: number, at: Locale = viewer()): string {
  const [amount, power] = scaled(value, 1000, sizes.length - 1);
  return numberFormat(at.language, {
    style: 'unit',
    unit: sizes[power] ?? 'byte',
    unitDisplay: power === 0 ? 'long' : 'short',
    ...precision(amount, power),
  }).format(amount);
}

export function exactBytes(value: number, at: Locale = viewer()): string {
  return numberFormat(at.language, { style: 'unit', unit: 'byte', unitDisplay: 'long' }).format(value);
}

const rates = ['bit', 'kilobit', 'megabit', 'gigabit', 'terabit'];

export function bitRate(value: number, at: Locale = viewer()): string {
  const [amount, power] = scaled(value, 1000, rates.length - 1);
  const options = { style: 'unit', unit: `${rates[power] ?? 'bit'}-per-second`, maximumFractionDigits: 1 } as const;
  return numberFormat(at.language, options).format(amount);
}

export function number(value: number, at: Locale = viewer(), options: Intl.NumberFormatOptions = {}): string {
  return numberFormat(at.language, options).format(value);
}

/** A share of time. Anything short of all of it is never shown as 100 %. */
export function percent(share: number, at: Locale = viewer()): string {
  const shown = share < 1 ? Math.min(share, 0.9999) : share;
  return numberFormat(at.language, {
    style: 'percent',
    maximumFractionDigits: shown > 0.99 && shown < 1 ? 2 : 1,
  }).format(shown);
}

export const factor = (value: number, at: Locale = viewer()) => `×${number(value, at, { maximumFractionDigits: 4 })}`;

export type TimeStyle = 'full' | 'minute' | 'day' | 'hour' | 'weekday' | 'second';

const styles: Record<TimeStyle, Intl.DateTimeFormatOptions> = {
  full: { dateStyle: 'long', timeStyle: 'long' },
  minute: { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  day: { weekday: 'short', month: 'short', day: 'numeric' },
  second: { dateStyle: 'medium', timeStyle: 'medium' },
  hour: { hour: '2-digit', minute: '2-digit' },
  weekday: { weekday: 'short', hour: '2-digit', minute: '2-digit' },
};

export function time(value: string | number, style: TimeStyle = 'minute', at: Locale = viewer()): string {
  return timeFormat(at.language, { ...styles[style], timeZone: at.timeZone }).format(new Date(value));
}

const spans: [Intl.RelativeTimeFormatUnit & string, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** "in 12 days", "3 minutes ago". */
export function relative(value: string | number, now: number, at: Locale = viewer()): string {
  const seconds = (new Date(value).getTime() - now) / 1000;
  const format = relativeFormat(at.language, { numeric: 'auto' });
  for (const [unit, length] of spans) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return format.format(Math.trunc(seconds), 'second');
}

/** The two greatest parts of a length of time: "1 day, 4 hours". */
export function duration(seconds: number, at: Locale = viewer()): string {
  let rest = Math.round(Math.abs(seconds));
  const parts: string[] = [];
  for (const [unit, length] of [...spans, ['second', 1] as [string, number]]) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count > 0 && parts.length < 2) {
      parts.push(numberFormat(at.language, { style: 'unit', unit, unitDisplay: 'long' }).format(count));
    } else if (parts.length > 0) break;
  }
  const zero = numberFormat(at.language, { style: 'unit', unit: 'second', unitDisplay: 'long' });
  return parts.length > 0 ? new Intl.ListFormat(at.language, { type: 'unit' }).format(parts) : zero.format(0);
}

/** "395ms", "50.1s". */
export function milliseconds(value: number, at: Locale = viewer()): string {
  const [amount, unit] = value < 1000 ? [value, 'millisecond'] : [value / 1000, 'second'];
  const options = { style: 'unit', unit, unitDisplay: 'narrow', maximumFractionDigits: 1 } as const;
  return numberFormat(at.language, options).format(amount);
}

export function country(code: string, at: Locale = viewer()): string {
  try {
    return new Intl.DisplayNames(at.language ? [at.language] : [], { type: 'region' }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** `in_queue` as "In queue". */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').replaceAll('-', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The text of a time for an input of date and time, in the viewer's zone. */
export function toLocalInput(value: string): string {
  const at = new Date(value);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
