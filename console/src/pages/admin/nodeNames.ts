import { read } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';

/** Names by id, for sums that have ids alone. A node that is not among the first 200 is shown with its id. */
export function useNodeNames(group: 'server' | 'client'): Map<number, string> {
  const query = { include_archived: true, limit: 200 };
  const servers = useQuery(group === 'server' ? read('/v1/admin/node-servers', query) : null, 300);
  const clients = useQuery(group === 'client' ? read('/v1/admin/node-clients', query) : null, 300);
  const nodes = group === 'server' ? servers.data?.servers : clients.data?.clients;
  return new Map(nodes?.map(({ id, name }) => [id, name]));
}
