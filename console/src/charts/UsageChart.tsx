import { DataTable } from '../components/DataTable.tsx';
import { Empty } from '../components/states.tsx';
import { Bytes, Time } from '../components/values.tsx';
import * as format from '../format/format.ts';
import { Chart } from './Chart.tsx';
import { billedOf, rawOf, sumOf, type UsageRow } from './usage.ts';

/** The one explanation of the two amounts. */
export function RawAndBilled() {
  return (
    <details class="explain">
      <summary>What are carried and billed traffic?</summary>
      <p>
        <strong>Carried</strong> traffic is the bytes that really went through the nodes. <strong>Billed</strong>{' '}
        traffic is what counts against a package: the carried bytes times the factor of the node. At a factor of ×2, 1
        GB carried is 2 GB billed. At ×0, nothing is billed. Traffic appears here once it is billed, usually within two
        minutes.
      </p>
    </details>
  );
}

export function UsageChart({ rows, interval, what }: { rows: UsageRow[]; interval: 'hour' | 'day'; what: string }) {
  const sum = sumOf(rows);
  const greatest = rows.reduce<UsageRow | undefined>(
    (best, row) => (best && billedOf(best) >= billedOf(row) ? best : row),
    undefined,
  );
  if (rows.length === 0 || rawOf(sum) + billedOf(sum) === 0) {
    return (
      <Empty title="No traffic in this range">Traffic appears here within two minutes after it was carried.</Empty>
    );
  }
  const style = interval === 'day' ? 'day' : rows.length > 24 ? 'weekday' : 'hour';
  const label = (row: UsageRow) => format.time(row.start, style);
  const summary =
    `${what}, by ${interval}: ${format.bytes(billedOf(sum))} billed and ${format.bytes(rawOf(sum))} carried.` +
    (greatest ? ` The most was billed on ${format.time(greatest.start)}: ${format.bytes(billedOf(greatest))}.` : '');
  return (
    <Chart
      kind="bars"
      named
      summary={summary}
      labels={rows.map(label)}
      format={(value) => format.bytes(value)}
      series={[
        { name: 'Carried', colour: '--series-raw', values: rows.map(rawOf) },
        { name: 'Billed', colour: '--series-billed', values: rows.map(billedOf) },
      ]}
      table={<UsageTable rows={rows} caption={what} />}
    />
  );
}

export function UsageTable({ rows, caption }: { rows: UsageRow[]; caption: string }) {
  return (
    <DataTable
      caption={caption}
      rows={rows}
      rowKey={(row) => row.start}
      columns={[
        { title: 'From', main: true, cell: (row) => <Time value={row.start} /> },
        {
          title: 'Carried up',
          numeric: true,
          cell: (row) => <Bytes value={row.raw_upload} field="raw_upload" />,
        },
        {
          title: 'Carried down',
          numeric: true,
          cell: (row) => <Bytes value={row.raw_download} field="raw_download" />,
        },
        {
          title: 'Billed up',
          numeric: true,
          cell: (row) => <Bytes value={row.billed_upload} field="billed_upload" />,
        },
        {
          title: 'Billed down',
          numeric: true,
          cell: (row) => <Bytes value={row.billed_download} field="billed_download" />,
        },
      ]}
    />
  );
}

/** The totals of a range, in the colours of the chart. */
export function UsageTotals({
  sum,
}: {
  sum: Omit<UsageRow, 'start' | 'end'> & { corrected_upload?: number; corrected_download?: number };
}) {
  const corrected = (sum.corrected_upload ?? 0) + (sum.corrected_download ?? 0);
  return (
    <dl class="totals">
      <div data-series="billed">
        <dt>Billed</dt>
        <dd>
          <Bytes value={billedOf(sum)} field="billed" />
        </dd>
      </div>
      <div data-series="raw">
        <dt>Carried</dt>
        <dd>
          <Bytes value={rawOf(sum)} field="raw" />
        </dd>
      </div>
      {corrected === 0 ? null : (
        <div>
          <dt>Of it corrected</dt>
          <dd>
            <Bytes value={corrected} field="corrected" />
          </dd>
        </div>
      )}
    </dl>
  );
}
