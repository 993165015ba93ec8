// Changes that really take effect: what an administrator enters is what the API has afterwards, once, and in the audit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { go, settled } from '../support/browser.mjs';
import { onPage, readerOf, setUp } from '../support/console.mjs';
import { DEMO_USER } from '../support/issuer.mjs';

setUp();

/**
 * Makes a change by a button in `scope`. The answer of the first attempt is lost, so the administrator tries again.
 * Returns the answers of both attempts.
 */
async function changeTwice(page, scope, { button, reason, fill }) {
  const answers = [];
  const keys = new Set();
  const lose = async (route) => {
    if (route.request().method() === 'GET') return route.continue();
    const response = await route.fetch();
    keys.add(route.request().headers()['idempotency-key']);
    answers.push({ status: response.status(), body: await response.json() });
    return answers.length === 1 ? route.abort() : route.fulfill({ response });
  };
  await page.route('**/v1/**', lose);
  await scope.getByRole('button', { name: button }).click();
  const dialog = page.getByRole('dialog');
  await fill?.(dialog);
  await dialog.getByLabel('Reason').fill(reason);
  const confirm = dialog.getByRole('button', { name: button });
  await confirm.click();
  await dialog.locator('.notice.bad').waitFor();
  await confirm.click();
  await dialog.getByText('Done', { exact: true }).first().waitFor();
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.unroute('**/v1/**', lose);
  assert.equal(answers[0].status, 200, JSON.stringify(answers[0].body));
  assert.deepEqual(answers[1], answers[0]);
  assert.equal(keys.size, 1);
}

/** The rows of the audit page for an object. */
async function auditRows(page, kind, id) {
  await go(page, `#/audit?kind=${kind}&target=${id}`);
  await page.waitForSelector('tbody tr');
  return page.locator('tbody tr').allTextContents();
}

test('a quota is adjusted once, nothing else changes, and the audit shows it', async () => {
  const read = await readerOf('admin');
  // Usage changes active packages all the time.
  const waiting = `user=${DEMO_USER}&status=in_queue`;
  const packages = async () => (await read(`/v1/admin/package-queue?${waiting}`)).packages;
  const before = await packages();
  const item = before.find((one) => one.quota !== null);
  const reason = `The outage of ${new Date().toISOString()}`;
  await onPage({ role: 'admin', hash: `#/queue?${waiting}` }, async (page) => {
    await settled(page);
    const row = page.locator('tbody tr', { hasText: new RegExp(`#${item.id}(?!\\d)`) });
    const fill = (dialog) => dialog.getByLabel('Bytes').fill('1.5');
    await changeTwice(page, row, { button: 'Adjust quota', reason, fill });
    const added = (value) => value + 1.5e9;
    const expected = {
      ...item,
      adjust_quota: added(item.adjust_quota),
      quota: added(item.quota),
      quota_left: added(item.quota_left),
    };
    assert.deepEqual(
      await packages(),
      before.map((one) => (one.id === item.id ? expected : one)),
    );
    const rows = (await auditRows(page, 'package_item', item.id)).filter((text) => text.includes(reason));
    assert.equal(rows.length, 1);
    assert.match(rows[0], /AdjustQuota/);
  });
});

test('maintenance takes one server out of service until it is ended', async () => {
  const read = await readerOf('admin');
  const { servers } = await read('/v1/admin/node-servers?limit=200&status=online');
  const { id } = servers[0];
  const inMaintenance = async () =>
    (await read('/v1/admin/node-servers?limit=200&status=maintenance')).servers.map((one) => one.id);
  const before = await inMaintenance();
  const reasons = ['starts', 'ends'].map((what) => `The work that ${what} at ${new Date().toISOString()}`);
  await onPage({ role: 'admin', hash: `#/servers/${id}` }, async (page) => {
    await settled(page);
    await changeTwice(page, page, { button: 'Start maintenance', reason: reasons[0] });
    assert.deepEqual(new Set(await inMaintenance()), new Set([...before, id]));
    // The page has read the server again.
    await changeTwice(page, page, { button: 'End maintenance', reason: reasons[1] });
    assert.deepEqual(await inMaintenance(), before);
    await page.getByRole('button', { name: 'Start maintenance' }).waitFor();
    const rows = (await auditRows(page, 'node_server', id)).filter((text) => reasons.some((one) => text.includes(one)));
    assert.equal(rows.length, 2);
    assert.match(rows[0], /SetNodeServerMaintenance/);
  });
});
