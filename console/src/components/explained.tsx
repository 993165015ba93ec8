// Parts of the two pages that explain billed bytes.
import type { Schema } from '../api/types.ts';
import { href } from '../app/location.ts';
import { ActionButton } from './ActionHost.tsx';
import type { Column } from './DataTable.tsx';
import { NodeLink } from './links.tsx';
import { Bytes, Time } from './values.tsx';

type Usage = Schema<'ExplainedUsage'>;

/** The hourly rows that histories and counters are made of. */
export function usageColumns(user: string, withHour: boolean): Column<Usage>[] {
  const hour: Column<Usage> = {
    title: 'Hour',
    main: true,
    cell: (row) => (
      <a href={href(`/users/${user}/hours/${row.hour}`)}>
        <Time value={row.hour} />
      </a>
    ),
  };
  return [
    ...(withHour ? [hour] : []),
    {
      title: 'Client',
      main: !withHour,
      cell: (row) => <NodeLink server={row.server_id} client={row.node_client_id} name={row.node_client_name} />,
    },
    {
      title: 'Package',
      cell: (row) =>
        row.package_queue_id ? (
          <a href={href(`/items/${row.package_queue_id}/usage`)}>#{row.package_queue_id}</a>
        ) : (
          'none'
        ),
    },
    { title: 'Carried up', numeric: true, cell: (row) => <Bytes value={row.raw_upload} field="raw_upload" /> },
    {
      title: 'Carried down',
      numeric: true,
      cell: (row) => <Bytes value={row.raw_download} field="raw_download" />,
    },
    { title: 'Billed up', numeric: true, cell: (row) => <Bytes value={row.billed_upload} field="billed_upload" /> },
    {
      title: 'Billed down',
      numeric: true,
      cell: (row) => <Bytes value={row.billed_download} field="billed_download" />,
    },
    {
      title: 'Of it corrected',
      numeric: true,
      cell: (row) => <Bytes value={row.corrected_upload + row.corrected_download} />,
    },
    {
      title: 'Changes',
      cell: (row) => (
        <ActionButton
          action={{
            change: 'CorrectUsage',
            label: 'Correct',
            fixed: {
              user,
              hour: row.hour,
              server_id: row.server_id,
              ...(row.node_client_id ? { node_client_id: row.node_client_id } : {}),
              ...(row.package_queue_id ? { package_queue_id: row.package_queue_id } : {}),
            },
            effect:
              'Adds signed bytes to what is billed for this hour, client and package. A negative number gives bytes back. The reports stay as they are, and the correction shows as its own entry.',
          }}
        />
      ),
    },
  ];
}
