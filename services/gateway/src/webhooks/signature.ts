import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';

/**
 * Headers of one request by Standard Webhooks (standardwebhooks.com): HMAC-SHA256 of `id.timestamp.body`, one signature for each secret.
 * @param id the same in every repetition, so that a receiver can drop duplicates
 */
export function signedHeaders(
  { id, body, secrets }: { readonly id: string; readonly body: string; readonly secrets: readonly string[] },
  nowMs: number,
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
