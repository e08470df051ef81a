import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openBrowser } from '../../support/chromium.js';

/** Writes the element `svg` of each page as `NAME.png` into `folder`. */
export async function takePictures(pages: ReadonlyMap<string, string>, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await using browser = await openBrowser({ viewport: { width: 1280, height: 800 } });
  for (const [name, html] of pages) {
    await browser.page.setContent(html);
    await browser.page.locator('svg').screenshot({ path: join(folder, `${name}.png`) });
  }
}
