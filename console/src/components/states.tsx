// What a page shows while it has no data, old data, or none at all.
import type { ComponentChildren } from 'preact';
import type { Problem } from '../api/problem.ts';
import type { QueryState } from '../api/useQuery.ts';
import { Ago } from './values.tsx';

export function Skeleton({ lines = 4 }: { lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children ? <p class="muted">{children}</p> : null}
    </div>
  );
}

export function ProblemNotice({ problem, retry }: { problem: Problem; retry?: (() => void) | undefined }) {
  return (
    <div class="notice bad" role="alert" data-code={problem.code}>
      <p class="notice-title">{problem.title}</p>
      {problem.detail ? (
        <p>
          {problem.field ? <code>{problem.field}</code> : null} {problem.detail}
        </p>
      ) : null}
      <p>{problem.advice}</p>
      <p class="notice-foot">
        <code>{problem.code}</code>
        {retry ? (
          <button type="button" class="quiet" onClick={retry}>
            Try again
          </button>
        ) : null}
      </p>
    </div>
  );
}

export function StaleNotice({
  problem,
  checkedAt,
  retry,
}: {
  problem: Problem;
  checkedAt: number | undefined;
  retry: () => void;
}) {
  return (
    <div class="notice warn" role="status" data-code={problem.code}>
      <p>
        <strong>{problem.title}.</strong> What you see was read <Ago value={checkedAt} />. {problem.advice}{' '}
        <code>{problem.code}</code>{' '}
        <button type="button" class="quiet" onClick={retry}>
          Try again
        </button>
      </p>
    </div>
  );
}

interface ResourceProps<T> {
  query: QueryState<T> & { reload: () => void };
  lines?: number;
  children: (data: T) => ComponentChildren;
}

/** Shows the data of a query, or the state in which the query is. */
export function Resource<T>({ query, lines, children }: ResourceProps<T>) {
  const { data, problem, checkedAt, reload } = query;
  if (data === undefined) {
    return problem ? <ProblemNotice problem={problem} retry={reload} /> : <Skeleton lines={lines ?? 4} />;
  }
  return (
    <>
      {problem ? <StaleNotice problem={problem} checkedAt={checkedAt} retry={reload} /> : null}
      {children(data)}
    </>
  );
}
