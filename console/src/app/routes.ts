import type { ComponentType } from 'preact';
import { Nodes } from '../pages/user/Nodes.tsx';
import { Packages } from '../pages/user/Packages.tsx';
import { Usage } from '../pages/user/Usage.tsx';
import { lazy } from './lazy.tsx';
import { match } from './location.ts';

export type PageComponent = ComponentType<{ parameters: Record<string, string> }>;

export interface Route {
  pattern: string;
  page: PageComponent;
  /** Name in the navigation, if the page is in it. */
  name?: string;
  admin?: boolean;
  /** Heading above the page in the navigation. */
  group?: string;
}

const admin = (name: keyof typeof import('../pages/admin/index.ts')) =>
  lazy<{ parameters: Record<string, string> }>(() =>
    import('../pages/admin/index.ts').then((pages) => ({ default: pages[name] })),
  );

/** All pages. Those of administrators are loaded when they are opened. */
export const routes: Route[] = [
  { pattern: '/', page: Usage, name: 'Usage' },
  { pattern: '/nodes', page: Nodes, name: 'Nodes' },
  { pattern: '/packages', page: Packages, name: 'Packages' },
  { pattern: '/overview', admin: true, name: 'Overview', group: 'Fleet', page: admin('Overview') },
  { pattern: '/traffic', admin: true, name: 'Traffic', group: 'Fleet', page: admin('Traffic') },
  { pattern: '/servers', admin: true, name: 'Servers', group: 'Fleet', page: admin('Servers') },
  { pattern: '/servers/:id', admin: true, page: admin('Server') },
  { pattern: '/clients', admin: true, name: 'Clients', group: 'Fleet', page: admin('Clients') },
  { pattern: '/clients/:id', admin: true, page: admin('Client') },
  { pattern: '/access', admin: true, name: 'Node access', group: 'Fleet', page: admin('Access') },
  { pattern: '/users', admin: true, name: 'Users', group: 'Customers', page: admin('Users') },
  { pattern: '/users/:id', admin: true, page: admin('User') },
  { pattern: '/users/:id/hours/:hour', admin: true, page: admin('ExplainHour') },
  { pattern: '/queue', admin: true, name: 'Package queue', group: 'Customers', page: admin('Queue') },
  { pattern: '/items/:id/usage', admin: true, page: admin('ExplainItem') },
  { pattern: '/catalog', admin: true, name: 'Catalog', group: 'Customers', page: admin('Catalog') },
  { pattern: '/operation', admin: true, name: 'Jobs and queues', group: 'Operation', page: admin('Operation') },
  { pattern: '/doubts', admin: true, name: 'Doubtful pushes', group: 'Operation', page: admin('Doubts') },
  { pattern: '/parked', admin: true, name: 'Parked usage', group: 'Operation', page: admin('Parked') },
  { pattern: '/quarantine', admin: true, name: 'Quarantine', group: 'Operation', page: admin('Quarantine') },
  { pattern: '/drifts', admin: true, name: 'Usage drifts', group: 'Operation', page: admin('Drifts') },
  { pattern: '/webhooks', admin: true, name: 'Webhooks', group: 'Operation', page: admin('Webhooks') },
  { pattern: '/webhooks/:id', admin: true, page: admin('Webhook') },
  { pattern: '/audit', admin: true, name: 'Audit log', group: 'Operation', page: admin('Audit') },
];

export function find(path: string): { route: Route; parameters: Record<string, string> } | null {
  for (const route of routes) {
    const parameters = match(route.pattern, path);
    if (parameters) return { route, parameters };
  }
  return null;
}
