import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controlOf, fromUnits, inUnits, byteUnits, secondUnits, patchOf, valueOf } from '../../src/api/form.ts';
import { toProblem, unreachable } from '../../src/api/problem.ts';
import { curlOf, pathOf } from '../../src/api/url.ts';
import { href, match, parseHash } from '../../src/app/location.ts';
import { mayChange, mayRead, readToken } from '../../src/auth/token.ts';
import { joined, sumOf } from '../../src/charts/usage.ts';
import { intervalOf, startOf } from '../../src/format/range.ts';

const token = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;

test('a link keeps its page and its filters', () => {
  const link = href('/servers/4', { range: 'month', status: undefined, q: 'a&b=c' });
  assert.deepEqual(parseHash(link), { path: '/servers/4', query: { range: 'month', q: 'a&b=c' } });
  assert.deepEqual(parseHash(''), { path: '/', query: {} });
});

test('a pattern matches paths of its length alone', () => {
  assert.deepEqual(match('/servers/:id', '/servers/4'), { id: '4' });
  assert.deepEqual(match('/servers/:id', '/servers/a%2Fb'), { id: 'a/b' });
  assert.deepEqual(match('/', '/'), {});
  assert.deepEqual(match('/servers', '/servers/'), {});
  assert.equal(match('/servers/:id', '/servers'), null);
  assert.equal(match('/servers/:id', '/servers/4/x'), null);
  assert.deepEqual(match('/servers/:id', '/servers/%'), { id: '%' });
});

test('the path of a read leaves out parameters without a value', () => {
  const query = { limit: 5, user: undefined, order: '', zone: 'Europe/Berlin', all: false };
  assert.equal(pathOf({ path: '/v1/x/{id}', id: 'a b', query }), '/v1/x/a%20b?limit=5&zone=Europe%2FBerlin&all=false');
});

test('a command cannot leave its quotes', () => {
  assert.equal(
    curlOf("https://x/v1?a='$(id)'", 'text/csv'),
    `curl -H "authorization: Bearer $TOKEN" -H 'accept: text/csv' 'https://x/v1?a=%27$(id)%27'`,
  );
});

test('only whole scopes count', () => {
  assert.equal(mayRead(readToken(token({ sub: 'u', scope: 'telecom:admin.read' }))), true);
  assert.equal(mayChange(readToken(token({ sub: 'u', scope: 'telecom:admin.read' }))), false);
  assert.equal(mayChange(readToken(token({ sub: 'u', scope: 'openid telecom:admin' }))), true);
  assert.equal(mayRead(readToken(token({ sub: 'u', scope: 'telecom:administrator' }))), false);
  assert.equal(readToken(token({ sub: 'ünï' })).user, 'ünï');
  assert.deepEqual(readToken('not a token'), { user: '', scopes: [] });
});

test('a problem keeps its title and code and says what to do', () => {
  const given = { title: 'Conflict', code: 'item_ended', detail: 'The item has ended.', status: 409 };
  const problem = toProblem(409, given);
  assert.equal(problem.title, 'Conflict');
  assert.equal(problem.code, 'item_ended');
  assert.match(problem.advice, /already ended/);
});

test('a response without a problem document is still a problem', () => {
  assert.equal(toProblem(403, '<html>').code, 'http_403');
  assert.equal(toProblem(502, undefined, '7').retryAfter, 7);
  assert.equal(toProblem(503, null, 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfter, undefined);
  assert.equal(unreachable(false).code, 'offline');
});

test('the start of a range changes with the hour alone', () => {
  const at = Date.parse('2026-03-10T12:34:56Z');
  assert.equal(startOf('day', at), '2026-03-09T13:00:00.000Z');
  assert.equal(startOf('day', at + 60_000), startOf('day', at));
  assert.equal(intervalOf('week'), 'hour');
  assert.equal(intervalOf('year'), 'day');
});

test('the controls of a form follow its schema', () => {
  assert.equal(controlOf('bytes', { type: 'integer' }).kind, 'bytes');
  assert.equal(controlOf('traffic_limit', { type: ['integer', 'null'] }).kind, 'bytes');
  assert.equal(controlOf('duration_seconds', { type: 'integer' }).kind, 'seconds');
  assert.equal(controlOf('expires_at', { type: 'string', format: 'date-time' }).kind, 'time');
  assert.equal(controlOf('decision', { oneOf: [{ const: 'keep' }, { const: 'correct' }] }).kind, 'choice');
  assert.equal(controlOf('software', { anyOf: [{ oneOf: [{ const: 'xrayr' }] }, { type: 'null' }] }).kind, 'choice');
  assert.equal(controlOf('event_types', { type: 'array', items: { oneOf: [{ const: 'A' }] } }).kind, 'choices');
  assert.deepEqual(controlOf('groups', { type: 'array', items: { type: 'integer' } }), {
    kind: 'list',
    numbers: true,
  });
});

test('a number with a unit is exact to the last digit', () => {
  assert.equal(fromUnits('0.1', byteUnits['GB'] ?? 0), 100_000_000);
  assert.equal(fromUnits('1,5', byteUnits['TB'] ?? 0), 1_500_000_000_000);
  assert.equal(fromUnits('-5', 1), -5);
  assert.equal(fromUnits('0.5', 1), undefined);
  assert.equal(fromUnits('1e3', 1), undefined);
  assert.equal(fromUnits('99999999', byteUnits['TB'] ?? 0), undefined);
});

test('a value starts in the largest unit in which it is whole', () => {
  assert.deepEqual(inUnits(100e9, byteUnits), ['100', 'GB']);
  assert.deepEqual(inUnits(107_374_182_400, byteUnits), ['107374182400', 'B']);
  assert.deepEqual(inUnits(2_592_000, secondUnits), ['30', 'days']);
  assert.deepEqual(inUnits(0, secondUnits), ['0', 'seconds']);
});

test('text that cannot be read is refused with words', () => {
  assert.throws(() => valueOf({ kind: 'number', whole: true }, '1.5'), /not a number/);
  assert.throws(() => valueOf({ kind: 'json' }, '[1]'), /JSON object/);
  assert.throws(() => valueOf({ kind: 'list', numbers: true }, '1, x'), /whole numbers/);
  assert.deepEqual(valueOf({ kind: 'list', numbers: true }, '1, 2 3'), [1, 2, 3]);
});

test('a patch has only what differs, and null for what is gone', () => {
  const before = { name: 'a', config: { port: 1, key: '********', nested: { a: 1, b: 2 } }, groups: [1] };
  const after = { name: 'a', config: { port: 2, key: '********', nested: { a: 1 } }, groups: [1, 2] };
  assert.deepEqual(patchOf(before, after), { config: { port: 2, nested: { b: null } }, groups: [1, 2] });
  assert.deepEqual(patchOf(before, before), {});
});

test('the two series of a user join by their buckets', () => {
  const bucket = (upload: number) => ({ start: 's', end: 'e', upload, download: 10 });
  const rows = joined({
    range: 'day',
    time_zone: 'UTC',
    raw: [bucket(1), bucket(2)],
    actually_billed: [bucket(3), bucket(4)],
  });
  assert.deepEqual(sumOf(rows), { raw_upload: 3, raw_download: 20, billed_upload: 7, billed_download: 20 });
});
