// Draws with uPlot. This file and the library are loaded when the first chart is shown.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface PlotSeries {
  name: string;
  /** Name of the custom property with its colour. */
  colour: string;
  values: (number | null)[];
  dashed?: boolean;
}

export interface PlotOptions {
  kind: 'bars' | 'lines';
  labels: string[];
  series: PlotSeries[];
  format: (value: number) => string;
  onPoint: (index: number | null) => void;
}

const HEIGHT = 240;

/** The colour of a custom property in the present theme. A canvas cannot read the property itself. */
function colourOf(element: HTMLElement, name: string): string {
  element.style.color = `var(${name})`;
  const colour = getComputedStyle(element).color;
  element.style.color = '';
  return colour;
}

/** As many labels as there is room for. */
function visibleLabels(labels: string[], width: number): number[] {
  const widest = Math.max(1, ...labels.map((label) => label.length)) * 7 + 18;
  const every = Math.max(1, Math.ceil((labels.length * widest) / Math.max(width, 1)));
  return labels.map((_, index) => index).filter((index) => index % every === 0);
}

export function plot(element: HTMLElement, options: PlotOptions): () => void {
  const { labels, series, kind } = options;
  const text = colourOf(element, '--text-muted');
  const grid = colourOf(element, '--line');
  const bars = series.length;
  const axis: Partial<uPlot.Axis> = { stroke: text, font: '12px system-ui, sans-serif', ticks: { show: false } };

  const chart = new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [12, 28, 0, 0],
      legend: { show: false },
      scales: {
        // One place for each bucket, so that days of 23 and 25 hours are as wide as the others.
        x: { time: false, range: [-0.6, Math.max(labels.length, 1) - 0.4] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 30,
          splits: (self) => visibleLabels(labels, self.width - 80),
          values: (_, splits) => splits.map((index) => labels[index] ?? ''),
        },
        {
          ...axis,
          grid: { stroke: grid, width: 1 },
          size: 78,
          space: 44,
          values: (_, splits) => splits.map((value) => (value === 0 ? '0' : options.format(value))),
        },
      ],
      cursor: { y: false, points: { show: kind === 'lines' }, drag: { x: false, y: false } },
      series: [
        {},
        ...series.map((one, index): uPlot.Series => {
          const colour = colourOf(element, one.colour);
          const base = { label: one.name, stroke: colour, points: { show: false } };
          return kind === 'bars'
            ? { ...base, fill: colour, width: 0, paths: grouped(index, bars) }
            : { ...base, width: 2, ...(one.dashed ? { dash: [4, 4] } : {}) };
        }),
      ],
      hooks: { setCursor: [(self) => options.onPoint(self.cursor.idx ?? null)] },
    },
    [labels.map((_, index) => index), ...series.map((one) => one.values)] as uPlot.AlignedData,
    element,
  );

  const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
  observer.observe(element);
  return () => {
    observer.disconnect();
    chart.destroy();
  };
}

/** Bars of several series beside each other. */
function grouped(index: number, count: number): uPlot.Series.PathBuilder {
  const width = 0.76 / count;
  const build = uPlot.paths.bars?.({
    radius: 0.15,
    disp: {
      x0: { unit: 1, values: (self) => (self.data[0] as number[]).map((x) => x - 0.38 + index * width) },
      size: { unit: 1, values: (self) => (self.data[0] as number[]).map(() => width * 0.92) },
    },
  });
  if (!build) throw new Error('uPlot has no bars');
  return build;
}
