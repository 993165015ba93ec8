import type { Schema } from '../../api/types.ts';
import { billedOf } from '../../charts/usage.ts';

type Bucket = Schema<'UsageBucket'>;
type NodeSum = Pick<
  Bucket,
  'server_id' | 'node_client_id' | 'raw_upload' | 'raw_download' | 'billed_upload' | 'billed_download'
>;

/** Adds up the buckets of each node, the one with the most billed traffic first. */
export function byNode(buckets: Bucket[]): NodeSum[] {
  const sums = new Map<string, NodeSum>();
  for (const bucket of buckets) {
    const { server_id, node_client_id } = bucket;
    const key = `${server_id}-${node_client_id}`;
    const sum = sums.get(key) ?? {
      server_id,
      node_client_id,
      raw_upload: 0,
      raw_download: 0,
      billed_upload: 0,
      billed_download: 0,
    };
    sum.raw_upload += bucket.raw_upload;
    sum.raw_download += bucket.raw_download;
    sum.billed_upload += bucket.billed_upload;
    sum.billed_download += bucket.billed_download;
    sums.set(key, sum);
  }
  return [...sums.values()].sort((a, b) => billedOf(b) - billedOf(a));
}
