import { href } from '../../app/location.ts';
import { ActionButton } from '../../components/ActionHost.tsx';
import type { Item } from '../../components/items.tsx';

/** What an administrator can do with a package item in its present state. */
export function ItemActions({ item }: { item: Item }) {
  const subject = `${item.package_name} #${item.id}`;
  const open = item.status === 'active' || item.status === 'in_queue';
  return (
    <div class="actions">
      <a href={href(`/items/${item.id}/usage`)}>Explain</a>
      {open ? (
        <ActionButton
          action={{
            change: 'AdjustQuota',
            label: 'Adjust quota',
            subject,
            id: item.id,
            effect:
              'Adds bytes to the quota of this package, or takes them away if the number is negative. If nothing is left afterwards, the package ends at once and the next one becomes active.',
          }}
        />
      ) : null}
      {item.status === 'active' ? (
        <ActionButton
          action={{
            change: 'SetPackageEnd',
            label: 'Set end',
            subject,
            id: item.id,
            initial: item.expires_at ? { expires_at: item.expires_at } : {},
            effect:
              'Sets when the time of this package ends, earlier or later than now. The time is in your time zone.',
          }}
        />
      ) : null}
      {open ? (
        <ActionButton
          action={{
            change: 'CancelQueuedPackage',
            label: 'Cancel package',
            subject,
            id: item.id,
            danger: true,
            effect:
              item.status === 'active'
                ? 'Ends this package now. What was charged to it stays charged, and the user’s next package becomes active.'
                : 'Removes this package from the user’s queue.',
          }}
        />
      ) : null}
    </div>
  );
}
