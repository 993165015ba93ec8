// Made-up answers of the API for a fleet with a past. They are the same for the same hour.
import { DEMO_USER } from './issuer.mjs';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const iso = (at) => new Date(at).toISOString().replace('.000Z', 'Z');

/** A number from 0 to 1 that depends on its arguments alone. */
function noise(...parts) {
  let value = 2166136261;
  for (const letter of parts.join('/')) value = Math.imul(value ^ letter.codePointAt(0), 16777619);
  value ^= value >>> 15;
  value = Math.imul(value, 0x2c1b3c6d);
  value ^= value >>> 12;
  return ((value >>> 0) % 100_000) / 100_000;
}

const uuid = (number, prefix = '00000000') => `${prefix}-0000-4000-8000-${String(number).padStart(12, '0')}`;

const places = [
  ['DE', 'Frankfurt'],
  ['NL', 'Amsterdam'],
  ['FR', 'Paris'],
  ['GB', 'London'],
  ['SE', 'Stockholm'],
  ['US', 'New York'],
  ['US', 'Los Angeles'],
  ['CA', 'Toronto'],
  ['BR', 'São Paulo'],
  ['JP', 'Tokyo'],
  ['SG', 'Singapore'],
  ['AU', 'Sydney'],
];
const factors = [1, 1, 0.5, 2, 1.5, 1, 0];
const statusOf = (server) => (server === 7 ? 'offline' : server === 11 ? 'maintenance' : 'online');

function server(id, now) {
  const status = statusOf(id);
  const seen = now - (status === 'offline' ? 47 * 60_000 : 20_000 + noise('seen', id) * 30_000);
  return {
    id,
    name: `${places[(id - 1) % places.length][0].toLowerCase()}-${String(Math.ceil(id / 12)).padStart(2, '0')}`,
    status,
    compatibility: id % 5 === 0 ? 'ssp' : 'new_v2b',
    last_online_at: iso(Math.floor(seen / 1000) * 1000),
    client_count: 2,
    last_traffic_at: iso(Math.floor(seen / 1000) * 1000),
    archived_at: null,
  };
}

function client(id) {
  const of = Math.ceil(id / 2);
  const [country, location] = places[(of - 1) % places.length];
  return {
    id,
    name: `${country} ${location} #${id}`,
    server_id: of,
    server_name: server(of, 0).name,
    status: statusOf(of),
    traffic_factor: factors[id % factors.length],
    display_order: id,
    speed_limit: id % 3 === 0 ? null : 300_000_000 * (1 + (id % 3)),
    country,
    location,
    route_class: id % 2 ? 'direct' : 'relay',
    access_groups: [1, 2 + (id % 2)],
    client_config: { network: 'ws', port: 443, path: '********' },
    revision: 3,
    archived_at: null,
    created_at: '2026-01-05T08:00:00Z',
    updated_at: '2026-05-11T14:20:00Z',
  };
}

const webhook = {
  id: uuid(16, '0193b0e1'),
  url: 'https://shop.example.com/telecom',
  description: 'shop',
  event_types: ['PackageExpired', 'PackageQueueEmptied'],
  created_at: '2026-03-10T10:30:00Z',
  previous_secret_until: null,
  disabled_at: null,
  disabled_by: null,
};

const range = (count) => Array.from({ length: count }, (_, index) => index + 1);

/** The hours of a server that was offline for ten minutes now and then. */
function hoursOfStatus(start, now) {
  const hours = [];
  for (let at = Math.floor(Date.parse(start) / HOUR) * HOUR; at < now; at += HOUR) {
    const offline = noise('offline', at) > 0.95 ? 600 : 0;
    const online = 3_600 - offline;
    const [maintenance_seconds, unknown_seconds] = [0, 0];
    hours.push({
      hour: iso(at),
      online_seconds: online,
      offline_seconds: offline,
      maintenance_seconds,
      unknown_seconds,
      availability: online / 3_600,
    });
  }
  return hours;
}

function correctionOf(user, hour, now) {
  return {
    id: 7,
    user,
    hour,
    billed_upload: 0,
    billed_download: -500_000,
    corrected_at: iso(now - DAY),
    actor: uuid(1, 'ad310000'),
    reason: 'reported twice',
    server_id: 1,
    node_client_id: 2,
    package_queue_id: 1601,
  };
}

