// Pages are in the fragment, because the console is served as files below a prefix that it does not know. Routers for
// the fragment do not keep filters in it.
import { useCallback } from 'preact/hooks';
import { createStore, useStore } from './store.ts';
import { href, parseHash } from './location.ts';

const current = createStore(parseHash(window.location.hash));
window.addEventListener('hashchange', () => current.set(parseHash(window.location.hash)));

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
