import { read, type Schema } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Choice, Select } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { ServerLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Bytes, Num, Time } from '../../components/values.tsx';
import { words } from '../../format/format.ts';

const states = ['waiting', 'released', 'any'] as const;
const reasons = ['any', 'implausible_bytes', 'unknown_node_client'] as const;

export function Quarantine() {
  const [state, setState] = useFilter<(typeof states)[number]>('state', 'waiting', states);
  const [reason, setReason] = useFilter<(typeof reasons)[number]>('reason', 'any', reasons);
  const pages = usePages(
    read('/v1/admin/quarantined-reports', {
      state: state === 'any' ? undefined : state,
      reason: reason === 'any' ? undefined : reason,
      limit: 100,
    }),
    (answer) => answer.reports,
  );
  return (
    <Page
      title="Quarantine"
      description="Reports with usage that was accepted, and is not billed until it is released"
      query={pages.first}
    >
      <Card
        title="Reports"
        actions={
          <>
            <Select
              label="Reason"
              value={reason}
              options={reasons}
              names={{ any: 'All', implausible_bytes: 'Implausible bytes', unknown_node_client: 'Unknown node client' }}
              onChange={setReason}
            />
            <Choice
              label="State"
              value={state}
              options={states}
              names={{ waiting: 'Waiting', released: 'Released', any: 'All' }}
              onChange={setState}
            />
          </>
        }
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Reports in quarantine"
          pages={pages}
          rowKey={(report) => report.id}
          empty={<Empty title={state === 'waiting' ? 'Nothing waits for a release' : 'No report matches'} />}
          columns={[
            { title: 'Report', main: true, cell: (report) => `#${report.id}` },
            { title: 'Reason', cell: (report) => words(report.reason) },
            { title: 'Server', cell: (report) => <ServerLink id={report.server_id} /> },
            { title: 'Sender', cell: (report) => report.sender_id ?? '–' },
            { title: 'Period ends', cell: (report) => <Time value={report.period_end} /> },
            { title: 'Arrived', cell: (report) => <Time value={report.received_at} /> },
            { title: 'Lines', numeric: true, cell: (report) => <Num value={report.lines} field="lines" /> },
            { title: 'Sent', numeric: true, cell: (report) => <Bytes value={report.upload} field="upload" /> },
            { title: 'Received', numeric: true, cell: (report) => <Bytes value={report.download} field="download" /> },
            { title: 'Release', cell: (report) => <Release report={report} /> },
          ]}
        />
      </Card>
    </Page>
  );
}

/** When and why a report was released, or the button that releases it. */
function Release({ report }: { report: Schema<'QuarantinedReport'> }) {
  if (report.released_at)
    return (
      <>
        <Time value={report.released_at} /> {report.release_reason}
      </>
    );
  const unknown = report.lines_without_factor;
  return (
    <ActionButton
      action={{
        change: 'ReleaseQuarantinedReport',
        label: 'Release',
        subject: `report #${report.id}`,
        id: report.id,
        hidden: unknown > 0 ? [] : ['factor'],
        effect:
          unknown > 0
            ? `Bills all quarantined lines to the packages that are active now. ${unknown} of them are of clients that the server did not have, and need a factor. A release is final.`
            : 'Bills all quarantined lines to the packages that are active now, at the factors of their arrival. A release is final.',
      }}
    />
  );
}
