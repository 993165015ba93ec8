import { useFilter } from '../../app/router.ts';
import { Page } from '../../components/layout.tsx';
import { longRanges, type LongRange } from '../../format/range.ts';
import { Shares, TrafficCard } from './TrafficCard.tsx';

export function Traffic() {
  const [range, setRange] = useFilter<LongRange>('range', 'month', longRanges);
  const [group, setGroup] = useFilter<'server' | 'client'>('by', 'server', ['server', 'client']);
  return (
    <Page title="Traffic" description="Of the whole fleet, over any range">
      <TrafficCard of={{}} what="Traffic of the fleet" range={range} setRange={setRange} />
      <Shares of={{}} range={range} group={group} setGroup={setGroup} />
    </Page>
  );
}
