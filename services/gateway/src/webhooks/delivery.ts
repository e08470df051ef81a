import { isSessionId } from '@talkmesh/contracts';
import type { FollowedMessage } from '@talkmesh/service-kit';
import { z } from 'zod';

/** A report that waits, as NATS keeps it. */
const delivery = z.object({
  /** The header `webhook-id`: the same in every repetition, whichever gateway sends it. */
  id: z.string().min(1),
  /** `endpointId` of its receiver. */
  endpoint: z.string().min(1),
  sessionId: z.string().refine(isSessionId),
  /** Those of one session to one receiver are sent in the order of these, which are compared as text. */
  order: z.string().min(1),
  /** JSON, as it is sent. */
  body: z.string(),
  acceptedAtMs: z.number(),
  /** Attempts that failed. */
  attempts: z.number().int().nonnegative(),
  /** When the next attempt is due, unix milliseconds. */
  dueAtMs: z.number(),
});
export type Delivery = z.infer<typeof delivery>;

/** @returns undefined: something else, or a delivery of a version that this gateway cannot read */
export function readDelivery(value: unknown): Delivery | undefined {
  const parsed = delivery.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

export const keyOf = ({ endpoint, sessionId, order }: Pick<Delivery, 'endpoint' | 'sessionId' | 'order'>): string =>
  `${endpoint}.${sessionId}.${order}`;

/** Grows with the place of an event in NATS, also when a restart of NATS began to count anew. */
export function orderOf({ created, sequence }: FollowedMessage['position']): string {
  const digits = (value: number, length: number): string => String(value).padStart(length, '0');
  return `${digits(Date.parse(created), 14)}-${digits(sequence, 16)}`;
}

/** Unix milliseconds of a clock that does not jump when this machine's is set: what waits is not taken for old then. */
export const steadyNowMs = (): number => Math.round(performance.timeOrigin + performance.now());

export const bytesOf = ({ body }: Pick<Delivery, 'body'>): number => Buffer.byteLength(body);
