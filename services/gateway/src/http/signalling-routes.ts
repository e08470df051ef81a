import { MeshError } from '@talkmesh/contracts';
import {
  FRAGMENT_TYPE,
  type IceServers,
  iceTag,
  MAX_FRAGMENT_BYTES,
  MAX_SDP_BYTES,
  type MediaKind,
  parseIceFragment,
  parseOffer,
} from '@talkmesh/webrtc';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Auth, requireSession } from '../auth.js';
import type { Sessions } from '../sessions.js';
import { HttpRefusal } from './problems.js';
import { callerSignal, type Operation, param } from './routes.js';

export const SDP_TYPE = 'application/sdp';

const sdp = z.string().max(MAX_SDP_BYTES).describe('Session description (RFC 8866)');
const fragment = z.string().max(MAX_FRAGMENT_BYTES).describe('ICE credentials and candidates (RFC 8840, 9)');
/** Longest If-Match header. */
const MAX_IF_MATCH = 1024;
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

/** WHIP and WHEP: an offer, its answer, and a resource that takes candidates and ICE restarts until it is deleted. */
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
        headers: {
          Location: 'Path of the connection: PATCH it with candidates, DELETE it to close',
          ETag: 'The ICE session, for If-Match of PATCH',
          Link: 'STUN and TURN servers',
        },
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
        const offer = parseOffer(textOf(request, SDP_TYPE), kinds).sdp;
        const id = param(request, 'id');
        const answer = await sessions.offer(id, service, offer, callerSignal(reply));
        addLink(reply, ice, id);
        addTag(reply, answer.sdp);
        reply.header('location', `/v1/${name}/${id}/${encodeURIComponent(answer.resourceId)}`).type(SDP_TYPE);
        return answer.sdp;
      },
    },
    {
      method: 'PATCH',
      path: `/v1/${name}/{id}/{resource}`,
      id: `${name}Ice`,
      summary: `Adds candidates to a ${name.toUpperCase()} connection (204), or restarts its ICE: 200 with the new credentials of the server`,
      access: 'session',
      body: { schema: fragment, types: [FRAGMENT_TYPE] },
      status: 204,
      errors: [
        'ARGUMENT_INVALID',
        'SDP_INVALID',
        'BODY_TOO_LARGE',
        'SESSION_NOT_FOUND',
        'SESSION_ENDED',
        'NOT_FOUND',
        'ICE_SESSION_CHANGED',
        'SESSION_LIMIT',
        'PEER_LOST',
        'SDP_TIMEOUT',
      ],
      handle: async (request, reply) => {
        reply.header('accept-patch', FRAGMENT_TYPE);
        const sent = textOf(request, FRAGMENT_TYPE);
        const change = { resourceId: resourceOf(request), ifMatch: ifMatchOf(request), fragment: sent };
        parseIceFragment(sent);
        const answer = await sessions.changeIce(param(request, 'id'), service, change, callerSignal(reply));
        if (answer === '') return undefined;
        addTag(reply, answer);
        return reply.code(200).type(FRAGMENT_TYPE).send(answer);
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
        await sessions.hangUp(param(request, 'id'), service, resourceOf(request), callerSignal(reply));
      },
    },
  ]);
}

function addLink(reply: FastifyReply, ice: Pick<IceServers, 'link'>, id: string): void {
  const link = ice.link(id);
  if (link !== undefined) reply.header('link', link);
}

/** Names the ICE session of a description or a fragment. */
function addTag(reply: FastifyReply, sdp: string): void {
  const tag = iceTag(sdp);
  if (tag !== undefined) reply.header('etag', tag);
}

function resourceOf(request: FastifyRequest): string {
  const named = resource.safeParse(param(request, 'resource'));
  if (named.success) return named.data;
  throw new MeshError(
    'ARGUMENT_INVALID',
    'this is not the path of a connection; use the Location of the answer to the offer',
  );
}

function ifMatchOf({ headers }: FastifyRequest): string {
  const ifMatch = headers['if-match'];
  if (ifMatch === undefined || ifMatch.trim() === '')
    throw new HttpRefusal(428, 'this request needs If-Match; send the ETag of the answer, or * to restart ICE');
  if (ifMatch.length > MAX_IF_MATCH) throw new MeshError('ARGUMENT_INVALID', 'the header If-Match is too long');
  return ifMatch;
}

/** The body. @throws HttpRefusal 415: it has another content type */
function textOf(request: FastifyRequest, type: string): string {
  const sent = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (typeof request.body === 'string' && sent === type) return request.body;
  throw new HttpRefusal(415, `the body has another content type: send it as ${type}`);
}
