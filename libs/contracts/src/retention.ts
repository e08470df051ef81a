import type { RetainedStream } from './pipeline.js';
import { subjectOfAll } from './subjects.js';

/**
 * What NATS retains of a session, so that another worker can take it over: JetStream streams in memory that capture the subjects of
 * the core NATS messages. Publishers do not wait for an acknowledgement. When any bound is reached, the oldest message is removed.
 */
export interface Retention {
  /** Name of the JetStream stream. */
  readonly name: string;
  readonly subject: string;
  /** Most messages of each session. */
  readonly perSession: number;
  /** Longest time that a message is retained, milliseconds. */
  readonly maxAgeMs: number;
  /** Fraction, 0 to 1, of the bytes that `TALKMESH_RETENTION_MB` allows for all sessions together. */
  readonly share: number;
}

const retention = (stream: RetainedStream, bounds: Omit<Retention, 'name' | 'subject'>): Retention => ({
  name: `talkmesh_${stream}`,
  subject: subjectOfAll(stream),
  ...bounds,
});

/**
 * The bounds hold what a takeover needs. Measured with the nano model, a session with speech takes at most 1.7 MB of speech (30 s in
 * messages of 20 ms; the bridge sends 10 s ahead), 0.74 MB of latents (15 s: the chunks to replay, and those that wait to be played) and
 * 70 KB of events. A video model's chunk is larger: LiveTalk's takes 0.8 MB. A client that was away is sent the events it missed from the same stream.
 */
export const RETENTION: Readonly<Record<RetainedStream, Retention>> = {
  speech: retention('speech', { perSession: 1500, maxAgeMs: 600_000, share: 0.58 }),
  latent: retention('latent', { perSession: 32, maxAgeMs: 120_000, share: 0.36 }),
  playhead: retention('playhead', { perSession: 1, maxAgeMs: 3_600_000, share: 0.01 }),
  event: retention('event', { perSession: 256, maxAgeMs: 3_600_000, share: 0.05 }),
};
