import { z } from 'zod';
import { OPEN_ORDER } from './pipeline.js';

/** What a worker says of itself in the KV bucket `talkmesh_workers`, every heartbeat. */
export const workerRecord = z.object({
  service: z.enum(OPEN_ORDER),
  instanceId: z.string().regex(/^[0-9a-z-]{1,63}$/),
  /** host:port of its gRPC server. */
  grpcAddress: z.string().min(3),
  version: z.string(),
  state: z.enum(['warming', 'ready', 'draining']),
  sessions: z.number().int().nonnegative(),
  capacity: z.number().int().positive(),
  /** "name@version" of the model it serves, or empty. */
  model: z.string(),
});
export type WorkerRecord = z.infer<typeof workerRecord>;

/** A session's placement in the KV bucket `talkmesh_sessions`; changed only by compare-and-set. */
export const sessionRecord = z.object({
  id: z.string(),
  state: z.enum(['opening', 'open', 'ended']),
  avatar: z.string(),
  provider: z.string(),
  output: z.enum(['webrtc', 'record']),
  seed: z.number().int().nonnegative(),
  createdAtMs: z.number(),
  placement: z.partialRecord(z.enum(OPEN_ORDER), z.object({ instanceId: z.string(), grpcAddress: z.string() })),
});
export type SessionRecord = z.infer<typeof sessionRecord>;