/** Bytes of an hour, with a day and a week in them. */
function hourly(at, who, scale) {
  const hour = new Date(at).getUTCHours();
  const daily = 0.25 + 0.75 * Math.max(0, Math.sin(((hour - 6) / 24) * 2 * Math.PI));
  const weekly = [0, 6].includes(new Date(at).getUTCDay()) ? 1.25 : 1;
  const download = Math.round(scale * daily * weekly * (0.55 + 0.9 * noise(who, at)));
  const upload = Math.round(download * (0.08 + 0.06 * noise(who, at, 'up')));
  const factor = 0.9 + 0.5 * noise(who, Math.floor(at / DAY), 'factor');
  return {
    raw_upload: upload,
    raw_download: download,
    billed_upload: Math.round(upload * factor),
    billed_download: Math.round(download * factor),
  };
}

const amounts = ['raw_upload', 'raw_download', 'billed_upload', 'billed_download'];

function total(rows) {
  const sum = {
    raw_upload: 0,
    raw_download: 0,
    billed_upload: 0,
    billed_download: 0,
    corrected_upload: 0,
    corrected_download: 0,
  };
  for (const row of rows) for (const name of amounts) sum[name] += row[name];
  return sum;
}

/** Start of the day in a zone, without a library: the hour that the zone shows as 0. */
function dayStart(at, zone) {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    hour: 'numeric',
    minute: 'numeric',
    hourCycle: 'h23',
  });
  const parts = Object.fromEntries(format.formatToParts(at).map((one) => [one.type, one.value]));
  return Math.floor(at / 60_000) * 60_000 - (Number(parts.hour) * 60 + Number(parts.minute)) * 60_000;
}

function buckets(start, end, interval, zone, who, scale) {
  const rows = [];
  let at = interval === 'hour' ? Math.floor(start / HOUR) * HOUR : dayStart(start, zone);
  while (at < end) {
    const next = interval === 'hour' ? at + HOUR : dayStart(at + 26 * HOUR, zone);
    const hours = [];
    for (let hour = at; hour < Math.min(next, end); hour += HOUR) hours.push(hourly(hour, who, scale));
    const sum = total(hours);
    rows.push({ start: iso(at), end: iso(next), server_id: null, node_client_id: null, ...sum });
    at = next;
  }
  return rows;
}

function item(id, status, now) {
  const activated = Math.floor((now - 18 * DAY) / HOUR) * HOUR;
  const quota = [100e9, 500e9, null][id % 3 === 2 ? 2 : id % 2];
  const used =
    status === 'active' ? 358_412_334_512 : status === 'consumed' ? Math.round((quota ?? 200e9) * 1.0001) : 0;
  const limit = status === 'active' ? 500e9 : quota;
  const ended = status === 'consumed' || status === 'cancelled' ? iso(activated - (id % 40) * DAY) : null;
  return {
    id,
    user: DEMO_USER,
    order: uuid(id, '7c0a0922'),
    package_id: 10,
    package_name: status === 'active' ? 'Month 500 GB' : ['Week 100 GB', 'Month 500 GB', 'Year unlimited'][id % 3],
    series: uuid(10, '6ffe1c79'),
    version: 2,
    status,
    upload: Math.round(used * 0.09),
    download: used - Math.round(used * 0.09),
    used,
    quota: limit,
    quota_left: limit === null ? null : Math.max(0, limit - used),
    adjust_quota: status === 'active' ? 10_737_418_240 : 0,
    created_at: iso(activated - DAY - id * HOUR),
    activated_at: status === 'in_queue' ? null : iso(activated - (ended ? (id % 40) * DAY + 7 * DAY : 0)),
    expires_at: status === 'in_queue' ? null : iso(activated + 30 * DAY),
    extended_seconds: 0,
    ended_at: ended,
    end_reason: status === 'consumed' ? (id % 2 ? 'time' : 'traffic') : status === 'cancelled' ? 'cancelled' : null,
  };
}

const statusOfItem = (index) =>
  index === 3 ? 'active' : index < 3 ? 'in_queue' : index % 9 === 0 ? 'cancelled' : 'consumed';
const itemsOf = (count, now) => range(count).map((index) => item(1604 - index, statusOfItem(index), now));

