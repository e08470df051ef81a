import { type Readable, Transform } from 'node:stream';
import { MeshError } from '@talkmesh/contracts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpRefusal } from './problems.js';

/** Largest body of most paths, bytes; operations may declare more. */
export const BODY_LIMIT_BYTES = 65_536;

export interface BodyLimits {
  /** Bytes of bodies that are being received or worked on: of one caller, and of all. */
  readonly callerBytes: number;
  readonly totalBytes: number;
}

export interface MinRate {
  readonly bytesPerSecond: number;
  readonly graceMs: number;
}

/** Half a megabit per second: a picture of 10 MB may take two and a half minutes. */
const MIN_RATE: MinRate = { bytesPerSecond: 65_536, graceMs: 5000 };

/** How much of the limits each caller has taken. */
export class BodyBudget {
  readonly #limits: BodyLimits;
  readonly #byCaller = new Map<string, number>();
  #total = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** @returns a function that gives the bytes back, once. @throws MeshError RATE_LIMITED */
  reserve(caller: string, bytes: number): () => void {
    const own = this.#byCaller.get(caller) ?? 0;
    const { callerBytes, totalBytes } = this.#limits;
    if (own + bytes > callerBytes || this.#total + bytes > totalBytes)
      throw new MeshError('RATE_LIMITED', 'too many bodies are being sent at once; send fewer at the same time', {
        retryAfterMs: 3000,
      });
    this.#add(caller, bytes);
    let isHeld = true;
    return () => {
      if (isHeld) this.#add(caller, -bytes);
      isHeld = false;
    };
  }

  #add(caller: string, bytes: number): void {
    this.#total += bytes;
    const own = (this.#byCaller.get(caller) ?? 0) + bytes;
    if (own === 0) this.#byCaller.delete(caller);
    else this.#byCaller.set(caller, own);
  }
}

/** Reserves memory before a body is read, keeps it until the answer is sent, and gives up on bodies that arrive too slowly. */
export function limitBodies(app: FastifyInstance, largestBytes: number): void {
  const small = new BodyBudget({ callerBytes: 64 * BODY_LIMIT_BYTES, totalBytes: 256 * BODY_LIMIT_BYTES });
  const large = new BodyBudget({ callerBytes: 2 * largestBytes, totalBytes: 6 * largestBytes });
  app.addHook('preParsing', async (request, reply, payload) => {
    const { bodyLimit = BODY_LIMIT_BYTES } = request.routeOptions;
    const bytes = announcedBytes(request, bodyLimit);
    if (bytes === 0) return payload;
    const caller = request.principal?.name ?? `address:${request.ip}`;
    reply.raw.once('close', (bodyLimit > BODY_LIMIT_BYTES ? large : small).reserve(caller, bytes));
    const body = notSlowerThan(MIN_RATE, payload);
    // A body that is refused before it is read, for its content type, has no reader that would end its check.
    reply.raw.once('close', () => body.destroy());
    return body;
  });
}

/** What a body may take: its announced length; without one, and for one that is refused anyway, the limit of the path. */
function announcedBytes({ headers }: FastifyRequest, bodyLimit: number): number {
  if (headers['transfer-encoding'] !== undefined) return bodyLimit;
  return Math.min(Number(headers['content-length'] ?? 0) || 0, bodyLimit);
}

/** Passes a body on and fails it when its average rate is below the least one after the grace. */
export function notSlowerThan({ bytesPerSecond, graceMs }: MinRate, payload: Readable): Readable {
  const startedAtMs = performance.now();
  let bytes = 0;
  const through = new Transform({
    transform(part: Buffer, _encoding, done) {
      bytes += part.length;
      done(null, part);
    },
  });
  const check = setInterval(() => {
    const seconds = (performance.now() - startedAtMs - graceMs) / 1000;
    if (bytes < bytesPerSecond * seconds)
      through.destroy(
        new HttpRefusal(408, 'the body arrives too slowly; send it over a faster connection', 'DEADLINE_EXCEEDED'),
      );
  }, graceMs / 4);
  through.once('close', () => clearInterval(check));
  through.on('error', () => undefined);
  payload.once('error', (error) => through.destroy(error));
  payload.once('close', () => {
    if (!payload.readableEnded) through.destroy();
  });
  // Not `pipeline`: it would destroy the request together with its socket, and the caller would get no answer.
  return payload.pipe(through);
}
