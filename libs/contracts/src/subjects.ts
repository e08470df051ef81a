import { assertSessionId, isSessionId } from './ids.js';
import { type BucketName, STREAMS, type Stream } from './pipeline.js';

export const SUBJECT_PREFIX = 'tm.v1';

/** `tm.v1.<sid>.<stream>`. @throws MeshError SESSION_ID_INVALID */
export function subjectOf(sessionId: string, stream: Stream): string {
  return `${SUBJECT_PREFIX}.${assertSessionId(sessionId)}.${stream}`;
}

/** `tm.v1.*.<stream>`: every session's messages of one stream. */
export function subjectOfAll(stream: Stream): string {
  return `${SUBJECT_PREFIX}.*.${stream}`;
}

/** Session and stream of a subject, or undefined when it is not a subject of the mesh. */
export function parseSubject(subject: string): { sessionId: string; stream: Stream } | undefined {
  const [tm, version, sessionId, stream, ...rest] = subject.split('.');
  if (`${tm}.${version}` !== SUBJECT_PREFIX || rest.length > 0 || !isSessionId(sessionId)) return undefined;
  const known = STREAMS.find((candidate) => candidate === stream);
  return known === undefined ? undefined : { sessionId, stream: known };
}

/** KV bucket (JetStream) of worker records; keys are `<service>.<instanceId>`. */
export const WORKERS_BUCKET = 'talkmesh_workers' satisfies BucketName;
/** KV bucket of session records; keys are session ids. */
export const SESSIONS_BUCKET = 'talkmesh_sessions' satisfies BucketName;
/** Time after its last change when a session's record expires, milliseconds. */
export const SESSIONS_TTL_MS = 3_600_000;
/** KV bucket of users' pictures, which workers read; keys are avatar ids. */
export const PICTURES_BUCKET = 'talkmesh_pictures' satisfies BucketName;
/** KV bucket of the gateway's records of users' avatars; keys are avatar ids. */
export const AVATARS_BUCKET = 'talkmesh_avatars' satisfies BucketName;
/** KV bucket of the gateway's webhooks that wait, and of which gateway sends them; keys are `<endpoint>.<sid>.<order>` and `sender`. */
export const WEBHOOKS_BUCKET = 'talkmesh_webhooks' satisfies BucketName;
