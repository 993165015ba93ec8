import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { useStore } from '../app/store.ts';
import { theme } from '../app/theme.ts';
import type { PlotSeries } from './plot.ts';

interface Props {
  /** What the chart shows, in a sentence: it stands for the picture. */
  summary: string;
  kind: 'bars' | 'lines';
  labels: string[];
  series: PlotSeries[];
  format: (value: number) => string;
  /** Whether something else on the page names the series, with their colours. */
  named?: boolean;
  /** The same numbers as a table. */
  table: ComponentChildren;
}

export function Chart({ summary, kind, labels, series, format, table, named = false }: Props) {
  const [point, setPoint] = useState<number | null>(null);
  const [open, setOpen] = useState(false);
  const element = useRef<HTMLDivElement>(null);
  const id = useId();
  const scheme = useScheme();
  const signature = JSON.stringify([kind, labels, series, scheme]);

  useEffect(() => {
    let stop: (() => void) | undefined;
    let left = false;
    void import('./plot.ts').then(({ plot }) => {
      if (!left && element.current) stop = plot(element.current, { kind, labels, series, format, onPoint: setPoint });
    });
    return () => {
      left = true;
      stop?.();
    };
    // The signature has all that is drawn.
  }, [signature]);

  return (
    <figure class="chart">
      <Legend series={named && point === null ? [] : series} labels={labels} point={point} format={format} />
      <div class="plot" ref={element} role="img" aria-label={summary} aria-describedby={id} />
      <details id={id} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Show as a table</summary>
        {open ? table : null}
      </details>
    </figure>
  );
}

/** Names the series, and shows the values under the pointer. */
function Legend({
  series,
  labels,
  point,
  format,
}: {
  series: PlotSeries[];
  labels: string[];
  point: number | null;
  format: Props['format'];
}) {
  return (
    <div class="legend" aria-hidden="true">
      {series.map((one) => {
        const value = point === null ? null : one.values[point];
        return (
          <span key={one.name} class="legend-item">
            <i class={`swatch ${one.dashed ? 'dashed' : ''}`} data-colour={one.colour.replace('--', '')} />
            {one.name}
            {value === null || value === undefined ? null : <strong>{format(value)}</strong>}
          </span>
        );
      })}
      <span class="legend-point">{point === null ? '' : labels[point]}</span>
    </div>
  );
}

/** Changes when the colours do. */
function useScheme(): string {
  const chosen = useStore(theme);
  const [dark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const media = matchMedia('(prefers-color-scheme: dark)');
    const changed = () => setDark(media.matches);
    media.addEventListener('change', changed);
    return () => media.removeEventListener('change', changed);
  }, []);
  return `${chosen} ${dark}`;
}
