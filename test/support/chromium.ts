import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { requireTool } from './tools.js';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
];

export interface BrowserOptions {
  /** WAV played once as the microphone, from the moment it is opened. */
  readonly microphoneWav?: string;
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: 'light' | 'dark';
}

export interface Browser extends AsyncDisposable {
  readonly page: Page;
}

/** A headless Chromium of its own (own profile, own fake microphone) with one page. */
export async function openBrowser(options: BrowserOptions = {}): Promise<Browser> {
  const microphone =
    options.microphoneWav === undefined ? [] : [`--use-file-for-fake-audio-capture=${options.microphoneWav}%noloop`];
  const context: BrowserContext = await chromium.launchPersistentContext(
    mkdtempSync(join(tmpdir(), 'talkmesh-chromium-')),
    {
      executablePath: requireTool('chromium'),
      headless: true,
      args: [...FLAGS, ...microphone],
      viewport: options.viewport ?? { width: 1280, height: 800 },
      colorScheme: options.colorScheme ?? 'light',
    },
  );
  // tsx names inner functions by a helper that does not exist in the page.
  await context.addInitScript('globalThis.__name = (target) => target');
  const page = context.pages()[0] ?? (await context.newPage());
  return { page, [Symbol.asyncDispose]: () => context.close() };
}
