import { usePages } from '../../api/usePages.ts';
import { read } from '../../api/types.ts';
import { useFilter } from '../../app/router.ts';
import { Choice } from '../../components/controls.tsx';
import { itemColumns } from '../../components/items.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { statusNames, statuses, type StatusFilter } from '../../components/items.tsx';

export function Packages() {
  const [status, setStatus] = useFilter<StatusFilter>('status', 'any', statuses);
  const pages = usePages(
    read('/v1/packages', { status: status === 'any' ? undefined : status }),
    (answer) => answer.packages,
  );
  return (
    <Page title="Your packages" description="Active, waiting and ended ones, newest first" query={pages.first}>
      <Card
        title="Packages"
        actions={<Choice label="Status" value={status} options={statuses} names={statusNames} onChange={setStatus} />}
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Your packages"
          pages={pages}
          rowKey={(item) => item.id}
          columns={itemColumns()}
          empty={
            status === 'any' ? (
              <Empty title="You have no packages yet">A package appears here when it is delivered.</Empty>
            ) : (
              <Empty title="No package has this status" />
            )
          }
        />
      </Card>
    </Page>
  );
}
