import { createHmac, timingSafeEqual } from 'node:crypto';
import { TalkMeshError } from '../http.js';

/** A report of the gateway. `data` is the event as docs/events.md describes it. */
export interface WebhookMessage {
  /** The same when a report is repeated: keep it for a day and answer 200 to what you know. */
  readonly id: string;
  readonly type: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>> & { readonly sessionId: string };
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

const PREFIX = 'whsec_';
/** Older reports may have been recorded by someone and sent again, seconds. */
const TOLERANCE_S = 300;

/**
 * Reads a webhook of the gateway (Standard Webhooks).
 * @param body as it was received, before any parsing
 * @throws TalkMeshError PERMISSION_DENIED: it does not come from the gateway, or is older than five minutes; answer 400
 */
export function readWebhook(
  secret: string,
  headers: Headers,
  body: string | Buffer,
  nowMs = Date.now(),
): WebhookMessage {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) =>
    String(headers[`webhook-${name}`] ?? ''),
  );
  const refuse = (why: string): never => {
    throw new TalkMeshError('PERMISSION_DENIED', `The webhook was refused: ${why}.`, { status: 400 });
  };
  if (!secret.startsWith(PREFIX)) refuse('the secret does not begin with whsec_');
  if (!id || !/^\d{1,12}$/.test(timestamp ?? '')) return refuse('a header of Standard Webhooks is missing');
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > TOLERANCE_S) refuse('its time is more than five minutes from now');
  const text = body.toString();
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest();
  const isSigned = (signatures ?? '').split(' ').some((signature) => {
    const [version, value = ''] = signature.split(',');
    const given = Buffer.from(value, 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!isSigned) refuse('its signature is not of this secret');
  return { id, ...(JSON.parse(text) as Omit<WebhookMessage, 'id'>) };
}
