import { read } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { useFilter } from '../../app/router.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { Choice } from '../../components/controls.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { NodeLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Bytes, Num, Status, Time } from '../../components/values.tsx';
import { words } from '../../format/format.ts';

const states = ['open', 'decided', 'any'] as const;

export function Doubts() {
  const [state, setState] = useFilter<(typeof states)[number]>('state', 'open', states);
  const pages = usePages(
    read('/v1/admin/doubtful-pushes', { state: state === 'any' ? undefined : state }),
    (answer) => answer.pushes,
  );
  return (
    <Page
      title="Doubtful pushes"
      description="Pushes of node software that may have billed too much or too little"
      query={pages.first}
    >
      <Card
        title="Pushes"
        actions={
          <Choice
            label="State"
            value={state}
            options={states}
            names={{ open: 'Open', decided: 'Decided', any: 'All' }}
            onChange={setState}
          />
        }
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Doubtful pushes"
          pages={pages}
          rowKey={(push) => push.id}
          empty={<Empty title={state === 'open' ? 'Nothing waits for a decision' : 'No push matches'} />}
          columns={[
            { title: 'Push', main: true, cell: (push) => `#${push.id}` },
            { title: 'Doubt', cell: (push) => words(push.doubt) },
            { title: 'Evidence', cell: (push) => push.evidence.map((one) => words(one)).join(', ') || '–' },
            {
              title: 'Node',
              cell: (push) => <NodeLink server={push.server_id} client={push.node_client_id} />,
            },
            { title: 'Arrived', cell: (push) => <Time value={push.arrived_at} /> },
            { title: 'Users', numeric: true, cell: (push) => <Num value={push.users} field="users" /> },
            { title: 'Carried', numeric: true, cell: (push) => <Bytes value={push.bytes} field="bytes" /> },
            { title: 'Billed', cell: (push) => (push.billed ? 'Yes' : 'No') },
            {
              title: 'Decision',
              cell: (push) =>
                push.decision ? (
                  <Status value={push.decision} />
                ) : (
                  <ActionButton
                    action={{
                      change: 'DecideDoubtfulPush',
                      label: 'Decide',
                      subject: `push #${push.id}`,
                      id: push.id,
                      effect:
                        '“Keep” leaves what is billed as it is. “Correct” gives back to each user what was billed twice. A decision is final.',
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
