import type { ServerResponse } from 'node:http';
import { MeshError } from '@talkmesh/contracts';
import type { Gauge } from '@talkmesh/service-kit';
import { z } from 'zod';
import type { StreamedEvent } from '../event-stream.js';
import type { Sessions } from '../sessions.js';
import type { StreamLimits } from '../stream-limits.js';
import { type Operation, param } from './routes.js';

export interface EventRouteOptions {
  readonly sessions: Sessions;
  readonly limits: StreamLimits;
  readonly heartbeatMs: number;
  /** How often a stream checks that its session still exists. */
  readonly checkMs: number;
  /** Aborted when this gateway drains: subscribers reconnect to another one. */
  readonly draining: AbortSignal;
  readonly subscribers: Gauge;
}

/** A subscriber that leaves more than this unread is disconnected; it may reconnect. */
const MAX_UNREAD_BYTES = 262_144;

/**
 * Events of a session as server-sent events (WHATWG HTML, 9.2): one per event of the mesh, ending with the session. A stream continues
 * after the event of its `Last-Event-ID` header; without one it begins with a snapshot.
 */
export function eventOperations(options: EventRouteOptions): Operation[] {
  return [
    {
      method: 'GET',
      path: '/v1/sessions/{id}/events',
      id: 'watchEvents',
      summary:
        'Events of a session: those after the header Last-Event-ID, or a snapshot of the present state, then live ones; the stream ends with the session',
      access: 'session',
      tokenInQuery: true,
      status: 200,
      answer: { schema: z.string(), type: 'text/event-stream' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED', 'RATE_LIMITED', 'DRAINING'],
      handle: async (request, reply) => {
        const id = param(request, 'id');
        if (options.draining.aborted)
          throw new MeshError('DRAINING', 'this gateway is shutting down; connect again to reach another one');
        const close = options.limits.open(id, await options.sessions.ownerOf(id));
        options.subscribers.inc();
        try {
          const lastEventId = request.headers['last-event-id'];
          const watched = { id, lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined };
          await stream(options, watched, reply.raw, () => reply.hijack(), reply.getHeaders());
        } finally {
          close();
          options.subscribers.dec();
        }
        return reply;
      },
    },
  ];
}

/** Resolves when the stream is closed. @throws MeshError only before the first byte is sent */
async function stream(
  options: EventRouteOptions,
  { id, lastEventId }: { readonly id: string; readonly lastEventId: string | undefined },
  raw: ServerResponse,
  hijack: () => void,
  headers: Readonly<Record<string, unknown>>,
): Promise<void> {
  const early: StreamedEvent[] = [];
  let send = (event: StreamedEvent): void => void early.push(event);
  const watch = { checkMs: options.checkMs, lastEventId };
  const stop = await options.sessions.watch(id, watch, (event) => send(event));
  hijack();
  raw.writeHead(200, {
    ...(headers as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.write('retry: 1000\n\n');
  const heartbeat = setInterval(() => raw.write(': heartbeat\n\n'), options.heartbeatMs);
  const end = (): void => void raw.end();
  options.draining.addEventListener('abort', end, { once: true });
  send = (event) => {
    if (raw.writableEnded || raw.destroyed) return;
    raw.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    if (event.type === 'session.ended') raw.end();
    else if (raw.writableLength > MAX_UNREAD_BYTES) raw.destroy();
  };
  early.forEach(send);
  await new Promise<void>((resolve) => raw.once('close', resolve));
  options.draining.removeEventListener('abort', end);
  clearInterval(heartbeat);
  stop();
}
