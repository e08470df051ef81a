import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../testing/browser.js';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';

let mesh: FakeMesh;
let browser: Browser;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_CALL_DEADLINE_MS: '60000' });
  mesh.workers['webrtc-egress'].onOffer = () => new Promise(() => undefined);
  browser = await launchChromium([]);
});
after(async () => {
  await browser.close();
  await mesh[Symbol.asyncDispose]();
});

/** A call without a microphone, with every part of the page shown that may be there beside it. */
async function openFullCall(width: number, height: number): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width, height } })).newPage();
  await page.addInitScript('globalThis.__name = (target) => target');
  await page.goto(`${mesh.gateway.url}/#key=${API_KEY}`);
  await page.getByTestId('say-input').fill('hello');
  await page.getByTestId('say-button').click();
  await page.getByTestId('hangup').waitFor();
  await page.evaluate(() => {
    const shown = (id: string, text: string): void => {
      const element = document.getElementById(id) as HTMLElement;
      element.textContent = text;
      for (let part: HTMLElement | null = element; part !== null; part = part.parentElement) part.hidden = false;
    };
    shown('stats-line', 'round trip 12 ms · buffer 134 ms · lips 47 ms late · jitter 3 ms · freezes 1 · '.repeat(2));
    (document.getElementById('stats') as HTMLDetailsElement).open = true;
    shown('banner-title', 'This was not accepted.');
    shown('banner-advice', 'There is no voice here for this script; send the text in another one. '.repeat(2));
  });
  return page;
}

for (const [width, height] of [
  [1440, 900],
  [1280, 720],
  [1024, 768],
  [390, 844],
] as const)
  test(`at ${width}x${height} nothing covers a button of the call, and its label fits into it`, async () => {
    const page = await openFullCall(width, height);
    const faults = await page.evaluate(() => {
      const found: string[] = [];
      for (const button of document.querySelectorAll<HTMLButtonElement>('.controls button:not([hidden])')) {
        button.scrollIntoView({ block: 'center' });
        const { left, right, top, bottom } = button.getBoundingClientRect();
        const label = button.lastElementChild?.getBoundingClientRect();
        if (label !== undefined && (label.left < left || label.right > right)) found.push(`${button.id}: label`);
        for (const y of [top + 4, (top + bottom) / 2, bottom - 4]) {
          const hit = document.elementFromPoint((left + right) / 2, y);
          if (!button.contains(hit)) found.push(`${button.id}: ${hit?.id || hit?.className}`);
        }
      }
      return found;
    });
    assert.deepEqual(faults, []);
    const [picture, controls, stats] = await Promise.all(
      ['.frame', '.controls', '#stats'].map((part) => page.locator(part).boundingBox()),
    );
    assert.ok(picture && controls && stats);
    assert.ok(Math.abs(picture.width - picture.height) < 1 && picture.width >= 160, JSON.stringify(picture));
    assert.ok(picture.y + picture.height <= controls.y, 'picture above the buttons');
    assert.ok(controls.y + controls.height <= stats.y, 'buttons above the statistics');
    await page.context().close();
  });

test('notes outside the picture have no badge behind them', async () => {
  const page = await openFullCall(1440, 900);
  for (const note of ['#picture-dialog .note', '#settings-unknown', '#transcript .note'])
    assert.equal(
      await page.locator(note).evaluate((element) => getComputedStyle(element).backgroundColor),
      'rgba(0, 0, 0, 0)',
      note,
    );
  await page.context().close();
});

test('the transcript stays at its end when a message takes some of its height', async () => {
  const page = await openFullCall(1440, 900);
  const fromEnd = (): Promise<number> =>
    page.evaluate(async () => {
      await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
      const list = document.getElementById('transcript') as HTMLElement;
      return list.scrollHeight - list.scrollTop - list.clientHeight;
    });
  await page.evaluate(() => {
    const list = document.getElementById('transcript') as HTMLElement;
    (document.getElementById('banner') as HTMLElement).hidden = true;
    for (let i = 0; i < 40; i++) list.append(Object.assign(document.createElement('li'), { textContent: `line ${i}` }));
    list.scrollTop = list.scrollHeight;
  });
  assert.ok((await fromEnd()) < 2);
  await page.evaluate(() => {
    (document.getElementById('banner') as HTMLElement).hidden = false;
  });
  assert.ok((await fromEnd()) < 2, String(await fromEnd()));
  await page.context().close();
});
