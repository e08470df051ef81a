import { Metadata } from '@grpc/grpc-js';
import { v1 } from '@talkmesh/contracts';
import { connectClient } from '@talkmesh/service-kit';
import { type PeerReport, TestPeer } from '@talkmesh/webrtc/testing';
import type { Mesh } from '../../deploy/local/src/mesh.js';
import { rest } from './record-call.js';
import { sleep } from './waiting.js';

/** A call at real speed without a browser: a WebRTC viewer in a process of its own, speech sent as a language model does. */
export interface WatchCall extends AsyncDisposable {
  readonly sessionId: string;
  report(): Promise<PeerReport>;
  /** Says something as one turn, sent twice as fast as it is heard; settles when all of it was sent. */
  say(pcm: Int16Array): Promise<void>;
  /** Offers again, as a browser does whose connection broke; what was seen before is forgotten. */
  watchAgain(): Promise<void>;
}

interface Created {
  readonly session: { readonly id: string };
  readonly token: string;
  readonly whep: string;
}

const BLOCK_MS = 50;
const BLOCK_SAMPLES = 2400;

async function connectViewer(mesh: Mesh, { whep, token }: Created): Promise<TestPeer> {
  const peer = new TestPeer();
  try {
    const answer = await fetch(new URL(whep, mesh.httpUrl), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' },
      body: await peer.offer({ receive: ['video', 'audio'] }),
      signal: AbortSignal.timeout(20_000),
    });
    if (answer.status !== 201) throw new Error(`the viewer was refused: ${await answer.text()}`);
    await peer.accept(await answer.text());
    return peer;
  } catch (error) {
    await peer[Symbol.asyncDispose]();
    throw error;
  }
}

export async function watchCall(mesh: Mesh, avatar: string): Promise<WatchCall> {
  const wanted = { avatar, provider: 'external', output: 'webrtc', seed: 1 };
  const { status, body } = await rest<Created>(mesh, 'POST', '/v1/sessions', wanted);
  if (status !== 201) throw new Error(`session refused: ${JSON.stringify({ status, body })}`);
  return new Watched(mesh, await connectViewer(mesh, body), body);
}

class Watched implements WatchCall {
  readonly sessionId: string;
  readonly #mesh: Mesh;
  readonly #created: Created;
  #peer: TestPeer;
  readonly #ingest: InstanceType<typeof v1.AudioIngest>;
  #ended = false;

  constructor(mesh: Mesh, peer: TestPeer, created: Created) {
    this.sessionId = created.session.id;
    this.#mesh = mesh;
    this.#peer = peer;
    this.#created = created;
    this.#ingest = connectClient<InstanceType<typeof v1.AudioIngest>>(v1.AudioIngest, mesh.grpcAddress);
  }

  report(): Promise<PeerReport> {
    return this.#peer.report();
  }

  async say(pcm: Int16Array): Promise<void> {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${this.#created.token}`);
    const upload = this.#ingest.StreamAudio(metadata, () => {});
    upload.on('error', () => {});
    upload.write({ sessionId: this.sessionId, sampleRateHz: 24_000, channels: 1 });
    const startMs = performance.now();
    for (let block = 0; block * BLOCK_SAMPLES < pcm.length && !this.#ended; block++) {
      const part = pcm.slice(block * BLOCK_SAMPLES, (block + 1) * BLOCK_SAMPLES);
      upload.write({ pcm: Buffer.from(part.buffer) });
      await sleep(Math.max(0, startMs + (block + 1) * BLOCK_MS - performance.now()));
    }
    upload.end();
  }

  async watchAgain(): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
    this.#peer = await connectViewer(this.#mesh, this.#created);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await rest(this.#mesh, 'DELETE', `/v1/sessions/${this.sessionId}`);
    this.#ingest.close();
    await this.#peer[Symbol.asyncDispose]();
  }
}
