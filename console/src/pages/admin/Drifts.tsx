import { read, type Schema } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { href } from '../../app/location.ts';
import { useFilter } from '../../app/router.ts';
import { Select } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { UserLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Bytes, Id, Time } from '../../components/values.tsx';
import { words } from '../../format/format.ts';

const kinds = ['any', 'hour', 'uncharged', 'item', 'run', 'applied', 'node_hour', 'node_day', 'user_day'] as const;
const names = { any: 'All', ...Object.fromEntries(kinds.slice(1).map((kind) => [kind, words(kind)])) };

export function Drifts() {
  const [kind, setKind] = useFilter<(typeof kinds)[number]>('kind', 'any', kinds);
  const pages = usePages(
    read('/v1/admin/usage-drifts', { kind: kind === 'any' ? undefined : kind }),
    (answer) => answer.drifts,
  );
  return (
    <Page
      title="Usage drifts"
      description="Amounts of usage that should be equal and are not, as the hourly reconciliation found them"
      query={pages.first}
    >
      <Card
        title="Drifts"
        description="Recorded or charged bytes minus expected bytes"
        actions={<Select label="Kind" value={kind} options={kinds} names={names} onChange={setKind} />}
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Usage drifts"
          pages={pages}
          rowKey={(drift) => drift.id}
          empty={
            <Empty title={kind === 'any' ? 'Accepted, recorded and charged usage agree' : 'No drift of this kind'} />
          }
          columns={[
            { title: 'Drift', main: true, cell: (drift) => `#${drift.id}` },
            { title: 'Kind', cell: (drift) => words(drift.kind) },
            { title: 'Of', cell: (drift) => <Key drift={drift} /> },
            { title: 'User', cell: (drift) => <UserLink user={drift.user} /> },
            {
              title: 'Carried, sent',
              numeric: true,
              cell: (drift) => <Bytes value={drift.raw_upload} field="raw_upload" />,
            },
            {
              title: 'Carried, received',
              numeric: true,
              cell: (drift) => <Bytes value={drift.raw_download} field="raw_download" />,
            },
            {
              title: 'Billed, sent',
              numeric: true,
              cell: (drift) => <Bytes value={drift.billed_upload} field="billed_upload" />,
            },
            {
              title: 'Billed, received',
              numeric: true,
              cell: (drift) => <Bytes value={drift.billed_download} field="billed_download" />,
            },
            { title: 'First found', cell: (drift) => <Time value={drift.first_found_at} /> },
            { title: 'Last changed', cell: (drift) => <Time value={drift.found_at} /> },
          ]}
        />
      </Card>
    </Page>
  );
}

/** The hour, the package item or the billing run. */
function Key({ drift }: { drift: Schema<'UsageDrift'> }) {
  if (drift.bucket_start) return <Time value={drift.bucket_start} />;
  if (drift.package_queue_id)
    return <a href={href(`/items/${drift.package_queue_id}/usage`)}>Item {drift.package_queue_id}</a>;
  return <Id value={drift.billing_run_id} />;
}
