import { read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { usePages } from '../../api/usePages.ts';
import { navigate, useFilter } from '../../app/router.ts';
import { billedOf, rawOf } from '../../charts/usage.ts';
import { Choice, Search } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { NodeLink, ServerLink, UserLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Ago, Bar, Bytes, Num } from '../../components/values.tsx';
import { rangeNames, ranges, type Range } from '../../format/range.ts';

const lists = ['users', 'clients', 'servers', 'online'] as const;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function Users() {
  const [list, setList] = useFilter<(typeof lists)[number]>('list', 'users', lists);
  const [range, setRange] = useFilter<Range>('range', 'day', ranges);
  const [by, setBy] = useFilter<'billed' | 'raw'>('by', 'billed', ['billed', 'raw']);
  const [unknown, setUnknown] = useFilter<string>('not-found', '');
  const search = (value: string) => {
    if (uuid.test(value)) navigate(`/users/${value.toLowerCase()}`);
    else setUnknown(value);
  };
  return (
    <Page
      title="Users"
      description="Find a user, or see who uses the fleet most"
      actions={<Search label="User id (UUID)" value={unknown} onSearch={search} />}
    >
      {unknown ? (
        <p class="notice warn" role="status">
          A user id is a UUID, such as de300000-0000-4000-8000-000000000001. To search by an order, use the package
          queue.
        </p>
      ) : null}
      <Card
        title={{ users: 'Top users', clients: 'Top clients', servers: 'Top servers', online: 'Connected users' }[list]}
        description={list === 'online' ? 'Those who are connected now' : 'By upload and download together'}
        actions={
          <Choice
            label="List"
            value={list}
            options={lists}
            names={{ users: 'Users', clients: 'Clients', servers: 'Servers', online: 'Connected' }}
            onChange={setList}
          />
        }
      >
        {list === 'online' ? (
          <Online />
        ) : (
          <>
            <div class="filters spaced-below">
              <Choice label="Range" value={range} options={ranges} names={rangeNames} onChange={setRange} />
              <Choice
                label="Measure"
                value={by}
                options={['billed', 'raw'] as const}
                names={{ billed: 'Billed', raw: 'Carried' }}
                onChange={setBy}
              />
            </div>
            {list === 'users' ? (
              <TopUsers range={range} by={by} />
            ) : (
              <TopNodes range={range} by={by} kind={list === 'clients' ? 'client' : 'server'} />
            )}
          </>
        )}
      </Card>
    </Page>
  );
}

function TopUsers({ range, by }: { range: Range; by: 'billed' | 'raw' }) {
  const query = useQuery(read('/v1/admin/top-users', { range, by, limit: 50 }), 60);
  return (
    <Resource query={query} lines={10}>
      {(data) => (
        <>
          <DataTable
            caption="Users with the most traffic"
            rows={data.users}
            rowKey={(row) => row.user}
            empty={<Empty title="No traffic in this range">The list is computed every minute.</Empty>}
            columns={[
              { title: 'Rank', numeric: true, cell: (row) => <Num value={row.rank} /> },
              { title: 'User', main: true, cell: (row) => <UserLink user={row.user} /> },
              ...amounts<Schema<'TopUser'>>(Math.max(1, ...data.users.map(by === 'raw' ? rawOf : billedOf)), by),
            ]}
          />
          <p class="pager">
            <span class="muted">
              Computed <Ago value={data.as_of} absent="not yet" />
            </span>
            <Source request={query.request} />
          </p>
        </>
      )}
    </Resource>
  );
}

function TopNodes({ range, by, kind }: { range: Range; by: 'billed' | 'raw'; kind: 'client' | 'server' }) {
  const query = useQuery(read('/v1/admin/top-nodes', { range, by, kind, limit: 50 }), 60);
  return (
    <Resource query={query} lines={10}>
      {(data) => (
        <>
          <DataTable
            caption="Nodes with the most traffic"
            rows={data.nodes}
            rowKey={(row) => `${row.server_id}-${row.node_client_id}`}
            empty={<Empty title="No traffic in this range" />}
            columns={[
              { title: 'Rank', numeric: true, cell: (row) => <Num value={row.rank} /> },
              {
                title: kind === 'client' ? 'Client' : 'Server',
                main: true,
                cell: (row) =>
                  kind === 'client' ? (
                    <NodeLink server={row.server_id} client={row.node_client_id} name={row.name} />
                  ) : (
                    <ServerLink id={row.server_id} name={row.name} />
                  ),
              },
              ...amounts<Schema<'TopNode'>>(Math.max(1, ...data.nodes.map(by === 'raw' ? rawOf : billedOf)), by),
            ]}
          />
          <p class="pager">
            <span />
            <Source request={query.request} />
          </p>
        </>
      )}
    </Resource>
  );
}

type Amounts = Pick<Schema<'TopUser'>, 'raw_upload' | 'raw_download' | 'billed_upload' | 'billed_download'>;

function amounts<Row extends Amounts>(most: number, by: 'billed' | 'raw') {
  return [
    {
      title: 'Share',
      cell: (row: Row) => <Bar label="Traffic" value={by === 'raw' ? rawOf(row) : billedOf(row)} max={most} />,
    },
    { title: 'Carried', numeric: true, cell: (row: Row) => <Bytes value={rawOf(row)} /> },
    { title: 'Billed', numeric: true, cell: (row: Row) => <Bytes value={billedOf(row)} /> },
  ];
}

function Online() {
  const pages = usePages(read('/v1/admin/online-users'), (answer) => answer.users, 15);
  return (
    <>
      <PagedTable
        caption="Connected users"
        pages={pages}
        rowKey={(row) => row.user}
        empty={<Empty title="No user is connected">Only nodes that report addresses are counted.</Empty>}
        columns={[
          { title: 'User', main: true, cell: (row) => <UserLink user={row.user} /> },
          { title: 'Number', numeric: true, cell: (row) => <Num value={row.number} field="number" /> },
          {
            title: 'Addresses',
            numeric: true,
            cell: (row) => <Num value={row.addresses} field="addresses" />,
          },
          {
            title: 'Devices allowed',
            numeric: true,
            cell: (row) => <Num value={row.device_limit} field="device_limit" absent="–" />,
          },
          {
            title: 'Clients',
            numeric: true,
            cell: (row) => <Num value={row.client_count} field="client_count" />,
          },
        ]}
      />
      <Source request={pages.first.request} />
    </>
  );
}
