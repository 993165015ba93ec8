import type { ComponentChildren } from 'preact';
import { Empty } from './states.tsx';
import { useFit } from './useFit.ts';

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** Numbers are aligned to the right. */
  numeric?: boolean;
  /** Heads the row for screen readers, and the card that the row becomes on a phone. */
  main?: boolean;
}

interface Props<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
  empty?: ComponentChildren;
}

export function DataTable<Row>({ caption, columns, rows, rowKey, empty }: Props<Row>) {
  const { frame, fits } = useFit();
  if (rows.length === 0) return <>{empty ?? <Empty title="Nothing here yet" />}</>;
  return (
    <div ref={frame} class={fits ? 'table-frame' : 'table-frame as-cards'}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.title} scope="col" class={column.numeric ? 'numeric' : ''}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((column) => {
                const name = `${column.numeric ? 'numeric' : ''} ${column.main ? 'main' : ''}`;
                return column.main ? (
                  <th key={column.title} scope="row" class={name} data-label={column.title}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={column.title} class={name} data-label={column.title}>
                    {column.cell(row)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
