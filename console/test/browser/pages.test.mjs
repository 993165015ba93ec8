// Each page at two widths and in two themes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { go, screenshots, settled, violations } from '../support/browser.mjs';
import { live, onPage, setUp, started } from '../support/console.mjs';
import { adminPages, userPages } from '../support/pages.mjs';

setUp();

const views = [
  { name: '1440-light', viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
  { name: '1440-dark', viewport: { width: 1440, height: 900 }, colorScheme: 'dark' },
  { name: '390-light', viewport: { width: 390, height: 844 }, colorScheme: 'light' },
  { name: '390-dark', viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
];

// The layout is the same for any data, so two of the views show whether real data fits.
for (const { name: view, ...options } of live ? [views[0], views[3]] : views) {
  for (const [role, pages] of Object.entries({ user: userPages, admin: adminPages })) {
    test(`every page for a ${role} at ${view} is accessible and fits the window`, async (context) => {
      await onPage({ role, ...options }, async (page) => {
        for (const [name, hash] of Object.entries(pages)) {
          await context.test(name, async () => {
            await go(page, hash);
            assert.deepEqual(await violations(page), []);
            const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
            assert.ok(content <= window, `${content} px wide in a window of ${window} px`);
            await page.screenshot({ path: `${screenshots}${role}-${name}-${view}.png`, fullPage: true });
          });
        }
      });
    });
  }
}

test('no table is cut off at the widths between', async () => {
  await onPage({ role: 'admin' }, async (page) => {
    for (const width of live ? [360, 1024] : [360, 640, 800, 1024, 1200]) {
      await page.setViewportSize({ width, height: 800 });
      for (const [name, hash] of Object.entries({ ...userPages, ...adminPages })) {
        await go(page, hash);
        const cut = await page.evaluate(() => {
          const frames = [...document.querySelectorAll('.table-frame')];
          return [document.documentElement, ...frames].filter((one) => one.scrollWidth > one.clientWidth + 1).length;
        });
        assert.equal(cut, 0, `${name} at ${width} px`);
      }
    }
  });
});

test('every navigation entry leads to a page of its name', async () => {
  await onPage({ role: 'admin' }, async (page) => {
    const entries = await page.locator('nav a').all();
    assert.ok(entries.length >= 15);
    for (const entry of entries) {
      await entry.click();
      const name = await entry.textContent();
      await page.locator('nav a[aria-current="page"]').getByText(name, { exact: true }).waitFor();
      await settled(page);
      assert.notEqual(await page.locator('h1').textContent(), 'Page not found');
    }
  });
});

test('the switch of the theme wins over the system and is remembered', async () => {
  await onPage({ colorScheme: 'light' }, async (page) => {
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByRole('radio', { name: 'Dark' }).check();
    assert.notEqual(await ground(), light);
    await page.reload();
    await page.waitForSelector('.shell');
    assert.notEqual(await ground(), light);
    assert.ok(started.url);
  });
});
