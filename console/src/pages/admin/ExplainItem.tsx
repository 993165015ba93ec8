import { read, type Schema } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { usageColumns } from '../../components/explained.tsx';
import { Card, Page, Tile, Tiles } from '../../components/layout.tsx';
import { UserLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Bytes } from '../../components/values.tsx';

type Explanation = Schema<'PackageUsageExplanation'>;

export function ExplainItem({ parameters }: { parameters: Record<string, string> }) {
  const id = parameters['id'] ?? '';
  const pages = usePages(
    read('/v1/admin/package-queue/{id}/usage-explanation', { limit: 100 }, id),
    (answer) => answer.usage,
    60,
  );
  const user = pages.first.data?.user ?? '';
  return (
    <Page
      title={`Usage of package #${id}`}
      description={
        <>
          The hours that were charged to it · user <UserLink user={user} />
        </>
      }
      query={pages.first}
    >
      {pages.first.data ? <Counters explanation={pages.first.data} /> : null}
      <Card
        title="Hours"
        description="Newest first. An hour leads to its reports."
        footer={<Source request={pages.first.request} />}
      >
        <PagedTable
          caption="Hours charged to this package"
          pages={pages}
          rowKey={(row) => `${row.hour}-${row.server_id}-${row.node_client_id}`}
          columns={usageColumns(user, true)}
          empty={<Empty title="Nothing was charged to this package yet" />}
        />
      </Card>
    </Page>
  );
}

function Counters({ explanation: { upload, download, sum, ...rest } }: { explanation: Explanation }) {
  const unexplained = rest.unexplained_upload + rest.unexplained_download;
  return (
    <Tiles>
      <Tile label="Counted up">
        <Bytes value={upload} field="upload" />
      </Tile>
      <Tile label="Counted down">
        <Bytes value={download} field="download" />
      </Tile>
      <Tile label="Of it corrected">
        <Bytes value={sum.corrected_upload + sum.corrected_download} />
      </Tile>
      <Tile
        label="Not explained by hours"
        tone={unexplained === 0 ? '' : 'warn'}
        note={unexplained === 0 ? 'All hours are here' : 'Their hours are no longer kept'}
      >
        <Bytes value={unexplained} />
      </Tile>
    </Tiles>
  );
}
