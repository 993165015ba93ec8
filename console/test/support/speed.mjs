// How fast the console is for a reader with a slow processor.
import os from 'node:os';

const THROTTLED = 4;
const RUNS = 5;

/** Loads `url` anew with a throttled processor and an empty cache, some times. Returns the median of the milliseconds
 * from the navigation until `selector` is on the screen and the page is free to react. */
export async function firstData(page, url, selector) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  await session.send('Emulation.setCPUThrottlingRate', { rate: THROTTLED });
  await page.addInitScript((wanted) => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector(wanted)) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => (window.firstData = performance.now())));
    }).observe(document, { childList: true, subtree: true });
  }, selector);
  const taken = [];
  for (let run = 0; run < RUNS; run += 1) {
    await page.goto('about:blank');
    await page.goto(url);
    const shown = await page.waitForFunction(() => window.firstData);
    taken.push(await shown.jsonValue());
  }
  await session.send('Emulation.setCPUThrottlingRate', { rate: 1 });
  return Math.round(taken.sort((a, b) => a - b)[(RUNS - 1) / 2]);
}

/** A limit of milliseconds on this machine: `bar`, or more if the processors are shared. `why` says so. */
export function limitOf(bar) {
  const [load] = os.loadavg();
  const times = Math.max(1, Math.ceil((1.5 * load) / os.cpus().length));
  const why = times === 1 ? 'the bar' : `${times} times the bar, because the machine is busy (load ${load.toFixed(1)})`;
  return { limit: times * bar, why };
}

/** Milliseconds until the page has shown the next frame after a key was pressed. */
export async function keyReaction(page, key) {
  await page.evaluate(() => {
    window.reaction = new Promise((done) =>
      addEventListener(
        'keydown',
        (event) =>
          requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => done(performance.now() - event.timeStamp);
            channel.port2.postMessage(undefined);
          }),
        { once: true, capture: true },
      ),
    );
  });
  await page.keyboard.press(key);
  return page.evaluate(() => window.reaction);
}

/** Runs `use`, and returns the longest time between two frames of the page meanwhile. */
export async function longestFrame(page, use) {
  await page.evaluate(() => {
    window.measured = { longest: 0, last: performance.now(), stopped: false };
    const next = (now) => {
      window.measured.longest = Math.max(window.measured.longest, now - window.measured.last);
      window.measured.last = now;
      if (!window.measured.stopped) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  await use();
  return page.evaluate(
    () =>
      new Promise((done) =>
        requestAnimationFrame(() => {
          window.measured.stopped = true;
          done(window.measured.longest);
        }),
      ),
  );
}
