// All pages of the console, for tests that look at each of them.
const user = 'de300000-0000-4000-8000-000000000001';
const hour = `${new Date().toISOString().slice(0, 13)}:00:00Z`;

export const userPages = { usage: '#/', nodes: '#/nodes', packages: '#/packages' };

export const adminPages = {
  overview: '#/overview',
  traffic: '#/traffic',
  servers: '#/servers',
  server: '#/servers/1',
  clients: '#/clients',
  client: '#/clients/2',
  access: '#/access',
  users: '#/users',
  'users-connected': '#/users?list=online',
  user: `#/users/${user}`,
  'explain-hour': `#/users/${user}/hours/${hour}`,
  queue: '#/queue',
  'explain-item': '#/items/1601/usage',
  catalog: '#/catalog',
  operation: '#/operation',
  doubts: '#/doubts',
  parked: '#/parked',
  quarantine: '#/quarantine',
  drifts: '#/drifts',
  webhooks: '#/webhooks',
  webhook: '#/webhooks/0193b0e1-0000-4000-8000-000000000016',
  audit: '#/audit',
};

/** Points the pages of one object at objects of a running system. `read` reads a path of its API. */
export async function findPages(read) {
  const { clients } = await read('/v1/admin/node-clients?limit=1');
  const { packages } = await read(`/v1/admin/package-queue?user=${user}&status=active`);
  const { webhooks } = await read('/v1/admin/webhooks?limit=1');
  adminPages.server = `#/servers/${clients[0].server_id}`;
  adminPages.client = `#/clients/${clients[0].id}`;
  adminPages['explain-item'] = `#/items/${packages[0].id}/usage`;
  if (webhooks.length > 0) adminPages.webhook = `#/webhooks/${webhooks[0].id}`;
}
