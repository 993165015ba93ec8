import { read } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { useQuery } from '../../api/useQuery.ts';
import { href } from '../../app/location.ts';
import { navigate, useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { itemColumns } from '../../components/items.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Bytes, Id, Num, Time } from '../../components/values.tsx';
import { toLocalInput } from '../../format/format.ts';
import { longRanges, type LongRange } from '../../format/range.ts';
import { ItemActions } from './itemActions.tsx';
import { Shares, TrafficCard } from './TrafficCard.tsx';

export function User({ parameters }: { parameters: Record<string, string> }) {
  const user = parameters['id'] ?? '';
  const [range, setRange] = useFilter<LongRange>('range', 'month', longRanges);
  const [group, setGroup] = useFilter<'server' | 'client'>('by', 'client', ['server', 'client']);
  const items = usePages(read('/v1/admin/package-queue', { user }), (answer) => answer.packages);
  const online = useQuery(read('/v1/admin/online-users', { user, limit: 1 }), 15);
  return (
    <Page
      title="User"
      description={
        <>
          <code>{user}</code> ·{' '}
          {online.data ? (
            <>
              connected from <Num value={online.data.addresses} />{' '}
              {online.data.addresses === 1 ? 'address' : 'addresses'}
            </>
          ) : null}
        </>
      }
      query={items.first}
      actions={
        <>
          <ActionButton
            action={{
              change: 'CorrectUsage',
              label: 'Correct usage',
              fixed: { user },
              effect:
                'Adds signed bytes to what this user is billed for one hour. The reports stay as they are; the correction shows as its own entry. The explanation of the hour has the server, the client and the package to enter here.',
            }}
          />
          <ActionButton
            action={{
              change: 'SetUserNodeCredential',
              label: 'Set node secret',
              id: user,
              effect:
                'Gives the user a secret that they had in another system, so that their app keeps working. It must be a random UUID of version 4.',
            }}
          />
          <ActionButton
            action={{
              change: 'RotateUserNodeCredential',
              label: 'New node secret',
              id: user,
              danger: true,
              effect:
                'Gives the user a new secret for the nodes. Nodes refuse the old one from their next pull on, so the user must update their app.',
            }}
          />
          <ActionButton
            primary
            action={{
              change: 'DeliverOrder',
              label: 'Deliver order',
              idLabel: 'Order id (UUID)',
              fixed: { user },
              effect:
                'Adds packages of a series to this user’s queue. The first one becomes active if the user has none.',
            }}
          />
        </>
      }
    >
      <Card title="Packages" footer={<Source request={items.first.request} />}>
        <PagedTable
          caption="Packages of this user"
          pages={items}
          rowKey={(item) => item.id}
          empty={
            <Empty title="This user has no packages">
              The id may also be unknown: the system learns a user by an order or by usage.
            </Empty>
          }
          columns={[
            ...itemColumns().filter((column) => column.title !== 'Active since'),
            { title: 'Changes', cell: (item) => <ItemActions item={item} /> },
          ]}
        />
      </Card>
      <TrafficCard of={{ user }} what="Traffic of this user" range={range} setRange={setRange} />
      <Shares of={{ user }} range={range} group={group} setGroup={setGroup} />
      <Explain user={user} />
      <Corrections user={user} />
      <Audit user={user} />
    </Page>
  );
}

function Explain({ user }: { user: string }) {
  const now = toLocalInput(new Date().toISOString());
  return (
    <Card
      title="Explain an hour"
      description="Every report, factor and rounding that the billed bytes of an hour come from"
    >
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          const at = new Date(String(new FormData(event.currentTarget).get('hour')));
          if (!Number.isNaN(at.getTime())) navigate(`/users/${user}/hours/${at.toISOString().slice(0, 13)}:00:00Z`);
        }}
      >
        <label class="field-inline">
          <span>A time in the hour</span>
          <input type="datetime-local" name="hour" defaultValue={now} max={now} required />
        </label>
        <button type="submit">Explain</button>
      </form>
    </Card>
  );
}

function Corrections({ user }: { user: string }) {
  const pages = usePages(read('/v1/admin/usage-corrections', { user }), (answer) => answer.corrections);
  return (
    <Card
      title="Corrections"
      description="Bytes that administrators added to what was billed, or gave back"
      footer={<Source request={pages.first.request} />}
    >
      <PagedTable
        caption="Corrections of this user's usage"
        pages={pages}
        rowKey={(correction) => correction.id}
        empty={<Empty title="The usage of this user was never corrected" />}
        columns={[
          { title: 'Made', main: true, cell: (correction) => <Time value={correction.corrected_at} /> },
          {
            title: 'Hour',
            cell: (correction) => (
              <a href={href(`/users/${user}/hours/${correction.hour}`)}>
                <Time value={correction.hour} />
              </a>
            ),
          },
          {
            title: 'Up',
            numeric: true,
            cell: (correction) => <Bytes value={correction.billed_upload} field="billed_upload" />,
          },
          {
            title: 'Down',
            numeric: true,
            cell: (correction) => <Bytes value={correction.billed_download} field="billed_download" />,
          },
          { title: 'Reason', cell: (correction) => correction.reason },
          { title: 'By', cell: (correction) => <Id value={correction.actor} /> },
        ]}
      />
    </Card>
  );
}

function Audit({ user }: { user: string }) {
  const query = useQuery(
    read('/v1/admin/audit-entries', { target_kind: 'node_credential', target_id: user, limit: 5 }),
    0,
  );
  return (
    <Card
      title="Changes of the node secret"
      footer={<a href={href('/audit', { actor: user })}>What this user changed as an administrator</a>}
    >
      <Resource query={query}>
        {(data) =>
          data.entries.length === 0 ? (
            <Empty title="The secret was never changed by an operation" />
          ) : (
            <ul class="plain-list">
              {data.entries.map((entry) => (
                <li key={entry.id}>
                  {entry.action} · {entry.reason ?? 'no reason'} · <Id value={entry.actor_user_id} />
                </li>
              ))}
            </ul>
          )
        }
      </Resource>
    </Card>
  );
}
