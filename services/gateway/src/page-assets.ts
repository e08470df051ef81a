import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { z } from 'zod';
import type { Operation } from './http/routes.js';

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

export interface PageAssets {
  readonly html: Asset;
  readonly css: Asset;
  readonly js: Asset;
}

const FOLDER = fileURLToPath(new URL('./page/', import.meta.url));

const STYLES = ['page.css', 'picture.css'] as const;

/** What the page may load and talk to: this origin, and nothing else. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "media-src 'self' blob: mediastream:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join('; ');

const asset = (type: string, body: Buffer): Asset => ({
  type,
  body,
  etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
});

/** Bundles the demo page with the browser SDK. Rejects when it cannot be built: a gateway never serves half a page. */
export async function buildPage(): Promise<PageAssets> {
  const bundle = await build({
    entryPoints: [`${FOLDER}main.ts`],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['source'],
    minify: true,
    write: false,
    logLevel: 'silent',
  });
  const script = bundle.outputFiles[0]?.contents ?? new Uint8Array();
  const html = await readFile(`${FOLDER}index.html`);
  const css = Buffer.concat(await Promise.all(STYLES.map((name) => readFile(`${FOLDER}${name}`))));
  return {
    html: asset('text/html; charset=utf-8', html),
    css: asset('text/css; charset=utf-8', css),
    js: asset('text/javascript; charset=utf-8', Buffer.from(script)),
  };
}

/** Paths of the page; they are not part of the API and not in its document. */
export function pageOperations(assets: PageAssets): Operation[] {
  const paths: [string, Asset][] = [
    ['/', assets.html],
    ['/page.css', assets.css],
    ['/page.js', assets.js],
  ];
  return paths.map(([path, { type, body, etag }]) => ({
    method: 'GET',
    path,
    id: `page ${path}`,
    summary: 'The demo page',
    access: 'public',
    status: 200,
    answer: { schema: z.string(), type },
    errors: [],
    handle: async (request, reply) => {
      reply.headers({
        etag,
        'cache-control': 'no-cache',
        'content-security-policy': PAGE_POLICY,
        'permissions-policy': 'microphone=(self), camera=(), geolocation=()',
        'cross-origin-opener-policy': 'same-origin',
      });
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      reply.type(type);
      return body;
    },
  }));
}
