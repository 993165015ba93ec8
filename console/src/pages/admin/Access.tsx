import { usePages } from '../../api/usePages.ts';
import { read } from '../../api/types.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Check, ServerFilter, useSwitch } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { NodeLink, ServerLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Status, Time } from '../../components/values.tsx';
import { duration, words } from '../../format/format.ts';

/** Names as their authors write them. */
const names: Record<string, string> = {
  uniproxy: 'UniProxy',
  mod_mu: 'mod_mu',
  xrayr: 'XrayR',
  v2bx: 'V2bX',
  v2node: 'v2node',
  xboard_node: 'Xboard-Node',
  xboard_node_rust: 'xboard-node-rust',
  ss22v2b: 'ss22v2b',
};
const nameOf = (one: string) => names[one] ?? words(one);

export function Access() {
  const [server, setServer] = useFilter<string>('server', '');
  const [revoked, setRevoked] = useSwitch('revoked');
  const request = read('/v1/admin/node-access', {
    server_id: server ? Number(server) : undefined,
    include_revoked: revoked || undefined,
  });
  const pages = usePages(request, (answer) => answer.accesses);
  return (
    <Page
      title="Node access"
      description="The tokens by which node software and collectors report"
      query={pages.first}
      actions={
        <ActionButton
          primary
          action={{
            change: 'IssueNodeAccess',
            label: 'Issue access',
            initial: server ? { server_id: Number(server) } : {},
            effect: 'Lets node software or a collector report for a server. The token is shown once.',
          }}
        />
      }
    >
      <Card
        title={server ? `Accesses of server ${server}` : 'All accesses'}
        actions={
          <div class="filters">
            <Check label="Revoked, too" checked={revoked} onChange={setRevoked} />
            <ServerFilter value={server} onChange={setServer} />
          </div>
        }
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Node accesses"
          pages={pages}
          rowKey={(access) => access.id}
          empty={<Empty title="No accesses">Issue an access for each program that reports.</Empty>}
          columns={[
            { title: 'Access', main: true, cell: (access) => `#${access.id}` },
            {
              title: 'State',
              cell: (access) => <Status value={access.revoked_at ? 'revoked' : 'active'} />,
            },
            { title: 'Server', cell: (access) => <ServerLink id={access.server_id} /> },
            {
              title: 'Client',
              cell: (access) =>
                access.node_client_id ? <NodeLink server={access.server_id} client={access.node_client_id} /> : 'All',
            },
            { title: 'Protocol', cell: (access) => nameOf(access.protocol) },
            { title: 'Software', cell: (access) => nameOf(access.software) },
            { title: 'Networks', cell: (access) => access.allowed_networks.join(', ') || 'All' },
            { title: 'Interval', cell: (access) => duration(access.interval_seconds) },
            { title: 'Issued', cell: (access) => <Time value={access.created_at} /> },
            {
              title: 'Changes',
              cell: (access) =>
                access.revoked_at ? null : (
                  <ActionButton
                    action={{
                      change: 'RevokeNodeAccess',
                      label: 'Revoke',
                      subject: `access #${access.id}`,
                      id: access.id,
                      danger: true,
                      effect:
                        'Ends the access for good. Its token is refused within half a minute, and the software that uses it stops reporting.',
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
