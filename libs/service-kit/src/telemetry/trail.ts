import type { MsgHdrs } from '@nats-io/transport-node';
import { type Context, context } from '@opentelemetry/api';
import { decodeLedger, type Ledger, type ServiceName } from '@talkmesh/contracts';
import { extractFromHeaders } from './carriers.js';
import { isTraced, NO_TRACE } from './stage-span.js';

/** Header with the ledger of the turn or of the chunk. */
export const LEDGER_HEADER = 'tm-ledger';

/** What came with a message: the span of its sender, the time that the stages before took, and when it arrived on the clock of `performance.now`. */
export interface Trail {
  readonly context: Context;
  readonly ledger: Ledger;
  readonly arrivedAtMs: number;
}

interface Carrier {
  readonly headers: MsgHdrs | undefined;
}

/** The trail of the message that is being handled; without a message, that of the call. Call it before anything is awaited. */
export function trailOf(meta?: Carrier): Trail {
  return { context: context.active(), ledger: ledgerOf(meta?.headers), arrivedAtMs: performance.now() };
}

/** The trail of a message that was read back: its sender's span, and now as its arrival. */
export const readBackTrail = (message: Carrier): Trail => ({
  context: traceOf(message) ?? NO_TRACE,
  ledger: ledgerOf(message.headers),
  arrivedAtMs: performance.now(),
});

const ledgerOf = (headers: MsgHdrs | undefined): Ledger =>
  decodeLedger(headers?.has(LEDGER_HEADER) ? headers.get(LEDGER_HEADER) : '');

/** The span of a retained message's sender; undefined when the message belongs to no trace, or this process is not traced. */
export function traceOf({ headers }: Carrier): Context | undefined {
  const sender = headers && extractFromHeaders(headers);
  return sender !== undefined && isTraced(sender) ? sender : undefined;
}

/** The ledger after this service has added the time since the message arrived. */
export const ledgerAfter = ({ ledger, arrivedAtMs }: Trail, service: ServiceName): Ledger => ({
  ...ledger,
  [service]: performance.now() - arrivedAtMs,
});
