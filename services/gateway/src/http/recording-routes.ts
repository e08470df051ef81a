import { MeshError } from '@talkmesh/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ownerFilter } from '../auth.js';
import type { Recording, RecordingVideo } from '../recordings.js';
import * as schemas from '../schemas.js';
import { type StopRecordingOptions, stopRecording } from '../stop-recording.js';
import { check, HttpRefusal } from './problems.js';
import { keyOf, type Operation, param } from './routes.js';

/** Recordings of calls: their owner lists, stops, downloads and deletes them; all but stopping also after the session has ended. */
export function recordingOperations(options: StopRecordingOptions): Operation[] {
  const { recordings, audit } = options;
  const path = '/v1/sessions/{id}/recording';
  const one = { access: 'key', errors: ['NOT_FOUND'], status: 200 } as const;
  const find = (request: FastifyRequest) => recordings.get(param(request, 'id'), ownerFilter(keyOf(request)));
  const partNumber = (request: FastifyRequest): number => Number(param(request, 'part'));
  return [
    {
      method: 'GET',
      path: '/v1/recordings',
      id: 'listRecordings',
      summary: 'Recordings of the sessions of the caller, newest first, in pages; an admin key sees those of every key',
      access: 'key',
      query: schemas.recordingsQuery,
      status: 200,
      answer: { schema: schemas.recordingList, type: 'application/json' },
      errors: ['ARGUMENT_INVALID'],
      handle: async (request) => {
        const query = check(schemas.recordingsQuery, request.query);
        const { page, nextCursor } = await recordings.list(ownerFilter(keyOf(request)), query);
        return { recordings: page.map(publicRecording), ...(nextCursor !== undefined && { nextCursor }) };
      },
    },
    {
      ...one,
      method: 'GET',
      path,
      id: 'getRecording',
      summary: 'The recording of a session: its state and its parts',
      answer: { schema: schemas.recording, type: 'application/json' },
      handle: async (request) => publicRecording(await find(request)),
    },
    {
      ...one,
      method: 'GET',
      path: `${path}/{part}`,
      id: 'downloadRecording',
      summary: 'The video of one part, which begin with 1; takes Range',
      answer: { type: 'video/mp4', headers: { 'Content-Disposition': 'Name for the file' } },
      handle: async (request, reply) => {
        const key = keyOf(request);
        const video = await recordings.openVideo(param(request, 'id'), partNumber(request), ownerFilter(key));
        const { recording, part } = video;
        const { sessionId, owner } = recording;
        audit.record(key, 'downloadRecording', { sessionId, owner, part: part.part });
        reply.header('content-disposition', `attachment; filename="${sessionId}-${part.file}"`);
        return sendVideo(request, reply, video);
      },
    },
    {
      ...one,
      method: 'GET',
      path: `${path}/{part}/manifest`,
      id: 'recordingManifest',
      summary: 'The signed manifest of one part: what made it, when, and the hash of the video',
      answer: { schema: schemas.recordingManifestAnswer, type: 'application/json' },
      handle: async (request) => {
        const { manifest, part } = await recordings.part(
          param(request, 'id'),
          partNumber(request),
          ownerFilter(keyOf(request)),
        );
        if (manifest !== undefined) return manifest;
        throw new MeshError('NOT_FOUND', `part ${part} has no manifest yet; it is signed when it is complete`);
      },
    },
    {
      ...one,
      method: 'POST',
      path: `${path}/stop`,
      id: 'stopRecording',
      summary: 'Stops the recording; the call goes on. Idempotent. The recording is complete some seconds later',
      answer: { schema: schemas.recording, type: 'application/json' },
      errors: ['NOT_FOUND', 'NOT_RECORDED', 'NATS_UNAVAILABLE'],
      handle: async (request) => publicRecording(await stopRecording(options, keyOf(request), param(request, 'id'))),
    },
    {
      ...one,
      method: 'DELETE',
      path,
      status: 204,
      id: 'deleteRecording',
      summary: 'Deletes all parts; a recording that is being made ends, and the call goes on',
      handle: async (request) => {
        const key = keyOf(request);
        const { sessionId, owner } = await recordings.delete(param(request, 'id'), ownerFilter(key));
        audit.record(key, 'deleteRecording', { sessionId, owner });
      },
    },
  ];
}

/** The answer to the owner; the owner's name is left out. */
function publicRecording({ owner: _, parts, ...recording }: Recording) {
  const base = `/v1/sessions/${recording.sessionId}/recording`;
  return {
    ...recording,
    parts: parts.map(({ manifest, file: _file, ...part }) => ({
      ...part,
      video: `${base}/${part.part}`,
      ...(manifest && { manifest: `${base}/${part.part}/manifest`, sha256: manifest.claim.assertions[1].data.hash }),
    })),
  };
}

/** Sends a video, or the part of it that one Range names (RFC 9110, 14.2). */
async function sendVideo(request: FastifyRequest, reply: FastifyReply, video: RecordingVideo) {
  reply.headers({ 'accept-ranges': 'bytes', 'cache-control': 'private, no-store' }).type(video.part.type);
  try {
    const range = rangeOf(request.headers.range, video.bytes);
    if (range === undefined) return reply.code(200).header('content-length', video.bytes).send(video.read());
    const { start, end } = range;
    reply.header('content-range', `bytes ${start}-${end}/${video.bytes}`).header('content-length', end - start + 1);
    return reply.code(206).send(video.read(range));
  } catch (refused) {
    await video.close();
    throw refused;
  }
}

/** @returns undefined: the whole file, also for several ranges. @throws HttpRefusal 416 */
export function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start < size && start <= end) return { start, end };
  throw new HttpRefusal(416, `the recording has ${size} bytes; ask for a range within them`);
}
