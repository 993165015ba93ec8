import { read, type Query } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { href } from '../../app/location.ts';
import { navigate, useLocation } from '../../app/router.ts';
import { Card, Page } from '../../components/layout.tsx';
import { TargetLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Id, Time } from '../../components/values.tsx';
import { number } from '../../format/format.ts';

type Filters = Query<'/v1/admin/audit-entries'>;
const kinds = [
  'node_server',
  'node_client',
  'package',
  'package_item',
  'order',
  'extension',
  'parked_usage',
  'node_access',
  'node_credential',
  'doubtful_push',
  'quarantined_report',
  'usage_correction',
  'webhook',
  'webhook_delivery',
];

export function Audit() {
  const { query } = useLocation();
  const both = query['kind'] && query['target'];
  const request = read('/v1/admin/audit-entries', {
    actor: query['actor'] || undefined,
    action: query['action'] || undefined,
    ...(both ? { target_kind: query['kind'], target_id: query['target'] } : {}),
  } as Filters);
  const pages = usePages(request, (answer) => answer.entries);
  return (
    <Page
      title="Audit log"
      description="Who changed what, and who was shown secrets, in the last 400 days"
      query={pages.first}
    >
      <Card title="Entries" footer={<Source request={pages.first.request} />}>
        <form
          key={JSON.stringify(query)}
          class="filters spaced-below"
          onSubmit={(event) => {
            event.preventDefault();
            const form = new FormData(event.currentTarget);
            const text = (name: string) => String(form.get(name) ?? '').trim() || undefined;
            navigate('/audit', {
              actor: text('actor'),
              action: text('action'),
              kind: text('kind'),
              target: text('target'),
            });
          }}
        >
          <label class="field-inline">
            <span>Actor</span>
            <input type="text" name="actor" defaultValue={query['actor']} placeholder="User id" spellcheck={false} />
          </label>
          <label class="field-inline">
            <span>Action</span>
            <input
              type="text"
              name="action"
              defaultValue={query['action']}
              placeholder="AdjustQuota"
              spellcheck={false}
            />
          </label>
          <label class="field-inline">
            <span>Object</span>
            <select name="kind">
              <option value="">Any kind</option>
              {kinds.map((kind) => (
                <option key={kind} value={kind} selected={kind === query['kind']}>
                  {kind.replaceAll('_', ' ')}
                </option>
              ))}
            </select>
          </label>
          <label class="field-inline">
            <span>Its id</span>
            <input type="text" name="target" defaultValue={query['target']} spellcheck={false} />
          </label>
          <button type="submit">Filter</button>
          <a href={href('/audit')}>Show all</a>
        </form>
        <PagedTable
          caption="Audit entries"
          pages={pages}
          rowKey={(entry) => entry.id}
          empty={<Empty title="No entry matches" />}
          columns={[
            { title: 'Action', main: true, cell: (entry) => entry.action },
            {
              title: 'Object',
              cell: (entry) => <TargetLink kind={entry.target_kind} id={entry.target_id} />,
            },
            {
              title: 'By',
              cell: (entry) => <Id value={entry.actor_user_id} link={href('/audit', { actor: entry.actor_user_id })} />,
            },
            { title: 'At', cell: (entry) => <Time value={entry.created_at} style="second" /> },
            { title: 'Reason', cell: (entry) => entry.reason ?? '–' },
            { title: 'Change', cell: (entry) => <Change before={entry.before} after={entry.after} /> },
          ]}
        />
      </Card>
    </Page>
  );
}

function Change({ before, after }: { before?: unknown; after?: unknown }) {
  const fields = (value: unknown) =>
    value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  const names = [...new Set([...Object.keys(fields(before)), ...Object.keys(fields(after))])];
  if (names.length === 0) return <span class="muted">–</span>;
  const text = (name: string, value: unknown) => {
    if (value === undefined) return 'none';
    if (typeof value === 'number' && !/(^|_)id$/.test(name)) return number(value);
    return typeof value === 'string' ? value : JSON.stringify(value);
  };
  return (
    <details>
      <summary>{names.length === 1 ? names[0]?.replaceAll('_', ' ') : `${names.length} fields`}</summary>
      <dl class="answer">
        {names.map((name) => (
          <div key={name}>
            <dt>{name.replaceAll('_', ' ')}</dt>
            <dd>
              {before ? (
                <>
                  <del>{text(name, fields(before)[name])}</del> →{' '}
                </>
              ) : null}
              {text(name, fields(after)[name])}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
