import { type Landmarks, MAX_AVATAR_TTL_MS, ownPicture, PICTURES_BUCKET } from '@talkmesh/contracts';
import type { Bus, KvBucket } from '@talkmesh/service-kit';

/** Reads uploaded pictures from NATS: undefined for one that was deleted, has expired or never existed. */
export type ReadOwnPicture = (id: string) => Promise<{ png: Uint8Array; landmarks: Landmarks | undefined } | undefined>;

/** Without a cache: each call reads from NATS, within its deadline. The returned function rejects with MeshError NATS_UNAVAILABLE. */
export function ownPictures(bus: Pick<Bus, 'kv'>): ReadOwnPicture {
  let bucket: Promise<KvBucket> | undefined;
  return async (id) => {
    bucket ??= bus.kv(PICTURES_BUCKET, { ttlMs: MAX_AVATAR_TTL_MS });
    const opened = await bucket.catch((error: unknown) => {
      bucket = undefined;
      throw error;
    });
    const parsed = ownPicture.safeParse((await opened.get(id))?.value);
    if (!parsed.success || parsed.data.expiresAtMs <= Date.now()) return undefined;
    return { png: Buffer.from(parsed.data.png, 'base64'), landmarks: parsed.data.landmarks };
  };
}
