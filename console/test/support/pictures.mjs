// Makes the pictures of the README: `console/scripts/on-stack npm run pictures`. Without CONSOLE_URL, the answers are
// made up.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { go, launch, open, settled, signIn } from './browser.mjs';
import { serve } from './serve.mjs';

const folder = fileURLToPath(new URL('../../../docs/images/', import.meta.url));
mkdirSync(folder, { recursive: true });

const browser = await launch();
const server = process.env.CONSOLE_URL ? null : await serve();
const url = process.env.CONSOLE_URL ?? server.url;

for (const [name, role, hash, height] of [
  ['console-user', 'user', '#/', 946],
  ['console-overview', 'admin', '#/overview', 960],
]) {
  const { context, page } = await open(browser, { viewport: { width: 1440, height }, colorScheme: 'light' });
  await signIn(page, url, role, hash);
  await go(page, hash);
  await settled(page);
  await page.waitForLoadState('networkidle');
  // The pointer is where the button to sign in was, and would mark a row.
  await page.mouse.move(0, 0);
  await page.waitForTimeout(300);
  await page.screenshot({ path: `${folder}${name}.png` });
  await context.close();
}

await browser.close();
await server?.close();
