import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { MeshError } from './errors.js';

/** `avatar`: only what the avatar says; `both`: the caller's voice is mixed into the sound. */
export const RECORDING_SIDES = ['avatar', 'both'] as const;
export const RECORDING_FORMATS = ['mp4', 'webm'] as const;
export type RecordingFormat = (typeof RECORDING_FORMATS)[number];

/** What a session records, in its record. */
export const sessionRecording = z.object({
  sides: z.enum(RECORDING_SIDES),
  format: z.enum(RECORDING_FORMATS),
  /** Longest playing time and largest size of all parts together. */
  maxMs: z.number().int().positive(),
  maxBytes: z.number().int().positive(),
});
export type SessionRecording = z.infer<typeof sessionRecording>;

/**
 * Why a part of a recording ended. `ended`: the session did. `limit`: the longest time or largest size. `stopped`: a program stopped the
 * recording. `deleted`: a program deleted it. `moved`: another worker continues the session, in the next part. `lost`: the worker that wrote it was lost. The others are
 * failures: `disk-full`, `storage` (the folder cannot be written), `too-slow` (encoder or folder did not keep up), `encoder`.
 */
export const RECORDING_ENDS = ['ended', 'limit', 'stopped', 'deleted', 'moved', 'lost'] as const;
export const RECORDING_FAILURES = ['disk-full', 'storage', 'too-slow', 'encoder'] as const;
/** Why a session is recorded no more. `worker-full`: the worker that took it over records as many sessions as it may. */
export const RECORDING_LOSSES = [...RECORDING_FAILURES, 'worker-full'] as const;
export type RecordingEnd = (typeof RECORDING_ENDS)[number];
export type RecordingFailure = (typeof RECORDING_FAILURES)[number];

/**
 * A recording is the folder `<session id>` in the folder of recordings: `session.json`, and for each part N (a worker that takes a session
 * over begins a new one) the video `N.mp4` or `N.webm`, `N.open.json` until it is complete, then the signed manifest `N.json`. A file
 * `stop` says that no more is to be recorded.
 */
export const recordedSession = z.object({
  v: z.literal(1),
  sessionId: z.string(),
  /** Owner id of the API key that made the session. */
  owner: z.string(),
  createdAtMs: z.number(),
});
export type RecordedSession = z.infer<typeof recordedSession>;
export const SESSION_FILE = 'session.json';
export const STOP_FILE = 'stop';
export const videoFile = (part: number, format: RecordingFormat): string => `${part}.${format}`;
/** The part whose video has this name; undefined: it is another file. */
export function partOfVideo(name: string): number | undefined {
  const part = Number.parseInt(name, 10);
  return RECORDING_FORMATS.some((format) => name === videoFile(part, format)) ? part : undefined;
}
export const manifestFile = (part: number): string => `${part}.json`;
export const openFile = (part: number): string => `${part}.open.json`;
/** The writer rewrites `N.open.json` at this interval; when it is older than the second value, the writer is lost. Milliseconds. */
export const RECORDING_BEAT_MS = 2000;
export const RECORDING_LOST_MS = 30_000;

/** What is known of a part from its beginning on. */
const partFacts = z.object({
  sessionId: z.string(),
  part: z.number().int().positive(),
  avatar: z.string(),
  /** name@version */
  model: z.string(),
  provider: z.string(),
  /** Drawn into every picture. */
  label: z.string(),
  sides: z.enum(RECORDING_SIDES),
  format: z.enum(RECORDING_FORMATS),
  width: z.number().int(),
  height: z.number().int(),
  fps: z.number().int(),
  /** When the first frame was played; when the recorder was prepared, until then. */
  startedAtMs: z.number().int(),
});
export type PartFacts = z.infer<typeof partFacts>;
export const RECORDING_TYPES: Readonly<Record<RecordingFormat, string>> = { mp4: 'video/mp4', webm: 'video/webm' };

/** IPTC terms (NewsCodes, digitalsourcetype): made by a trained model, alone or together with a person's voice. */
const SOURCE_TYPES = {
  avatar: 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia',
  both: 'http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia',
} as const;

const partOutcome = z.object({
  endedAtMs: z.number().int(),
  durationMs: z.number().int().nonnegative(),
  frames: z.number().int().nonnegative(),
  /** Frames in which the picture stood still because the next one was late. */
  heldFrames: z.number().int().nonnegative(),
  end: z.enum([...RECORDING_ENDS, ...RECORDING_FAILURES]),
});
export type RecordingOutcome = z.infer<typeof partOutcome>;

/** Content of `N.open.json`; of a part whose writer was lost, the newest figures that it wrote. */
export const openPart = z.object({
  v: z.literal(1),
  facts: partFacts,
  frames: z.number().int().nonnegative(),
  bytes: z.number().int().nonnegative(),
  /** When the writer wrote this. The file's own time changes also when another worker tries to complete the part. */
  writtenAtMs: z.number().int(),
  /** Set once the part has ended and has only to be completed. */
  outcome: partOutcome.optional(),
});
export type OpenPart = z.infer<typeof openPart>;

