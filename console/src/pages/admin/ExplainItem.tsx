import { read } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { usageColumns } from '../../components/explained.tsx';
import { Card, Page, Tile, Tiles } from '../../components/layout.tsx';
import { UserLink } from '../../components/links.tsx';
import { PagedTable } from '../../components/PagedTable.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, Resource } from '../../components/states.tsx';
import { Bytes } from '../../components/values.tsx';

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
      <Resource query={pages.first} lines={3}>
        {(data) => {
          const unexplained = data.unexplained_upload + data.unexplained_download;
          return (
            <Tiles>
              <Tile label="Counted up">
                <Bytes value={data.upload} field="upload" />
              </Tile>
              <Tile label="Counted down">
                <Bytes value={data.download} field="download" />
              </Tile>
              <Tile label="Of it corrected">
                <Bytes value={data.sum.corrected_upload + data.sum.corrected_download} />
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
        }}
      </Resource>
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
