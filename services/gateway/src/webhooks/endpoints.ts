import { createHash } from 'node:crypto';
import { envName, readSecret } from '@talkmesh/service-kit';
import { z } from 'zod';

/** Events of the mesh that a receiver may ask for. */
const EVENTS = [
  'session.started',
  'session.ended',
  'turn.queued',
  'turn.started',
  'turn.finished',
  'turn.cancelled',
  'transcript',
  'tool.call',
  'viewer.connected',
  'viewer.gone',
  'error',
] as const;
export type WebhookEventType = (typeof EVENTS)[number];
const DEFAULT_EVENTS: readonly WebhookEventType[] = [
  'session.started',
  'session.ended',
  'turn.started',
  'turn.finished',
  'turn.cancelled',
  'tool.call',
  'error',
];

/** Secrets as Standard Webhooks writes them: `whsec_` and base64 of 24 to 64 bytes. */
const SECRET = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/;

const endpoint = z.strictObject({
  /** Name of the API key whose sessions are reported. */
  owner: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'is the name of an API key'),
  url: z.url({ protocol: /^https?$/, error: 'is an address with https, or with http in TALKMESH_WEBHOOK_NETWORKS' }),
  /** Each request is signed with all of them, so that a secret can be replaced without a gap. */
  secrets: z
    .array(
      z
        .string()
        .regex(SECRET, 'is whsec_ and base64 of at least 24 bytes; make one: echo whsec_$(openssl rand -base64 32)'),
    )
    .min(1)
    .max(3),
  events: z.array(z.enum(EVENTS)).default([...DEFAULT_EVENTS]),
});
export type Endpoint = z.infer<typeof endpoint>;

/** Names a receiver in NATS. Its secrets and events may change, what waits for it stays the same. */
export const endpointId = ({ owner, url }: Pick<Endpoint, 'owner' | 'url'>): string =>
  createHash('sha256').update(`${owner} ${url}`).digest('hex').slice(0, 20);

/** Reads the file of TALKMESH_WEBHOOKS_FILE. @returns problems, which never contain a secret */
export function readEndpoints(path: string): {
  readonly endpoints: readonly Endpoint[];
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const text = readSecret('webhooksFile', path, problems);
  if (text === undefined) return { endpoints: [], problems };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { endpoints: [], problems: [...problems, `${envName('webhooksFile')}: ${path} is not valid JSON`] };
  }
  const parsed = z.array(endpoint).max(100).safeParse(json);
  if (parsed.success) return { endpoints: parsed.data, problems };
  const wrong = parsed.error.issues.map(
    ({ path: at, message }) => `${envName('webhooksFile')}: ${at.join('.')} ${message}`,
  );
  return { endpoints: [], problems: [...problems, ...wrong] };
}
