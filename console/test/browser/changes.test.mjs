// Changes ask once, say what will change, and report what happened. Requests that change something are answered here,
// so that a running system stays as it is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { go, screenshots, settled, until, violations } from '../support/browser.mjs';
import { live, onPage, problem, setUp } from '../support/console.mjs';
import { adminPages, userPages } from '../support/pages.mjs';

setUp();

const changes = Object.keys(
  JSON.parse(readFileSync(new URL('../../src/api/generated/changes.json', import.meta.url), 'utf8')),
);

/** Answers each change with what `reply` returns, and records the requests. */
function recorder(reply = () => ({ json: { changed: true } })) {
  const sent = [];
  const prepare = (page) =>
    page.route('**/v1/**', (route) => {
      const request = route.request();
      if (request.method() === 'GET') return route.continue();
      sent.push({
        method: request.method(),
        path: new URL(request.url()).pathname.replace(/^.*(?=\/v1)/, ''),
        headers: request.headers(),
        body: request.postDataJSON(),
      });
      return route.fulfill(reply(sent.length));
    });
  return { sent, prepare };
}

test('maintenance is started with a reason and an idempotency key', async () => {
  const { sent, prepare } = recorder(() => ({ json: { id: 1, status: 'maintenance', changed: true } }));
  await onPage({ role: 'admin', prepare, hash: '#/servers/1' }, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Start maintenance' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Start maintenance' }).click();
    assert.equal(sent.length, 0, 'a change without a reason is not sent');
    assert.match(await dialog.textContent(), /Enter a value/);
    await dialog.getByLabel('Reason').fill('new disk');
    assert.deepEqual(await violations(page), []);
    await page.screenshot({ path: `${screenshots}dialog-maintenance.png` });
    await dialog.getByRole('button', { name: 'Start maintenance' }).click();
    await dialog.getByText('Done', { exact: true }).first().waitFor();
    assert.equal(sent[0].method, 'PUT');
    assert.equal(sent[0].path, '/v1/admin/node-servers/1/maintenance');
    assert.deepEqual(sent[0].body, { maintenance: true, reason: 'new disk' });
    assert.match(sent[0].headers['idempotency-key'], /^[0-9a-f-]{36}$/);
    assert.deepEqual(await violations(page), []);
  });
});

test('an edit sends only what differs, for the revision that was read', async () => {
  const { sent, prepare } = recorder();
  await onPage({ role: 'admin', prepare, hash: '#/clients/2' }, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Edit client' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Traffic factor').fill('1.75');
    assert.match(await dialog.locator('.summary').textContent(), /Traffic factor.*→ 1\.75/);
    await page.screenshot({ path: `${screenshots}dialog-edit.png` });
    await dialog.getByRole('button', { name: 'Edit client' }).click();
    await dialog.getByText('Done', { exact: true }).first().waitFor();
    assert.equal(sent[0].method, 'PATCH');
    assert.deepEqual(sent[0].body, { traffic_factor: 1.75 });
    assert.match(sent[0].headers['if-match'], /^"\d+"$/);
    assert.equal(sent[0].headers['content-type'], 'application/merge-patch+json');
  });
});

test('a repeat after a failure has the same key, a changed request another one', async () => {
  const { sent, prepare } = recorder((count) =>
    count < 3 ? problem(503, 'unavailable', 'Service Unavailable') : { json: { changed: true } },
  );
  await onPage({ role: 'admin', prepare, hash: '#/queue?status=active' }, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Adjust quota' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Bytes').fill('1.5');
    await dialog.getByLabel('Reason').fill('outage');
    const confirm = dialog.getByRole('button', { name: 'Adjust quota' });
    await confirm.click();
    await dialog.locator('[data-code="unavailable"]').waitFor();
    await confirm.click();
    await until(() => sent.length === 2);
    await dialog.getByLabel('Bytes').fill('2');
    await confirm.click();
    await dialog.getByText('Done', { exact: true }).first().waitFor();
    const keys = sent.map((one) => one.headers['idempotency-key']);
    assert.equal(keys[0], keys[1]);
    assert.notEqual(keys[1], keys[2]);
    assert.deepEqual(
      sent.map((one) => one.body.bytes),
      [1.5e9, 1.5e9, 2e9],
    );
  });
});

test('a lost update is refused with what to do', async () => {
  const { prepare } = recorder(() =>
    problem(412, 'revision_changed', 'Precondition Failed', 'The client has another revision.'),
  );
  await onPage({ role: 'admin', prepare, hash: '#/clients/2' }, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Edit client' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('renamed');
    await dialog.getByRole('button', { name: 'Edit client' }).click();
    await dialog.locator('[data-code="revision_changed"]').waitFor();
    assert.match(await dialog.textContent(), /Another administrator has changed it/);
  });
});

