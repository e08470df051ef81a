import { createHmac } from 'node:crypto';
import {
  isOwnAvatar,
  type Landmarks,
  landmarkPoints,
  MAX_AVATAR_TTL_MS,
  MeshError,
  type OwnPicture,
  ownPicture,
} from '@talkmesh/contracts';
import type { KvBucket, Logger } from '@talkmesh/service-kit';
import { z } from 'zod';

/** Everything about an own picture except its pixels. */
export const ownAvatarRecord = z.object({
  id: z.string(),
  /** Owner id of the API key that uploaded it; only this key and admin keys may read, delete and use it. */
  owner: z.string(),
  name: z.string(),
  /** In pixels of the model's own size. Absent when the model needs none. */
  landmarks: landmarkPoints.optional(),
  /** Width of the PNG, pixels; absent in records of older gateways: the model's own. */
  size: z.number().optional(),
  picture: z.object({ width: z.number(), height: z.number() }),
  crop: z.object({ left: z.number(), top: z.number(), side: z.number() }),
  verdict: z.object({
    fits: z.boolean(),
    reasons: z.array(z.object({ code: z.string(), text: z.string() })).readonly(),
  }),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
});
export type OwnAvatarRecord = z.infer<typeof ownAvatarRecord>;

export interface NewOwnAvatar {
  readonly owner: string;
  readonly name: string;
  readonly png: Uint8Array;
  readonly size: number;
  readonly landmarks: Landmarks | undefined;
  readonly picture: { readonly width: number; readonly height: number };
  readonly crop: { readonly left: number; readonly top: number; readonly side: number };
  readonly verdict: OwnAvatarRecord['verdict'];
}

export interface OwnAvatarsOptions {
  /** `talkmesh_pictures` and `talkmesh_avatars`. */
  readonly pictures: KvBucket;
  readonly records: KvBucket;
  readonly ttlMs: number;
  /** Makes ids that cannot be guessed, not even by someone who has the picture. */
  readonly idKey: string;
  /** Own pictures that the mesh keeps at once, of all API keys together. */
  readonly maxAvatars: number;
  /** Of one API key; 0: no limit of its own. */
  readonly maxAvatarsPerKey: number;
  readonly log: Logger;
}

const SWEEP_MS = 60_000;
const notFound = (): MeshError =>
  new MeshError(
    'AVATAR_NOT_FOUND',
    'there is no such picture: it was deleted, has expired, or belongs to another API key',
  );

/** Own pictures of users in NATS: pixels for the workers, records for the gateway. They are personal data: they expire and are never logged. */
export class OwnAvatars {
  readonly #options: OwnAvatarsOptions;
  readonly #timer: NodeJS.Timeout;

