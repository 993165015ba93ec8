import { read, type Schema } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { DataTable } from '../../components/DataTable.tsx';
import { usageColumns } from '../../components/explained.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { NodeLink, UserLink } from '../../components/links.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, ProblemNotice, Resource } from '../../components/states.tsx';
import { Bytes, Id, Num, Status, Time } from '../../components/values.tsx';
import * as format from '../../format/format.ts';

type Explanation = Schema<'UsageExplanation'>;

export function ExplainHour({ parameters }: { parameters: Record<string, string> }) {
  const user = parameters['id'] ?? '';
  const hour = parameters['hour'] ?? '';
  const pages = usePages(read('/v1/admin/usage-explanation', { user, hour, limit: 100 }), (answer) => answer.parts, 0);
  return (
    <Page
      title="How this hour was billed"
      description={
        <>
          User <UserLink user={user} /> · the hour from <Time value={hour} />
        </>
      }
      query={pages.first}
    >
      <Resource query={pages.first} lines={12}>
        {(data) => (
          <>
            <Equation explanation={data} />
            <Card
              title="What the histories show"
              description="One row for each client and package"
              footer={<Source request={pages.first.request} />}
            >
              <DataTable
                caption="Hourly usage"
                rows={data.usage}
                rowKey={(row) => `${row.server_id}-${row.node_client_id}-${row.package_queue_id}`}
                columns={usageColumns(user, false)}
                empty={<Empty title="Nothing was used in this hour" />}
              />
            </Card>
            <h2>How it was billed</h2>
            {pages.rows.length === 0 ? (
              <Card>
                <Empty title="No reports are kept for this hour">Reports are kept for 45 days by default.</Empty>
              </Card>
            ) : (
              pages.rows.map((part, index) => <Part key={index} number={index + 1} part={part} />)
            )}
            {pages.problem ? <ProblemNotice problem={pages.problem} /> : null}
            {pages.more ? (
              <p>
                <button type="button" onClick={pages.more}>
                  Load more
                </button>
              </p>
            ) : null}
            <Corrections explanation={data} />
          </>
        )}
      </Resource>
    </Page>
  );
}

const all = (sum: Schema<'TrafficSum'>) => sum.billed_upload + sum.billed_download;

/** The sum and its parts, as an equation that can be checked. */
function Equation({ explanation: { sum, billed, parked, corrections, unexplained } }: { explanation: Explanation }) {
  const corrected = corrections.reduce((total, one) => total + one.billed_upload + one.billed_download, 0);
  const terms: [string, string, number][] = [
    ['', 'Billed by runs', all(billed)],
    ['−', 'Waiting to be charged', all(parked)],
    [corrected < 0 ? '' : '+', 'Corrections', corrected],
    [all(unexplained) < 0 ? '' : '+', 'Unexplained', all(unexplained)],
    ['=', 'Shown in histories', all(sum)],
  ];
  return (
    <Card>
      <dl class="equation">
        {terms.map(([sign, name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {sign} <Bytes value={value} />
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

interface PartProps {
  number: number;
  part: Schema<'BilledPart'>;
}

function Part({ number, part }: PartProps) {
  return (
    <Card
      title={`Part ${number}: ${part.billing_run_id ? 'billing run' : 'not billed yet'}`}
      description={
        <>
          {part.billing_run_id ? <Id value={part.billing_run_id} /> : <Status value="pending" />} ·{' '}
          <NodeLink server={part.server_id} client={part.node_client_id} name={part.node_client_name} />
        </>
      }
    >
      <p class="spaced-below">
        <Num value={part.line_count} field="line_count" /> reported lines, each multiplied by its factor: exactly{' '}
        <code>{part.exact_upload}</code> bytes up and <code>{part.exact_download}</code> down. Rounded once to{' '}
        <Bytes value={part.billed_upload} field="billed_upload" /> up and{' '}
        <Bytes value={part.billed_download} field="billed_download" /> down.
      </p>
      <DataTable
        caption="Reported lines"
        rows={part.lines}
        rowKey={(line) => `${line.report_id}-${line.period_start}-${line.upload}-${line.download}`}
        columns={[
          { title: 'Report', main: true, cell: (line) => <Id value={line.report_id} /> },
          { title: 'Received', cell: (line) => <Time value={line.received_at} style="second" /> },
          { title: 'Period ends', cell: (line) => <Time value={line.period_end} style="second" /> },
          {
            title: 'Carried up',
            numeric: true,
            cell: (line) => <Bytes value={line.upload} field="upload" />,
          },
          {
            title: 'Carried down',
            numeric: true,
            cell: (line) => <Bytes value={line.download} field="download" />,
          },
          {
            title: 'Factor',
            numeric: true,
            cell: (line) => <data value={String(line.factor)}>{format.factor(line.factor)}</data>,
          },
        ]}
      />
      {part.line_count > part.lines.length ? (
        <p class="muted spaced">The first {part.lines.length} lines are shown.</p>
      ) : null}
    </Card>
  );
}

function Corrections({ explanation: { corrections } }: { explanation: Explanation }) {
  return (
    <Card title="Corrections">
      <DataTable
        caption="Corrections of this hour"
        rows={corrections}
        rowKey={(one) => one.id}
        empty={<Empty title="This hour was not corrected" />}
        columns={[
          { title: 'Correction', main: true, cell: (one) => `#${one.id}` },
          {
            title: 'Up',
            numeric: true,
            cell: (one) => <Bytes value={one.billed_upload} field="billed_upload" />,
          },
          {
            title: 'Down',
            numeric: true,
            cell: (one) => <Bytes value={one.billed_download} field="billed_download" />,
          },
          { title: 'Reason', cell: (one) => one.reason },
          { title: 'By', cell: (one) => <Id value={one.actor} /> },
          { title: 'At', cell: (one) => <Time value={one.corrected_at} /> },
        ]}
      />
    </Card>
  );
}
