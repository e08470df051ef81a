import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata } from '@grpc/grpc-js';
import { v1 } from '@talkmesh/contracts/protos';
import { connectClient } from '@talkmesh/service-kit';
import type { Mesh } from '../../deploy/local/src/mesh.js';
import { rest } from './record-call.js';

/** A call whose reader takes a frame at each tick of the frame clock, as a viewer would, and counts the ticks that found none. */
export interface PacedCall extends AsyncDisposable {
  readonly sessionId: string;
  /** From the request for the session to its first frame, in ticks. */
  readonly opening: number;
  /** Ticks since the first frame. */
  readonly ticks: number;
  /** Number of those ticks without a fresh frame. */
  readonly held: number;
  /** Longest run of such ticks after the given tick. */
  longestGapFrom(tick: number): number;
  /** Streams one turn as fast as the mesh accepts it. */
  say(pcm: Int16Array): void;
}

const BLOCK_SAMPLES = 4800;

interface Created {
  readonly session: { readonly id: string };
  readonly token: string;
}

/** @param size of the video, pixels; the deployment's default when left out */
export async function startPacedCall(
  mesh: Mesh,
  avatar: string,
  fps: number,
  seed = 1,
  size?: number,
): Promise<PacedCall> {
  const askedAtMs = performance.now();
  let opening = Number.NaN;
  const wanted = { avatar, provider: 'external', output: 'record', seed, ...(size !== undefined && { size }) };
  const { status, body } = await rest<Created>(mesh, 'POST', '/v1/sessions', wanted);
  if (status !== 201) throw new Error(`session refused: ${JSON.stringify(body)}`);
  const sessionId = body.session.id;
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${body.token}`);
  const ingest = connectClient<InstanceType<typeof v1.AudioIngest>>(v1.AudioIngest, mesh.grpcAddress);
  const recorder = connectClient<InstanceType<typeof v1.RecordService>>(v1.RecordService, mesh.grpcAddress);
  const download = recorder.Record({ sessionId }, metadata);
  download.on('error', () => undefined);
  const fresh: boolean[] = [];
  let over = false;
  const reading = (async () => {
    let dueMs = performance.now();
    while (!over) {
      const frame: unknown = download.read();
      if (frame !== null && fresh.length === 0) opening = ((performance.now() - askedAtMs) * fps) / 1000;
      if (frame !== null || fresh.length > 0) fresh.push(frame !== null);
      dueMs = Math.max(dueMs + 1000 / fps, performance.now() - 200);
      await sleep(Math.max(0, dueMs - performance.now()));
    }
  })();
  return {
    sessionId,
    get opening() {
      return opening;
    },
    get ticks() {
      return fresh.length;
    },
    get held() {
      return fresh.filter((isFresh) => !isFresh).length;
    },
    longestGapFrom(tick) {
      let [longest, run] = [0, 0];
      for (const isFresh of fresh.slice(tick)) {
        run = isFresh ? 0 : run + 1;
        longest = Math.max(longest, run);
      }
      return longest;
    },
    say(pcm) {
      const upload = ingest.StreamAudio(metadata, () => {});
      upload.on('error', () => {});
      upload.write({ sessionId, sampleRateHz: 24_000, channels: 1 });
      for (let at = 0; at < pcm.length; at += BLOCK_SAMPLES)
        upload.write({ pcm: Buffer.from(pcm.slice(at, at + BLOCK_SAMPLES).buffer) });
      upload.end();
    },
    async [Symbol.asyncDispose]() {
      over = true;
      await reading;
      download.cancel();
      await rest(mesh, 'DELETE', `/v1/sessions/${sessionId}`);
      ingest.close();
      recorder.close();
    },
  };
}
