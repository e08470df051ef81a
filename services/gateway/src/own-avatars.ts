import { createHash } from 'node:crypto';
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

/** What the edge remembers of an own picture besides its pixels. */
export const ownAvatarRecord = z.object({
  id: z.string(),
  /** Name of the API key it came with: who may list, use and delete it. */
  owner: z.string(),
  name: z.string(),
  landmarks: landmarkPoints,
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
  readonly landmarks: Landmarks;
  readonly picture: { readonly width: number; readonly height: number };
  readonly crop: { readonly left: number; readonly top: number; readonly side: number };
  readonly verdict: OwnAvatarRecord['verdict'];
}

export interface OwnAvatarsOptions {
  /** `talkmesh_pictures` and `talkmesh_avatars`. */
  readonly pictures: KvBucket;
  readonly records: KvBucket;
  readonly ttlMs: number;
  /** Own pictures the mesh keeps at once, of everybody. */
  readonly maxAvatars: number;
  readonly log: Logger;
}

const SWEEP_MS = 60_000;
const gone = (): MeshError =>
  new MeshError(
    'AVATAR_NOT_FOUND',
    'there is no such picture: it was deleted, has expired, or belongs to another API key',
  );

/** People's own pictures in NATS: pixels for the workers, records for the edge. Personal data: kept for a while, never logged. */
export class OwnAvatars {
  private readonly o: OwnAvatarsOptions;
  private readonly timer: NodeJS.Timeout;

  constructor(options: OwnAvatarsOptions) {
    if (options.ttlMs > MAX_AVATAR_TTL_MS) throw new RangeError('pictures are not kept longer than MAX_AVATAR_TTL_MS');
    this.o = options;
    this.timer = setInterval(() => void this.sweep(), SWEEP_MS);
    this.timer.unref();
  }

  /** The same picture with the same landmarks of the same owner is the same avatar, its time begins anew. @throws MeshError AVATAR_LIMIT, NATS_UNAVAILABLE */
  async create(avatar: NewOwnAvatar, nowMs = Date.now()): Promise<OwnAvatarRecord> {
    const { png, ...rest } = avatar;
    const id = idOf(avatar);
    const known = (await this.all(nowMs)).filter((record) => record.id !== id).length;
    if (known >= this.o.maxAvatars)
      throw new MeshError(
        'AVATAR_LIMIT',
        `${this.o.maxAvatars} pictures are kept, as many as TALKMESH_MAX_AVATARS allows: delete some with DELETE /v1/avatars/{id}`,
      );
    const expiresAtMs = nowMs + this.o.ttlMs;
    const stored = {
      v: 1,
      png: Buffer.from(png).toString('base64'),
      landmarks: avatar.landmarks,
      expiresAtMs,
    } as const;
    if (!ownPicture.safeParse(stored).success)
      throw new MeshError('PICTURE_INVALID', 'the picture is too large even after it was made smaller');
    const record: OwnAvatarRecord = { id, ...rest, landmarks: avatar.landmarks, createdAtMs: nowMs, expiresAtMs };
    await this.o.pictures.put(id, stored satisfies OwnPicture);
    await this.o.records.put(id, record);
    return record;
  }

  /** @param owner whose it must be; undefined for whoever knows the id. @throws MeshError AVATAR_NOT_FOUND */
  async get(id: string, owner?: string, nowMs = Date.now()): Promise<OwnAvatarRecord> {
    if (!isOwnAvatar(id)) throw gone();
    const parsed = ownAvatarRecord.safeParse((await this.o.records.get(id))?.value);
    if (!parsed.success || parsed.data.expiresAtMs <= nowMs) throw gone();
    if (owner !== undefined && parsed.data.owner !== owner) throw gone();
    return parsed.data;
  }

  /** The PNG. @throws MeshError AVATAR_NOT_FOUND */
  async png(id: string, nowMs = Date.now()): Promise<Buffer> {
    const parsed = ownPicture.safeParse((await this.o.pictures.get(id))?.value);
    if (!parsed.success || parsed.data.expiresAtMs <= nowMs) throw gone();
    return Buffer.from(parsed.data.png, 'base64');
  }

  /** Of one owner, oldest first. */
  async list(owner: string, nowMs = Date.now()): Promise<OwnAvatarRecord[]> {
    return (await this.all(nowMs))
      .filter((record) => record.owner === owner)
      .sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /** Removes pixels and record. @throws MeshError AVATAR_NOT_FOUND when it is not the owner's, NATS_UNAVAILABLE */
  async delete(id: string, owner: string): Promise<void> {
    await this.get(id, owner);
    await this.remove(id);
  }

  /** Removes what has expired. Every gateway may do it. */
  async sweep(nowMs = Date.now()): Promise<void> {
    try {
      for (const { key, value } of await this.o.records.list()) {
        const parsed = ownAvatarRecord.safeParse(value);
        if (!parsed.success || parsed.data.expiresAtMs <= nowMs) await this.remove(key);
      }
    } catch (error) {
      this.o.log.warn({ err: error }, 'expired pictures were not removed; the next sweep tries again');
    }
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Pixels go first: a record without them is swept, the reverse would stay. */
  private async remove(id: string): Promise<void> {
    await this.o.pictures.delete(id);
    await this.o.records.delete(id);
  }

  private async all(nowMs: number): Promise<OwnAvatarRecord[]> {
    const parsed = (await this.o.records.list()).map((entry) => ownAvatarRecord.safeParse(entry.value));
    return parsed.flatMap((result) => (result.success && result.data.expiresAtMs > nowMs ? [result.data] : []));
  }
}

function idOf({ owner, png, landmarks }: NewOwnAvatar): string {
  const digest = createHash('sha256')
    .update(owner)
    .update('\n')
    .update(JSON.stringify(landmarks))
    .update('\n')
    .update(png);
  return `own-${digest.digest('hex').slice(0, 16)}`;
}
