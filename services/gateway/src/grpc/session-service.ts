import type { ServerWritableStream } from '@grpc/grpc-js';
import { MeshError, type MeshEvent, type SessionRecord, v1 } from '@talkmesh/contracts';
import { type GrpcServiceImpl, toServiceError, unary } from '@talkmesh/service-kit';
import type { Auth } from '../auth.js';
import { check, publicSession } from '../http/problems.js';
import { createSessionBody, sayBody } from '../schemas.js';
import type { Sessions } from '../sessions.js';
import type { GrpcAccess } from './access.js';

interface OfSession {
  readonly sessionId: string;
}

export interface SessionServiceOptions {
  readonly sessions: Sessions;
  readonly auth: Auth;
  readonly access: GrpcAccess;
  readonly heartbeatMs: number;
  readonly draining: AbortSignal;
}

/** Events a slow caller may leave unread before its stream is ended. */
const MAX_UNREAD_EVENTS = 256;

const STATES = { opening: 'SESSION_STATE_OPENING', open: 'SESSION_STATE_OPEN', ended: 'SESSION_STATE_ENDED' } as const;

function toMessage(record: SessionRecord) {
  const { id, avatar, provider, createdAtMs, placement } = publicSession(record);
  return { id, state: STATES[record.state], avatar, provider, createdAtMs, placement };
}

function toEventMessage({ type, sid, epoch, turn, atMs, v: _, ...data }: MeshEvent) {
  return { type, sessionId: sid, epoch, turn, atMs, dataJson: JSON.stringify(data) };
}

/** talkmesh.v1.SessionService: the same operations as REST, an unset field being a default. */
export function sessionService(o: SessionServiceOptions): GrpcServiceImpl {
  const { sessions, auth, access } = o;
  return {
    definition: v1.SessionService.service,
    implementation: {
      createSession: unary(
        async (request: { avatar: string; provider: string; seed: number; output: string }, { signal, metadata }) => {
          await access.key(metadata);
          const given = Object.entries(request).filter(([, value]) => value !== '' && value !== 0);
          const { avatar, provider, output, seed } = check(createSessionBody, Object.fromEntries(given));
          const record = await sessions.create({ avatar, provider, output, seed }, signal);
          return { session: toMessage(record), ...(await auth.issue(record.id)) };
        },
      ),
      getSession: unary(async ({ sessionId }: OfSession, { metadata }) => {
        await access.session(metadata, sessionId);
        return toMessage(await sessions.get(sessionId));
      }),
      listSessions: unary(async (_: object, { metadata }) => {
        await access.key(metadata);
        return { sessions: (await sessions.list()).map(toMessage) };
      }),
      endSession: unary(async ({ sessionId }: OfSession, { metadata }) => {
        await access.session(metadata, sessionId);
        await sessions.end(sessionId, { reason: 'ended', cause: 'hung-up' });
        return {};
      }),
      saySession: unary(async ({ sessionId, text }: OfSession & { text: string }, { signal, metadata }) => {
        await access.session(metadata, sessionId);
        return sessions.say(sessionId, check(sayBody, { text }).text, signal);
      }),
      interruptSession: unary(async ({ sessionId }: OfSession, { signal, metadata }) => {
        await access.session(metadata, sessionId);
        return sessions.interrupt(sessionId, signal);
      }),
      pauseSession: unary(async ({ sessionId }: OfSession, { signal, metadata }) => {
        await access.session(metadata, sessionId);
        return sessions.pause(sessionId, signal);
      }),
      resumeSession: unary(async ({ sessionId }: OfSession, { signal, metadata }) => {
        await access.session(metadata, sessionId);
        return sessions.resume(sessionId, signal);
      }),
      watchEvents: (call: ServerWritableStream<OfSession, object>) => {
        watch(call, o).catch((thrown: unknown) => call.emit('error', toServiceError(thrown)));
      },
    },
  };
}

async function watch(call: ServerWritableStream<OfSession, object>, o: SessionServiceOptions): Promise<void> {
  const { sessionId } = call.request;
  await o.access.session(call.metadata, sessionId);
  let unread = 0;
  let over = false;
  const finish = (error?: MeshError): void => {
    if (over) return;
    over = true;
    if (error === undefined) call.end();
    else call.emit('error', toServiceError(error));
  };
  const stop = await o.sessions.watch(sessionId, o.heartbeatMs, (event) => {
    if (over) return;
    unread += 1;
    call.write(toEventMessage(event), () => {
      unread -= 1;
    });
    if (event.type === 'session.ended') finish();
    else if (unread > MAX_UNREAD_EVENTS)
      finish(new MeshError('RATE_LIMITED', 'events were not read in time; watch again'));
  });
  const leave = (): void => finish(new MeshError('DRAINING', 'this gateway is going away; watch again'));
  o.draining.addEventListener('abort', leave, { once: true });
  const clean = (): void => {
    over = true;
    o.draining.removeEventListener('abort', leave);
    stop();
  };
  call.once('close', clean);
  if (call.cancelled) clean();
  else if (o.draining.aborted) leave();
}
