import { MeshError } from '@talkmesh/contracts';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { checkOffer, MAX_SDP_BYTES } from '../sdp.js';
import type { Sessions } from '../sessions.js';
import { HttpRefusal } from './problems.js';
import { callerSignal, type Operation, param } from './routes.js';

export const SDP_TYPE = 'application/sdp';

const sdp = z.string().max(MAX_SDP_BYTES).describe('Session description (RFC 8866)');
const resource = z.string().regex(/^[\w-]{1,64}$/);

interface Direction {
  readonly name: 'whip' | 'whep';
  readonly service: 'audio-ingest' | 'webrtc-egress';
  readonly kinds: readonly ('audio' | 'video')[];
  readonly summary: string;
}

const DIRECTIONS: readonly Direction[] = [
  { name: 'whip', service: 'audio-ingest', kinds: ['audio'], summary: 'The microphone (WHIP, RFC 9725)' },
  {
    name: 'whep',
    service: 'webrtc-egress',
    kinds: ['video', 'audio'],
    summary: 'Picture and sound (WHEP, draft-ietf-wish-whep)',
  },
];

/** WHIP and WHEP without trickle: one offer, one answer, one resource to delete. */
export function signallingOperations(sessions: Sessions): Operation[] {
  return DIRECTIONS.flatMap(({ name, service, kinds, summary }): Operation[] => [
    {
      method: 'POST',
      path: `/v1/${name}/{id}`,
      id: `${name}Offer`,
      summary,
      access: 'session',
      body: { schema: sdp, types: [SDP_TYPE] },
      status: 201,
      answer: { schema: sdp, type: SDP_TYPE, headers: { Location: 'Path of the connection; DELETE it to close' } },
      errors: [
        'SDP_INVALID',
        'BODY_TOO_LARGE',
        'SESSION_NOT_FOUND',
        'SESSION_ENDED',
        'SESSION_LIMIT',
        'PEER_LOST',
        'SDP_TIMEOUT',
      ],
      handle: async (request, reply) => {
        const offer = offerOf(request);
        checkOffer(offer, kinds);
        const id = param(request, 'id');
        const answer = await sessions.offer(id, service, offer, callerSignal(reply));
        reply.header('location', `/v1/${name}/${id}/${encodeURIComponent(answer.resourceId)}`).type(SDP_TYPE);
        return answer.sdp;
      },
    },
    {
      method: 'DELETE',
      path: `/v1/${name}/{id}/{resource}`,
      id: `${name}Delete`,
      summary: `Closes one ${name.toUpperCase()} connection`,
      access: 'session',
      status: 200,
      errors: ['ARGUMENT_INVALID', 'SESSION_NOT_FOUND', 'PEER_LOST'],
      handle: async (request, reply) => {
        const named = resource.safeParse(param(request, 'resource'));
        if (!named.success) throw new MeshError('ARGUMENT_INVALID', 'that is not the path of a connection');
        await sessions.hangUp(param(request, 'id'), service, named.data, callerSignal(reply));
      },
    },
  ]);
}

function offerOf(request: FastifyRequest): string {
  if (
    typeof request.body === 'string' &&
    request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() === SDP_TYPE
  )
    return request.body;
  throw new HttpRefusal(415, `send the offer as ${SDP_TYPE}`);
}
