import { assertSessionId, isSessionId } from './ids.js';
import { STREAMS, type Stream } from './pipeline.js';

export const SUBJECT_PREFIX = 'tm.v1';

/** `tm.v1.<sid>.<stream>`. @throws MeshError SESSION_ID_INVALID */
export function subjectOf(sessionId: string, stream: Stream): string {
  return `${SUBJECT_PREFIX}.${assertSessionId(sessionId)}.${stream}`;
}

/** `tm.v1.*.<stream>`: every session's messages of one stream. */
export function subjectOfAll(stream: Stream): string {
  return `${SUBJECT_PREFIX}.*.${stream}`;
}

/** Session and stream of a subject, or undefined when it is not one of ours. */
export function parseSubject(subject: string): { sessionId: string; stream: Stream } | undefined {
  const [tm, version, sessionId, stream, ...rest] = subject.split('.');
  if (`${tm}.${version}` !== SUBJECT_PREFIX || rest.length > 0 || !isSessionId(sessionId)) return undefined;
  const known = STREAMS.find((candidate) => candidate === stream);
  return known === undefined ? undefined : { sessionId, stream: known };
}

/** KV buckets (JetStream). Keys: `<service>.<instanceId>` and `<sessionId>`. */
export const WORKERS_BUCKET = 'talkmesh_workers';
export const SESSIONS_BUCKET = 'talkmesh_sessions';
/** How long a session's record outlives its last change, milliseconds. */
export const SESSIONS_TTL_MS = 3_600_000;
/** People's own pictures, for workers; and what the edge knows of them. Keys: avatar ids. */
export const PICTURES_BUCKET = 'talkmesh_pictures';
export const AVATARS_BUCKET = 'talkmesh_avatars';
