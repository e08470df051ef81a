import { readFile } from 'node:fs/promises';
import { type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { assertSessionId, isReason, MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { connectClient, fromServiceError } from '@talkmesh/service-kit';
import type { OwnPicture, PictureLandmarks, RemoteMesh } from './options.js';

export interface AvatarList {
  readonly fps: number;
  readonly avatars: readonly { readonly id: string; readonly name: string }[];
}

/** An avatar made of an uploaded picture. */
export interface OwnAvatar {
  readonly id: string;
  readonly source: { readonly width: number; readonly height: number; readonly landmarks?: PictureLandmarks };
  readonly verdict: {
    readonly fits: boolean;
    readonly reasons: readonly { readonly code: string; readonly text: string }[];
  };
}

export interface StageStats {
  readonly p50Ms: number;
  readonly p95Ms: number;
}

export interface RenderSession {
  readonly id: string;
  readonly token: string;
}

type RecordStream = ReturnType<InstanceType<typeof v1.RecordService>['record']>;
/** `talkmesh.v1.RecordedFrame`. */
export type RecordedFrame = RecordStream extends ClientReadableStream<infer Frame> ? Frame : never;

const REST_DEADLINE_MS = 40_000;
const AUDIO_MESSAGE_SAMPLES = SPEECH_RATE_HZ / 10;

/** The part of a gateway's REST and gRPC interface that a render needs. */
export class GatewayClient implements Disposable {
  readonly #mesh: RemoteMesh;
  readonly #ingest: InstanceType<typeof v1.AudioIngest>;
  readonly #recorder: InstanceType<typeof v1.RecordService>;

  constructor(mesh: RemoteMesh) {
    this.#mesh = mesh;
    this.#ingest = connectClient(v1.AudioIngest, mesh.grpcAddress);
    this.#recorder = connectClient(v1.RecordService, mesh.grpcAddress);
  }

  avatars(signal: AbortSignal): Promise<AvatarList> {
    return this.#rest('GET', '/v1/avatars', undefined, signal);
  }

  /** Uploads a picture. @throws MeshError FACE_NOT_FOUND, PICTURE_INVALID, ... */
  async createAvatar({ path, landmarks }: OwnPicture, signal: AbortSignal): Promise<OwnAvatar> {
    const image = (await readFile(path)).toString('base64');
    return this.#rest('POST', '/v1/avatars', { image, ...(landmarks !== undefined && { landmarks }) }, signal);
  }

  async deleteAvatar(id: string): Promise<void> {
    await this.#rest('DELETE', `/v1/avatars/${id}`, undefined, AbortSignal.timeout(REST_DEADLINE_MS));
  }

  async createSession(
    wanted: {
      readonly avatar: string;
      readonly seed: number;
      readonly badge: boolean;
      readonly quality?: string;
      readonly size?: number;
    },
    signal: AbortSignal,
  ): Promise<RenderSession> {
    const body = { ...wanted, provider: 'external', output: 'record' };
    const created = await this.#rest<{ session: { id: string }; token: string }>('POST', '/v1/sessions', body, signal);
    return { id: assertSessionId(created.session?.id), token: created.token };
  }

  async stats(session: RenderSession, signal: AbortSignal): Promise<Record<string, StageStats>> {
    const path = `/v1/sessions/${session.id}/stats`;
    return (await this.#rest<{ stages: Record<string, StageStats> }>('GET', path, undefined, signal)).stages;
  }

  async endSession(session: RenderSession): Promise<void> {
    await this.#rest('DELETE', `/v1/sessions/${session.id}`, undefined, AbortSignal.timeout(REST_DEADLINE_MS));
  }

  /** Sends the audio as fast as the mesh accepts it. Resolves when all of it was accepted. */
  async streamAudio(session: RenderSession, pcm: Int16Array, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const call = this.#ingest.streamAudio(metadataOf(session), (error) => {
        signal.removeEventListener('abort', cancel);
        if (error === null) resolve();
        else reject(signal.aborted ? signal.reason : fromServiceError(error));
      });
      const cancel = (): void => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      const head = { sessionId: session.id, sampleRateHz: SPEECH_RATE_HZ, channels: 1 };
      let at = 0;
      const pump = (): void => {
        while (at < pcm.length) {
          const samples = pcm.subarray(at, at + AUDIO_MESSAGE_SAMPLES);
          const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
          const more = call.write(at === 0 ? { ...head, pcm: bytes } : { pcm: bytes });
          at += samples.length;
          if (!more) return;
        }
        call.end();
      };
      call.on('drain', pump);
      // The callback above reports the error; without this listener the event would crash the process.
      call.on('error', () => {});
      pump();
    });
  }

  /** Yields all frames as fast as they are consumed; leaving the loop cancels the call. @throws MeshError PEER_LOST after `idleMs` without a frame */
  async *record(session: RenderSession, idleMs: number, signal: AbortSignal): AsyncIterable<RecordedFrame> {
    const call = this.#recorder.record({ sessionId: session.id, stopAfterFrames: 0 }, metadataOf(session));
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    let isIdle = false;
    const watch = (): NodeJS.Timeout =>
      setTimeout(() => {
        isIdle = true;
        call.cancel();
      }, idleMs);
    // The timer runs only while a frame is awaited, not while the consumer works on one.
    let timer = watch();
    try {
      for await (const frame of call) {
        clearTimeout(timer);
        yield frame as RecordedFrame;
        timer = watch();
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isIdle) throw fromServiceError(error);
      throw new MeshError(
        'PEER_LOST',
        `no frame arrived for ${idleMs / 1000} s; read the logs of score-model and vae-decode`,
      );
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#ingest.close();
    this.#recorder.close();
  }

  async #rest<T>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<T> {
    const url = `${this.#mesh.httpUrl}${path}`;
    const init = {
      method,
      headers: {
        authorization: `Bearer ${this.#mesh.apiKey}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(REST_DEADLINE_MS)]),
    };
    const response = await fetch(url, init).catch((cause: Error) => {
      if (signal.aborted) throw cause;
      throw new MeshError(
        'PEER_LOST',
        `${url} does not answer (${(cause.cause as Error | undefined)?.message ?? cause.message})`,
      );
    });
    const text = await response.text();
    if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
    throw problemOf(url, response.status, text);
  }
}

function metadataOf(session: RenderSession): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${session.token}`);
  return metadata;
}

/** Converts the gateway's problem+json (RFC 9457) into the MeshError it was made of. */
function problemOf(url: string, status: number, text: string): MeshError {
  try {
    const { reason, detail } = JSON.parse(text) as { reason?: string; detail?: string };
    if (reason !== undefined && isReason(reason)) return new MeshError(reason, detail ?? reason);
  } catch {}
  return new MeshError('PEER_LOST', `${url} answered with status ${status}; check that it is a talkmesh gateway`);
}
