import { MeshError } from '@talkmesh/contracts';
import { type IceServers, MAX_SDP_BYTES, type MediaKind, parseOffer } from '@talkmesh/webrtc';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Auth, requireSession } from '../auth.js';
import type { Sessions } from '../sessions.js';
import { HttpRefusal } from './problems.js';
import { callerSignal, type Operation, param } from './routes.js';

export const SDP_TYPE = 'application/sdp';

const sdp = z.string().max(MAX_SDP_BYTES).describe('Session description (RFC 8866)');
const resource = z.string().regex(/^[\w-]{1,64}$/);

interface Direction {
  readonly name: 'whip' | 'whep';
  readonly service: 'audio-ingest' | 'webrtc-egress';
  readonly kinds: readonly MediaKind[];
  readonly summary: string;
}

const DIRECTIONS: readonly Direction[] = [
  {
    name: 'whip',
    service: 'audio-ingest',
    kinds: ['audio'],
    summary: 'Sends the microphone: SDP offer and answer (WHIP, RFC 9725)',
  },
  {
    name: 'whep',
    service: 'webrtc-egress',
    kinds: ['video', 'audio'],
    summary: 'Receives video and audio: SDP offer and answer (WHEP, draft-ietf-wish-whep)',
  },
];

export interface SignallingOptions {
  readonly sessions: Sessions;
  /** The servers that callers may use, named in Link headers. */
  readonly ice: Pick<IceServers, 'link'>;
  readonly auth: Pick<Auth, 'identify'>;
}

/** WHIP and WHEP without trickle ICE: one offer, one answer, one resource to delete. */
export function signallingOperations({ sessions, ice, auth }: SignallingOptions): Operation[] {
  return DIRECTIONS.flatMap(({ name, service, kinds, summary }): Operation[] => [
    {
      method: 'POST',
      path: `/v1/${name}/{id}`,
      id: `${name}Offer`,
      summary,
      access: 'session',
      body: { schema: sdp, types: [SDP_TYPE] },
      status: 201,
      answer: {
        schema: sdp,
        type: SDP_TYPE,
        headers: { Location: 'Path of the connection; DELETE it to close', Link: 'STUN and TURN servers' },
      },
      errors: [
        'SDP_INVALID',
        'CODEC_UNSUPPORTED',
        'BODY_TOO_LARGE',
        'SESSION_NOT_FOUND',
        'SESSION_ENDED',
        'SESSION_LIMIT',
        'PEER_LOST',
        'SDP_TIMEOUT',
      ],
      // The servers' credentials are for callers of the session; a preflight of a browser carries no token and gets none.
      describe: async (request, reply) => {
        const id = param(request, 'id');
        const { authorization } = request.headers;
        if (authorization === undefined) return;
        requireSession(await auth.identify(authorization), id);
        addLink(reply, ice, id);
      },
      handle: async (request, reply) => {
        const offer = parseOffer(offerOf(request), kinds).sdp;
        const id = param(request, 'id');
        const answer = await sessions.offer(id, service, offer, callerSignal(reply));
        addLink(reply, ice, id);
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
        if (!named.success)
          throw new MeshError(
            'ARGUMENT_INVALID',
            'this is not the path of a connection; use the Location of the answer to the offer',
          );
        await sessions.hangUp(param(request, 'id'), service, named.data, callerSignal(reply));
      },
    },
  ]);
}

function addLink(reply: FastifyReply, ice: Pick<IceServers, 'link'>, id: string): void {
  const link = ice.link(id);
  if (link !== undefined) reply.header('link', link);
}

function offerOf(request: FastifyRequest): string {
  if (
    typeof request.body === 'string' &&
    request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() === SDP_TYPE
  )
    return request.body;
  throw new HttpRefusal(415, `the offer has another content type: send it as ${SDP_TYPE}`);
}
