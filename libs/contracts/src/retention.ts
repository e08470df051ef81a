import type { RetainedStream } from './pipeline.js';
import { subjectOfAll } from './subjects.js';

/**
 * What NATS keeps of a call so that another worker can go on with it: JetStream streams in memory that capture the subjects of the
 * core messages. Publishers do not wait for them. Whatever bound is reached first, the oldest message goes.
 */
export interface Retention {
  /** Name of the JetStream stream. */
  readonly name: string;
  readonly subject: string;
  /** Messages kept of each session. */
  readonly perSession: number;
  /** How long a message is kept at most, milliseconds. */
  readonly maxAgeMs: number;
  /** Share of the bytes that all sessions together may hold. */
  readonly share: number;
}

const retention = (stream: RetainedStream, bounds: Omit<Retention, 'name' | 'subject'>): Retention => ({
  name: `talkmesh_${stream}`,
  subject: subjectOfAll(stream),
  ...bounds,
});

/**
 * Measured with the nano model, a talking session holds at most 1.7 MB of speech (30 s in messages of 20 ms; the bridge sends 10 s ahead),
 * 0.74 MB of latents (15 s: the chunks that give the state back, and those that wait to be played) and 18 KB of events.
 */
export const RETENTION: Readonly<Record<RetainedStream, Retention>> = {
  speech: retention('speech', { perSession: 1500, maxAgeMs: 600_000, share: 0.6 }),
  latent: retention('latent', { perSession: 32, maxAgeMs: 120_000, share: 0.36 }),
  playhead: retention('playhead', { perSession: 1, maxAgeMs: 3_600_000, share: 0.01 }),
  event: retention('event', { perSession: 64, maxAgeMs: 3_600_000, share: 0.03 }),
};
