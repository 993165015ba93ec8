import type { Pages } from '../api/usePages.ts';
import type { ReadPath } from '../api/types.ts';
import { DataTable, type Column } from './DataTable.tsx';
import { ProblemNotice, Resource } from './states.tsx';
import { Num } from './values.tsx';
import type { ComponentChildren } from 'preact';

interface Props<Path extends ReadPath, Row> {
  caption: string;
  columns: Column<Row>[];
  pages: Pages<Path, Row>;
  rowKey: (row: Row) => string | number;
  empty?: ComponentChildren;
}

/** A list that grows page by page, by the reader's request. */
export function PagedTable<Path extends ReadPath, Row>({ caption, columns, pages, rowKey, empty }: Props<Path, Row>) {
  return (
    <Resource query={pages.first} lines={8}>
      {() => (
        <>
          <DataTable caption={caption} columns={columns} rows={pages.rows} rowKey={rowKey} empty={empty} />
          {pages.problem ? <ProblemNotice problem={pages.problem} retry={pages.more} /> : null}
          {pages.rows.length > 0 ? (
            <p class="pager">
              <span class="muted" role="status">
                {pages.total === undefined ? null : (
                  <>
                    Shown: <Num value={pages.rows.length} /> of <Num value={pages.total} field="total" />
                    {pages.total === 10_000 ? ' or more' : ''}
                  </>
                )}
              </span>
              {pages.more ? (
                <button type="button" onClick={pages.more} disabled={pages.loadingMore}>
                  {pages.loadingMore ? 'Loading…' : 'Load more'}
                </button>
              ) : null}
            </p>
          ) : null}
        </>
      )}
    </Resource>
  );
}
