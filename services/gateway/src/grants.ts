import { MeshError, type SessionLimits } from '@talkmesh/contracts';
import { z } from 'zod';
import type { GrantPrincipal, Opener } from './auth.js';
import type { NewSession } from './new-session.js';
import { QUALITY_PATTERN, QUALITY_RULE } from './session-qualities.js';

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'has 1 to 41 characters of a-z, 0-9 and -');

/** Limits that any session may have. */
export const limitsShape = {
  maxSeconds: z.number().int().min(10).max(86_400).optional().describe('Longest time of the session'),
  idleSeconds: z
    .number()
    .int()
    .min(5)
    .max(3_600)
    .optional()
    .describe('The session ends when neither side has spoken for this time'),
  origins: z
    .array(z.string().regex(/^https?:\/\/[^/\s]{1,200}$/, 'is an origin such as https://shop.example.com'))
    .max(20)
    .optional()
    .describe(
      'Pages that may use the token of the session; without the list pages of all origins that the gateway allows',
    ),
};

export const grantBody = z.strictObject({
  avatars: z.array(name).min(1).max(20).optional().describe('Any, when left out'),
  providers: z.array(name).min(1).max(20).optional().describe('Any, when left out'),
  recording: z.boolean().optional().describe('Whether the sessions may be recorded; not, when left out'),
  qualities: z
    .array(z.string().regex(QUALITY_PATTERN, QUALITY_RULE))
    .min(1)
    .max(10)
    .optional()
    .describe('Any, when left out; sessions that name none have the first'),
  sizes: z
    .array(z.number().int().positive())
    .min(1)
    .max(10)
    .optional()
    .describe('Widths of the video, pixels; any, when left out; sessions that name none have the first'),
  ...limitsShape,
  maxSessions: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe('Sessions of this grant that may be open at a time'),
  ttlSeconds: z.number().int().min(10).max(3_600).default(600).describe('Lifetime of the grant, not of its sessions'),
});
/** What the bearer of a grant may do: open sessions within these bounds. */
export type Grant = Omit<z.output<typeof grantBody>, 'ttlSeconds'>;

export const issuedGrant = z.object({
  grant: z
    .string()
    .describe('Bearer token (JWT) that opens sessions: with POST /v1/sessions, gRPC CreateSession or /v1/realtime'),
  grantExpiresAtMs: z.number().int(),
});

/** The avatar of a session for which none was chosen. */
export function avatarOf(opener: Opener, byDefault: string): string {
  return (opener.kind === 'grant' ? opener.grant.avatars?.[0] : undefined) ?? byDefault;
}

export function limitsOf(
  { maxSeconds, idleSeconds, origins = [] }: Pick<Grant, 'maxSeconds' | 'idleSeconds' | 'origins'>,
  grant?: { readonly id: string; readonly maxSessions: number },
): SessionLimits {
  return {
    ...(maxSeconds !== undefined && { maxMs: maxSeconds * 1000 }),
    ...(idleSeconds !== undefined && { idleMs: idleSeconds * 1000 }),
    origins,
    ...(grant !== undefined && { grantId: grant.id, maxOfGrant: grant.maxSessions }),
  };
}

/**
 * The session that a grant allows: what was left out is filled in, what is tighter is kept.
 * @throws MeshError PERMISSION_DENIED naming what the grant does not allow
 */
export function withinGrant(wanted: NewSession, { id, owner, grant }: GrantPrincipal): NewSession {
  const refuse = (what: string): never => {
    throw new MeshError(
      'PERMISSION_DENIED',
      `the grant does not allow ${what}; ask the server of this product for another one`,
    );
  };
  const { avatars, providers, qualities, sizes } = grant;
  const provider = wanted.provider ?? providers?.[0];
  const quality = wanted.quality ?? qualities?.[0];
  const size = wanted.size ?? sizes?.[0];
  if (avatars !== undefined && !avatars.includes(wanted.avatar)) refuse(`the avatar ${wanted.avatar}`);
  if (providers !== undefined && !providers.includes(provider ?? '')) refuse(`the provider ${provider}`);
  if (qualities !== undefined && !qualities.includes(quality ?? '')) refuse(`the quality ${quality}`);
  if (sizes !== undefined && !sizes.includes(size ?? 0)) refuse(`the size ${size}`);
  if (wanted.choices.instructions !== '' || wanted.choices.tools.length > 0) refuse('instructions and tools');
  if (wanted.providerKey !== undefined) refuse('a provider key');
  if (wanted.output !== 'webrtc') refuse('recordings and frames');
  if (wanted.transport !== undefined) refuse('rooms');
  if (wanted.recording !== undefined && !grant.recording) refuse('recordings of the call');
  const least = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
  const granted = limitsOf(grant, { id, maxSessions: grant.maxSessions });
  const maxMs = least(wanted.limits.maxMs, granted.maxMs);
  const idleMs = least(wanted.limits.idleMs, granted.idleMs);
  return {
    ...{ ...wanted, owner, provider, quality, size },
    limits: { ...granted, ...(maxMs !== undefined && { maxMs }), ...(idleMs !== undefined && { idleMs }) },
  };
}
