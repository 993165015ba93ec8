// What the first view costs over the wire and in time, from the functions and the API of a running system.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { go, settled } from '../support/browser.mjs';
import { onPage, setUp, started } from '../support/console.mjs';
import { firstData, limitOf } from '../support/speed.mjs';

setUp();

const views = [
  { role: 'user', hash: '#/', shown: '.hero-value' },
  { role: 'admin', hash: '#/overview', shown: '.tile-value' },
];

/** Records the bytes of each response as they came over the wire. */
async function record(page) {
  const session = await page.context().newCDPSession(page);
  const responses = new Map();
  session.on('Network.responseReceived', ({ requestId, response }) =>
    responses.set(requestId, { url: response.url, encoding: response.headers['content-encoding'], bytes: 0 }),
  );
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (responses.has(requestId)) responses.get(requestId).bytes = encodedDataLength;
  });
  await session.send('Network.enable');
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  return responses;
}

test('the function serves the built console', async () => {
  const served = await (await fetch(started.url)).text();
  const built = await readFile(new URL('../../dist/index.html', import.meta.url), 'utf8');
  assert.equal(served, built, 'The programs are older than console/dist. Build them: make build');
});

for (const { role, hash, shown } of views) {
  test(`the first view of a ${role} is at most 200 kB as it is sent`, async (context) => {
    await onPage({ role, hash }, async (page) => {
      await page.waitForSelector(shown);
      await page.goto('about:blank');
      const responses = await record(page);
      await page.goto(started.url + hash);
      await page.waitForSelector(shown);
      await settled(page);
      await page.waitForLoadState('networkidle');
      const all = [...responses.values()];
      const files = all.filter((one) => one.url.includes('/console/'));
      const bytes = (some) => some.reduce((sum, one) => sum + one.bytes, 0);
      context.diagnostic(`${files.length} files: ${bytes(files)} bytes, ${all.length} responses in all: ${bytes(all)}`);
      for (const one of files.filter((file) => /\.(js|css)$/.test(file.url)))
        assert.match(one.encoding ?? 'none', /^(br|gzip)$/, one.url);
      assert.ok(bytes(files) > 20_000, 'the files were measured');
      assert.ok(bytes(all) <= 200_000, `${bytes(all)} bytes`);
    });
  });

  test(`a slow machine shows the first data of a ${role} within a second`, async (context) => {
    await onPage({ role, hash }, async (page) => {
      await go(page, hash);
      const taken = await firstData(page, started.url + hash, shown);
      const { limit, why } = limitOf(1000);
      context.diagnostic(`first data after ${taken} ms, the processor throttled 4 times; the limit is ${why}`);
      assert.ok(taken <= limit, `${taken} ms, the limit is ${limit} ms`);
    });
  });
}
