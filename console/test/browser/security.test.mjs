// Stored text stays text, and tokens stay where they belong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { go, open, settled, signIn } from '../support/browser.mjs';
import { live, onPage, setUp, started } from '../support/console.mjs';
import { adminPages, userPages } from '../support/pages.mjs';

setUp({ scope: 'openid offline_access' });

const hostile = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
const stored = new Set([
  'name',
  'node_name',
  'package_name',
  'server_name',
  'location',
  'route_class',
  'reason',
  'description',
  'url',
  'action',
  'error_code',
]);

function poisoned(value) {
  if (Array.isArray(value)) return value.map(poisoned);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      name,
      stored.has(name) && typeof one === 'string' ? hostile : poisoned(one),
    ]),
  );
}

for (const [role, pages] of Object.entries({ user: userPages, admin: adminPages })) {
  test(`stored text is shown as text on every page for a ${role}`, async () => {
    const prepare = (page) =>
      page.route('**/v1/**', async (route) => {
        const response = await route.fetch();
        const type = response.headers()['content-type'] ?? '';
        if (response.status() === 304 || !type.includes('json')) return route.fulfill({ response });
        return route.fulfill({ response, json: poisoned(await response.json()) });
      });
    await onPage({ role, prepare }, async (page) => {
      let shown = 0;
      for (const hash of Object.values(pages)) {
        await go(page, hash);
        assert.equal(await page.evaluate(() => window.hacked), undefined, hash);
        assert.equal(await page.locator('main img, main script').count(), 0, hash);
        if ((await page.locator('main').textContent()).includes(hostile)) shown += 1;
      }
      assert.ok(shown >= 2, `${shown} pages showed the text`);
    });
  });
}

test('the page has the policy, and it forbids inline scripts and strings as markup', async () => {
  await onPage({}, async (page) => {
    const policy = (await page.request.get(started.url)).headers()['content-security-policy'];
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /require-trusted-types-for 'script'/);
    assert.doesNotMatch(policy, /unsafe/);
  });
  const { context, page } = await open(started.browser);
  await page.goto(started.url);
  const refused = await page.evaluate(() => {
    try {
      document.body.innerHTML = '<b>text</b>';
      return false;
    } catch {
      return true;
    }
  });
  assert.ok(refused);
  await context.close();
});

test('a token is in no address and in no lasting storage', async () => {
  const addresses = [];
  let token = '';
  const prepare = async (page) =>
    page.on('request', (request) => {
      addresses.push(request.url());
      token = request.headers().authorization?.replace('Bearer ', '') ?? token;
    });
  await onPage({ prepare, hash: '#/nodes?range=week' }, async (page, context) => {
    await settled(page);
    assert.ok(token.length > 20);
    assert.deepEqual(
      addresses.filter((url) => url.includes(token)),
      [],
    );
    assert.match(page.url(), /console\/#\/nodes\?range=week$/);
    const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }));
    assert.ok(!kept.includes(token));
    assert.deepEqual(await context.cookies(), []);
  });
});

test('only the address of the console, of its API and of its issuer is requested', async () => {
  const hosts = new Set();
  const prepare = async (page) => page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await onPage({ prepare }, async (page) => {
    await settled(page);
    const config = await page.evaluate(() => fetch('config.json').then((answer) => answer.json()));
    const known = [started.url, config.issuer].map((url) => new URL(url).host);
    assert.deepEqual(
      [...hosts].filter((host) => !known.includes(host)),
      [],
    );
  });
});

test('signing out forgets the token', async () => {
  await onPage({}, async (page) => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForSelector('[data-state="signed-out"]');
    assert.equal(await page.evaluate(() => Object.keys(sessionStorage).length), 0);
    await page.reload();
    await page.waitForSelector('[data-state="signed-out"]');
  });
});

test(
  'a refresh token renews an expired access token without a word',
  { skip: live && 'needs the test issuer' },
  async () => {
    await onPage({ hash: '#/nodes' }, async (page) => {
      await settled(page);
      let refused = 0;
      await page.route('**/v1/nodes*', (route) => {
        refused += 1;
        return refused === 1
          ? route.fulfill({
              status: 401,
              json: { code: 'token_expired', title: 'Unauthorized', status: 401 },
            })
          : route.continue();
      });
      const renewal = page.waitForRequest(
        (request) => request.url().endsWith('/token') && (request.postData() ?? '').includes('refresh_token'),
      );
      await page.getByRole('button', { name: 'Refresh' }).click();
      await renewal;
      await page.waitForTimeout(200);
      assert.equal(await page.locator('.notice').count(), 0);
      assert.ok(refused >= 2);
    });
  },
);

test('a sign-in of another tab or a forged one is refused', async () => {
  const { context, page } = await open(started.browser);
  await page.goto(`${started.url}?code=forged&state=forged`);
  await page.waitForSelector('[data-state="failed"]');
  await context.close();
});

test('an administrator comes to the overview, a user to the usage', async () => {
  for (const [role, title] of [
    ['admin', 'Overview'],
    ['user', 'Your usage'],
  ]) {
    const { context, page } = await open(started.browser);
    await signIn(page, started.url, role);
    await page.waitForFunction((wanted) => document.querySelector('h1')?.textContent === wanted, title);
    await context.close();
  }
});
