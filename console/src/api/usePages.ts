import { useEffect, useState } from 'preact/hooks';
import { useStore } from '../app/store.ts';
import { fetchRead } from './client.ts';
import type { Problem } from './problem.ts';
import type { Answer, Query, Read, ReadPath } from './types.ts';
import { changesMade, useQuery, type QueryResult } from './useQuery.ts';
import { pathOf } from './url.ts';

/**
 * Rows of the pages after the first one: who asks for more looks for something. A list that returns fewer names its
 * own limit.
 */
const NEXT = 200;

export interface Pages<Path extends ReadPath, Row> {
  first: QueryResult<Path>;
  rows: Row[];
  total: number | undefined;
  more: (() => void) | undefined;
  loadingMore: boolean;
  problem: Problem | undefined;
}

/**
 * Reads a list page by page. Only the first page is read again by itself: the pages after it would shift under the
 * reader.
 */
export function usePages<Path extends ReadPath, Row>(
  request: Read<Path>,
  rowsOf: (answer: Answer<Path>) => Row[],
  poll = 30,
): Pages<Path, Row> {
  // After a change, the pages that were added may be old.
  const key = `${pathOf(request)} ${useStore(changesMade)}`;
  const [added, setAdded] = useState<{ key: string; rows: Row[] }>({ key, rows: [] });
  const [loadingMore, setLoadingMore] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const later = added.key === key ? added.rows : [];
  const query = useQuery(request, later.length > 0 ? 0 : poll);
  const first = {
    ...query,
    reload: () => {
      setAdded({ key, rows: [] });
      query.reload();
    },
  };
  useEffect(() => setProblem(undefined), [key]);

  const answer = first.data;
  const start = answer === undefined ? [] : rowsOf(answer);
  const rows = [...start, ...later];
  const total = (answer as { total?: number } | undefined)?.total;

  const more = async () => {
    setLoadingMore(true);
    const query = { limit: NEXT, ...(request.query as object), offset: rows.length } as Query<Path>;
    const next = { ...request, query };
    const outcome = await fetchRead(next, null, new AbortController().signal);
    setLoadingMore(false);
    setProblem(outcome.kind === 'problem' ? outcome.problem : undefined);
    if (outcome.kind === 'data') setAdded({ key, rows: [...later, ...rowsOf(outcome.data)] });
  };
  const complete = total === undefined || rows.length >= total || start.length === 0;
  return { first, rows, total, more: complete ? undefined : () => void more(), loadingMore, problem };
}
