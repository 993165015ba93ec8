// Pages are in the fragment, because the console is served as files below a prefix that it does not know. Routers for
// the fragment do not keep filters in it.
import { useCallback } from 'preact/hooks';
import { createStore, useStore } from './store.ts';
import { href, parseHash } from './location.ts';

const current = createStore(parseHash(window.location.hash));
let left = 0;

window.addEventListener('hashchange', () => {
  const next = parseHash(window.location.hash);
  if (next.path !== current.get().path) left += 1;
  current.set(next);
});

/** Whether the reader came to this page from another one of the console. */
export const cameFromPage = () => left > 0;

export const useLocation = () => useStore(current);

export function navigate(path: string, query: Record<string, string | undefined> = {}): void {
  window.location.hash = href(path, query);
}

/** A filter in the address, so that a link to the page keeps it. */
export function useFilter<T extends string>(
  name: string,
  initial: T,
  accepted?: readonly T[],
): [T, (value: T) => void] {
  const location = useLocation();
  const given = location.query[name] as T | undefined;
  const value = given !== undefined && (!accepted || accepted.includes(given)) ? given : initial;
  const set = useCallback(
    (next: T) => {
      const now = current.get();
      const query = { ...now.query, [name]: next === initial ? undefined : next };
      window.history.replaceState(window.history.state, '', href(now.path, query));
      current.set(parseHash(window.location.hash));
    },
    [name, initial],
  );
  return [value, set];
}
