// What the browser tests share: a running console and a browser.
import { after, afterEach, before } from 'node:test';
import { launch, open, settled, signIn, undocumented } from './browser.mjs';
import { findPages } from './pages.mjs';
import { serve } from './serve.mjs';

/** Whether the tests run on a console with a real API. */
export const live = Boolean(process.env.CONSOLE_URL);

export const started = {};

/** Starts what the tests of a file need. Each test fails if a page made a request that the API does not accept. */
export function setUp(options = {}) {
  before(async () => {
    started.browser = await launch();
    if (!live) started.server = await serve(options);
    started.url = process.env.CONSOLE_URL ?? started.server.url;
    if (live) await findPages(await readerOf('admin'));
  });
  afterEach(() => {
    const requests = undocumented.splice(0);
    if (requests.length > 0) throw new Error(`docs/openapi.json does not accept requests: ${requests.join('; ')}`);
  });
  after(async () => {
    await started.browser.close();
    await started.server?.close();
  });
}

/** Signs in, and returns a function that reads a path of the API as JSON. */
export async function readerOf(role) {
  const { context, page } = await open(started.browser);
  const asked = page.waitForRequest((request) => Boolean(request.headers().authorization));
  await signIn(page, started.url, role);
  const { authorization } = (await asked).headers();
  await context.close();
  return async (path) => {
    const response = await fetch(new URL(`..${path}`, started.url), { headers: { authorization } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
}

/** Runs `use` on a page of the console, signed in as `role` at `hash`, and checks that nothing forbidden happened. */
export async function onPage({ role = 'user', hash = '', prepare, ...options }, use) {
  const { context, page, faults } = await open(started.browser, options);
  try {
    await prepare?.(page);
    await signIn(page, started.url, role, hash);
    await use(page, context);
    if (faults.length > 0) throw new Error(`The page reported: ${faults.join('; ')}`);
  } finally {
    await context.close();
  }
}

export const problem = (status, code, title, detail = '') => ({
  status,
  contentType: 'application/problem+json',
  body: JSON.stringify({ type: 'about:blank', title, status, code, detail }),
});

export { settled };