const jobs = [
  'apply-package-extensions',
  'bill-traffic',
  'deliver-webhooks',
  'expire-packages',
  'maintain-storage',
  'reconcile-usage',
  'record-node-status-history',
  'refresh-node-status-view',
  'refresh-server-status',
  'summarize-usage',
  'sweep-outbox',
];

const page = (rows, query, limit = 50) => {
  const from = Number(query.get('offset') ?? 0);
  return rows.slice(from, from + Number(query.get('limit') ?? limit));
};

const top = (now, count, scale) =>
  range(count).map((rank) => {
    const raw = Math.round((scale / rank ** 0.7) * (0.9 + noise('top', rank) * 0.1));
    return {
      rank,
      raw_upload: Math.round(raw * 0.1),
      raw_download: Math.round(raw * 0.9),
      billed_upload: Math.round(raw * 0.13),
      billed_download: Math.round(raw * 1.1),
    };
  });

const metricsOf = (id, now) => ({
  measured_at: iso(Math.floor((now - 25_000) / 1000) * 1000),
  cpu_percent: 31.5,
  memory_used: 2_611_404_800,
  memory_total: 8_323_821_568,
  disk_used: 21_474_836_480,
  disk_total: 53_687_091_200,
  load1: 0.82,
  online_users: 118,
  uptime_seconds: 3_801_244,
  upload_rate: 4_311_020,
  download_rate: 48_220_114,
});

