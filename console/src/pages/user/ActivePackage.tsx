import { read, type Read, type Schema } from '../../api/types.ts';
import { useQuery } from '../../api/useQuery.ts';
import { href } from '../../app/location.ts';
import { Card, Facts } from '../../components/layout.tsx';
import { Source } from '../../components/Source.tsx';
import { Empty } from '../../components/states.tsx';
import { Bar, Bytes, Num, Status, Time, useNow } from '../../components/values.tsx';
import * as format from '../../format/format.ts';

type Item = Schema<'QueuedPackage'>;

/** What is left, until when, and what comes next. */
export function ActivePackage({ item, request }: { item: Item | undefined; request: Read<'/v1/packages'> | null }) {
  const waiting = useQuery(read('/v1/packages', { status: 'in_queue', limit: 5 }));
  const devices = useQuery(read('/v1/online-devices'));
  const next = waiting.data?.packages ?? [];
  const total = waiting.data?.total ?? 0;
  return (
    <div class="columns wide-narrow">
      <Card
        title={item ? item.package_name : 'No active package'}
        actions={item ? <Status value={item.status} /> : null}
        footer={<Source request={request} />}
      >
        {item ? (
          <Left item={item} devices={devices.data} />
        ) : (
          <Empty title="You have no active package">
            {total > 0
              ? 'Your next package becomes active with your next traffic or within a minute.'
              : 'Buy a package to use the nodes. Traffic without a package is recorded and charged to no package.'}
          </Empty>
        )}
      </Card>
      <Card title="Up next" footer={<a href={href('/packages')}>All packages</a>}>
        {next.length === 0 ? (
          <Empty title="Nothing is waiting">
            {waiting.loading ? '' : 'When this package ends, the nodes stop until you buy another one.'}
          </Empty>
        ) : (
          <>
            <ol class="queue">
              {[...next]
                .sort((a, b) => a.created_at.localeCompare(b.created_at) || a.id - b.id)
                .map((one) => (
                  <li key={one.id}>
                    <span>{one.package_name}</span>
                    <span class="muted">
                      {one.quota === null || one.quota === undefined ? (
                        'Unlimited'
                      ) : (
                        <Bytes value={one.quota} field="quota" />
                      )}
                    </span>
                  </li>
                ))}
            </ol>
            <p class="muted">
              <Num value={total} field="total" /> waiting in all. The oldest becomes active when the present one ends.
            </p>
          </>
        )}
      </Card>
    </div>
  );
}

function Left({ item, devices }: { item: Item; devices: Schema<'OnlineDevices'> | undefined }) {
  const now = useNow(30);
  const limited = item.quota !== null && item.quota !== undefined;
  const used = limited && item.quota ? Math.min(1, Math.max(0, item.used / item.quota)) : 0;
  const low = used >= 0.8;
  return (
    <>
      <p class="hero">
        {limited ? (
          <>
            <span class="hero-value">
              <Bytes value={item.quota_left} field="quota_left" />
            </span>{' '}
            left of <Bytes value={item.quota} field="quota" />
          </>
        ) : (
          <span class="hero-value">Unlimited</span>
        )}
      </p>
      {limited ? <Bar label="Used part of the package" value={item.used} max={item.quota ?? 0} big low={low} /> : null}
      {item.expires_at ? (
        <p>
          Until{' '}
          <strong>
            <Time value={item.expires_at} />
          </strong>
          , {format.relative(item.expires_at, now)}
        </p>
      ) : null}
      <Facts
        rows={[
          ['Used', <Bytes value={item.used} field="used" />],
          ['Upload', <Bytes value={item.upload} field="upload" />],
          ['Download', <Bytes value={item.download} field="download" />],
          ...(item.adjust_quota === 0
            ? []
            : ([['Adjustment', <Bytes value={item.adjust_quota} field="adjust_quota" />]] as [
                string,
                preact.JSX.Element,
              ][])),
          ['Active since', <Time value={item.activated_at} />],
          [
            'Connected now',
            devices ? (
              <>
                <Num value={devices.addresses} field="addresses" /> of{' '}
                <Num value={devices.device_limit} field="device_limit" absent="any number of" /> devices
              </>
            ) : (
              '–'
            ),
          ],
        ]}
      />
    </>
  );
}
