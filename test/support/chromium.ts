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
  /** Path of a WAV file that is the microphone signal; it plays once, from the moment the microphone is opened. */
  readonly microphoneWav?: string;
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: 'light' | 'dark';
}

export interface Browser extends AsyncDisposable {
  readonly page: Page;
}

/** Starts a headless Chromium with one page, and with a profile and fake microphone that no other browser shares. */
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
  // tsx compiles functions to calls of a helper `__name`, which does not exist in the page.
  await context.addInitScript('globalThis.__name = (target) => target');
  const page = context.pages()[0] ?? (await context.newPage());
  return { page, [Symbol.asyncDispose]: () => context.close() };
}
