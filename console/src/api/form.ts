// Forms from the schemas of the API: which control a field has, and how its text becomes a value.

export interface FieldSchema {
  type?: string | string[];
  format?: string;
  description?: string;
  default?: unknown;
  maxLength?: number;
  minLength?: number;
  minimum?: number;
  maximum?: number;
  enum?: unknown[];
  const?: unknown;
  oneOf?: FieldSchema[];
  anyOf?: FieldSchema[];
  items?: FieldSchema;
}

export interface ChangeSchema {
  method: string;
  path: string;
  summary: string;
  contentType: string | null;
  ifMatch: boolean;
  required: string[];
  properties: Record<string, FieldSchema>;
}

export type Control =
  | { kind: 'text'; long: boolean }
  | { kind: 'number'; whole: boolean }
  | { kind: 'bytes' }
  | { kind: 'rate' }
  | { kind: 'seconds' }
  | { kind: 'flag' }
  | { kind: 'time' }
  | { kind: 'json' }
  | { kind: 'list'; numbers: boolean }
  | { kind: 'choice'; options: Option[] }
  | { kind: 'choices'; options: Option[] };

export interface Option {
  value: string;
  description?: string | undefined;
}

const typesOf = (schema: FieldSchema): string[] => [schema.type ?? []].flat();

function optionsOf(schema: FieldSchema): Option[] {
  if (schema.enum) return schema.enum.filter((one) => typeof one === 'string').map((value) => ({ value }));
  const alternatives = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  return alternatives.flatMap((one) =>
    typeof one.const === 'string' ? [{ value: one.const, description: one.description }] : optionsOf(one),
  );
}

export function controlOf(name: string, schema: FieldSchema): Control {
  const options = optionsOf(schema);
  if (options.length > 0) return { kind: 'choice', options };
  const types = typesOf(schema);
  if (types.includes('array')) {
    const items = optionsOf(schema.items ?? {});
    if (items.length > 0) return { kind: 'choices', options: items };
    return { kind: 'list', numbers: typesOf(schema.items ?? {}).includes('integer') };
  }
  if (types.includes('boolean')) return { kind: 'flag' };
  if (types.includes('object')) return { kind: 'json' };
  if (types.includes('integer') && /(^|_)bytes$|^traffic_limit$|^billed_/.test(name)) return { kind: 'bytes' };
  if (types.includes('integer') && name === 'speed_limit') return { kind: 'rate' };
  if (types.includes('integer') && /_seconds$/.test(name)) return { kind: 'seconds' };
  if (types.includes('integer') || types.includes('number'))
    return { kind: 'number', whole: types.includes('integer') };
  if (schema.format === 'date-time') return { kind: 'time' };
  return { kind: 'text', long: (schema.maxLength ?? 0) >= 300 && name === 'reason' };
}

export const byteUnits: Record<string, number> = { B: 1, MB: 1e6, GB: 1e9, TB: 1e12 };
export const rateUnits: Record<string, number> = { 'bit/s': 1, 'Mbit/s': 1e6, 'Gbit/s': 1e9 };
export const secondUnits: Record<string, number> = { seconds: 1, minutes: 60, hours: 3_600, days: 86_400 };

/** A value in the largest unit in which it is a whole number. */
export function inUnits(value: number, units: Record<string, number>): [string, string] {
  const fitting = Object.entries(units).filter(([, size]) => value !== 0 && value % size === 0);
  const [unit, size] = fitting.at(-1) ?? Object.entries(units)[0] ?? ['', 1];
  return [String(value / size), unit];
}

/** The number in a text with a unit, exact to the last digit, or `undefined` if it is not a whole one. */
export function fromUnits(text: string, size: number): number | undefined {
  const given = /^(-?)(\d+)(?:[.,](\d+))?$/.exec(text.trim());
  if (!given) return undefined;
  const [, sign = '', whole = '', fraction = ''] = given;
  const scaled = BigInt(whole + fraction) * BigInt(size);
  const divisor = 10n ** BigInt(fraction.length);
  const value = Number(scaled / divisor) * (sign === '-' ? -1 : 1);
  return scaled % divisor === 0n && Number.isSafeInteger(value) ? value : undefined;
}

/** Reads what a control holds. Throws with a text for the reader if it cannot be read. */
export function valueOf(control: Control, text: string): unknown {
  const trimmed = text.trim();
  switch (control.kind) {
    case 'text':
    case 'choice':
      return trimmed;
    case 'number': {
      const value = Number(trimmed.replace(',', '.'));
      if (!Number.isFinite(value) || (control.whole && !Number.isSafeInteger(value)))
        throw new Error('This is not a number.');
      return value;
    }
    case 'time': {
      const at = new Date(trimmed);
      if (Number.isNaN(at.getTime())) throw new Error('This is not a time.');
      return at.toISOString();
    }
    case 'json':
      return parsed(trimmed);
    case 'list': {
      const parts = trimmed.split(/[\s,]+/).filter(Boolean);
      if (!control.numbers) return parts;
      const numbers = parts.map(Number);
      if (!numbers.every(Number.isSafeInteger)) throw new Error('Enter whole numbers, separated by commas.');
      return numbers;
    }
    default:
      return trimmed;
  }
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch {
    // The message of the parser speaks of positions, which do not help in a small field.
  }
  throw new Error('This is not a JSON object.');
}

/** A merge patch: what differs from the values that were read, and `null` for fields that are gone. */
export function patchOf(before: unknown, after: unknown): unknown {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    value !== null && typeof value === 'object' && !Array.isArray(value);
  if (!isObject(before) || !isObject(after)) return after;
  const patch: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (!(name in after)) patch[name] = null;
    else if (JSON.stringify(before[name]) !== JSON.stringify(after[name]))
      patch[name] = patchOf(before[name], after[name]);
  }
  return patch;
}

/** The fields of a form as a reader expects them: the name first, then what is required, JSON and the reason last. */
export function inOrder({ properties, required }: ChangeSchema): [string, FieldSchema][] {
  const rank = ([name, schema]: [string, FieldSchema]) => {
    if (name === 'name') return 0;
    if (name === 'reason') return 4;
    if (controlOf(name, schema).kind === 'json') return 3;
    return required.includes(name) ? 1 : 2;
  };
  return Object.entries(properties).sort((a, b) => rank(a) - rank(b));
}
