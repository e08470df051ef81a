import type { ServerWritableStream } from '@grpc/grpc-js';
import { MeshError, type SessionRecord } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type GrpcServiceImpl, type PublicCall, publicUnary, toServiceError } from '@talkmesh/service-kit';
import { type Auth, ownerFilter, type Principal, requireKey, requireOpener } from '../auth.js';
import type { StreamedEvent } from '../event-stream.js';
import { check, publicSession } from '../http/problems.js';
import { newSession } from '../new-session.js';
import { createSessionBody, sayBody, toolResultBody } from '../schemas.js';
import type { ConversationCommand, Sessions } from '../sessions.js';
import type { GrpcAccess } from './access.js';
import { type RecordingCallsOptions, recordingCalls } from './recording-calls.js';

interface SessionRef {
  readonly sessionId: string;
}

interface WatchRequest extends SessionRef {
  readonly lastEventId: string;
}

export interface SessionServiceOptions extends RecordingCallsOptions {
  readonly sessions: Sessions;
  readonly auth: Auth;
  readonly access: GrpcAccess;
  /** How often a stream checks that its session still exists. */
  readonly checkMs: number;
  readonly draining: AbortSignal;
}

/** Events that a slow caller may leave unread before its stream is closed. */
const MAX_UNREAD_EVENTS = 256;

const STATES = { opening: 'SESSION_STATE_OPENING', open: 'SESSION_STATE_OPEN', ended: 'SESSION_STATE_ENDED' } as const;

function toMessage(record: SessionRecord) {
  const { id, avatar, provider, disclosure, quality, size, createdAtMs, placement, transport, recording } =
    publicSession(record);
  const { livekit } = transport ?? {};
  const about = { id, state: STATES[record.state], avatar, provider, disclosure, quality, size, createdAtMs };
  return { ...about, placement, livekit, recording };
}

function toEventMessage({ type, id, sessionId, epoch, turn, atMs, v: _, ...data }: StreamedEvent) {
  return { type, id, sessionId, epoch, turn, atMs, dataJson: JSON.stringify(data) };
}

interface CreateRequest {
  readonly recording: object | null;
  readonly livekit: (Readonly<Record<string, unknown>> & { readonly microphone: object | null }) | null;
  readonly tools: readonly { readonly name: string; readonly description: string; readonly parametersJson: string }[];
  readonly [field: string]: unknown;
}

/** proto3 sends no empty fields, so empty means left out. */
const setFields = (message: object) =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== '' && value !== 0 && value !== false));

function toTransport({ microphone, ...livekit }: NonNullable<CreateRequest['livekit']>) {
  return { ...setFields(livekit), ...(microphone !== null && { microphone: setFields(microphone) }) };
}

function toTool({ name, description, parametersJson }: CreateRequest['tools'][number]) {
  if (parametersJson === '') return { name, description };
  try {
    return { name, description, parameters: JSON.parse(parametersJson) as unknown };
  } catch {
    throw new MeshError('ARGUMENT_INVALID', `tools: parameters_json of ${name.slice(0, 64)} is not valid JSON`);
  }
}

