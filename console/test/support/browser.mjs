// Opens the console in Debian's Chromium, signed in.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { faultOf } from './documented.mjs';

export const screenshots = fileURLToPath(new URL('../../../target/console-screenshots/', import.meta.url));
mkdirSync(screenshots, { recursive: true });

const candidates = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const axeSource = readFileSync(
  fileURLToPath(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)),
  'utf8',
);

export function launch() {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath)
    throw new Error('Chromium is missing. Install it (Debian, Ubuntu: `sudo apt-get install chromium`).');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/**
 * What was wrong with requests to the API since the last look: of all pages, also if a test answered them itself. The
 * API answers each of them with 400.
 */
export const undocumented = [];

/** Opens a page and records what must not happen on it. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    ...options,
  });
  context.on('request', (request) => {
    const url = new URL(request.url());
    const fault = url.pathname.includes('/v1/') ? faultOf(request.method(), url) : null;
    if (fault) undocumented.push(fault.detail);
  });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && /Content Security Policy|Trusted|TypeError|ReferenceError/.test(message.text()))
      faults.push(message.text());
  });
  return { context, page, faults };
}

/** Signs in through the issuer's page, which every issuer of a local system offers for these two roles. */
export async function signIn(page, url, role = 'user', hash = '') {
  await page.goto(url + hash);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const choices = { user: /user/i, admin: /admin/i, reader: /reader/i };
  await page
    .getByRole('link', { name: choices[role] })
    .or(page.getByRole('button', { name: choices[role] }))
    .first()
    .click();
  await page.waitForSelector('.shell');
}

/** Waits until `holds` returns true, which is asked again and again for some seconds. */
export async function until(holds) {
  for (let tries = 0; tries < 250 && !holds(); tries += 1) await new Promise((next) => setTimeout(next, 20));
}

/** Waits until nothing on the page is loading. */
export async function settled(page) {
  await page.waitForSelector('h1');
  await page.waitForFunction(
    () =>
      !document.querySelector('.skeleton') &&
      [...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('canvas')),
  );
}

/** Opens a page of the console. The second frame after the change of the address shows it. */
export async function go(page, hash) {
  await page.evaluate(
    (next) =>
      new Promise((shown) => {
        if (window.location.hash === next) return shown();
        const frames = () => requestAnimationFrame(() => requestAnimationFrame(shown));
        window.addEventListener('hashchange', frames, { once: true });
        window.location.hash = next;
      }),
    hash,
  );
  await settled(page);
}

/** Runs axe in a world of its own, so that the policy of the page stays as it is. */
export async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', {
    frameId: frameTree.frame.id,
    worldName: 'axe',
  });
  const run = async (expression) => {
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
      expression,
      contextId: executionContextId,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  await run(axeSource);
  const found = await run(
    `axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map((one) => one.id + ': ' + one.nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? '')).join(' | ')))`,
  );
  await session.detach();
  return found;
}
