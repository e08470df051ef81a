import type { ServerResponse } from 'node:http';
import { MeshError, type MeshEvent } from '@talkmesh/contracts';
import type { Gauge } from '@talkmesh/service-kit';
import { z } from 'zod';
import type { Sessions } from '../sessions.js';
import { type Operation, param } from './routes.js';

export interface EventRouteOptions {
  readonly sessions: Sessions;
  readonly heartbeatMs: number;
  /** Aborted when this gateway drains: listeners connect to another one. */
  readonly draining: AbortSignal;
  readonly listeners: Gauge;
}

const MAX_LISTENERS_PER_SESSION = 8;
/** A listener that leaves this much unread is cut off; it may connect again. */
const MAX_UNREAD_BYTES = 262_144;

/** Events of a session as server-sent events (WHATWG HTML, 9.2): one per event of the mesh, ending with the session. */
export function eventOperations(o: EventRouteOptions): Operation[] {
  const listening = new Map<string, number>();
  return [
    {
      method: 'GET',
      path: '/v1/sessions/{id}/events',
      id: 'watchEvents',
      summary: 'Events of a session from now on; the stream ends with the session',
      access: 'session',
      tokenInQuery: true,
      status: 200,
      answer: { schema: z.string(), type: 'text/event-stream' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED', 'RATE_LIMITED', 'DRAINING'],
      handle: async (request, reply) => {
        const id = param(request, 'id');
        const count = listening.get(id) ?? 0;
        if (o.draining.aborted) throw new MeshError('DRAINING', 'this gateway is going away; connect again');
        if (count >= MAX_LISTENERS_PER_SESSION)
          throw new MeshError(
            'RATE_LIMITED',
            `a session has at most ${MAX_LISTENERS_PER_SESSION} listeners on one gateway`,
          );
        listening.set(id, count + 1);
        o.listeners.inc();
        const forget = (): void => {
          const left = (listening.get(id) ?? 1) - 1;
          if (left === 0) listening.delete(id);
          else listening.set(id, left);
          o.listeners.dec();
        };
        try {
          await stream(o, id, reply.raw, () => reply.hijack(), reply.getHeaders());
        } finally {
          forget();
        }
        return reply;
      },
    },
  ];
}

/** Resolves when the stream is over. @throws MeshError before the first byte only */
async function stream(
  o: EventRouteOptions,
  id: string,
  raw: ServerResponse,
  takeOver: () => void,
  headers: Readonly<Record<string, unknown>>,
): Promise<void> {
  const early: MeshEvent[] = [];
  let send = (event: MeshEvent): void => void early.push(event);
  const stop = await o.sessions.watch(id, o.heartbeatMs, (event) => send(event));
  takeOver();
  raw.writeHead(200, {
    ...(headers as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.write('retry: 1000\n\n');
  const heartbeat = setInterval(() => raw.write(': heartbeat\n\n'), o.heartbeatMs);
  const end = (): void => void raw.end();
  o.draining.addEventListener('abort', end, { once: true });
  send = (event) => {
    if (raw.writableEnded || raw.destroyed) return;
    raw.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    if (event.type === 'session.ended') raw.end();
    else if (raw.writableLength > MAX_UNREAD_BYTES) raw.destroy();
  };
  early.forEach(send);
  await new Promise<void>((resolve) => raw.once('close', resolve));
  o.draining.removeEventListener('abort', end);
  clearInterval(heartbeat);
  stop();
}
