import { read, type Schema } from '../../api/types.ts';
import { usePages } from '../../api/usePages.ts';
import { href } from '../../app/location.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import { DataTable } from '../../components/DataTable.tsx';
import { Card, Page } from '../../components/layout.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty, ProblemNotice, Resource } from '../../components/states.tsx';
import { Bytes, Num, Status, Time } from '../../components/values.tsx';
import { duration } from '../../format/format.ts';

type Version = Schema<'PackageVersion'>;

export function Catalog() {
  const pages = usePages(read('/v1/admin/package-series', { limit: 50 }), (answer) => answer.series);
  return (
    <Page
      title="Catalog"
      description="The packages on sale. Orders of a series deliver its master version."
      query={pages.first}
      actions={
        <ActionButton
          primary
          action={{
            change: 'CreatePackage',
            label: 'New series',
            hidden: ['series', 'make_master'],
            effect: 'Begins a new series with this package as its master. Give either a traffic limit or “Unlimited”.',
          }}
        />
      }
    >
      <Resource query={pages.first} lines={12}>
        {() =>
          pages.rows.length === 0 ? (
            <Card>
              <Empty title="No packages yet">Create the first series to sell something.</Empty>
            </Card>
          ) : (
            <>
              {pages.rows.map((one) => (
                <Series key={one.series} series={one} />
              ))}
              {pages.problem ? <ProblemNotice problem={pages.problem} /> : null}
              {pages.more ? (
                <p>
                  <button type="button" onClick={pages.more} disabled={pages.loadingMore}>
                    Load more
                  </button>
                </p>
              ) : null}
              <Source request={pages.first.request} />
            </>
          )
        }
      </Resource>
    </Page>
  );
}

function Series({ series: { series, versions } }: { series: Schema<'PackageSeries'> }) {
  const master = versions.find((version) => version.is_master);
  const named = master ?? versions[0];
  return (
    <Card
      title={named?.name ?? series}
      description={
        <>
          <code>{series}</code>
          {master ? null : ' · not on sale: it has no master'}
        </>
      }
      actions={
        <>
          <ActionButton
            action={{
              change: 'CreatePackage',
              label: 'New version',
              subject: named?.name,
              fixed: { series },
              initial: from(named),
              effect: 'Adds a version to the series. Packages that users have bought stay as they are.',
            }}
          />
          <ActionButton
            action={{
              change: 'ExtendPackages',
              label: 'Extend',
              subject: named?.name,
              fixed: { series },
              hidden: ['available_group'],
              effect:
                'Adds hours to all active packages of this series. “Count first” shows how many packages it concerns and changes nothing.',
            }}
          />
        </>
      }
    >
      <DataTable
        caption={`Versions of ${named?.name}`}
        rows={versions}
        rowKey={(version) => version.id}
        columns={[
          {
            title: 'Version',
            main: true,
            cell: (version) => (
              <>
                {version.name} <span class="muted">v{version.version}</span>
              </>
            ),
          },
          {
            title: 'State',
            cell: (version) => (
              <Status value={version.retired_at ? 'retired' : version.is_master ? 'master' : 'earlier'} />
            ),
          },
          {
            title: 'Traffic',
            numeric: true,
            cell: (version) => <Bytes value={version.traffic_limit} field="traffic_limit" absent="Unlimited" />,
          },
          {
            title: 'Time',
            cell: (version) => (
              <data value={String(version.duration_seconds)}>{duration(version.duration_seconds)}</data>
            ),
          },
          {
            title: 'Devices',
            numeric: true,
            cell: (version) => <Num value={version.max_client_number} field="max_client_number" />,
          },
          {
            title: 'Group',
            numeric: true,
            cell: (version) => <Num value={version.available_group} field="available_group" />,
          },
          { title: 'Created', cell: (version) => <Time value={version.created_at} style="minute" /> },
          { title: 'Changes', cell: (version) => <Changes version={version} /> },
        ]}
      />
    </Card>
  );
}

const from = (version: Version | undefined): Record<string, unknown> =>
  version
    ? {
        name: version.name,
        available_group: version.available_group,
        max_client_number: version.max_client_number,
        duration_seconds: version.duration_seconds,
        ...(typeof version.traffic_limit === 'number' ? { traffic_limit: version.traffic_limit } : { unlimited: true }),
      }
    : {};

function Changes({ version }: { version: Version }) {
  const subject = `${version.name} v${version.version}`;
  return (
    <div class="actions">
      <a href={href('/queue', { by: 'package', package: String(version.id) })}>Packages</a>
      {!version.is_master && !version.retired_at ? (
        <ActionButton
          action={{
            change: 'SetMasterPackage',
            label: 'Make master',
            subject,
            id: version.id,
            effect: 'Orders of the series deliver this version from now on. Delivered packages stay as they are.',
          }}
        />
      ) : null}
      {version.retired_at ? null : (
        <ActionButton
          action={{
            change: 'RetirePackage',
            label: 'Retire',
            subject,
            id: version.id,
            danger: true,
            effect: version.is_master
              ? 'Ends the sale of this version. It is the master: orders of the series are refused until another version is the master.'
              : 'Ends the sale of this version. Delivered packages stay as they are.',
          }}
        />
      )}
    </div>
  );
}
