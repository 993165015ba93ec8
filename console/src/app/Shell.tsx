import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { mayRead, type Claims } from '../auth/token.ts';
import { signOut } from '../auth/session.ts';
import { Id } from '../components/values.tsx';
import * as format from '../format/format.ts';
import { href } from './location.ts';
import { routes, type Route } from './routes.ts';
import { ThemeSwitch } from './ThemeSwitch.tsx';

export function Shell({ claims, path, children }: { claims: Claims; path: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  useLayoutEffect(() => setOpen(false), [path]);
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to content
      </button>
      <header class="topbar">
        <a class="brand" href={href('/')}>
          <BrandMark /> Telecom
        </a>
        <button type="button" class="menu" aria-expanded={open} aria-controls="sidebar" onClick={() => setOpen(!open)}>
          Menu
        </button>
      </header>
      <aside id="sidebar" class={open ? 'sidebar is-open' : 'sidebar'}>
        <a class="brand" href={href('/')}>
          <BrandMark /> Telecom
        </a>
        <nav aria-label="Pages">
          {groupsOf(claims).map(([group, entries]) => (
            <div key={group} class="nav-group">
              {group ? <h2>{group}</h2> : null}
              <ul>
                {entries.map((route) => (
                  <li key={route.pattern}>
                    <a href={href(route.pattern)} aria-current={isCurrent(route, path) ? 'page' : undefined}>
                      {route.name}
                    </a>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </nav>
        <footer class="sidebar-foot">
          <p class="muted">
            Signed in as <Id value={claims.user} />
          </p>
          <p class="muted">Times in {format.viewer().timeZone}</p>
          <ThemeSwitch />
          <button type="button" onClick={() => void signOut()}>
            Sign out
          </button>
        </footer>
      </aside>
      <main id="main" tabIndex={-1}>
        <Offline />
        {children}
      </main>
    </div>
  );
}

function groupsOf(claims: Claims): [string, Route[]][] {
  const admin = mayRead(claims);
  const groups = new Map<string, Route[]>();
  for (const route of routes) {
    if (!route.name || (route.admin && !admin)) continue;
    const group = route.group ?? (admin ? 'My account' : '');
    groups.set(group, [...(groups.get(group) ?? []), route]);
  }
  // Administrators come for the fleet; their own usage is last.
  const sorted = [...groups];
  return admin ? [...sorted.slice(1), ...sorted.slice(0, 1)] : sorted;
}

const isCurrent = (route: Route, path: string) =>
  route.pattern === '/' ? path === '/' : path === route.pattern || path.startsWith(`${route.pattern}/`);

function Offline() {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const changed = () => setOnline(navigator.onLine);
    window.addEventListener('online', changed);
    window.addEventListener('offline', changed);
    return () => {
      window.removeEventListener('online', changed);
      window.removeEventListener('offline', changed);
    };
  }, []);
  return online ? null : (
    <div class="notice warn offline" role="status">
      <p>
        <strong>You are offline.</strong> The page shows what it has read and continues when the connection is back.
      </p>
    </div>
  );
}

export function BrandMark() {
  return (
    <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <rect class="mark" x="8" y="17" width="4" height="7" rx="1.5" />
      <rect class="mark" x="14" y="12" width="4" height="12" rx="1.5" />
      <rect class="mark" x="20" y="8" width="4" height="16" rx="1.5" />
    </svg>
  );
}
