// Package items, as users and administrators see them.
import type { Schema } from '../api/types.ts';
import { words } from '../format/format.ts';
import type { Column } from './DataTable.tsx';
import { Bytes, Status, Time } from './values.tsx';

export type Item = Schema<'QueuedPackage'>;
export const statuses = ['any', 'active', 'in_queue', 'consumed', 'cancelled'] as const;
export type StatusFilter = (typeof statuses)[number];
export const statusNames: Record<StatusFilter, string> = {
  any: 'All',
  active: 'Active',
  in_queue: 'Waiting',
  consumed: 'Consumed',
  cancelled: 'Cancelled',
};

export function ItemStatus({ item }: { item: Item }) {
  const reason = item.end_reason === 'time' || item.end_reason === 'traffic' ? ` by ${item.end_reason}` : '';
  return <Status value={item.status} text={`${statusNames[item.status] ?? words(item.status)}${reason}`} />;
}

export function itemColumns(): Column<Item>[] {
  return [
    {
      title: 'Package',
      main: true,
      cell: (item) => (
        <>
          {item.package_name} <span class="muted">#{item.id}</span>
        </>
      ),
    },
    { title: 'Status', cell: (item) => <ItemStatus item={item} /> },
    { title: 'Used', numeric: true, cell: (item) => <Bytes value={item.used} field="used" /> },
    {
      title: 'Quota',
      numeric: true,
      cell: (item) => <Bytes value={item.quota} field="quota" absent="Unlimited" />,
    },
    {
      title: 'Left',
      numeric: true,
      cell: (item) => <Bytes value={item.quota_left} field="quota_left" absent="Unlimited" />,
    },
    { title: 'Active since', cell: (item) => <Time value={item.activated_at} /> },
    {
      title: 'Ends',
      cell: (item) => (item.ended_at ? <Time value={item.ended_at} /> : <Time value={item.expires_at} />),
    },
  ];
}
