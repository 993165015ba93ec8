import { useEffect, useRef, useState } from 'preact/hooks';
import { createStore } from '../app/store.ts';
import { fetchRead } from './client.ts';
import type { Problem } from './problem.ts';
import type { Answer, Read, ReadPath } from './types.ts';
import { pathOf } from './url.ts';

export interface QueryState<T> {
  data?: T | undefined;
  problem?: Problem | undefined;
  /** When the data was last known to be current. */
  checkedAt?: number | undefined;
  loading: boolean;
}

export interface QueryResult<Path extends ReadPath> extends QueryState<Answer<Path>> {
  request: Read<Path> | null;
  reload: () => void;
}

interface Kept {
  data: unknown;
  etag: string | null;
  checkedAt: number;
}

/** The newest answers, so that a page that was seen before is there at once. */
const kept = new Map<string, Kept>();
const MAX_KEPT = 60;

function keep(key: string, value: Kept): void {
  kept.delete(key);
  kept.set(key, value);
  const oldest = kept.keys().next().value;
  if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
}

export const forgetAnswers = () => kept.clear();

const reloads = new Set<() => void>();
/** Counts the changes that were made, after which what was read page by page may be old. */
export const changesMade = createStore(0);

/** Reads again what is on the page, after a change. */
export function reloadAll(): void {
  changesMade.set(changesMade.get() + 1);
  for (const reload of [...reloads]) reload();
}

/**
 * Reads from the API, and again every `poll` seconds while the tab is visible. A `null` request reads nothing.
 */
export function useQuery<Path extends ReadPath>(request: Read<Path> | null, poll = 30): QueryResult<Path> {
  const key = request ? pathOf(request) : '';
  const [state, setState] = useState<QueryState<Answer<Path>> & { key: string }>(() => ({ ...from<Path>(key), key }));
  const reload = useRef<() => void>(() => undefined);

  useEffect(() => {
    if (!request) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let busy = false;
    setState({ ...from<Path>(key), key });

    const run = async () => {
      clearTimeout(timer);
      if (busy) return;
      busy = true;
      let wait = poll;
      try {
        const known = kept.get(key);
        const outcome = await fetchRead(request, known?.etag ?? null, abort.signal);
        if (abort.signal.aborted) return;
        if (outcome.kind === 'problem') {
          wait = Math.max(poll, outcome.problem.retryAfter ?? 0);
          setState((before) => ({ ...before, problem: outcome.problem, loading: false }));
        } else {
          const data = outcome.kind === 'data' ? outcome : known;
          if (data) keep(key, { data: data.data, etag: data.etag, checkedAt: Date.now() });
          setState({ ...from<Path>(key), key });
        }
      } catch {
        return;
      } finally {
        busy = false;
      }
      if (poll > 0 && !document.hidden) timer = setTimeout(run, wait * 1000);
    };
    const visible = () => {
      clearTimeout(timer);
      if (!document.hidden && poll > 0) void run();
    };
    const again = () => void run();
    reload.current = again;
    reloads.add(again);
    void run();
    document.addEventListener('visibilitychange', visible);
    window.addEventListener('online', again);
    return () => {
      abort.abort();
      clearTimeout(timer);
      reloads.delete(again);
      document.removeEventListener('visibilitychange', visible);
      window.removeEventListener('online', again);
    };
    // The key has all of the request.
  }, [key, poll]);

  const shown = state.key === key ? state : { ...from<Path>(key), key };
  return { ...shown, request, reload: () => reload.current() };
}

function from<Path extends ReadPath>(key: string): QueryState<Answer<Path>> {
  const known = kept.get(key);
  return known
    ? { data: known.data as Answer<Path>, checkedAt: known.checkedAt, loading: false }
    : { loading: key !== '' };
}
