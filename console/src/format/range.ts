/** Ranges of the filters, and where they begin. */
export const ranges = ['day', 'week', 'month'] as const;
export type Range = (typeof ranges)[number];

export const longRanges = ['day', 'week', 'month', 'quarter', 'year'] as const;
export type LongRange = (typeof longRanges)[number];

export const rangeNames: Record<LongRange, string> = {
  day: '24 hours',
  week: '7 days',
  month: '30 days',
  quarter: '90 days',
  year: '365 days',
};

const days: Record<LongRange, number> = { day: 1, week: 7, month: 30, quarter: 90, year: 365 };
const HOUR = 3_600_000;

/** Start of the range. It changes only with the hour, so that polls within the hour are the same request. */
export function startOf(range: LongRange, now: number): string {
  const hour = Math.floor(now / HOUR) * HOUR;
  return new Date(hour - days[range] * 24 * HOUR + HOUR).toISOString();
}

/** Hours for a short range, days for a long one: at most 400 buckets. */
export const intervalOf = (range: LongRange): 'hour' | 'day' => (range === 'day' || range === 'week' ? 'hour' : 'day');