const assertions = z.tuple([
  z.object({
    label: z.literal('c2pa.actions.v2'),
    data: z.object({
      actions: z.tuple([
        z.object({
          action: z.literal('c2pa.created'),
          when: z.string(),
          digitalSourceType: z.enum([SOURCE_TYPES.avatar, SOURCE_TYPES.both]),
          softwareAgent: z.object({ name: z.string(), version: z.string() }),
        }),
      ]),
    }),
  }),
  z.object({
    label: z.literal('c2pa.hash.data'),
    data: z.object({ alg: z.literal('sha256'), hash: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.number().int() }),
  }),
  z.object({
    label: z.literal('talkmesh.recording'),
    data: partFacts.extend(partOutcome.shape),
  }),
]);
const claim = z.object({
  claim_generator_info: z.tuple([z.object({ name: z.string(), version: z.string() })]),
  title: z.string(),
  format: z.string(),
  instance_id: z.string(),
  assertions,
});
export const recordingManifest = z.object({
  claim,
  signature: z.object({
    alg: z.enum(['EdDSA', 'ES256']),
    /** SHA-256 of the public key (SPKI, DER). */
    key_id: z.string().regex(/^[0-9a-f]{64}$/),
    /** SPKI, DER, base64. */
    public_key: z.string().max(1000),
    /** Of the claim as JSON with sorted keys and without spaces (RFC 8785), base64url. */
    value: z.string().max(1000),
  }),
});
export type RecordingManifest = z.infer<typeof recordingManifest>;
export type RecordingClaim = z.infer<typeof claim>;

export interface ClaimOptions {
  readonly version: string;
  readonly instanceId: string;
  readonly facts: PartFacts;
  readonly outcome: RecordingOutcome;
  readonly sha256: string;
  readonly bytes: number;
}

/** What a manifest says of a part, in the terms of C2PA 2.1. */
export function claimOf({ version, instanceId, facts, outcome, sha256, bytes }: ClaimOptions): RecordingClaim {
  const generator = { name: 'talkmesh', version };
  const { sessionId, part, format, sides, startedAtMs } = facts;
  const created = {
    action: 'c2pa.created',
    when: new Date(startedAtMs).toISOString(),
    digitalSourceType: SOURCE_TYPES[sides],
    softwareAgent: generator,
  } as const;
  return {
    claim_generator_info: [generator],
    title: `${sessionId}-${videoFile(part, format)}`,
    format: RECORDING_TYPES[format],
    instance_id: `urn:uuid:${instanceId}`,
    assertions: [
      { label: 'c2pa.actions.v2', data: { actions: [created] } },
      { label: 'c2pa.hash.data', data: { alg: 'sha256', hash: sha256, bytes } },
      { label: 'talkmesh.recording', data: { ...facts, ...outcome } },
    ],
  };
}

/** Signs manifests with the key of the deployment, and checks them. */
export class RecordingKey {
  readonly #key: KeyObject;
  readonly #alg: 'EdDSA' | 'ES256';
  readonly #publicKey: Buffer;

  /** @param pem private key, PKCS #8 or SEC 1: Ed25519, or ECDSA on P-256. @throws MeshError CONFIG_INVALID */
  constructor(pem: string) {
    this.#key = privateKeyOf(pem);
    this.#alg = algorithmOf(this.#key);
    this.#publicKey = createPublicKey(this.#key).export({ type: 'spki', format: 'der' });
  }

  get id(): string {
    return keyIdOf(this.#publicKey);
  }

  sign(signed: RecordingClaim): RecordingManifest {
    const bytes = Buffer.from(canonicalJson(signed));
    const value = sign(DIGESTS[this.#alg], bytes, { key: this.#key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    const public_key = this.#publicKey.toString('base64');
    return { claim: signed, signature: { alg: this.#alg, key_id: this.id, public_key, value } };
  }
}

/**
 * Parses a manifest and checks its signature by the key that it names. Whether that key is trusted is for the caller to decide.
 * @throws MeshError ARGUMENT_INVALID: it is no manifest, or it was changed
 */
export function verifiedManifest(json: unknown): RecordingManifest {
  const parsed = recordingManifest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(`the manifest is not valid: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { alg, key_id, public_key, value } = parsed.data.signature;
  const der = Buffer.from(public_key, 'base64');
  if (keyIdOf(der) !== key_id) throw invalid('the manifest was changed: its key is not the one that it names');
  // The claim as it was read, so that a field that this version does not know is signed too.
  const bytes = Buffer.from(canonicalJson((json as { claim: unknown }).claim));
  let isSigned = false;
  try {
    const key = createPublicKey({ key: der, type: 'spki', format: 'der' });
    const signature = Buffer.from(value, 'base64url');
    isSigned = algorithmOf(key) === alg && verify(DIGESTS[alg], bytes, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch (cause) {
    throw invalid('the manifest has a key or a signature that cannot be read', cause);
  }
  if (!isSigned) throw invalid('the manifest was changed: its signature does not match');
  return parsed.data;
}

const DIGESTS = { EdDSA: null, ES256: 'sha256' } as const;
const keyIdOf = (der: Buffer): string => createHash('sha256').update(der).digest('hex');
const invalid = (message: string, cause?: unknown): MeshError =>
  new MeshError('ARGUMENT_INVALID', message, cause === undefined ? {} : { cause });

function privateKeyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new MeshError('CONFIG_INVALID', 'the signing key of recordings is not a private key in PEM', { cause });
  }
}

/** @throws MeshError CONFIG_INVALID */
function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): 'EdDSA' | 'ES256' {
  if (asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw new MeshError('CONFIG_INVALID', 'the signing key of recordings must be Ed25519, or ECDSA on P-256');
}

/** JSON with sorted keys and without spaces, as RFC 8785 has it for texts, whole numbers and booleans: a manifest holds nothing else. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
}
