// Makes the pictures of the README: `node test/support/pictures.mjs`. CONSOLE_URL names a running console.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { go, launch, open, settled, signIn } from './browser.mjs';
import { serve } from './serve.mjs';

const folder = fileURLToPath(new URL('../../../docs/images/', import.meta.url));
mkdirSync(folder, { recursive: true });

const browser = await launch();
const server = process.env.CONSOLE_URL ? null : await serve();
const url = process.env.CONSOLE_URL ?? server.url;

for (const [name, role, hash] of [
  ['console-user', 'user', '#/'],
  ['console-overview', 'admin', '#/overview'],
]) {
  const { context, page } = await open(browser, { viewport: { width: 1280, height: 860 }, colorScheme: 'light' });
  await signIn(page, url, role, hash);
  await go(page, hash);
  await settled(page);
  await page.waitForTimeout(300);
  await page.screenshot({ path: `${folder}${name}.png` });
  await context.close();
}

await browser.close();
await server?.close();