  constructor(options: OwnAvatarsOptions) {
    if (options.ttlMs > MAX_AVATAR_TTL_MS) throw new RangeError('pictures are not kept longer than MAX_AVATAR_TTL_MS');
    this.#options = options;
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  /** Idempotent: the same picture with the same landmarks of the same owner is the same avatar, and its lifetime starts again. @throws MeshError AVATAR_LIMIT, NATS_UNAVAILABLE */
  async create(avatar: NewOwnAvatar, nowMs = Date.now()): Promise<OwnAvatarRecord> {
    const { png, landmarks, ...rest } = avatar;
    const marked = landmarks === undefined ? {} : { landmarks };
    const id = idOf(avatar, this.#options.idKey);
    await this.#admit(id, avatar.owner, nowMs);
    const expiresAtMs = nowMs + this.#options.ttlMs;
    const stored = {
      v: 1,
      png: Buffer.from(png).toString('base64'),
      ...marked,
      expiresAtMs,
    } as const;
    if (!ownPicture.safeParse(stored).success)
      throw new MeshError(
        'PICTURE_INVALID',
        'the picture is too large even at the size of the model: send a simpler one',
      );
    const record: OwnAvatarRecord = { id, ...rest, ...marked, createdAtMs: nowMs, expiresAtMs };
    await this.#options.pictures.put(id, stored satisfies OwnPicture);
    await this.#options.records.put(id, record);
    return record;
  }

  async #admit(id: string, owner: string, nowMs: number): Promise<void> {
    const { maxAvatars, maxAvatarsPerKey } = this.#options;
    const others = (await this.#all(nowMs)).filter((record) => record.id !== id);
    const refusal = (kept: string): MeshError =>
      new MeshError('AVATAR_LIMIT', `${kept}: delete some with DELETE /v1/avatars/{id}`);
    if (maxAvatarsPerKey > 0 && others.filter((record) => record.owner === owner).length >= maxAvatarsPerKey)
      throw refusal(`this API key has ${maxAvatarsPerKey} pictures, the limit of TALKMESH_MAX_AVATARS_PER_KEY`);
    if (others.length >= maxAvatars)
      throw refusal(`${maxAvatars} pictures are kept, the limit of TALKMESH_MAX_AVATARS`);
  }

  /** @param owner the required owner; undefined skips this check. @throws MeshError AVATAR_NOT_FOUND */
  async get(id: string, owner?: string, nowMs = Date.now()): Promise<OwnAvatarRecord> {
    if (!isOwnAvatar(id)) throw notFound();
    const parsed = ownAvatarRecord.safeParse((await this.#options.records.get(id))?.value);
    if (!parsed.success || parsed.data.expiresAtMs <= nowMs) throw notFound();
    if (owner !== undefined && parsed.data.owner !== owner) throw notFound();
    return parsed.data;
  }

  /** The PNG. @throws MeshError AVATAR_NOT_FOUND */
  async png(id: string, nowMs = Date.now()): Promise<Buffer> {
    const parsed = ownPicture.safeParse((await this.#options.pictures.get(id))?.value);
    if (!parsed.success || parsed.data.expiresAtMs <= nowMs) throw notFound();
    return Buffer.from(parsed.data.png, 'base64');
  }

  /** Pictures of one owner, oldest first. */
  async list(owner: string, nowMs = Date.now()): Promise<OwnAvatarRecord[]> {
    return (await this.#all(nowMs))
      .filter((record) => record.owner === owner)
      .sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /**
   * Removes pixels and record.
   * @param owner the required owner; undefined skips this check. @throws MeshError AVATAR_NOT_FOUND, NATS_UNAVAILABLE
   */
  async delete(id: string, owner?: string): Promise<OwnAvatarRecord> {
    const record = await this.get(id, owner);
    await this.#remove(id);
    return record;
  }

  /** Removes expired pictures. Several gateways may do so at the same time. */
  async sweep(nowMs = Date.now()): Promise<void> {
    try {
      for (const { key, value } of await this.#options.records.list()) {
        const parsed = ownAvatarRecord.safeParse(value);
        if (!parsed.success || parsed.data.expiresAtMs <= nowMs) await this.#remove(key);
      }
    } catch (error) {
      this.#options.log.warn({ err: error }, 'expired pictures could not be removed; the next sweep tries again');
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Deletes the pixels first: the sweep finds a record without pixels, but not pixels without a record. */
  async #remove(id: string): Promise<void> {
    await this.#options.pictures.delete(id);
    await this.#options.records.delete(id);
  }

  async #all(nowMs: number): Promise<OwnAvatarRecord[]> {
    const parsed = (await this.#options.records.list()).map((entry) => ownAvatarRecord.safeParse(entry.value));
    return parsed.flatMap((result) => (result.success && result.data.expiresAtMs > nowMs ? [result.data] : []));
  }
}

function idOf({ owner, png, landmarks }: NewOwnAvatar, idKey: string): string {
  const digest = createHmac('sha256', idKey)
    .update(owner)
    .update('\n')
    .update(JSON.stringify(landmarks ?? null))
    .update('\n')
    .update(png);
  return `own-${digest.digest('hex').slice(0, 16)}`;
}
