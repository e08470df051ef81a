import {
  type LivekitTransport,
  MeshError,
  type SessionChoices,
  type SessionLimits,
  type SessionRecording,
} from '@talkmesh/contracts';
import type { z } from 'zod';
import type { Opener } from './auth.js';
import { limitsOf, withinGrant } from './grants.js';
import type { createSessionBody, recordingOptions } from './schemas.js';

/** The provider whose speech comes from outside the mesh. */
export const EXTERNAL = 'external';

export interface NewSession {
  /** The caller's API key, or the one that issued its grant. */
  readonly owner: string;
  /** May use own pictures of every key. */
  readonly isAdmin: boolean;
  readonly avatar: string;
  /** Undefined: the deployment's default. */
  readonly provider: string | undefined;
  readonly choices: SessionChoices;
  /** Given to the bridge and kept nowhere else. */
  readonly providerKey: string | undefined;
  readonly output: 'webrtc' | 'record' | 'frames';
  /** Draw the disclosure label into the picture, whether or not the deployment demands it. */
  readonly badge: boolean;
  /** Undefined: the deployment's default. */
  readonly quality: string | undefined;
  /** Width of the video; undefined: the deployment's default. */
  readonly size: number | undefined;
  /** Undefined: viewers come over WHEP. */
  readonly transport: z.output<typeof createSessionBody>['transport'];
  /** Undefined: the call is not recorded. */
  readonly recording: z.output<typeof recordingOptions> | undefined;
  readonly seed: number | undefined;
  readonly limits: SessionLimits;
}

/**
 * A checked request of REST, gRPC or a WebSocket, and who makes it: an API key, or a grant, which bounds it.
 * @throws MeshError ARGUMENT_INVALID, PERMISSION_DENIED naming what the grant does not allow
 */
export function newSession(body: z.output<typeof createSessionBody>, opener: Opener): NewSession {
  const {
    avatar,
    provider,
    output,
    badge = false,
    quality,
    size,
    transport,
    recording,
    seed,
    providerKey,
    ...rest
  } = body;
  const { maxSeconds, idleSeconds, origins, ...choices } = rest;
  if (transport !== undefined && output !== 'webrtc')
    throw new MeshError('ARGUMENT_INVALID', `output "${output}" has no transport: leave transport out`);
  if (recording !== undefined && output !== 'webrtc')
    throw new MeshError(
      'ARGUMENT_INVALID',
      `output "${output}" gives the frames to your program, which may record them: leave recording out`,
    );
  const limits = limitsOf({ maxSeconds, idleSeconds, origins });
  const by = { owner: opener.owner, isAdmin: opener.kind === 'key' && opener.isAdmin };
  const own = { ...by, avatar, provider, output, badge, quality, size, transport, recording, seed, providerKey };
  const wanted = { ...own, choices, limits };
  return opener.kind === 'grant' ? withinGrant(wanted, opener) : wanted;
}

/** A LiveKit agent decides what the avatar says, so the mesh has no conversation of its own then. @throws MeshError ARGUMENT_INVALID */
export function providerOf(
  wanted: string | undefined,
  livekit: Pick<LivekitTransport, 'agent' | 'microphone'> | undefined,
  byDefault: string,
): string {
  if (livekit === undefined || livekit.agent === '') {
    const provider = wanted ?? byDefault;
    if (provider !== EXTERNAL || livekit?.microphone === undefined) return provider;
    throw new MeshError(
      'ARGUMENT_INVALID',
      `the provider ${EXTERNAL} hears no user: leave transport.livekit.microphone out, or choose another provider`,
    );
  }
  if (wanted === undefined || wanted === EXTERNAL) return EXTERNAL;
  throw new MeshError(
    'ARGUMENT_INVALID',
    `a session with transport.livekit.agent has the provider ${EXTERNAL}, because the agent speaks: leave provider out`,
  );
}

/** What a deployment allows of recordings; undefined: it records nothing. */
export interface RecordingPolicy {
  readonly maxMs: number;
  readonly maxBytes: number;
}

/** The recording that a session gets. @throws MeshError PERMISSION_DENIED, ARGUMENT_INVALID */
export function recordingOf(
  wanted: NewSession['recording'],
  provider: string,
  policy: RecordingPolicy | undefined,
): SessionRecording | undefined {
  if (wanted === undefined) return undefined;
  if (policy === undefined)
    throw new MeshError(
      'PERMISSION_DENIED',
      'this deployment records no calls (TALKMESH_RECORDINGS_FOLDER): leave recording out',
    );
  const { sides, format, maxSeconds = Number.POSITIVE_INFINITY } = wanted;
  if (sides === 'both' && provider === EXTERNAL)
    throw new MeshError(
      'ARGUMENT_INVALID',
      `the provider ${EXTERNAL} hears no caller: leave recording.sides out, or choose another provider`,
    );
  return { sides, format, maxMs: Math.min(policy.maxMs, maxSeconds * 1000), maxBytes: policy.maxBytes };
}
