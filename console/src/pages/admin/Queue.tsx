import { read } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { useQuery } from '../../api/useQuery.ts';
import { navigate, useFilter, useLocation } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Choice, Search } from '../../components/controls.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { ItemStatus, statusNames, statuses, type StatusFilter } from '../../components/items.tsx';
import { Card, Page, Tile, Tiles } from '../../components/layout.tsx';
import { UserLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Bytes, Id, Num, Time } from '../../components/values.tsx';
import { ItemActions } from './itemActions.tsx';

const by = ['user', 'order', 'package'] as const;
type By = (typeof by)[number];

export function Queue() {
  const { query } = useLocation();
  const [status, setStatus] = useFilter<StatusFilter>('status', 'any', statuses);
  const given = by.find((name) => query[name]);
  const [field, setField] = useFilter<By>('by', given ?? 'user', by);
  const search = (value: string) =>
    navigate('/queue', {
      status: query['status'],
      by: field === 'user' ? undefined : field,
      [field]: value || undefined,
    });
  const request = read('/v1/admin/package-queue', {
    user: query['user'] || undefined,
    order: query['order'] || undefined,
    package: query['package'] ? Number(query['package']) : undefined,
    status: status === 'any' ? undefined : status,
  });
  const pages = usePages(request, (answer) => answer.packages);
  return (
    <Page
      title="Package queue"
      description="Packages of all users, waiting, active and ended"
      query={pages.first}
      actions={<OrderActions order={query['order']} />}
    >
      <Counts />
      <Card
        title="Packages"
        actions={<Choice label="Status" value={status} options={statuses} names={statusNames} onChange={setStatus} />}
        footer={<Source request={pages.first.request} />}
      >
        <div class="filters spaced-below">
          <Choice
            label="Search by"
            value={field}
            options={by}
            names={{ user: 'User', order: 'Order', package: 'Package' }}
            onChange={setField}
          />
          <Search
            label={field === 'package' ? 'Id of the package' : `Id of the ${field} (UUID)`}
            value={query[field] ?? ''}
            onSearch={search}
          />
          {given ? (
            <button type="button" class="quiet" onClick={() => navigate('/queue')}>
              Show all
            </button>
          ) : null}
        </div>
        <PagedTable
          caption="Package items"
          pages={pages}
          rowKey={(item) => item.id}
          empty={
            <Empty title="No package matches">
              {given
                ? `No package was found for this ${given}. Check the id.`
                : 'Packages appear here when an order is delivered.'}
            </Empty>
          }
          columns={[
            {
              title: 'Package',
              main: true,
              cell: (item) => (
                <>
                  {item.package_name} <span class="muted">#{item.id}</span>
                </>
              ),
            },
            { title: 'Status', cell: (item) => <ItemStatus item={item} /> },
            { title: 'User', cell: (item) => <UserLink user={item.user} /> },
            {
              title: 'Order',
              cell: (item) => (
                <Id value={item.order} {...(item.order ? { link: `#/queue?by=order&order=${item.order}` } : {})} />
              ),
            },
            { title: 'Used', numeric: true, cell: (item) => <Bytes value={item.used} field="used" /> },
            {
              title: 'Left',
              numeric: true,
              cell: (item) => <Bytes value={item.quota_left} field="quota_left" absent="Unlimited" />,
            },
            { title: 'Ends', cell: (item) => <Time value={item.ended_at ?? item.expires_at} /> },
            { title: 'Changes', cell: (item) => <ItemActions item={item} /> },
          ]}
        />
      </Card>
    </Page>
  );
}

function OrderActions({ order }: { order: string | undefined }) {
  return (
    <>
      <ActionButton
        action={{
          change: 'ExtendPackages',
          label: 'Extend packages',
          effect:
            'Adds hours to all active packages of a series or of an access group. Give one of the two. “Count first” shows how many packages it concerns and changes nothing.',
        }}
      />
      {order ? (
        <ActionButton
          action={{
            change: 'CancelOrder',
            label: 'Cancel order',
            subject: order,
            id: order,
            danger: true,
            effect: 'Cancels all packages of this order that have not ended. What was charged to them stays charged.',
          }}
        />
      ) : null}
      <ActionButton
        primary
        action={{
          change: 'DeliverOrder',
          label: 'Deliver order',
          idLabel: 'Order id (UUID)',
          effect:
            'Adds packages of a series to the user’s queue. The first one becomes active if the user has none. An order is delivered once, however often you send it.',
        }}
      />
    </>
  );
}

function Counts() {
  const counts = useQuery(read('/v1/admin/package-queue/counts'), 30);
  return (
    <Resource query={counts} lines={2}>
      {({ all, series }) => (
        <>
          <Tiles>
            <Tile label="Active">
              <Num value={all.active} field="active" />
            </Tile>
            <Tile label="Waiting">
              <Num value={all.in_queue} field="in_queue" />
            </Tile>
            <Tile label="Consumed">
              <Num value={all.consumed} field="consumed" />
            </Tile>
            <Tile label="Cancelled">
              <Num value={all.cancelled} field="cancelled" />
            </Tile>
          </Tiles>
          <details>
            <summary>By series</summary>
            <Card>
              <DataTable
                caption="Packages by series"
                rows={series}
                rowKey={(row) => row.series}
                columns={[
                  { title: 'Series', main: true, cell: (row) => row.name },
                  {
                    title: 'Active',
                    numeric: true,
                    cell: (row) => <Num value={row.counts.active} />,
                  },
                  {
                    title: 'Waiting',
                    numeric: true,
                    cell: (row) => <Num value={row.counts.in_queue} />,
                  },
                  {
                    title: 'Consumed',
                    numeric: true,
                    cell: (row) => <Num value={row.counts.consumed} />,
                  },
                  {
                    title: 'Cancelled',
                    numeric: true,
                    cell: (row) => <Num value={row.counts.cancelled} />,
                  },
                ]}
              />
              <Source request={counts.request} />
            </Card>
          </details>
        </>
      )}
    </Resource>
  );
}
