import { read } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Search } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { NodeLink, UserLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Ago, Bytes, Num, Time } from '../../components/values.tsx';

export function Parked() {
  const [user, setUser] = useFilter<string>('user', '');
  const pages = usePages(read('/v1/admin/parked-events', { user: user || undefined }), (answer) => answer.events, 15);
  return (
    <Page
      title="Parked usage"
      description="Usage that could not be charged and waits for a retry"
      query={pages.first}
      actions={
        pages.rows.length > 0 ? (
          <ActionButton
            action={{
              change: 'RetryParkedEvents',
              label: 'Retry all',
              fixed: { all: true },
              hidden: ['ids', 'user'],
              effect:
                'Makes all parked usage due, so that the next run of the billing job retries it within a minute. One call retries at most 1,000 events.',
            }}
          />
        ) : null
      }
    >
      <Card
        title="Events"
        actions={<Search label="User id (UUID)" value={user} onSearch={setUser} />}
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Parked usage"
          pages={pages}
          rowKey={(event) => event.id}
          empty={<Empty title="All usage is charged" />}
          columns={[
            { title: 'Event', main: true, cell: (event) => `#${event.id}` },
            { title: 'User', cell: (event) => <UserLink user={event.user} /> },
            { title: 'Hour', cell: (event) => <Time value={event.bucket_start} /> },
            {
              title: 'Node',
              cell: (event) => <NodeLink server={event.server_id} client={event.node_client_id} />,
            },
            {
              title: 'Billed',
              numeric: true,
              cell: (event) => <Bytes value={event.billed_upload + event.billed_download} />,
            },
            {
              title: 'Attempts',
              numeric: true,
              cell: (event) => <Num value={event.attempts} field="attempts" />,
            },
            { title: 'Next retry', cell: (event) => <Ago value={event.retry_at} /> },
            { title: 'Reason', cell: (event) => event.reason },
            {
              title: 'Changes',
              cell: (event) => (
                <ActionButton
                  action={{
                    change: 'RetryParkedEvents',
                    label: 'Retry',
                    subject: `event #${event.id}`,
                    fixed: { ids: [event.id] },
                    hidden: ['all', 'user'],
                    effect: 'Makes this usage due, so that the next run of the billing job retries it within a minute.',
                  }}
                />
              ),
            },
          ]}
        />
      </Card>
    </Page>
  );
}
