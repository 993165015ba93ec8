import { read, type Schema } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { useQuery } from '../../api/useQuery.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Choice } from '../../components/controls.tsx';
import { Card, Facts, Page } from '../../components/layout.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Ago, Id, Num, Status, Time } from '../../components/values.tsx';
import { words } from '../../format/format.ts';

const statuses = ['any', 'pending', 'delivered', 'failed'] as const;

export function Webhook({ parameters }: { parameters: Record<string, string> }) {
  const id = parameters['id'] ?? '';
  const [status, setStatus] = useFilter<(typeof statuses)[number]>('status', 'any', statuses);
  const shown = useQuery(read('/v1/admin/webhooks/{id}', undefined, id), 60);
  const webhook = shown.data?.webhook;
  const pages = usePages(
    read('/v1/admin/webhooks/{id}/deliveries', { status: status === 'any' ? undefined : status }, id),
    (answer) => answer.deliveries,
    15,
  );
  return (
    <Page
      title={webhook?.description ?? 'Webhook'}
      description={<code>{webhook?.url ?? id}</code>}
      query={pages.first}
      actions={webhook ? <Changes webhook={webhook} /> : null}
    >
      <Card title="Receiver" footer={<Source request={shown.request} csv={false} />}>
        <Resource query={shown}>
          {({ webhook }) => (
            <Facts
              rows={[
                ['State', <Status value={webhook.disabled_at ? 'disabled' : 'active'} />],
                ['Facts', webhook.event_types.join(', ') || 'All'],
                ['Added', <Time value={webhook.created_at} />],
                ['Previous secret until', <Time value={webhook.previous_secret_until} />],
              ]}
            />
          )}
        </Resource>
      </Card>
      <Card
        title="Deliveries"
        description="Of the last 30 days, newest first"
        actions={
          <Choice
            label="Status"
            value={status}
            options={statuses}
            names={{ any: 'All', pending: 'Pending', delivered: 'Delivered', failed: 'Failed' }}
            onChange={setStatus}
          />
        }
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Deliveries"
          pages={pages}
          rowKey={(delivery) => delivery.id}
          empty={<Empty title="No deliveries">A delivery appears with the next fact of a chosen type.</Empty>}
          columns={[
            {
              title: 'Fact',
              main: true,
              cell: (delivery) => (
                <>
                  {delivery.event_type} <span class="muted">#{delivery.id}</span>
                </>
              ),
            },
            { title: 'Status', cell: (delivery) => <Status value={delivery.status} /> },
            {
              title: 'Response',
              cell: (delivery) => (
                <>
                  {delivery.response_status ?? '–'}
                  {delivery.failure ? (
                    <>
                      {' '}
                      <code>{words(delivery.failure)}</code>
                    </>
                  ) : null}
                </>
              ),
            },
            {
              title: 'Attempts',
              numeric: true,
              cell: (delivery) => <Num value={delivery.attempts} field="attempts" />,
            },
            { title: 'Created', cell: (delivery) => <Time value={delivery.created_at} /> },
            { title: 'Next attempt', cell: (delivery) => <Ago value={delivery.next_attempt_at} /> },
            { title: 'Event', cell: (delivery) => <Id value={delivery.event_id} /> },
            {
              title: 'Changes',
              cell: (delivery) =>
                webhook?.disabled_at ? null : (
                  <ActionButton
                    action={{
                      change: 'RedeliverWebhook',
                      label: 'Send again',
                      subject: delivery.event_type,
                      id: delivery.id,
                      effect:
                        'Makes this delivery due now, with attempts for another day. The receiver can recognise a repeat by its event id.',
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

function Changes({ webhook }: { webhook: Schema<'Webhook'> }) {
  if (webhook.disabled_at) return null;
  return (
    <>
      <ActionButton
        action={{
          change: 'RotateWebhookSecret',
          label: 'Rotate secret',
          subject: webhook.description,
          id: webhook.id,
          effect: 'Creates a new secret and shows it once. For the overlap, requests are signed with both secrets.',
        }}
      />
      <ActionButton
        action={{
          change: 'DisableWebhook',
          label: 'Disable',
          subject: webhook.description,
          id: webhook.id,
          danger: true,
          effect: 'Ends the deliveries to this receiver for good. The log stays.',
        }}
      />
    </>
  );
}
