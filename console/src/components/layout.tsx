import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { QueryState } from '../api/useQuery.ts';
import { cameFromPage } from '../app/router.ts';
import { Ago } from './values.tsx';

interface PageProps {
  title: string;
  description?: ComponentChildren;
  actions?: ComponentChildren;
  /** The query whose age the header shows. */
  query?: QueryState<unknown> & { reload: () => void };
  children: ComponentChildren;
}

export function Page({ title, description, actions, query, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Telecom`;
  }, [title]);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // A screen reader continues at the new page, not at the link that led to it.
    if (!cameFromPage()) return;
    heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, []);
  return (
    <>
      <header class="page-header">
        <div>
          <h1 id="page-title" ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {description ? <p class="muted">{description}</p> : null}
        </div>
        <div class="page-actions">
          {query ? <Freshness query={query} /> : null}
          {actions}
        </div>
      </header>
      {children}
    </>
  );
}

function Freshness({ query }: { query: QueryState<unknown> & { reload: () => void } }) {
  const failed = query.problem !== undefined;
  return (
    <span class={`freshness ${failed ? 'is-stale' : ''}`}>
      {query.checkedAt ? (
        <span>
          {failed ? 'Last updated' : 'Updated'} <Ago value={query.checkedAt} />
        </span>
      ) : null}
      <button type="button" class="quiet" onClick={query.reload}>
        Refresh
      </button>
    </span>
  );
}

interface CardProps {
  title?: string;
  description?: ComponentChildren;
  actions?: ComponentChildren;
  footer?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}

export function Card({ title, description, actions, footer, class: name = '', children }: CardProps) {
  const id = useId();
  return (
    <section class={`card ${name}`} aria-labelledby={title ? id : undefined}>
      {title ? (
        <header class="card-header">
          <div>
            <h2 id={id}>{title}</h2>
            {description ? <p class="muted">{description}</p> : null}
          </div>
          {actions ? <div class="card-actions">{actions}</div> : null}
        </header>
      ) : null}
      <div class="card-body">{children}</div>
      {footer ? <footer class="card-footer">{footer}</footer> : null}
    </section>
  );
}

export function Tile({
  label,
  children,
  note,
  tone = '',
}: {
  label: string;
  children: ComponentChildren;
  note?: ComponentChildren;
  tone?: string;
}) {
  return (
    <div class={`tile ${tone}`}>
      <dt>{label}</dt>
      <dd>
        <span class="tile-value">{children}</span>
        {note ? <span class="tile-note">{note}</span> : null}
      </dd>
    </div>
  );
}

export const Tiles = ({ children }: { children: ComponentChildren }) => <dl class="tiles">{children}</dl>;

export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
