import { read } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { href } from '../../app/location.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Check, useSwitch } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Status, Time } from '../../components/values.tsx';

export function Webhooks() {
  const [disabled, setDisabled] = useSwitch('disabled');
  const pages = usePages(
    read('/v1/admin/webhooks', { include_disabled: disabled || undefined }),
    (answer) => answer.webhooks,
  );
  return (
    <Page
      title="Webhooks"
      description="Receivers that get facts, such as ended packages, over HTTPS"
      query={pages.first}
      actions={
        <ActionButton
          primary
          action={{
            change: 'CreateWebhook',
            label: 'Add webhook',
            effect:
              'Sends facts to a receiver, signed with a secret that is shown once. Without a choice of types, the receiver gets all of them.',
          }}
        />
      }
    >
      <Card
        title="Receivers"
        actions={<Check label="Disabled, too" checked={disabled} onChange={setDisabled} />}
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Webhooks"
          pages={pages}
          rowKey={(webhook) => webhook.id}
          empty={<Empty title="No webhooks">Add one to tell your shop or mailer about packages and servers.</Empty>}
          columns={[
            {
              title: 'Webhook',
              main: true,
              cell: (webhook) => <a href={href(`/webhooks/${webhook.id}`)}>{webhook.description}</a>,
            },
            {
              title: 'State',
              cell: (webhook) => <Status value={webhook.disabled_at ? 'disabled' : 'active'} />,
            },
            { title: 'Receiver', cell: (webhook) => <code>{webhook.url}</code> },
            { title: 'Facts', cell: (webhook) => webhook.event_types.join(', ') || 'All' },
            { title: 'Added', cell: (webhook) => <Time value={webhook.created_at} /> },
          ]}
        />
      </Card>
    </Page>
  );
}