/** talkmesh.v1.SessionService: the same operations as REST. An unset field means its default. */
export function sessionService(options: SessionServiceOptions): GrpcServiceImpl {
  const { sessions, auth, access } = options;
  const recorded = recordingCalls(options);
  const unary = <Req, Res>(handler: (request: Req, call: PublicCall<Principal>) => Promise<Res>) =>
    publicUnary((metadata) => access.identifyCaller(metadata), handler);
  const command = (name: ConversationCommand) =>
    unary(async ({ sessionId }: SessionRef, { signal, principal }) => {
      await access.requireSessionOf(principal, sessionId, name);
      return sessions.command(sessionId, name, signal);
    });
  return {
    definition: v1.SessionService.service,
    implementation: {
      createSession: unary(async ({ tools, livekit, recording, ...request }: CreateRequest, { signal, principal }) => {
        const opener = requireOpener(principal);
        const wanted = check(createSessionBody, {
          ...setFields(request),
          tools: tools.map(toTool),
          ...(livekit !== null && { transport: { livekit: toTransport(livekit) } }),
          ...(recording !== null && { recording: setFields(recording) }),
        });
        const record = await sessions.create(newSession(wanted, opener), signal);
        return { session: toMessage(record), ...(await auth.issue(record.id, record.limits?.origins)) };
      }),
      getSession: unary(async ({ sessionId }: SessionRef, { principal }) => {
        await access.requireSessionOf(principal, sessionId, 'getSession');
        return toMessage(await sessions.get(sessionId));
      }),
      listSessions: unary(async (_: object, { principal }) => {
        const owner = ownerFilter(requireKey(principal));
        return { sessions: (await sessions.list(owner)).map(toMessage) };
      }),
      endSession: unary(async ({ sessionId }: SessionRef, { principal }) => {
        await access.requireSessionOf(principal, sessionId, 'endSession');
        await sessions.end(sessionId, { reason: 'ended', cause: 'hung-up' });
        return {};
      }),
      saySession: unary(async ({ sessionId, text }: SessionRef & { text: string }, { signal, principal }) => {
        await access.requireSessionOf(principal, sessionId, 'say');
        return sessions.say(sessionId, check(sayBody, { text }).text, signal);
      }),
      answerTool: unary(
        async (
          { sessionId, callId, output }: SessionRef & { callId: string; output: string },
          { signal, principal },
        ) => {
          await access.requireSessionOf(principal, sessionId, 'answerTool');
          const checked = check(toolResultBody, { callId, output });
          await sessions.answerTool(sessionId, checked.callId, checked.output, signal);
          return {};
        },
      ),
      interruptSession: command('interrupt'),
      pauseSession: command('pause'),
      resumeSession: command('resume'),
      startInput: command('startInput'),
      commitInput: command('commitInput'),
      cancelInput: command('cancelInput'),
      listRecordings: unary(recorded.list),
      getRecording: unary(recorded.get),
      stopRecording: unary(recorded.stop),
      deleteRecording: unary(recorded.delete),
      downloadRecording: recorded.download,
      watchEvents: (call: ServerWritableStream<WatchRequest, object>) => {
        watch(call, options).catch((thrown: unknown) => call.emit('error', toServiceError(thrown)));
      },
    },
  };
}

async function watch(call: ServerWritableStream<WatchRequest, object>, options: SessionServiceOptions): Promise<void> {
  const { sessionId, lastEventId } = call.request;
  await options.access.requireSession(call.metadata, sessionId, 'watchEvents');
  const close = options.limits.open(sessionId, await options.sessions.ownerOf(sessionId));
  let unread = 0;
  let over = false;
  const finish = (error?: MeshError): void => {
    if (over) return;
    over = true;
    if (error === undefined) call.end();
    else call.emit('error', toServiceError(error));
  };
  const onEvent = (event: StreamedEvent): void => {
    if (over) return;
    unread += 1;
    call.write(toEventMessage(event), () => {
      unread -= 1;
    });
    if (event.type === 'session.ended') finish();
    else if (unread > MAX_UNREAD_EVENTS)
      finish(
        new MeshError(
          'RATE_LIMITED',
          'the caller read events too slowly, so the stream was closed; call WatchEvents again',
        ),
      );
  };
  const watched = { checkMs: options.checkMs, lastEventId };
  const stop = await options.sessions.watch(sessionId, watched, onEvent).catch((thrown: unknown) => {
    close();
    throw thrown;
  });
  const onDraining = (): void =>
    finish(new MeshError('DRAINING', 'this gateway is shutting down; call WatchEvents again to reach another one'));
  options.draining.addEventListener('abort', onDraining, { once: true });
  const onClose = (): void => {
    over = true;
    options.draining.removeEventListener('abort', onDraining);
    stop();
    close();
  };
  call.once('close', onClose);
  if (call.cancelled) onClose();
  else if (options.draining.aborted) onDraining();
}
