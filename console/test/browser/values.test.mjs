// What a page shows is what the API returned, in the viewer's language and time zone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { go, settled } from '../support/browser.mjs';
import { onPage, setUp } from '../support/console.mjs';
import { adminPages, userPages } from '../support/pages.mjs';

setUp();

const viewers = [
  { timezoneId: 'America/Los_Angeles', locale: 'en-US' },
  { timezoneId: 'Europe/Berlin', locale: 'de-DE' },
  { timezoneId: 'Asia/Kathmandu', locale: 'en-US' },
];

/** Every number of a response by the name of its field, and every time. */
function collect(value, numbers, times) {
  if (Array.isArray(value)) return value.forEach((one) => collect(one, numbers, times));
  if (value === null || typeof value !== 'object') return undefined;
  // The console gives both series of a user the names that the other operations have.
  for (const [series, prefix] of Object.entries({ raw: 'raw', actually_billed: 'billed' })) {
    if (!Array.isArray(value[series])) continue;
    for (const { upload, download } of value[series]) {
      numbers.add(`${prefix}_upload=${upload}`).add(`${prefix}_download=${download}`);
    }
  }
  for (const [name, one] of Object.entries(value)) {
    if (typeof one === 'number') numbers.add(`${name}=${one}`);
    if (typeof one === 'string' && /^\d{4}-\d\d-\d\dT/.test(one)) times.add(Date.parse(one));
    collect(one, numbers, times);
  }
  return undefined;
}

/** Reads from the page each value with its field, and the text that it should have. */
function shown() {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'];
  const language = navigator.language;
  const bytes = (value) => {
    let rest = Math.abs(value);
    let power = 0;
    while (rest >= 999.95 && power < 5) {
      rest /= 1000;
      power += 1;
    }
    const digits = power === 0 ? 0 : rest < 10 ? 2 : 1;
    const options = {
      style: 'unit',
      unit: units[power],
      unitDisplay: power === 0 ? 'long' : 'short',
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    };
    return new Intl.NumberFormat(language, options).format(Math.sign(value) * rest);
  };
  const exact = (value) =>
    new Intl.NumberFormat(language, { style: 'unit', unit: 'byte', unitDisplay: 'long' }).format(value);
  const values = [...document.querySelectorAll('main data[data-kind]')].map((element) => {
    const value = Number(element.value);
    const kind = element.dataset.kind;
    const expected =
      kind === 'bytes' ? bytes(value) : kind === 'number' ? new Intl.NumberFormat(language).format(value) : null;
    const title = kind === 'bytes' ? exact(value) : null;
    return {
      field: element.dataset.field,
      value,
      text: element.textContent,
      expected,
      title,
      titled: element.title,
    };
  });
  const times = [...document.querySelectorAll('main time[data-style="minute"]')]
    // The begin of a strip is that of the range, not of the API.
    .filter((element) => !element.closest('figcaption'))
    .map((element) => {
      const at = new Date(element.dateTime);
      const options = { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' };
      return {
        at: at.getTime(),
        text: element.textContent,
        expected: new Intl.DateTimeFormat(language, options).format(at),
      };
    });
  return { values, times };
}

for (const [role, pages] of Object.entries({ user: userPages, admin: adminPages })) {
  for (const viewer of viewers) {
    test(`every number for a ${role} equals the API's (${viewer.timezoneId}, ${viewer.locale})`, async () => {
      const numbers = new Set();
      const times = new Set();
      const prepare = async (page) => {
        page.on('response', async (response) => {
          if (response.url().includes('/v1/') && response.status() === 200)
            collect(await response.json().catch(() => null), numbers, times);
        });
      };
      await onPage({ role, prepare, ...viewer }, async (page) => {
        let seen = 0;
        for (const hash of Object.values(pages)) {
          await go(page, hash);
          await page.evaluate(() =>
            document.querySelectorAll('figure details').forEach((one) => {
              one.open = true;
            }),
          );
          await settled(page);
          // The bodies of the newest responses may still be on their way to this test.
          await page.waitForTimeout(50);
          const found = await page.evaluate(shown);
          for (const { field, value, text, expected, title, titled } of found.values) {
            if (expected !== null) assert.equal(text, expected, `${hash} ${field}`);
            if (title !== null) assert.equal(titled, title, `${hash} ${field}`);
            const summed = ['billed', 'raw', 'corrected'].includes(field);
            if (field && !summed)
              assert.ok(numbers.has(`${field}=${value}`), `${hash}: ${field}=${value} is in no response`);
            seen += 1;
          }
          for (const { at, text, expected } of found.times) {
            assert.equal(text, expected, hash);
            assert.ok(times.has(at), `${hash}: the time ${text} is in no response`);
          }
        }
        assert.ok(seen > 40, `only ${seen} values were seen`);
      });
    });
  }
}

test('the sums of a chart are those of its buckets', async () => {
  let usage;
  const prepare = async (page) =>
    page.on('response', async (response) => {
      if (response.url().includes('/v1/traffic-usage') && response.ok()) usage = await response.json();
    });
  await onPage({ prepare }, async (page) => {
    await settled(page);
    const total = (series) => series.reduce((sum, one) => sum + one.upload + one.download, 0);
    const value = async (field) => Number(await page.locator(`.totals [data-field="${field}"]`).getAttribute('value'));
    assert.equal(await value('billed'), total(usage.actually_billed));
    assert.equal(await value('raw'), total(usage.raw));
  });
});

test('the zone of the viewer is sent to the API, and a filter stays in the link', async () => {
  const zones = [];
  const prepare = async (page) =>
    page.on('request', (request) => {
      const zone = new URL(request.url()).searchParams.get('time_zone');
      if (zone) zones.push(zone);
    });
  await onPage({ prepare, timezoneId: 'Asia/Kathmandu' }, async (page) => {
    await settled(page);
    await page.getByRole('radio', { name: '7 days' }).check();
    assert.match(page.url(), /#\/\?range=week$/);
    await page.reload();
    await settled(page);
    assert.ok(await page.getByRole('radio', { name: '7 days' }).isChecked());
    assert.deepEqual(
      [...new Set(zones)],
      [await page.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone)],
    );
  });
});
