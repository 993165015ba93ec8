// What the browser tests share: a running console and a browser.
import { after, before } from 'node:test';
import { launch, open, settled, signIn } from './browser.mjs';
import { serve } from './serve.mjs';

/** Whether the tests run on a console with a real API. They then change nothing. */
export const live = Boolean(process.env.CONSOLE_URL);

export const started = {};

/** Starts what the tests of a file need. */
export function setUp(options = {}) {
  before(async () => {
    started.browser = await launch();
    if (!live) started.server = await serve(options);
    started.url = process.env.CONSOLE_URL ?? started.server.url;
  });
  after(async () => {
    await started.browser.close();
    await started.server?.close();
  });
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