/** Answers that depend on a path alone, or on its parameters. */
const reads = {
  '/v1/packages': (query, now) => {
    const status = query.get('status');
    const all = itemsOf(23, now).filter((one) => !status || one.status === status);
    return { packages: page(all, query), total: all.length };
  },
  '/v1/traffic-usage': (query, now) => {
    const kind = query.get('range');
    const zone = query.get('time_zone') ?? 'UTC';
    const days = { day: 1, week: 7, month: 30 }[kind];
    const start = kind === 'day' ? Math.floor(now / HOUR) * HOUR - 23 * HOUR : dayStart(now - (days - 1) * DAY, zone);
    const rows = buckets(start, now, kind === 'day' ? 'hour' : 'day', zone, 'me', 1.1e9);
    const series = (name) =>
      rows.map((row) => ({
        start: row.start,
        end: row.end,
        upload: row[`${name}_upload`],
        download: row[`${name}_download`],
      }));
    return { range: kind, time_zone: zone, raw: series('raw'), actually_billed: series('billed') };
  },
  '/v1/nodes': () => ({ nodes: range(24).map((id) => client(id)), total: 24 }),
  '/v1/node-status-history': (query, now) => {
    const start = Math.ceil(Date.parse(query.get('start') ?? iso(now - DAY)) / HOUR) * HOUR;
    const hours = [];
    for (let at = start; at < now - 300_000; at += HOUR) {
      if (noise('gap', at) > 0.985) continue;
      const offline = noise('down', Math.floor(at / (3 * HOUR))) > 0.93 ? 3 : 0;
      const maintenance = noise('work', Math.floor(at / (5 * HOUR))) > 0.94 ? 2 : 0;
      hours.push({
        bucket_start: iso(at),
        online_nodes: 24 - offline - maintenance,
        offline_nodes: offline,
        maintenance_nodes: maintenance,
      });
    }
    const length = Math.floor((now - start) / 1000);
    const availability = range(24).map((id) => {
      const offline = noise('off', id) > 0.6 ? Math.floor(length * noise('offline', id) * 0.03) : 0;
      const maintenance = id % 11 === 0 ? 3600 : 0;
      return {
        node_client_id: id,
        online_seconds: length - offline - maintenance - 600,
        offline_seconds: offline,
        maintenance_seconds: maintenance,
        unknown_seconds: 600,
        availability: (length - offline - maintenance - 600) / (length - maintenance - 600),
      };
    });
    return { hours, availability, node_count: 24 };
  },
  '/v1/usually-used-nodes': (query) => ({
    nodes: range(Number(query.get('limit') ?? 20)).map((rank) => {
      const { id, name } = client(rank * 2 + 1);
      const download = Math.round(88e9 / rank ** 1.1);
      return {
        node_client_id: id,
        node_name: name,
        upload: Math.round(download * 0.1),
        download,
        billed_traffic: Math.round(download * 1.4),
      };
    }),
  }),
  '/v1/online-devices': (query, now) => ({
    as_of: iso(now),
    addresses: 2,
    device_limit: 3,
    clients: [{ node_client_id: 1, addresses: 2 }],
  }),
  '/v1/admin/overview': (query, now) => {
    const hours = buckets(Math.floor(now / HOUR) * HOUR - 23 * HOUR, now, 'hour', 'UTC', 'fleet', 210e9);
    const before = total(buckets(now - 2 * DAY, now - DAY, 'hour', 'UTC', 'fleet', 210e9));
    const month = total(buckets(now - 30 * DAY, now, 'day', 'UTC', 'fleet', 210e9));
    return {
      as_of: iso(now),
      counts: {
        online_servers: 22,
        offline_servers: 1,
        maintenance_servers: 1,
        clients: 48,
        active_packages: 600,
        waiting_packages: 3312,
        online_users: 244,
        unbilled_reports: 15,
        oldest_unbilled_at: iso(now - 9_000),
        parked_events: 0,
        open_doubts: 2,
        quarantined_reports: 1,
        usage_drifts: 3,
      },
      hours,
      last_24_hours: total(hours),
      previous_24_hours: before,
      last_30_days: month,
      top_users: top(now, 5, 61e9).map((row) => ({ ...row, user: uuid(row.rank, 'de300000') })),
      top_nodes: top(now, 5, 410e9).map((row) => ({
        ...row,
        server_id: row.rank,
        node_client_id: row.rank * 2,
        name: client(row.rank * 2).name,
      })),
    };
  },
  '/v1/admin/traffic-usage': (query, now) => {
    const zone = query.get('time_zone') ?? 'UTC';
    const interval = query.get('interval') ?? 'hour';
    const start = Date.parse(query.get('start') ?? iso(now - DAY));
    const who = query.get('user') ?? query.get('server_id') ?? query.get('node_client_id') ?? 'fleet';
    const scale = who === 'fleet' ? 210e9 : query.get('user') ? 1.1e9 : 9e9;
    const group = query.get('group_by') ?? 'none';
    let usage = buckets(start, now, interval, zone, who, scale);
    if (group !== 'none') {
      usage = usage.flatMap((bucket) =>
        range(8).map((id) => ({
          ...bucket,
          ...hourly(Date.parse(bucket.start), `${who}${id}`, (scale * 3) / id),
          server_id: id,
          node_client_id: group === 'client' ? id * 2 : null,
          corrected_upload: 0,
          corrected_download: 0,
        })),
      );
    }
    return {
      start: iso(start),
      end: iso(now),
      interval,
      time_zone: zone,
      group_by: group,
      usage: page(usage, query, 1000),
      total: usage.length,
      sum: total(usage),
    };
  },
  '/v1/admin/node-servers': (query, now) => {
    const all = range(24)
      .map((id) => server(id, now))
      .filter((one) => !query.get('status') || one.status === query.get('status'));
    return { servers: page(all, query), total: all.length };
  },
  '/v1/admin/node-servers/{id}': (query, now, id) =>
    Number(id) > 24
      ? null
      : {
          server: server(Number(id), now),
          server_config: { protocol: 'vless', network: 'tcp', server_port: 443, server_key: '********' },
          metrics: metricsOf(id, now),
          clock_skew_seconds: -1,
          revision: 4,
          created_at: '2026-01-05T08:00:00Z',
          updated_at: '2026-06-02T10:00:00Z',
        },
  '/v1/admin/node-servers/{id}/availability': (query, now, id) => ({
    id: Number(id),
    hours: hoursOfStatus(query.get('start'), now),
    start: query.get('start'),
    end: iso(now),
    online_seconds: 2_556_000,
    offline_seconds: 21_600,
    maintenance_seconds: 7_200,
    unknown_seconds: 7_200,
    availability: 0.99162,
  }),
  '/v1/admin/node-servers/{id}/metrics': (query, now, id) => {
    const start = Math.ceil(Date.parse(query.get('start') ?? iso(now - DAY)) / HOUR) * HOUR;
    const hours = [];
    for (let at = start; at < now; at += HOUR) {
      const load = hourly(at, `metrics${id}`, 1).raw_download + noise(id, at);
      const pair = (name, mean, max) => ({ [`${name}_mean`]: mean, [`${name}_max`]: max });
      if (noise('silent', at) > 0.97) continue;
      hours.push({
        hour: iso(at),
        samples: 60,
        ...pair('cpu_percent', 18 + load * 22, 28 + load * 30),
        ...pair('memory_used', 2.1e9 + load * 3e8, Math.round(2.4e9 + load * 4e8)),
        memory_total: 8_323_821_568,
        ...pair('disk_used', 21e9, 21_474_836_480),
        disk_total: 53_687_091_200,
        ...pair('load1', 0.4 + load / 2, 0.9 + load),
        ...pair('online_users', 70 + load * 40, Math.round(90 + load * 50)),
        ...pair('upload_rate', 3e6 + load * 1e6, Math.round(6e6 + load * 2e6)),
        ...pair('download_rate', 3e7 + load * 1e7, Math.round(6e7 + load * 2e7)),
      });
    }
    return { id: Number(id), start: iso(start), end: iso(now), hours };
  },
  '/v1/admin/node-clients': (query) => {
    const all = range(48)
      .map(client)
      .filter((one) => !query.get('server_id') || one.server_id === Number(query.get('server_id')));
    return { clients: page(all, query), total: all.length };
  },
  '/v1/admin/node-clients/{id}': (query, now, id) => ({
    client: client(Number(id)),
    server: server(Math.ceil(Number(id) / 2), now),
    metrics: metricsOf(id, now),
  }),
  '/v1/admin/node-access': (query) => {
    const all = range(14).map((id) => ({
      id: 15 - id,
      protocol: ['uniproxy', 'mod_mu', 'usage_report'][id % 3],
      software: ['xrayr', 'v2bx', 'collector'][id % 3],
      server_id: id,
      node_client_id: id % 2 ? id * 2 : null,
      allowed_networks: id % 4 ? [] : ['203.0.113.7/32'],
      interval_seconds: 60,
      client_timeout_seconds: 30,
      created_at: '2026-03-10T10:30:00Z',
      revoked_at: null,
    }));
    return { accesses: page(all, query), total: all.length };
  },
  '/v1/admin/top-users': (query, now) => ({
    range: query.get('range') ?? 'day',
    by: query.get('by') ?? 'billed',
    start: iso(now - DAY),
    as_of: iso(Math.floor(now / 60_000) * 60_000),
    total: 50,
    users: top(now, 50, 61e9).map((row) => ({ ...row, user: uuid(row.rank, 'de300000') })),
  }),
  '/v1/admin/top-nodes': (query, now) => {
    const kind = query.get('kind') ?? 'client';
    const days = { day: 1, week: 7, month: 30, quarter: 90, year: 365 }[query.get('range') ?? 'day'];
    const count = Math.min(Number(query.get('limit') ?? 20), kind === 'server' ? 24 : 48);
    return {
      range: query.get('range') ?? 'day',
      by: query.get('by') ?? 'billed',
      kind,
      start: iso(days === 1 ? Math.floor(now / HOUR) * HOUR - 23 * HOUR : dayStart(now - (days - 1) * DAY, 'UTC')),
      nodes: top(now, count, days * (query.get('user') ? 4e9 : 410e9)).map((row) => ({
        ...row,
        server_id: kind === 'server' ? row.rank : Math.ceil(row.rank / 2),
        node_client_id: kind === 'server' ? null : row.rank,
        name: kind === 'server' ? server(row.rank, now).name : client(row.rank).name,
      })),
    };
  },
  '/v1/admin/online-users': (query, now) => ({
    as_of: iso(now),
    users: page(
      range(244).map((number) => ({
        user: uuid(number, 'de300000'),
        number,
        addresses: 1 + (number % 3),
        client_count: 1 + (number % 2),
        device_limit: 3,
      })),
      query,
    ),
    total: 244,
    addresses: 361,
    clients: [],
    client_count: 31,
  }),
  '/v1/admin/package-queue': (query, now) => {
    const all = itemsOf(query.get('user') ? 23 : 3912, now).filter(
      (one) =>
        (!query.get('status') || one.status === query.get('status')) &&
        (!query.get('order') || one.order === query.get('order')),
    );
    return { packages: page(all, query), total: all.length };
  },
  '/v1/admin/package-queue/counts': () => {
    const counts = (in_queue, active, consumed, cancelled) => ({
      in_queue,
      active,
      consumed,
      cancelled,
      total: in_queue + active + consumed + cancelled,
    });
    const series = [
      ['Day', 510, 97],
      ['Hour', 1120, 194],
      ['Month', 1112, 217],
      ['Week', 570, 92],
    ].map(([name, waiting, active], index) => ({
      series: uuid(index, 'bd3600a4'),
      name,
      counts: counts(waiting, active, 120, 3),
    }));
    return { series, all: counts(3312, 600, 480, 12) };
  },
  '/v1/admin/package-queue/{id}/usage-explanation': (query, now, id) => {
    const all = range(130).map((index) => {
      const at = Math.floor(now / HOUR) * HOUR - index * HOUR;
      return {
        hour: iso(at),
        server_id: 1 + (index % 6),
        node_client_id: 2 + 2 * (index % 6),
        node_client_name: client(2 + 2 * (index % 6)).name,
        package_queue_id: Number(id),
        ...hourly(at, 'me', 1.1e9),
        corrected_upload: 0,
        corrected_download: index === 4 ? -5_000_000 : 0,
      };
    });
    const sum = { ...total(all), corrected_download: -5_000_000 };
    return {
      id: Number(id),
      user: DEMO_USER,
      upload: sum.billed_upload,
      download: sum.billed_download,
      sum,
      usage: page(all, query, 100),
      total: all.length,
      unexplained_upload: 0,
      unexplained_download: 0,
    };
  },
  '/v1/admin/package-series': (query) => {
    const version = (name, series, number, limit, days, master) => ({
      id: series * 10 + number,
      series: uuid(series, '6ffe1c79'),
      version: number,
      is_master: master,
      name,
      available_group: series,
      max_client_number: 3,
      duration_seconds: days * 86_400,
      traffic_limit: limit,
      created_at: '2026-03-01T00:00:00Z',
      retired_at: number === 1 && series === 2 ? '2026-04-01T00:00:00Z' : null,
    });
    const all = [
      {
        series: uuid(1, '6ffe1c79'),
        versions: [version('Week 120 GB', 1, 2, 120e9, 7, false), version('Week 100 GB', 1, 1, 100e9, 7, true)],
      },
      {
        series: uuid(2, '6ffe1c79'),
        versions: [version('Month 500 GB', 2, 2, 500e9, 30, true), version('Month 400 GB', 2, 1, 400e9, 30, false)],
      },
      { series: uuid(3, '6ffe1c79'), versions: [version('Year unlimited', 3, 1, null, 365, true)] },
    ];
    return { series: page(all, query), total: all.length };
  },
  '/v1/admin/usage-explanation': (query, now) => {
    const hour = query.get('hour');
    const usage = [
      {
        hour,
        server_id: 1,
        node_client_id: 2,
        node_client_name: client(2).name,
        package_queue_id: 1601,
        raw_upload: 301_001,
        raw_download: 10_000_003,
        billed_upload: 752_503,
        billed_download: 24_500_008,
        corrected_upload: 0,
        corrected_download: -500_000,
      },
    ];
    const sum = (up, down) => ({
      raw_upload: 301_001,
      raw_download: 10_000_003,
      billed_upload: up,
      billed_download: down,
      corrected_upload: 0,
      corrected_download: 0,
    });
    const nothing = {
      raw_upload: 0,
      raw_download: 0,
      billed_upload: 0,
      billed_download: 0,
      corrected_upload: 0,
      corrected_download: 0,
    };
    const line = (number, upload, download) => ({
      report_id: uuid(number, '0193b0e1'),
      received_at: hour,
      period_start: hour,
      period_end: hour,
      upload,
      download,
      factor: 2.5,
    });
    // Two runs billed a line each, and rounded it.
    const part = (number, upload, download) => ({
      billing_run_id: uuid(number, '01e40000'),
      server_id: 1,
      node_client_id: 2,
      node_client_name: client(2).name,
      raw_upload: upload,
      raw_download: download,
      billed_upload: Math.round(upload * 2.5),
      billed_download: Math.round(download * 2.5),
      exact_upload: String(upload * 2.5),
      exact_download: String(download * 2.5),
      line_count: 1,
      lines: [line(number, upload, download)],
    });
    return {
      user: query.get('user'),
      hour,
      usage,
      sum: { ...sum(752_503, 24_500_008), corrected_download: -500_000 },
      parts: [part(1, 300_000, 4_000_001), part(2, 1_001, 6_000_002)],
      total: 2,
      billed: sum(752_503, 25_000_008),
      parked: nothing,
      corrections: [correctionOf(query.get('user'), hour, now)],
      unexplained: nothing,
    };
  },
  '/v1/admin/usage-corrections': (query, now) => ({
    corrections: [correctionOf(query.get('user'), iso(Math.floor(now / HOUR) * HOUR - DAY), now)],
    total: 1,
  }),
  '/v1/admin/doubtful-pushes': (query, now) => ({
    pushes: range(2).map((id) => ({
      id,
      doubt: 'contains_previous',
      evidence: ['answered_late', 'larger'],
      push_id: uuid(id),
      previous_push_id: uuid(id + 9),
      access_id: 3,
      server_id: id,
      node_client_id: id * 2,
      arrived_at: iso(now - id * HOUR),
      users: 12,
      bytes: 3_030_771,
      billed: true,
      unreadable_rows: 0,
      unreadable: [],
      decision: null,
      decided_at: null,
    })),
    total: 2,
  }),
  '/v1/admin/quarantined-reports': (query, now) => {
    // Two reports wait. Of those that were released, there are more than one page.
    const all = range(132)
      .map((id) => ({
        id: 4714 - id,
        report_id: uuid(id),
        server_id: id,
        sender_id: id === 2 ? null : `AIDAEXAMPLE${id}`,
        period_start: iso(now - id * HOUR - 120_000),
        period_end: iso(now - id * HOUR),
        received_at: iso(now - id * HOUR + 9_000),
        reason: id === 1 ? 'unknown_node_client' : 'implausible_bytes',
        lines: 40 + id,
        lines_without_factor: id === 1 ? 41 : 0,
        upload: 7_000_000_000_000 + id,
        download: 9_000_000_000_000 + id,
        released_at: id > 2 ? iso(now - HOUR) : null,
        released_by: id > 2 ? DEMO_USER : null,
        release_reason: id > 2 ? 'the provider counted the same' : null,
      }))
      .filter(
        (report) =>
          (!query.get('reason') || report.reason === query.get('reason')) &&
          (!query.get('state') || (report.released_at ? 'released' : 'waiting') === query.get('state')),
      );
    return { reports: page(all, query), total: all.length };
  },
  '/v1/admin/usage-drifts': (query, now) => {
    const all = ['item', 'hour', 'applied']
      .map((kind, index) => ({
        id: 9 - index,
        kind,
        bucket_start: kind === 'hour' ? iso(Math.floor(now / HOUR) * HOUR - 2 * HOUR) : null,
        package_queue_id: kind === 'item' ? 1601 : null,
        user: kind === 'item' ? DEMO_USER : null,
        billing_run_id: kind === 'applied' ? uuid(7) : null,
        raw_upload: kind === 'item' ? 0 : -1_200_000 - index,
        raw_download: kind === 'item' ? 0 : -8_700_000 - index,
        billed_upload: 500_001 + index,
        billed_download: -9_100_003 - index,
        first_found_at: iso(now - (30 + index) * HOUR),
        found_at: iso(now - (2 + index) * HOUR),
      }))
      .filter((drift) => !query.get('kind') || drift.kind === query.get('kind'));
    return { drifts: page(all, query), total: all.length };
  },
  '/v1/admin/parked-events': (query, now) => ({
    events: [
      {
        id: 12,
        user: DEMO_USER,
        bucket_start: iso(Math.floor(now / HOUR) * HOUR),
        server_id: 1,
        node_client_id: 2,
        raw_upload: 1000,
        raw_download: 2000,
        billed_upload: 2000,
        billed_download: 4000,
        reason: 'locked: canceling statement due to lock timeout',
        parked_at: iso(now - HOUR),
        attempts: 3,
        retry_at: iso(now + 420_000),
      },
    ],
    total: 1,
  }),
  '/v1/admin/dead-letters': (query, now) => ({
    queues: [
      'usage-report',
      'node-usage',
      'user-usage-billing',
      'package-expiring',
      'package-order',
      'webhook-event',
      'schedule',
    ].map((queue, index) => ({
      queue,
      dead_letters: index === 0 ? 2 : 0,
      counted_at: iso(Math.floor(now / 60_000) * 60_000),
      reasons:
        index === 0
          ? [
              {
                error_code: 'unknown_server',
                reason: 'server_id: unknown node server',
                messages: 3,
                last_message_id: uuid(8),
                first_failed_at: iso(now - 5 * HOUR),
                last_failed_at: iso(now - 2 * HOUR),
              },
            ]
          : [],
    })),
  }),
  '/v1/admin/job-runs': (query, now) => {
    const minute = Math.floor(now / 60_000) * 60_000;
    const all = range(120)
      .map((index) => {
        const failed = index === 9;
        return {
          id: uuid(index),
          job: jobs[index % jobs.length],
          request_id: uuid(index + 1000),
          started_at: iso(minute - index * 60_000),
          ended_at: iso(minute - index * 60_000 + 2_000),
          duration_milliseconds: 120 + index * 7,
          outcome: failed ? 'failed' : 'completed',
          error_code: failed ? 'unavailable' : null,
          counts: { reports: 120 + index, events: 900, complete: true },
          lag_seconds: index % jobs.length === 1 ? 4 : null,
        };
      })
      .filter(
        (run) =>
          (!query.get('job') || run.job === query.get('job')) &&
          (!query.get('outcome') || run.outcome === query.get('outcome')),
      );
    return {
      runs: page(all, query),
      total: all.length,
      summaries: jobs.map((job) => ({
        job,
        last_started_at: iso(minute),
        last_outcome: job === 'deliver-webhooks' ? 'running' : 'completed',
        last_completed_at: iso(minute - 60_000 + 900),
        lag_seconds: job === 'bill-traffic' ? 4 : null,
      })),
    };
  },
  '/v1/admin/audit-entries': (query, now) => {
    const all = range(130)
      .map((index) => ({
        id: 4800 - index,
        created_at: iso(Math.floor(now / 60_000) * 60_000 - index * 47 * 60_000),
        actor_user_id: uuid(1, 'ad310000'),
        request_id: uuid(index),
        action: ['AdjustQuota', 'SetNodeServerMaintenance', 'UpdateNodeClient'][index % 3],
        target_kind: ['package_item', 'node_server', 'node_client'][index % 3],
        target_id: String(1600 - index),
        before: { adjust_quota: 0, quota: 18_000_000_000 },
        after: { adjust_quota: 10_737_418_240, quota: 28_737_418_240 },
        reason: ['compensation for the outage', 'new disk', null][index % 3],
      }))
      .filter((entry) => !query.get('target_kind') || entry.target_kind === query.get('target_kind'));
    return { entries: page(all, query), total: all.length };
  },
  '/v1/admin/webhooks': () => ({ webhooks: [webhook], total: 1 }),
  '/v1/admin/webhooks/{id}': () => ({ webhook }),
  '/v1/admin/webhooks/{id}/deliveries': (query, now, id) => ({
    deliveries: range(12).map((index) => ({
      id: 40 - index,
      webhook_id: id,
      event_id: uuid(index),
      event_type: 'PackageExpired',
      status: index === 1 ? 'pending' : index === 5 ? 'failed' : 'delivered',
      attempts: index === 5 ? 14 : 1,
      created_at: iso(now - index * HOUR),
      last_attempt_at: iso(now - index * HOUR + 1000),
      next_attempt_at: index === 1 ? iso(now + 90_000) : null,
      response_status: index === 1 ? 503 : 204,
      failure: index === 1 ? 'status' : null,
    })),
    total: 12,
  }),
};

const notFound = {
  status: 404,
  json: { type: 'about:blank', title: 'Not Found', status: 404, code: 'not_found', detail: 'It does not exist.' },
};

/** Returns the answer to a request. Changes are echoed. */
export function answer(method, path, query, body) {
  const now = Math.floor(Date.now() / 1000) * 1000;
  if (method !== 'GET')
    return {
      json: {
        changed: true,
        ...(path.endsWith('/node-access') ? { token: '9f2c77aa01' } : {}),
        received: body ?? null,
      },
    };
  const id = /\/(?:node-servers|node-clients|package-queue|webhooks)\/([^/]+)/.exec(path)?.[1];
  const known =
    reads[path] ?? reads[path.replace(/\/(node-servers|node-clients|package-queue|webhooks)\/[^/]+/, '/$1/{id}')];
  const json = known?.(query, now, id);
  return json ? { json, csv: 'start,end\r\n2026-03-01T00:00:00Z,2026-03-02T00:00:00Z\r\n' } : notFound;
}
