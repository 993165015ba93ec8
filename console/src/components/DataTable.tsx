import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
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

/** Rows that appear and disappear together in a long table. */
const BLOCK = 100;

export function DataTable<Row>({ caption, columns, rows, rowKey, empty }: Props<Row>) {
  const { frame, fits } = useFit();
  if (rows.length === 0) return <>{empty ?? <Empty title="Nothing here yet" />}</>;
  const long = rows.length > BLOCK;
  const blocks = Array.from({ length: Math.ceil(rows.length / BLOCK) }, (_, index) => index * BLOCK);
  const line = (row: Row, index: number) => (
    <tr key={rowKey(row)} aria-rowindex={long ? index + 2 : undefined}>
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
  );
  const lines = (start: number) => rows.slice(start, start + BLOCK).map((row, index) => line(row, start + index));
  return (
    <div ref={frame} class={fits ? 'table-frame' : 'table-frame as-cards'}>
      <table aria-rowcount={long ? rows.length + 1 : undefined}>
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
        {long ? (
          blocks.map((start) => (
            <Block key={start} columns={columns.length}>
              {() => lines(start)}
            </Block>
          ))
        ) : (
          <tbody>{lines(0)}</tbody>
        )}
      </table>
    </div>
  );
}

/** Rows that are in the page while they are on the screen or near it. Browsers take seconds for thousands of rows. */
function Block({ columns, children }: { columns: number; children: () => ComponentChildren }) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [height, setHeight] = useState<number>();
  useEffect(() => {
    const element = body.current;
    if (!element) return undefined;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry) return;
        const near = entry.isIntersecting || element.contains(document.activeElement);
        setHeight(near ? undefined : entry.boundingClientRect.height);
      },
      { rootMargin: '1500px 0px' },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return (
    <tbody ref={body}>
      {height === undefined ? (
        children()
      ) : (
        <tr class="left-out" aria-hidden="true">
          <td colSpan={columns} style={{ height: `${height}px` }} />
        </tr>
      )}
    </tbody>
  );
}
