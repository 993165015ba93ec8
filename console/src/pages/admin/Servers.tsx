import { usePages } from '../../api/usePages.ts';
import { read } from '../../api/types.ts';
import { href } from '../../app/location.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Check, Choice, useSwitch } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { ServerLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Ago, Num, Status } from '../../components/values.tsx';

const statuses = ['any', 'online', 'offline', 'maintenance'] as const;

export function Servers() {
  const [status, setStatus] = useFilter<(typeof statuses)[number]>('status', 'any', statuses);
  const [archived, setArchived] = useSwitch('archived');
  const request = read('/v1/admin/node-servers', {
    status: status === 'any' ? undefined : status,
    include_archived: archived || undefined,
  });
  const pages = usePages(request, (answer) => answer.servers, 15);
  return (
    <Page
      title="Servers"
      description="The machines that carry the traffic"
      query={pages.first}
      actions={
        <ActionButton
          primary
          action={{
            change: 'CreateNodeServer',
            label: 'Add server',
            effect: 'Adds a node server. It is offline until it reports.',
          }}
        />
      }
    >
      <Card
        title="All servers"
        actions={
          <div class="filters">
            <Check label="Archived, too" checked={archived} onChange={setArchived} />
            <Choice
              label="Status"
              value={status}
              options={statuses}
              names={{ any: 'All', online: 'Online', offline: 'Offline', maintenance: 'Maintenance' }}
              onChange={setStatus}
            />
          </div>
        }
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Node servers"
          pages={pages}
          rowKey={(server) => server.id}
          empty={
            status === 'any' ? (
              <Empty title="No servers yet">Add the first server, then issue an access for its software.</Empty>
            ) : (
              <Empty title="No server has this status" />
            )
          }
          columns={[
            {
              title: 'Server',
              main: true,
              cell: (server) => (
                <>
                  <ServerLink id={server.id} name={server.name} /> <span class="muted">#{server.id}</span>
                </>
              ),
            },
            {
              title: 'Status',
              cell: (server) => (server.archived_at ? <Status value="archived" /> : <Status value={server.status} />),
            },
            { title: 'Last seen', cell: (server) => <Ago value={server.last_online_at} absent="never" /> },
            {
              title: 'Last traffic',
              cell: (server) => <Ago value={server.last_traffic_at} absent="never" />,
            },
            {
              title: 'Software',
              cell: (server) => (server.compatibility === 'ssp' ? 'SSPanel' : 'UniProxy'),
            },
            {
              title: 'Clients',
              numeric: true,
              cell: (server) => (
                <a href={href('/clients', { server: String(server.id) })}>
                  <Num value={server.client_count} field="client_count" />
                </a>
              ),
            },
          ]}
        />
      </Card>
    </Page>
  );
}
