import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Operation } from './http/routes.js';
import type { ScriptName } from './page/bundle.js';

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

export interface PageAssets {
  readonly html: Asset;
  readonly css: Asset;
  readonly js: Asset;
  /** The component `<talk-mesh>`, for pages of other origins. */
  readonly component: Asset;
}

const FOLDER = fileURLToPath(new URL('./page/', import.meta.url));

const STYLES = ['page.css', 'picture.css', 'settings.css'] as const;

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

/** Reads the demo page. Rejects when a part is missing: a gateway never serves half a page. */
export async function loadPage(): Promise<PageAssets> {
  const [script, component, html, ...css] = await Promise.all([
    readScript('page.js'),
    readScript('talk-mesh.js'),
    readFile(`${FOLDER}index.html`),
    ...STYLES.map((name) => readFile(`${FOLDER}${name}`)),
  ]);
  return {
    html: asset('text/html; charset=utf-8', html),
    css: asset('text/css; charset=utf-8', Buffer.concat(css)),
    js: asset('text/javascript; charset=utf-8', Buffer.from(script)),
    component: asset('text/javascript; charset=utf-8', Buffer.from(component)),
  };
}

/** `npm run build` bundles the scripts once. From sources they are bundled at every start; the bundler is not installed in production. */
async function readScript(name: ScriptName): Promise<Uint8Array> {
  if (!import.meta.url.endsWith('.ts')) return readFile(`${FOLDER}${name}`);
  const { bundleScript } = await import('./page/bundle.js');
  return bundleScript(name);
}

const PAGE_HEADERS = {
  'content-security-policy': PAGE_POLICY,
  'permissions-policy': 'microphone=(self), camera=(), geolocation=()',
  'cross-origin-opener-policy': 'same-origin',
};

/** The component is public, so that a page whose origin may not call the gateway can at least say so; what it calls needs a token. */
const COMPONENT_HEADERS = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' };

/** Paths of the page and of the component; they are not part of the API and not in its document. */
export function pageOperations(assets: PageAssets): Operation[] {
  const paths: [string, Asset, Readonly<Record<string, string>>][] = [
    ['/', assets.html, PAGE_HEADERS],
    ['/page.css', assets.css, PAGE_HEADERS],
    ['/page.js', assets.js, PAGE_HEADERS],
    ['/talk-mesh.js', assets.component, COMPONENT_HEADERS],
  ];
  return paths.map(([path, { type, body, etag }, headers]) => ({
    method: 'GET',
    path,
    id: `page ${path}`,
    summary: 'The demo page and the component <talk-mesh>',
    access: 'public',
    status: 200,
    answer: { schema: z.string(), type },
    errors: [],
    handle: async (request, reply) => {
      reply.headers({ etag, 'cache-control': 'no-cache', ...headers });
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      reply.type(type);
      return body;
    },
  }));
}