test('a bulk change is counted first, and the count changes nothing', async () => {
  const { sent, prepare } = recorder((count) => ({
    json: {
      extension_id: count === 1 ? null : '4b8a3f1e-0c69-4b9e-9a55-0d9f6f2f5f0e',
      requested_at: '2026-03-10T10:30:00Z',
      items: 97,
    },
  }));
  await onPage({ role: 'admin', prepare, hash: '#/catalog' }, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Extend' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Hours').fill('24');
    await dialog.getByLabel('Reason').fill('outage');
    await dialog.getByRole('button', { name: 'Count first' }).click();
    await dialog.getByText('Nothing was changed yet').waitFor();
    assert.match(await dialog.textContent(), /97/);
    await dialog.getByRole('button', { name: 'Extend' }).click();
    await dialog.getByText('Done', { exact: true }).first().waitFor();
    assert.equal(sent[0].body.dry_run, true);
    assert.equal(sent[1].body.dry_run, undefined);
    assert.notEqual(sent[0].headers['idempotency-key'], sent[1].headers['idempotency-key']);
  });
});

test('a secret is shown once, with the answer', async () => {
  const { prepare } = recorder(() => ({ json: { access: { id: 3 }, token: '9f2c77aa01' } }));
  await onPage({ role: 'admin', prepare, hash: '#/access' }, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Issue access' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Protocol').selectOption('uniproxy');
    await dialog.getByLabel('Server id').fill('1');
    await dialog.getByRole('button', { name: 'Issue access' }).click();
    await dialog.getByText('9f2c77aa01').waitFor();
    assert.deepEqual(await violations(page), []);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.getByText('9f2c77aa01').waitFor({ state: 'detached' });
  });
});

test('an order is delivered under the id that was entered', async () => {
  const { sent, prepare } = recorder();
  const order = '0d2c6a52-58f5-4f35-8a51-6b8e4b0c7c11';
  await onPage({ role: 'admin', prepare, hash: '#/users/de300000-0000-4000-8000-000000000001' }, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Deliver order' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Order id').fill(order);
    await dialog.getByLabel('Series').fill('bd3600a4-2e4a-5b47-a6bc-2f528fbed4f1');
    await dialog.getByLabel('Amount').fill('2');
    await dialog.getByRole('button', { name: 'Deliver order' }).click();
    await dialog.getByText('Done', { exact: true }).first().waitFor();
    assert.equal(sent[0].path, `/v1/admin/orders/${order}`);
    assert.deepEqual(sent[0].body, {
      user: 'de300000-0000-4000-8000-000000000001',
      series: 'bd3600a4-2e4a-5b47-a6bc-2f528fbed4f1',
      amount: 2,
    });
  });
});

test('an administrator who may only read sees no changes', { skip: live && 'needs the test issuer' }, async () => {
  await onPage({ role: 'reader', hash: '#/queue' }, async (page) => {
    await settled(page);
    for (const name of ['Deliver order', 'Adjust quota', 'Cancel package'])
      assert.equal(await page.getByRole('button', { name }).count(), 0);
    await go(page, '#/servers/1');
    assert.equal(await page.getByRole('button', { name: 'Archive server' }).count(), 0);
  });
});

test('a package is cancelled by the keyboard alone', async () => {
  const { sent, prepare } = recorder();
  await onPage({ role: 'admin', prepare, hash: '#/queue?status=active' }, async (page) => {
    await settled(page);
    const opener = page.getByRole('button', { name: 'Cancel package' }).first();
    await opener.focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(
      await opener.evaluate((element) => element === document.activeElement),
      true,
      'focus returns to the button',
    );
    await page.keyboard.press('Enter');
    await dialog.waitFor();
    for (
      let step = 0;
      step < 10 && !(await dialog.getByLabel('Reason').evaluate((element) => element === document.activeElement));
      step += 1
    )
      await page.keyboard.press('Tab');
    await page.keyboard.type('asked by the user');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await dialog.getByText('Done', { exact: true }).first().waitFor();
    assert.equal(sent.length, 1);
    assert.match(sent[0].path, /\/cancellation$/);
  });
});

test(
  'every change that the API offers has an accessible form',
  { skip: live && 'needs objects in every state' },
  async () => {
    await onPage({ role: 'admin' }, async (page) => {
      const opened = new Set();
      for (const hash of [
        ...Object.values({ ...userPages, ...adminPages }),
        '#/queue?by=order&order=7c0a0922-0000-4000-8000-000000001601',
      ]) {
        await go(page, hash);
        const names = await page
          .locator('[data-change]')
          .evaluateAll((all) => [...new Set(all.map((one) => one.dataset.change))]);
        for (const name of names.filter((one) => !opened.has(one))) {
          await page.locator(`[data-change="${name}"]`).first().click();
          await page.getByRole('dialog').waitFor();
          assert.deepEqual(await violations(page), [], name);
          assert.ok((await page.locator('.effect').textContent()).length > 20, name);
          await page.keyboard.press('Escape');
          await page.getByRole('dialog').waitFor({ state: 'detached' });
          opened.add(name);
        }
      }
      assert.deepEqual(
        changes.filter((name) => !opened.has(name)),
        [],
      );
    });
  },
);
