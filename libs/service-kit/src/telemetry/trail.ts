import type { MsgHdrs } from '@nats-io/transport-node';
import { type Context, context } from '@opentelemetry/api';
import { decodeLedger, type Ledger, type ServiceName } from '@talkmesh/contracts';
import { extractFromHeaders } from './carriers.js';
import { isTraced } from './stage-span.js';

/** Header with the ledger of the turn or of the chunk. */
export const LEDGER_HEADER = 'tm-ledger';

/** What came with a message: the span of its sender, the time that the stages before took, and when it arrived on the clock of `performance.now`. */
export interface Trail {
  readonly context: Context;
  readonly ledger: Ledger;
  readonly arrivedAtMs: number;
}

/** The trail of the message that is being handled; without a message, that of the call. Call it before anything is awaited. */
export function trailOf(meta?: { readonly headers: MsgHdrs | undefined }): Trail {
  const { headers } = meta ?? {};
  const text = headers?.has(LEDGER_HEADER) ? headers.get(LEDGER_HEADER) : '';
  return { context: context.active(), ledger: decodeLedger(text), arrivedAtMs: performance.now() };
}

/** The span of a retained message's sender; undefined when the message belongs to no trace, or this process is not traced. */
export function traceOf({ headers }: { readonly headers: MsgHdrs | undefined }): Context | undefined {
  const sender = headers && extractFromHeaders(headers);
  return sender !== undefined && isTraced(sender) ? sender : undefined;
}

/** The ledger after this service has added the time since the message arrived. */
export const ledgerAfter = ({ ledger, arrivedAtMs }: Trail, service: ServiceName): Ledger => ({
  ...ledger,
  [service]: performance.now() - arrivedAtMs,
});
