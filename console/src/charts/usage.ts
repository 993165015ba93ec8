// Traffic as carried and as billed, in one form for all APIs that return it.
import type { Schema } from '../api/types.ts';

export interface UsageRow {
  start: string;
  end: string;
  raw_upload: number;
  raw_download: number;
  billed_upload: number;
  billed_download: number;
}

type Amounts = Omit<UsageRow, 'start' | 'end'>;

export const rawOf = (row: Amounts) => row.raw_upload + row.raw_download;
export const billedOf = (row: Amounts) => row.billed_upload + row.billed_download;

export function sumOf(rows: Amounts[]): Amounts {
  const sum = { raw_upload: 0, raw_download: 0, billed_upload: 0, billed_download: 0 };
  for (const row of rows) {
    sum.raw_upload += row.raw_upload;
    sum.raw_download += row.raw_download;
    sum.billed_upload += row.billed_upload;
    sum.billed_download += row.billed_download;
  }
  return sum;
}

/** Joins the two series of a user's traffic, which have the same buckets. */
export function joined(usage: Schema<'RecentTrafficUsage'>): UsageRow[] {
  return usage.raw.map((raw, index) => {
    const billed = usage.actually_billed[index];
    return {
      start: raw.start,
      end: raw.end,
      raw_upload: raw.upload,
      raw_download: raw.download,
      billed_upload: billed?.upload ?? 0,
      billed_download: billed?.download ?? 0,
    };
  });
}
