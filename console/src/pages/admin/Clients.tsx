import { usePages } from '../../api/usePages.ts';
import { read } from '../../api/types.ts';
import { href } from '../../app/location.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Check, ServerFilter, useSwitch } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { ServerLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Status } from '../../components/values.tsx';
import * as format from '../../format/format.ts';

export function Clients() {
  const [server, setServer] = useFilter<string>('server', '');
  const [archived, setArchived] = useSwitch('archived');
  const request = read('/v1/admin/node-clients', {
    server_id: server ? Number(server) : undefined,
    include_archived: archived || undefined,
  });
  const pages = usePages(request, (answer) => answer.clients);
  return (
    <Page
      title="Clients"
      description="The entries that users see in their apps"
      query={pages.first}
      actions={
        <ActionButton
          primary
          action={{
            change: 'CreateNodeClient',
            label: 'Add client',
            initial: server ? { server_id: Number(server) } : {},
            effect: 'Adds a node client. Users whose packages open one of its access groups see it at once.',
          }}
        />
      }
    >
      <Card
        title={server ? `Clients of server ${server}` : 'All clients'}
        actions={
          <div class="filters">
            <Check label="Archived, too" checked={archived} onChange={setArchived} />
            <ServerFilter value={server} onChange={setServer} />
          </div>
        }
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Node clients"
          pages={pages}
          rowKey={(client) => client.id}
          empty={<Empty title="No clients">Add a client to a server, so that users can connect through it.</Empty>}
          columns={[
            {
              title: 'Client',
              main: true,
              cell: (client) => (
                <>
                  <a href={href(`/clients/${client.id}`)}>{client.name}</a> <span class="muted">#{client.id}</span>
                </>
              ),
            },
            {
              title: 'Status',
              cell: (client) => <Status value={client.archived_at ? 'archived' : client.status} />,
            },
            {
              title: 'Server',
              cell: (client) => <ServerLink id={client.server_id} name={client.server_name} />,
            },
            {
              title: 'Place',
              cell: (client) => [client.location, format.country(client.country)].filter(Boolean).join(', '),
            },
            { title: 'Route', cell: (client) => client.route_class || '–' },
            {
              title: 'Factor',
              numeric: true,
              cell: (client) => (
                <data value={String(client.traffic_factor)}>{format.factor(client.traffic_factor)}</data>
              ),
            },
            { title: 'Groups', cell: (client) => client.access_groups.join(', ') || 'none' },
          ]}
        />
      </Card>
    </Page>
  );
}
